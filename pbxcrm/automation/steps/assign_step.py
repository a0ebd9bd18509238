"""``{"kind": "assign", "to"}``: ``manager``, ``user:LOGIN``, ``distribution``: whom the rules of distribution choose, ``experienced``: who won most."""

from pbxcrm.automation.experience import most_experienced
from pbxcrm.automation.models import StepStatus
from pbxcrm.automation.params import WORDS_OF_WHOM, Param, ParamKind
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack, whom
from pbxcrm.deals.actions import do_assign_deal
from pbxcrm.distribution.actions import choose_owner, read_case, settle
from pbxcrm.people.whom import MANAGER
from pbxcrm.shared.reasons import N_, Reason, reason

DISTRIBUTION, EXPERIENCED = "distribution", "experienced"


class _AssignStep(Step):
    """Another responsible person."""

    kind = "assign"
    title = N_("Give the deal to somebody")
    repeats = Repeats.TOGETHER
    params = (
        Param(
            "to",
            N_("To whom"),
            ParamKind.WHOM,
            required=True,
            choices={
                MANAGER: WORDS_OF_WHOM[MANAGER],
                DISTRIBUTION: N_("Whom the rules of distribution choose"),
                EXPERIENCED: N_("The most experienced: who won most deals here in a year"),
            },
        ),
    )

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        deal, people = context.of_deal, context.around.people
        before, why, choice = deal.responsible_id, context.why, None
        to = await _to(context, settings["to"]) if settings["to"] != DISTRIBUTION else None
        if settings["to"] == DISTRIBUTION:
            choice = await choose_owner(context.session, await read_case(context.session, deal), context.now)
            to = choice.user_id
            why = reason("automation.rule", choice.reason, rule=context.rule.name)
        if to is None:
            if choice is not None:
                await settle(context.session, choice, deal, context.now, people)
            if settings["to"] == EXPERIENCED:  # no news: the deal stays where it is
                return StepTaken(reason("automation.none_won"))
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
        who = context.around.people.name(await _to(context, settings["to"]))
        if not who and settings["to"] == EXPERIENCED:
            return reason("automation.none_won")
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


async def _to(context: StepContext, asked: str) -> int | None:
    """The id of who gets the deal; None where nobody has won anything yet: then nobody is the most experienced."""
    deal, around = context.of_deal, context.around
    if asked == EXPERIENCED:
        return await most_experienced(
            context.session, deal.pipeline_id, around.funnel, around.people, around.calendars, context.now
        )
    return whom(asked, deal, around.people)


ASSIGN = _AssignStep()
