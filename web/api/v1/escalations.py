"""Callbacks that were left beyond norm and pause, and went to a manager."""

from typing import Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.callbacks.escalation_pages import EscalationFilter, access_escalation, page_of_escalations
from pbxcrm.callbacks.escalations import accept, reassign
from pbxcrm.callbacks.models import Episode, Escalation, EscalationState
from pbxcrm.people.queries import logins_of
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from web.api import cursors
from web.api.fields import ApiAnswer, ApiRequest, IdText, ListQuery, Login, Moment, Number, When, Why, Word
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource
from web.api.text import number_filter

escalations = Resource("escalations", "Callbacks that were left beyond norm and pause, and went to a manager.")


class EscalationOut(ApiAnswer):
    """An escalation. `accepted`: the manager lets it be and said why; `closed`: somebody did the work."""

    id: int
    status: EscalationState
    callback_id: int
    client_number: str | None
    contact_id: int | None
    deal_id: int | None
    task_id: int | None = Field(description="The manager's control task.")
    responsible: str | None = Field(description="Whose callback it was; a login.")
    manager: str | None = Field(description="A login; null: every manager's.")
    waiting_since: Moment = Field(description="When the client was missed first.")
    opened_at: Moment = Field(description="When it went to the manager.")
    closed_at: Moment | None
    closed_by: str | None = Field(description="A login; null: by itself.")
    note: str = Field(description="Why it was accepted.")
    reason: str = Field(description="Why it went to the manager, in English.")
    version: int


class EscalationQuery(ListQuery):
    """Which escalations; conditions are combined with *and*."""

    status: Literal["open", "accepted", "reassigned", "closed"] | None = None
    responsible: Word | None = Field(None, description="The login of whose callback it was.")
    deal_id: IdText | None = None
    contact_id: IdText | None = None
    client_number: Number | None = None
    since: When | None = Field(None, description="Went to the manager at this time or later.")
    until: When | None = Field(None, description="Went to the manager before this time.")


class Accept(ApiRequest):
    """Why the manager takes the callback off control."""

    why: Why


class Reassign(ApiRequest):
    """Who gets the callback."""

    responsible: Login = Field(description="The login of who gets it.")


@escalations.get("/escalations", needs=Permission.ESCALATIONS_READ, summary="Escalations, newest first")
async def read_escalations(ask: Ask, query: EscalationQuery) -> Page[EscalationOut]:
    asked = EscalationFilter(
        status=query.status or "",
        responsible=query.responsible or "",
        deal_id=query.deal_id,
        contact_id=query.contact_id,
        client_number=number_filter(query.client_number, ask.settings),
        since=query.since,
        until=query.until,
    )
    before = cursors.read_id(query.cursor)
    rows = await page_of_escalations(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    return Page[EscalationOut].of(await _escalations(ask, rows), query.limit, lambda row: cursors.next_of_id(row.id))


@escalations.get("/escalations/{escalation_id}", needs=Permission.ESCALATIONS_READ, summary="One escalation")
async def read_escalation(ask: Ask, escalation_id: int) -> EscalationOut:
    return (await _escalations(ask, [await access_escalation(ask.session, ask.viewer, escalation_id)]))[0]


@escalations.post(
    "/escalations/{escalation_id}/accept",
    needs=Permission.ESCALATIONS_WORK,
    summary="Let it be, for a reason",
    status=200,
    conflicts=True,
)
async def accept_escalation(ask: Ask, escalation_id: int, body: Accept) -> EscalationOut:
    seen = await access_escalation(ask.session, ask.viewer, escalation_id)
    await accept(ask.session, ask.viewer, escalation_id, body.why, now=ask.now)
    await ask.session.flush()
    return (await _escalations(ask, [seen]))[0]


@escalations.post(
    "/escalations/{escalation_id}/reassign",
    needs=Permission.ESCALATIONS_WORK,
    summary="Give the callback to somebody else",
    status=200,
    conflicts=True,
)
async def reassign_escalation(ask: Ask, escalation_id: int, body: Reassign) -> EscalationOut:
    seen = await access_escalation(ask.session, ask.viewer, escalation_id)
    to = await user_id_of(ask.session, body.responsible, "responsible")
    try:
        await reassign(ask.session, ask.viewer, escalation_id, to or 0, now=ask.now)
    except Invalid as error:
        raise Invalid("responsible", error.code, error.message) from None
    await ask.session.flush()
    return (await _escalations(ask, [seen]))[0]


async def _escalations(ask: Ask, rows: list[tuple[Escalation, Episode]]) -> list[EscalationOut]:
    people = [user_id for row, _ in rows for user_id in (row.owner_id, row.manager_id, row.closed_by_id)]
    logins = await logins_of(ask.session, people)
    return [
        EscalationOut(
            id=row.id or 0,
            status=EscalationState(row.state),
            callback_id=row.episode_id,
            client_number=episode.client_number,
            contact_id=episode.contact_id,
            deal_id=episode.deal_id,
            task_id=row.task_id,
            responsible=logins.get(row.owner_id),
            manager=logins.get(row.manager_id),
            waiting_since=episode.first_missed_at,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            closed_by=logins.get(row.closed_by_id),
            note=row.note,
            reason=reasons.text(row.reason),
            version=row.version,
        )
        for row, episode in rows
    ]
