"""Escalations: lamps that reached a manager because a callback or deal waited longer than norm and pause."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.checkpoints.escalation_actions import accept, comment, make_joint, reassign
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.checkpoints.queries import EscalationFilter, access_escalation, page_of_escalations
from pbxcrm.shared.errors import Invalid
from web.api import checked_cursors
from web.api.fields import ApiRequest, IdText, ListQuery, Login, When, Why, Word, needed_text
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource
from web.api.v1.lamps import LampOut, lamps_out

escalations = Resource(
    "escalations", "Lamps that ask a manager: what was left beyond the norm and the pause. Each is one of `/lamps`."
)


class EscalationQuery(ListQuery):
    """Which escalations; all conditions must hold."""

    state: Literal["burning", "out"] | None = None
    decision: Literal["accepted", "reassigned"] | None = None
    owner: Word | None = Field(None, description="The login of the owner of the work.")
    subject: Literal["deal", "callback"] | None = None
    deal_id: IdText | None = None
    callback_id: IdText | None = None
    since: When | None = Field(None, description="Went to the manager at this time or later.")
    until: When | None = Field(None, description="Went to the manager before this time.")


class Accept(ApiRequest):
    """Why the manager ends the escalation."""

    why: Why
    until: When | None = Field(None, description="Look again then: without work the first lamp lights at that time.")


class Reassign(ApiRequest):
    """The new owner of the callback or deal."""

    owner: Login = Field(description="The login of the new owner.")


class EscalationComment(ApiRequest):
    """A comment for the owner of the work."""

    text: Annotated[str, needed_text(Lamp.note)]


@escalations.get("/escalations", needs=Permission.ESCALATIONS_READ, summary="Escalations, newest first")
async def read_escalations(ask: Ask, query: EscalationQuery) -> Page[LampOut]:
    asked = EscalationFilter(
        state=query.state or "",
        decision=query.decision or "",
        owner=query.owner or "",
        subject=query.subject or "",
        deal_id=query.deal_id,
        callback_id=query.callback_id,
        since=query.since,
        until=query.until,
    )
    before = checked_cursors.read_id(query.cursor)
    rows = await page_of_escalations(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    return Page[LampOut].of(await lamps_out(ask, rows), query.limit, lambda row: checked_cursors.next_of_id(row.id))


@escalations.get("/escalations/{escalation_id}", needs=Permission.ESCALATIONS_READ, summary="One escalation")
async def read_escalation(ask: Ask, escalation_id: int) -> LampOut:
    return await _answer(ask, await access_escalation(ask.session, ask.viewer, escalation_id))


@escalations.post(
    "/escalations/{escalation_id}/accept",
    needs=Permission.ESCALATIONS_WORK,
    summary="Accept an escalation, for a reason",
    status=200,
    conflicts=True,
)
async def accept_escalation(ask: Ask, escalation_id: int, body: Accept) -> LampOut:
    """Without `until` a deal gets its norm again from now on, and a callback waits until the client calls."""
    found = await accept(ask.session, ask.viewer, escalation_id, body.why, now=ask.now, until=body.until)
    return await _answer(ask, found)


@escalations.post(
    "/escalations/{escalation_id}/reassign",
    needs=Permission.ESCALATIONS_WORK,
    summary="Give the callback or deal to somebody else",
    status=200,
    conflicts=True,
)
async def reassign_escalation(ask: Ask, escalation_id: int, body: Reassign) -> LampOut:
    await access_escalation(ask.session, ask.viewer, escalation_id)
    to = await user_id_of(ask.session, body.owner, "owner")
    try:
        lamp = await reassign(ask.session, ask.viewer, escalation_id, to or 0, now=ask.now)
    except Invalid as error:
        raise Invalid("owner", error.code, error.message) from None
    return await _answer(ask, lamp)


@escalations.post(
    "/escalations/{escalation_id}/comment",
    needs=Permission.ESCALATIONS_WORK,
    summary="Send a comment to the owner of the work",
    status=200,
    conflicts=True,
)
async def comment_escalation(ask: Ask, escalation_id: int, body: EscalationComment) -> LampOut:
    """The owner of the work gets it as an assignment. The lamp keeps burning."""
    return await _answer(ask, await comment(ask.session, ask.viewer, escalation_id, body.text, now=ask.now))


@escalations.post(
    "/escalations/{escalation_id}/joint",
    needs=Permission.ESCALATIONS_WORK,
    summary="Make it a joint task with the owner of the work",
    status=200,
    conflicts=True,
)
async def make_escalation_joint(ask: Ask, escalation_id: int) -> LampOut:
    return await _answer(ask, await make_joint(ask.session, ask.viewer, escalation_id, now=ask.now))


async def _answer(ask: Ask, lamp: Lamp) -> LampOut:
    await ask.session.flush()
    return (await lamps_out(ask, [lamp]))[0]
