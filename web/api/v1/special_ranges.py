"""Ranges of numbers that are ours or spam."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.contacts import range_actions
from pbxcrm.contacts.models import NumberKind, SpecialRange
from pbxcrm.contacts.range_queries import load_ranges
from pbxcrm.people.queries import logins_of
from pbxcrm.shared.errors import NotFound
from web.api.fields import ApiAnswer, ApiRequest, Id, Moment, Number, ShortListQuery, optional_text
from web.api.resource import Ask, Page, Resource

special_ranges = Resource(
    "special-ranges", "Ranges of numbers that are ours or spam: calls from them make no deals and no callbacks."
)


class SpecialRangeOut(ApiAnswer):
    """Numbers from ``first`` to ``last``, both included. A number in it that a client has counts as the client's."""

    id: int
    first: str = Field(description="E.164 where it can be.")
    last: str
    kind: NumberKind
    note: str
    added_by: str | None = Field(description="A login.")
    added_at: Moment


class NewSpecialRange(ApiRequest):
    """A range to put on the list: two numbers with the same number of digits."""

    first: Number
    last: Number
    kind: NumberKind
    note: Annotated[str, optional_text(SpecialRange.note)] = ""


@special_ranges.get("/special-ranges", needs=Permission.CONTACTS_READ, summary="All ranges, the lowest first")
async def read_special_ranges(ask: Ask, query: ShortListQuery) -> Page[SpecialRangeOut]:
    """All ranges, on one page unless you ask for less."""
    return Page[SpecialRangeOut].part_of(await _ranges(ask, await load_ranges(ask.session)), query)


@special_ranges.get("/special-ranges/{range_id}", needs=Permission.CONTACTS_READ, summary="One range")
async def read_special_range(ask: Ask, range_id: Id) -> SpecialRangeOut:
    found = [each for each in await load_ranges(ask.session) if each.id == range_id]
    if not found:
        raise NotFound("numbers.no_range", "This range is on no list any more.")
    return (await _ranges(ask, found))[0]


@special_ranges.post(
    "/special-ranges",
    needs=Permission.SETTINGS_EDIT,
    summary="Say that a range of numbers is ours or spam",
    location=lambda added: f"/special-ranges/{added.id}",
)
async def add_special_range(ask: Ask, body: NewSpecialRange) -> SpecialRangeOut:
    """It holds for calls from now on; open callbacks stay. 422 for a range that overlaps another."""
    added = await range_actions.add_range(
        ask.session,
        ask.viewer,
        body.first,
        body.last,
        body.kind,
        note=body.note,
        region=ask.settings.region,
        now=ask.now,
    )
    return (await _ranges(ask, [added]))[0]


@special_ranges.delete(
    "/special-ranges/{range_id}", needs=Permission.SETTINGS_EDIT, summary="Take a range off the list"
)
async def remove_special_range(ask: Ask, range_id: Id) -> None:
    await range_actions.remove_range(ask.session, ask.viewer, range_id, now=ask.now)


async def _ranges(ask: Ask, rows: Sequence[SpecialRange]) -> list[SpecialRangeOut]:
    logins = await logins_of(ask.session, [row.added_by_id for row in rows])
    return [
        SpecialRangeOut(
            id=row.id or 0,
            first=row.first,
            last=row.last,
            kind=NumberKind(row.kind),
            note=row.note,
            added_by=logins.get(row.added_by_id),
            added_at=row.added_at,
        )
        for row in rows
    ]
