"""``{"kind": "tag", "add", "remove"}``: names of tags."""

from typing import Any

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.step import KnownThings, Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.deals.models import Deal
from pbxcrm.deals.tag_actions import do_change_tags
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_, Reason, reason


class _TagStep(Step):
    """Tags put on the deal, and taken off."""

    kind = "tag"
    title = N_("Put tags on the deal, or take them off")
    repeats = Repeats.TOGETHER
    changes = frozenset({"tag", "lamp"})
    params = (
        Param("add", N_("Put on"), ParamKind.TAGS, default=()),
        Param("remove", N_("Take off"), ParamKind.TAGS, default=()),
    )

    def check(self, settings: dict[str, Any], at: str, known: KnownThings) -> dict[str, Any]:
        if not settings["add"] and not settings["remove"]:
            raise Invalid(f"{at}.add", "automation.no_tag", "Name a tag.")
        return settings

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        added, removed = await do_change_tags(
            context.session,
            context.of_deal,
            settings["add"],
            settings["remove"],
            context.now,
            actor=None,
            why=context.why,
        )
        return StepTaken(_said(settings), undo={"added": added, "removed": removed})

    async def would(self, _context: StepContext, settings: Settings) -> Reason:
        return _said(settings)

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        deal: Deal | None = undoing.deal
        assert deal is not None
        await do_change_tags(undoing.session, deal, kept["removed"], kept["added"], undoing.now, actor=undoing.viewer)
        return None


def _said(settings: Settings) -> Reason:
    told = [f"+ {name}" for name in settings["add"]] + [f"− {name}" for name in settings["remove"]]
    return reason("automation.tagged", tags=", ".join(told))


TAG = _TagStep()
