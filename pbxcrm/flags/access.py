"""Who sees a flag: everybody who sees its deal or call."""

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.access.owners import there_is
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.flags.models import Flag
from pbxcrm.shared.errors import NotFound


@kept
def visible_flags(viewer: Viewer) -> ColumnElement[bool]:
    """Flags on visible deals and calls. The subqueries run per flag, because there are few flags and many calls."""
    return or_(
        there_is(Flag, col(Deal.id) == col(Flag.deal_id), visible_deals(viewer)),
        there_is(Flag, col(Call.id) == col(Flag.call_id), visible_calls(viewer)),
    )


async def access_flag(session: AsyncSession, viewer: Viewer, flag_id: int) -> Flag:
    """The flag, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Flag).where(Flag.id == flag_id, visible_flags(viewer)))).first()
    if found is None:
        raise NotFound("flags.not_found", "There is no such flag, or it is on a colleague's deal or call.")
    return found
