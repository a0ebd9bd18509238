"""``{"kind": "assign", "to"}``: ``manager``, ``user:LOGIN``, or ``distribution``: whom the rules of distribution choose."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import StepStatus
from pbxcrm.automation.steps.step import Around, Settings, Step, StepContext, StepTaken, TakingBack, check_whom, whom
from pbxcrm.deals.actions import do_assign_deal
from pbxcrm.distribution.actions import choose_owner, read_case, settle
from pbxcrm.people.whom import RESPONSIBLE
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import Reason, reason

DISTRIBUTION = "distribution"


class _AssignStep(Step):
    """Another responsible person."""

    kind = "assign"
    takes = ("to",)

    async def check(self, _session: AsyncSession, settings: Settings, at: str, around: Around) -> dict[str, Any]:
        to = settings.get("to")
        if to == DISTRIBUTION:
            return {"to": DISTRIBUTION}
        if not to or to == RESPONSIBLE:
            raise Invalid(f"{at}.to", "automation.whom_else", "Choose who gets the deal.")
        return {"to": check_whom(settings, "to", at, around.people)}

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        deal, people = context.of_deal, context.around.people
        before, why, choice = deal.responsible_id, context.why, None
        to = whom(settings["to"], deal, people) if settings["to"] != DISTRIBUTION else None
        if settings["to"] == DISTRIBUTION:
            choice = await choose_owner(context.session, await read_case(context.session, deal), context.now)
            to = choice.user_id
            why = reason("automation.rule", choice.reason, rule=context.rule.name)
        if to is None:
            if choice is not None:
                await settle(context.session, choice, deal, context.now, people)
            return StepTaken(reason("automation.nobody"), StepStatus.REFUSED)
        if to == before:
            return StepTaken(reason("automation.has_it", who=people.name(to)))
        await do_assign_deal(context.session, deal, to, context.now, actor=None, people=people, why=why)
        if choice is not None:
            await settle(context.session, choice, deal, context.now, people)
        return StepTaken(reason("automation.assigned", who=people.name(to)), undo={"before": before, "after": to})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        if settings["to"] == DISTRIBUTION:
            return reason("automation.assigned", who=DISTRIBUTION)
        who = context.around.people.name(whom(settings["to"], context.deal, context.around.people))
        return reason("automation.assigned", who=who) if who else reason("automation.nobody")

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        if "after" not in kept:
            return None
        assert undoing.deal is not None
        if undoing.deal.responsible_id != kept["after"]:
            return reason("automation.kept_changed")
        why = reason("automation.undone")
        await do_assign_deal(
            undoing.session,
            undoing.deal,
            kept["before"],
            undoing.now,
            actor=undoing.viewer,
            people=undoing.people,
            why=why,
        )
        return None


ASSIGN = _AssignStep()
