"""Deciding about a discount above a person's limit, and asking for it no longer."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.access.owners import check_leads
from pbxcrm.money.discount_rules import percent_with_asked
from pbxcrm.money.discount_task_actions import do_close_asked, do_tell_asker, said_of
from pbxcrm.money.line_changes import LineChange, close_change, open_change
from pbxcrm.money.line_rules import DealLines, asked_of, clear_asked
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.queries import own_limit
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, NotAllowed
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.typed_reasons import check_why


async def withdraw_discount(
    session: AsyncSession, viewer: Viewer, deal_id: int, line_id: int | None, now: datetime
) -> DealLines:
    """Ask no longer for the discount of a line, or on the whole (None). Raises Conflict where nothing is asked for."""
    change = await open_change(session, viewer, deal_id)
    clear_asked(_asked_in(change, line_id))
    return await close_change(session, change, now)


async def decide_discount(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    line_id: int | None,
    now: datetime,
    *,
    is_approved: bool,
    why: str = "",
) -> DealLines:
    """Let the discount that is asked for on a line, or on the whole (None), count, or not. Its task ends, and who asked gets one to tell
    the client.

    Raises NotAllowed for one above the viewer's own limit, Invalid at ``why`` for a refusal without a reason, Conflict where nothing is
    asked for.
    """
    check(viewer, Permission.ESCALATIONS_WORK)
    change = await open_change(session, viewer, deal_id)
    people = await load_directory(session)
    check_leads(viewer, change.deal.responsible_id, people)
    row = _asked_in(change, line_id)
    asked, asker_id, discount = asked_of(row), row.asked_by_id, said_of(row, change.deal)
    if is_approved:
        if percent_with_asked(row, change.live, change.whole) > await own_limit(session, viewer):
            raise NotAllowed("money.above_limit", "This discount is above your own limit. An administrator decides.")
        row.discount_percent, row.discount_money = asked.percent, asked.money
        said = reason("discount.approved", who=viewer.name)
    else:
        said = reason("discount.refused", who=viewer.name, why=check_why(why, "why"))
    clear_asked(row)
    await do_close_asked(session, row, now, people, said, viewer)
    if asker_id is not None and asker_id != viewer.user_id and people.active(asker_id) is not None:
        await do_tell_asker(session, change.deal, asker_id, discount, now, said, is_approved=is_approved)
    return await close_change(session, change, now, settled=True)


def _asked_in(change: LineChange, line_id: int | None) -> DealLine | DealDiscount:
    row = change.whole if line_id is None else change.line(line_id)
    if not asked_of(row):
        raise Conflict("money.nothing_asked", "No discount waits for a decision here.")
    return row
