"""``{"kind": "tag", "add", "remove"}``: names of tags."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.steps.step import Around, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.deals.models import Deal
from pbxcrm.deals.tag_actions import MOST_TAGS, check_tag, do_change_tags
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import Reason, reason


class _TagStep(Step):
    """Tags put on the deal, and taken off."""

    kind = "tag"
    takes = ("add", "remove")

    async def check(self, _session: AsyncSession, settings: Settings, at: str, _around: Around) -> dict[str, Any]:
        found = {name: _names(settings.get(name), f"{at}.{name}") for name in self.takes}
        if not any(found.values()):
            raise Invalid(f"{at}.add", "automation.no_tag", "Name a tag.")
        return found

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


def _names(entered: Any, at: str) -> list[str]:
    if entered is None:
        return []
    if not isinstance(entered, list) or len(entered) > MOST_TAGS or not all(isinstance(each, str) for each in entered):
        raise Invalid(at, "automation.tags", "Write the names of tags as a list.")
    try:
        return [check_tag(each) for each in entered]
    except Invalid as error:
        raise Invalid(at, error.code, error.message, **error.params) from error


TAG = _TagStep()
