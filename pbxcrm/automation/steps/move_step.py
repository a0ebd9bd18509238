"""``{"kind": "move", "stage_id", "lost_reason"}``: through the gate of the stage, like everybody."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import StepStatus
from pbxcrm.automation.steps.step import Around, Settings, Step, StepContext, StepTaken, TakingBack, check_text
from pbxcrm.deals.actions import do_move_back
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.gate_queries import check_may_enter
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import Funnel, latest_move
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.reasons import Reason, reason


class _MoveStep(Step):
    """A move to another stage, also of another pipeline. What its gate refuses becomes a task of the responsible person."""

    kind = "move"
    takes = ("stage_id", "lost_reason")

    async def check(self, _session: AsyncSession, settings: Settings, at: str, around: Around) -> dict[str, Any]:
        stage = stage_in(around.funnel, settings.get("stage_id"))
        if stage is None:
            raise Invalid(f"{at}.stage_id", "deals.no_stage", "There is no such stage any more.")
        lost_reason = check_text(settings, "lost_reason", at, longest(Deal.lost_reason), needed=False)
        return {"stage_id": stage.id, "lost_reason": lost_reason}

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        deal, to = context.of_deal, await _stage(context, settings)
        if deal.stage_id == to.id:
            return StepTaken(reason("automation.there", stage=to.name))
        moved = await do_move_by_itself(
            context.session,
            deal,
            to,
            context.now,
            people=context.around.people,
            why=context.why,
            lost_reason=settings["lost_reason"],
        )
        if not moved:
            return StepTaken(reason("automation.not_moved", stage=to.name), StepStatus.REFUSED)
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
            return reason("automation.not_moved", *refused.reasons, stage=to.name)
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


def stage_in(funnel: Funnel, stage_id: Any) -> Stage | None:
    """The stage, if it is there and not archived."""
    stage = funnel.stages.get(stage_id) if isinstance(stage_id, int) and not isinstance(stage_id, bool) else None
    return stage if stage is not None and stage.archived_at is None else None


async def _stage(context: StepContext, settings: Settings) -> Stage:
    found = await context.session.get(Stage, settings["stage_id"])
    if found is None or found.archived_at is not None:
        raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
    return found


MOVE = _MoveStep()
