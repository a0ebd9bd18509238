"""Calls: the list and one call."""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from pbxcrm.access import Permission
from pbxcrm.callbacks.withheld_actions import give_withheld_call
from pbxcrm.calls.access import audible_of
from pbxcrm.calls.call_json import as_object
from pbxcrm.calls.facts import Direction, MissedReason, Outcome, TransferKind
from pbxcrm.calls.models import Call
from pbxcrm.calls.queries import CallFilter, CallRow, access_call, as_rows, list_calls
from pbxcrm.shared import reasons
from web.api import checked_cursors
from web.api.fields import ApiAnswer, ApiRequest, Id, IdText, ListQuery, Moment, Number, When, Word, needed_text
from web.api.resource import Ask, Page, Resource
from web.api.text import number_filter

calls = Resource("calls", "All calls of the PBXs.")


class TransferOut(ApiAnswer):
    """A completed transfer; `from` and `to` are extensions."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    source: str = Field(alias="from")
    target: str = Field(alias="to")
    kind: TransferKind


class CallOut(ApiAnswer):
    """A call as `pbxcrm replay` prints it, with its deal, client and reason."""

    id: int
    pbx: str
    linkedid: str = Field(description="Asterisk's id of the call.")
    direction: Direction
    outcome: Outcome
    missed_reason: MissedReason | None
    client_number: str | None = Field(description="E.164 if possible; null if withheld or internal.")
    client_name: str | None = Field(description="The name sent by the PBX.")
    did: str | None
    queue: str | None
    made_by: str | None = Field(description="The extension that placed the call; null for inbound.")
    rang: list[str] = Field(description="Extensions whose phone rang, in order.")
    answered_by: str | None
    talked: list[str] = Field(description="Extensions that talked, in order.")
    transfers: list[TransferOut]
    started_at: Moment
    answered_at: Moment | None
    ended_at: Moment | None
    wait_seconds: float | None
    talk_seconds: float
    click_to_call: bool
    deal_id: int | None
    contact_id: int | None
    responsible: str | None = Field(description="A login.")
    recording_url: str | None = Field(description="Null if there is none, or you may not hear it.")
    reason: str = Field(description="What the product did with the call and why, in English.")


class CallQuery(ListQuery):
    """Which calls; all conditions must hold."""

    client_number: Number | None = None
    direction: Literal["inbound", "outbound", "internal"] | None = None
    outcome: (
        Literal[
            "open",
            "answered",
            "missed",
            "voicemail",
            "no_answer",
            "busy",
            "failed",
            "not_dialled",
            "interrupted",
            "unknown",
        ]
        | None
    ) = None
    responsible: Word | None = Field(None, description="A login.")
    extension: Word | None = Field(None, description="An extension that took part.")
    contact_id: IdText | None = None
    anonymous: Literal["true"] | None = Field(None, description="Calls to us without a number.")
    deal_id: IdText | None = None
    linkedid: Annotated[str, needed_text(Call.linkedid)] | None = None
    since: When | None = Field(None, description="Calls that started at this time or later.")
    until: When | None = Field(None, description="Calls that started before this time.")
    q: Word | None = Field(None, description="A part of a name or number.")


@calls.get("/calls", needs=Permission.CALLS_READ, summary="Calls, newest first")
async def read_calls(ask: Ask, query: CallQuery) -> Page[CallOut]:
    asked = CallFilter(
        direction=query.direction or "",
        outcome=query.outcome or "",
        text=query.q or "",
        since=query.since,
        until=query.until,
        extension=query.extension or "",
        deal_id=query.deal_id,
        contact_id=query.contact_id,
        client_number=number_filter(query.client_number, ask.settings),
        linkedid=query.linkedid or "",
        responsible=query.responsible or "",
        anonymous=query.anonymous == "true",
    )
    before = checked_cursors.read_time(query.cursor)
    found = await list_calls(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    heard = await audible_of(ask.session, ask.viewer, (row.call.id for row in found.rows))
    return Page[CallOut].of(
        [call_out(row, heard) for row in found.rows],
        query.limit,
        lambda call: checked_cursors.next_of_time(call.started_at, call.id),
        resume=checked_cursors.next_of_time(*found.resume) if found.resume is not None else None,
    )


@calls.get("/calls/{call_id}", needs=Permission.CALLS_READ, summary="One call")
async def read_call(ask: Ask, call_id: int) -> CallOut:
    call = await access_call(ask.session, ask.viewer, call_id)
    heard = await audible_of(ask.session, ask.viewer, [call.id])
    return call_out((await as_rows(ask.session, [call]))[0], heard)


class CallClient(ApiRequest):
    """Who called with a withheld number."""

    contact_id: Id | None = Field(description="null takes it back.")


@calls.post(
    "/calls/{call_id}/client",
    needs=Permission.CONTACTS_EDIT,
    summary="Say who called with a withheld number",
    status=200,
)
async def set_client_of_call(ask: Ask, call_id: int, body: CallClient) -> CallOut:
    """No number is linked: only the call, its deal and its callback become the client's. 422 for a call that has a number."""
    call = await give_withheld_call(ask.session, ask.viewer, call_id, body.contact_id, now=ask.now)
    heard = await audible_of(ask.session, ask.viewer, [call.id])
    return call_out((await as_rows(ask.session, [call]))[0], heard)


def call_out(row: CallRow, heard: frozenset[int]) -> CallOut:
    """A call as an answer of the API."""
    call = row.call
    return CallOut(
        **as_object(call, call.client_number),
        id=call.id or 0,
        pbx=call.pbx,
        deal_id=call.deal_id,
        contact_id=call.contact_id,
        responsible=row.responsible.login if row.responsible else None,
        recording_url=f"/api/v1/calls/{call.id}/recording" if call.recording and call.id in heard else None,
        reason=reasons.text(call.reason),
    )
