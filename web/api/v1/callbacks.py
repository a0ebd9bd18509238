"""Missed-call episodes and their callbacks."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.callbacks import claims, results
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import EpisodeFilter, EpisodeRow, access_episode_row, as_rows, list_episodes
from pbxcrm.people.directory import load_directory
from pbxcrm.shared import reasons
from web.api import checked_cursors
from web.api.fields import (
    ApiAnswer,
    ApiRequest,
    IdText,
    ListQuery,
    Moment,
    Number,
    OptionalWhy,
    Version,
    When,
    Why,
    Word,
    optional_text,
)
from web.api.resource import Ask, Page, Resource
from web.api.text import number_filter

callbacks = Resource(
    "callbacks", "Missed-call episodes: one open at a time for each client, however often they called."
)


class CallbackOut(ApiAnswer):
    """A missed client. State `reached`: we got through to them; `recovered`: they got through to us."""

    id: int
    client_number: str | None
    contact_id: int | None
    deal_id: int | None
    task_id: int | None
    missed_count: int
    first_missed_at: Moment
    last_missed_at: Moment
    owner: str | None = Field(description="A login.")
    claimed_by: str | None = Field(description="A login.")
    claimed_at: Moment | None
    attempts: int
    next_attempt_at: Moment | None
    status: EpisodeStatus
    closed_at: Moment | None
    closed_by_call_id: int | None
    closed_reason: str = Field(description="Who closed it and how, in English; empty while it is open.")
    reason: str = Field(description="Why the call was missed and why this owner, in English.")
    version: int


class CallbackTold(CallbackOut):
    """The callback after a result was recorded."""

    passed_on_to: str | None = Field(
        description="The login of the person to whom the decision was passed on: the deal, the client or a burning lamp is theirs."
    )
    passed_on_task_id: int | None = Field(description="The task by which it was passed on.")


class CallbackQuery(ListQuery):
    """Which callbacks; all conditions must hold."""

    status: Literal["open", "reached", "recovered", "dismissed"] | None = None
    client_number: Number | None = None
    owner: Word | None = Field(None, description="A login.")
    responsible: Word | None = Field(None, description="The same as `owner`.")
    claimed_by: Word | None = Field(None, description="A login.")
    contact_id: IdText | None = None
    deal_id: IdText | None = None
    since: When | None = Field(None, description="First missed at this time or later.")
    until: When | None = Field(None, description="First missed before this time.")
    q: Word | None = Field(None, description="A part of the client's name or number.")


class CallbackResult(ApiRequest):
    """The result of a callback."""

    result: Literal["reached", "didnt_reach", "wrong_number", "not_interested", "spam", "no_number"]
    why: OptionalWhy = Field("", description="Needed when the client is not interested.")
    without_call: OptionalWhy = Field(
        "",
        description="Why it is settled without a call. Needed where you have not called the client since they were missed and "
        "since you took the callback; else 422 with `missing`.",
    )
    note: Annotated[str, optional_text(Attempt.note)] = ""
    version: Version | None = Field(
        None, description="The version you saw: what changed meanwhile is not closed (409)."
    )


class CallbackDismissal(ApiRequest):
    """The reason for closing a callback without a call."""

    why: Why


@callbacks.get("/callbacks", needs=Permission.CALLBACKS_READ, summary="Missed-call episodes, newest first")
async def read_callbacks(ask: Ask, query: CallbackQuery) -> Page[CallbackOut]:
    asked = EpisodeFilter(
        status=query.status or "",
        owner=query.owner or query.responsible or "",
        claimed_by=query.claimed_by or "",
        client_number=number_filter(query.client_number, ask.settings),
        contact_id=query.contact_id,
        deal_id=query.deal_id,
        since=query.since,
        until=query.until,
        text=query.q or "",
    )
    before = checked_cursors.read_id(query.cursor)
    rows = await list_episodes(ask.session, ask.viewer, *asked.conditions(), before=before, limit=query.limit + 1)
    return Page[CallbackOut].of(
        [callback_out(row) for row in rows], query.limit, lambda row: checked_cursors.next_of_id(row.id)
    )


@callbacks.get("/callbacks/{callback_id}", needs=Permission.CALLBACKS_READ, summary="One missed-call episode")
async def read_callback(ask: Ask, callback_id: int) -> CallbackOut:
    return callback_out(await access_episode_row(ask.session, ask.viewer, callback_id))


@callbacks.post(
    "/callbacks/{callback_id}/claim",
    needs=Permission.CALLBACKS_WORK,
    summary="Claim a callback",
    status=200,
    conflicts=True,
)
async def claim_callback(ask: Ask, callback_id: int) -> CallbackOut:
    """If two people claim it at once, one gets it; the other gets 409 with the name of the first."""
    episode = await claims.claim(ask.session, ask.viewer, callback_id, now=ask.now)
    return await _changed(ask, episode)


@callbacks.post(
    "/callbacks/{callback_id}/release",
    needs=Permission.CALLBACKS_WORK,
    summary="Release a callback",
    status=200,
    conflicts=True,
)
async def release_callback(ask: Ask, callback_id: int) -> CallbackOut:
    episode = await claims.release(ask.session, ask.viewer, callback_id, now=ask.now)
    return await _changed(ask, episode)


@callbacks.post(
    "/callbacks/{callback_id}/result",
    needs=Permission.CALLBACKS_WORK,
    summary="Record the result of a callback",
    status=200,
    conflicts=True,
)
async def tell_callback_result(ask: Ask, callback_id: int, body: CallbackResult) -> CallbackTold:
    """`didnt_reach` plans the next attempt; every other result closes the callback. A result needs a call of yours, or
    `without_call`. A decision about another person's deal or client is passed on to that person; so is a callback that
    belongs to another person or whose lamp burns, unless you have called.
    """
    recorded = await results.record_result(
        ask.session,
        ask.viewer,
        callback_id,
        AttemptResult(body.result),
        now=ask.now,
        region=ask.settings.region,
        version=body.version,
        why=body.why,
        without_call=body.without_call,
        note=body.note,
    )
    return await _told(ask, recorded)


@callbacks.post(
    "/callbacks/{callback_id}/dismiss",
    needs=Permission.CALLBACKS_WORK,
    summary="Close a callback without a call, for a reason",
    status=200,
    conflicts=True,
)
async def dismiss_callback(ask: Ask, callback_id: int, body: CallbackDismissal) -> CallbackTold:
    """A callback of another person, or one whose lamp burns, is passed on instead and stays open."""
    return await _told(ask, await results.dismiss(ask.session, ask.viewer, callback_id, body.why, now=ask.now))


async def _told(ask: Ask, recorded: results.Recorded) -> CallbackTold:
    told, passed = await _changed(ask, recorded.episode), recorded.passed
    to = (await load_directory(ask.session)).users.get(passed.assignee_id or 0) if passed is not None else None
    return CallbackTold(
        **dict(told),
        passed_on_to=to.login if to is not None else None,
        passed_on_task_id=passed.id if passed is not None else None,
    )


async def _changed(ask: Ask, episode: Episode) -> CallbackOut:
    """The callback after a change, even if the viewer may no longer see it."""
    await ask.session.flush()
    return callback_out((await as_rows(ask.session, [episode]))[0])


def callback_out(row: EpisodeRow) -> CallbackOut:
    """An episode as an answer of the API."""
    episode = row.episode
    return CallbackOut(
        id=episode.id or 0,
        client_number=episode.client_number,
        contact_id=episode.contact_id,
        deal_id=episode.deal_id,
        task_id=episode.task_id,
        missed_count=episode.missed_count,
        first_missed_at=episode.first_missed_at,
        last_missed_at=episode.last_missed_at,
        owner=row.owner.login if row.owner else None,
        claimed_by=row.claimed_by.login if row.claimed_by else None,
        claimed_at=episode.claimed_at,
        attempts=episode.attempts,
        next_attempt_at=episode.next_attempt_at,
        status=EpisodeStatus(episode.status),
        closed_at=episode.closed_at,
        closed_by_call_id=episode.closed_by_call_id,
        closed_reason=reasons.text(episode.closed_reason),
        reason=reasons.text(episode.reason),
        version=episode.version,
    )
