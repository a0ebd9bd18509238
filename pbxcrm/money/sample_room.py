"""The room of article 002 as a template of lines, so that the first rule with products works at once: 5 × 6 m, its ceiling at 3 m, brick."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.money.models import LineTemplate
from pbxcrm.money.template_actions import AskedValue, TemplateDraft, TemplateLine, archive_template, save_template
from pbxcrm.shared.reasons import N_

ROOM = N_("Room under the key")


def room_draft(say: Callable[[str], str]) -> TemplateDraft:
    """The template with free lines; its prices are examples. ``say`` translates its texts."""
    brick = say(N_("brick"))
    return TemplateDraft(
        say(ROOM),
        [
            AskedValue("length_m", say(N_("Length")), say(N_("m")), "5"),
            AskedValue("width_m", say(N_("Width")), say(N_("m")), "6"),
            AskedValue("height_m", say(N_("Ceiling")), say(N_("m")), "3"),
            AskedValue("walls_of", say(N_("Walls: brick or board")), "", brick),
        ],
        [("walls", "2 * (length_m + width_m) * height_m")],
        [
            TemplateLine(
                f"if(walls_of = '{brick}', ceil(walls / 4), 0)",
                name=say(N_("Plaster, bag of 30 kg")),
                unit=say(N_("bag")),
                price=Decimal("245.50"),
            ),
            TemplateLine(
                "ceil(walls * 1.1 / 5.3)", name=say(N_("Wallpaper")), unit=say(N_("roll")), price=Decimal(620)
            ),
            TemplateLine("walls", name=say(N_("Work on walls")), unit=say(N_("m²")), price=Decimal(380)),
        ],
    )


async def add_room(session: AsyncSession, viewer: Viewer, say: Callable[[str], str], now: datetime) -> LineTemplate:
    """Add the template, or offer again the one of its name. Raises NotAllowed."""
    found = (await session.exec(select(LineTemplate).where(LineTemplate.name == say(ROOM)))).first()
    if found is not None:
        return await archive_template(session, viewer, found.id or 0, now, is_archived=False)
    return await save_template(session, viewer, None, room_draft(say), now)
