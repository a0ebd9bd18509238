"""Flags: deals and calls that somebody must look at."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.flags.access import access_flag
from pbxcrm.flags.actions import raise_flag, resolve_flag
from pbxcrm.flags.models import Flag
from pbxcrm.flags.queries import FlagFilter, list_flags
from pbxcrm.people.queries import logins_of
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, Id, IdText, ListQuery, Moment, needed_text
from web.api.resource import Ask, Page, Resource

flags = Resource("flags", "Flags that quality control or a manager puts on deals and calls.")


class FlagOut(ApiAnswer):
    """A flag on a deal or call."""

    id: int
    deal_id: int | None
    call_id: int | None
    reason: str
    raised_by: str | None = Field(description="A login.")
    raised_at: Moment
    word: str = Field(description="What was done about it; empty while it is open.")
    resolved_by: str | None = Field(description="A login.")
    resolved_at: Moment | None


class FlagQuery(ListQuery):
    """Which flags; all conditions must hold."""

    status: Literal["open", "resolved"] | None = None
    deal_id: IdText | None = None
    call_id: IdText | None = None


class NewFlag(ApiRequest):
    """A new flag, on a deal or on a call: exactly one of them."""

    reason: Annotated[str, needed_text(Flag.reason)]
    deal_id: Id | None = None
    call_id: Id | None = None


class Resolve(ApiRequest):
    """What was done about a flag."""

    word: Annotated[str, needed_text(Flag.word)] = Field(description="What was done about it.")


@flags.get("/flags", needs=Permission.FLAGS_READ, summary="Flags, newest first")
async def read_flags(ask: Ask, query: FlagQuery) -> Page[FlagOut]:
    asked = FlagFilter(None if query.status is None else query.status == "open", query.deal_id, query.call_id)
    before = checked_cursors.read_id(query.cursor)
    rows = await list_flags(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    told = await _flags(ask, [row.flag for row in rows])
    return Page[FlagOut].of(told, query.limit, lambda row: checked_cursors.next_of_id(row.id))


@flags.get("/flags/{flag_id}", needs=Permission.FLAGS_READ, summary="One flag")
async def read_flag(ask: Ask, flag_id: int) -> FlagOut:
    return (await _flags(ask, [await access_flag(ask.session, ask.viewer, flag_id)]))[0]


@flags.post("/flags", needs=Permission.FLAGS_EDIT, summary="Raise a flag", location=lambda flag: f"/flags/{flag.id}")
async def add_flag(ask: Ask, body: NewFlag) -> FlagOut:
    found = await raise_flag(ask.session, ask.viewer, body.reason, ask.now, deal_id=body.deal_id, call_id=body.call_id)
    return (await _flags(ask, [found]))[0]


@flags.post("/flags/{flag_id}/resolve", needs=Permission.FLAGS_RESOLVE, summary="Say what was done about a flag")
async def resolve(ask: Ask, flag_id: int, body: Resolve) -> FlagOut:
    return (await _flags(ask, [await resolve_flag(ask.session, ask.viewer, flag_id, body.word, ask.now)]))[0]


async def _flags(ask: Ask, rows: list[Flag]) -> list[FlagOut]:
    logins = await logins_of(ask.session, [who for row in rows for who in (row.raised_by_id, row.resolved_by_id)])
    return [
        FlagOut(
            id=row.id or 0,
            deal_id=row.deal_id,
            call_id=row.call_id,
            reason=row.reason,
            raised_by=logins.get(row.raised_by_id),
            raised_at=row.raised_at,
            word=row.word,
            resolved_by=logins.get(row.resolved_by_id),
            resolved_at=row.resolved_at,
        )
        for row in rows
    ]
