"""Adds, changes and deletes leaves: who is away when, and who stands in for them."""

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check, may
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.calendars.hooks import absences_changed, calendar_changed
from pbxcrm.calendars.models import Leave
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.calendars.rules import Absence, check_leave, whole_days
from pbxcrm.calendars.timers import LEAVE_BEGINS, LEAVE_ENDS
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import access_assignee, access_user
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.timers import cancel_timer, set_timer


@dataclass(frozen=True, slots=True)
class NewLeave:
    """A leave as it shall be: as dates for whole local days (``until`` is the last day), or as two times."""

    user_id: int
    since: date | datetime
    until: date | datetime
    deputy_id: int | None = None


async def create_leave(session: AsyncSession, viewer: Viewer, new: NewLeave, *, now: datetime) -> Leave:
    """Add a leave. Raises Invalid at ``person``, ``from``, ``until`` or ``deputy``; NotFound if the viewer does not see them."""
    check(viewer, Permission.LEAVES_EDIT)
    people = await load_directory(session)
    if new.user_id not in people.users:
        raise Invalid("person", "leaves.person", "Choose a person.")
    await access_user(session, viewer, new.user_id)
    leave = Leave(user_id=new.user_id, starts_at=now, ends_at=now)
    await _write(session, viewer, leave, new)
    session.add(leave)
    await session.flush()
    record(session, now, "leave.created", "user", new.user_id, actor=viewer, leave=leave.id, deputy=new.deputy_id)
    await _take_effect(session, leave, now)
    return leave


async def access_leave(session: AsyncSession, viewer: Viewer, leave_id: int) -> Leave:
    """The leave, to change it. Raises NotFound if there is none, or if the viewer does not see the person."""
    check(viewer, Permission.LEAVES_EDIT)
    leave = await session.get(Leave, leave_id)
    if leave is None:
        raise NotFound("leaves.not_found", "There is no such leave any more.")
    await access_user(session, viewer, leave.user_id)
    return leave


async def change_leave(session: AsyncSession, viewer: Viewer, leave: Leave, new: NewLeave, *, now: datetime) -> None:
    """Give a leave other times or another deputy; its person stays. What is asked follows at once. Raises like ``create_leave``."""
    check(viewer, Permission.LEAVES_EDIT)
    await access_user(session, viewer, leave.user_id)
    before = _told(leave)
    await _write(session, viewer, leave, replace(new, user_id=leave.user_id))
    changed = differences(before, _told(leave))
    if not changed:
        return
    await session.flush()
    record(session, now, "leave.changed", "user", leave.user_id, actor=viewer, leave=leave.id, changed=changed)
    await _take_effect(session, leave, now)


async def delete_leave(session: AsyncSession, viewer: Viewer, leave_id: int, *, now: datetime) -> None:
    """Delete a leave: what others were asked instead comes back, unless they work on it. Raises NotFound."""
    leave = await access_leave(session, viewer, leave_id)
    await session.delete(leave)
    record(session, now, "leave.deleted", "user", leave.user_id, actor=viewer, leave=leave_id)
    await session.flush()
    await calendar_changed(session, now, False)
    await absences_changed(session, now)


async def _checked_times(session: AsyncSession, new: NewLeave) -> tuple[datetime, datetime]:
    if isinstance(new.since, datetime) and isinstance(new.until, datetime):
        return new.since, new.until
    if isinstance(new.since, datetime) or isinstance(new.until, datetime):
        raise Invalid("until", "leaves.mixed", "Give two dates, or two moments.")
    if new.until < new.since:
        raise Invalid("until", "leaves.backwards", "The leave ends before it begins.")
    calendars = await load_calendars(session, await load_directory(session))
    return whole_days(new.since, new.until, calendars.of_user(new.user_id))


async def _write(session: AsyncSession, viewer: Viewer, leave: Leave, new: NewLeave) -> None:
    """Check the leave beside all others and write it into the row."""
    if new.deputy_id is not None and new.deputy_id != leave.deputy_id:
        deputy = await access_assignee(session, viewer, new.deputy_id, field="deputy")
        if not may(deputy.role, Permission.DEALS_EDIT):
            raise Invalid("deputy", "leaves.deputy_role", "They may not work on deals. Choose somebody who may.")
    starts, ends = await _checked_times(session, new)
    await lock(session, "leaves")  # two leaves written at once could make a circle of deputies
    rows = (await session.exec(select(Leave))).all()
    others = [Absence(row.user_id, row.starts_at, row.ends_at, row.deputy_id) for row in rows if row.id != leave.id]
    check_leave(Absence(new.user_id, starts, ends, new.deputy_id), others)
    leave.starts_at, leave.ends_at, leave.deputy_id = starts, ends, new.deputy_id
    leave.whole_days = not isinstance(new.since, datetime)


async def _take_effect(session: AsyncSession, leave: Leave, now: datetime) -> None:
    await calendar_changed(session, now, False)
    await absences_changed(session, now)
    for kind, at in ((LEAVE_BEGINS, leave.starts_at), (LEAVE_ENDS, leave.ends_at)):
        if at > now:
            await set_timer(session, kind, f"{kind}:{leave.id}", at, {"leave": leave.id})
        else:
            await cancel_timer(session, f"{kind}:{leave.id}")  # set for a later time before


def _told(leave: Leave) -> dict[str, object]:
    """The leave as the audit log keeps it."""
    return {
        "starts_at": leave.starts_at.astimezone(UTC).isoformat(),
        "ends_at": leave.ends_at.astimezone(UTC).isoformat(),
        "deputy": leave.deputy_id,
    }
