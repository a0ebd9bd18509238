"""Adds and removes ranges of own and spam numbers.

A range has an effect on everybody's calls, so it is for administrators. It holds for calls from then on: callbacks that are open stay.
"""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.contacts.models import NumberKind, SpecialRange
from pbxcrm.contacts.rules import check_range
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.lengths import check_optional_text
from pbxcrm.shared.numbers import format_for_people


async def add_range(
    session: AsyncSession,
    viewer: Viewer,
    first: str,
    last: str,
    kind: NumberKind,
    *,
    note: str = "",
    region: str,
    now: datetime,
) -> SpecialRange:
    """Say that all numbers from ``first`` to ``last``, as typed, are ours or spam. Raises Invalid, also for one that overlaps another."""
    check(viewer, Permission.SETTINGS_EDIT)
    first, last = check_range(first, last, region)
    note = check_optional_text(note, SpecialRange.note, "note")
    await lock(session, "special_ranges")
    known = (await session.exec(select(SpecialRange).order_by(col(SpecialRange.first)))).all()
    over = next((each for each in known if each.holds(first) or each.holds(last) or first <= each.first <= last), None)
    if over is not None and len(over.first) == len(first):
        raise Invalid(
            "first",
            "numbers.overlap",
            "The range {first} – {last} is on the list already. Remove it first, or choose other numbers.",
            first=format_for_people(over.first),
            last=format_for_people(over.last),
        )
    added = SpecialRange(first=first, last=last, kind=kind.value, note=note, added_by_id=viewer.user_id, added_at=now)
    session.add(added)
    await session.flush()
    record(session, now, "range.added", "range", added.id, actor=viewer, first=first, last=last, kind=kind.value)
    return added


async def remove_range(session: AsyncSession, viewer: Viewer, range_id: int, *, now: datetime) -> SpecialRange:
    """Take a range off the list: calls of its numbers make deals again. Returns the removed row. Raises NotFound."""
    check(viewer, Permission.SETTINGS_EDIT)
    found = await session.get(SpecialRange, range_id)
    if found is None:
        raise NotFound("numbers.no_range", "This range is on no list any more.")
    await session.delete(found)
    await session.flush()
    record(
        session,
        now,
        "range.removed",
        "range",
        range_id,
        actor=viewer,
        first=found.first,
        last=found.last,
        kind=found.kind,
    )
    return found
