"""``{"kind": "move", "stage_id", "lost_reason"}``: through the gate of the stage, like everybody."""

from pbxcrm.automation.models import StepStatus
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.deals.actions import do_move_back
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.gate_queries import check_may_enter
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import latest_move
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.reasons import N_, Reason, reason


class _MoveStep(Step):
    """A move to another stage, also of another pipeline. What its gate refuses becomes a task of the responsible person."""

    kind = "move"
    title = N_("Move the deal to another stage")
    repeats = Repeats.TOGETHER
    params = (
        Param("stage_id", N_("Stage"), ParamKind.STAGE, required=True),
        Param(
            "lost_reason",
            N_("Lost because"),
            ParamKind.LINE,
            most=longest(Deal.lost_reason),
            default="",
            hint=N_("Only where the stage closes deals as lost."),
        ),
    )

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        deal, to = context.of_deal, await _stage(context, settings)
        if deal.stage_id == to.id:
            return StepTaken(reason("automation.there", stage=to.name))
        refused = await do_move_by_itself(
            context.session,
            deal,
            to,
            context.now,
            people=context.around.people,
            why=context.why,
            lost_reason=settings["lost_reason"],
        )
        if refused is not None:
            return StepTaken(_not_moved(refused, to), StepStatus.REFUSED)
        move = await latest_move(context.session, deal.id or 0)
        return StepTaken(
            reason("automation.moved", stage=to.name), undo={"move": move.id if move is not None else None}
        )

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        deal, to = context.of_deal, await _stage(context, settings)
        if deal.stage_id == to.id:
            return reason("automation.there", stage=to.name)
        try:
            await check_may_enter(context.session, deal, to, settings["lost_reason"])
        except GateRefused as refused:
            return _not_moved(refused, to)
        return reason("automation.moved", stage=to.name)

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        if kept.get("move") is None:
            return None
        assert undoing.deal is not None
        last = await latest_move(undoing.session, undoing.deal.id or 0)
        if last is None or last.id != kept["move"]:
            return reason("automation.kept_changed")
        await do_move_back(
            undoing.session, undoing.deal, last, undoing.now, actor=undoing.viewer, people=undoing.people
        )
        return None


def _not_moved(refused: GateRefused, to: Stage) -> Reason:
    """With everything that the gate asks for and the deal lacks."""
    return reason("automation.not_moved", *refused.reasons, stage=to.name)


async def _stage(context: StepContext, settings: Settings) -> Stage:
    found = await context.session.get(Stage, settings["stage_id"])
    if found is None or found.archived_at is not None:
        raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
    return found


MOVE = _MoveStep()
