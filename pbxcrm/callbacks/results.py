"""What a person says of a callback: reached, didn't reach, wrong number … and taking it back."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, visible_deals
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import do_attempt, do_close
from pbxcrm.callbacks.attempts import do_failed_attempt
from pbxcrm.callbacks.claims import access_for_work, check_free, closed
from pbxcrm.callbacks.decision_context import DecisionContext, load_context
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import has_next_task
from pbxcrm.callbacks.rules import check_why
from pbxcrm.callbacks.undoing import remember
from pbxcrm.contacts.actions import mark_number
from pbxcrm.contacts.models import NumberKind
from pbxcrm.contacts.queries import special_number
from pbxcrm.deals.lost import LOST_NOT_A_CLIENT, LOST_WRONG_NUMBER, do_lose_deal
from pbxcrm.deals.models import Deal
from pbxcrm.screenpop.models import Disposition
from pbxcrm.screenpop.outcomes import do_say_ended
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.reasons import Reason, reason

# Results that close the callback, and what it is then. (REACHED is what it says; the rest let the client go.)
_CLOSING = {
    AttemptResult.REACHED: (EpisodeStatus.REACHED, "episode.said_reached"),
    AttemptResult.WRONG_NUMBER: (EpisodeStatus.DISMISSED, "episode.wrong_number"),
    AttemptResult.NOT_INTERESTED: (EpisodeStatus.DISMISSED, "episode.not_interested"),
    AttemptResult.SPAM: (EpisodeStatus.DISMISSED, "episode.spam"),
    AttemptResult.NO_NUMBER: (EpisodeStatus.DISMISSED, "episode.no_number"),
}

# What the result of a callback says of the talk that closed it.
_ENDED = {
    AttemptResult.REACHED: Disposition.DONE,
    AttemptResult.WRONG_NUMBER: Disposition.WRONG_NUMBER,
    AttemptResult.NOT_INTERESTED: Disposition.NOT_INTERESTED,
    AttemptResult.SPAM: Disposition.WRONG_NUMBER,
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """What became of a result. ``ask_task_for`` is the deal whose next task must be asked for now; None: nothing to ask."""

    episode: Episode
    attempt: Attempt
    ask_task_for: int | None


async def record_result(
    session: AsyncSession,
    viewer: Viewer,
    episode_id: int,
    result: AttemptResult,
    *,
    now: datetime,
    region: str,
    version: int | None = None,
    why: str = "",
    note: str = "",
) -> Recorded:
    """Note how a callback went. ``version`` is the episode the viewer saw: a key pressed twice counts once (Conflict).

    ``why`` is required for NOT_INTERESTED. A callback that closed itself when the viewer talked to the client still
    takes what the talk was about (reached, wrong number, not interested, spam).
    """
    episode = await access_for_work(session, viewer, episode_id)
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    settles = _settles_own_talk(episode, viewer)
    if episode.status != EpisodeStatus.OPEN and not settles:
        raise closed(episode)
    if version is not None and episode.version != version and not settles:
        raise Conflict("callbacks.stale", "This callback changed meanwhile. Look at it again, then say how it went.")
    if result is AttemptResult.DIDNT_REACH:
        if settles:
            raise closed(episode)
        return await _didnt_reach(session, viewer, episode, now, context, note)
    if result is AttemptResult.NO_NUMBER and episode.client_number is not None:
        raise Invalid("result", "callbacks.has_number", "The number of this client is known.")
    if result is AttemptResult.SPAM and episode.client_number is None:
        raise Invalid("result", "callbacks.no_number", "A withheld number cannot be put on the list.")
    said = check_why(why) if result is AttemptResult.NOT_INTERESTED else ""
    return await _close_by_hand(session, viewer, episode, result, said, note, now, context, region)


async def dismiss(session: AsyncSession, viewer: Viewer, episode_id: int, why: str, *, now: datetime) -> Episode:
    """Close a callback without a call, for a reason."""
    why = check_why(why)
    episode = await access_for_work(session, viewer, episode_id)
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    if episode.status != EpisodeStatus.OPEN:
        raise closed(episode)
    told = reason("episode.dismissed", who=viewer.name, why=why)
    await do_close(session, episode, EpisodeStatus.DISMISSED, told, now, context.people, by_id=viewer.user_id)
    return episode


async def _didnt_reach(
    session: AsyncSession, viewer: Viewer, episode: Episode, now: datetime, context: DecisionContext, note: str
) -> Recorded:
    before = await remember(session, episode)
    attempt = await do_failed_attempt(session, episode, now, context, user_id=viewer.user_id, note=note)
    await session.flush()
    if attempt.call_id is None:
        attempt.before = {**before, "version": episode.version}
    return Recorded(episode, attempt, None)


async def _close_by_hand(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    result: AttemptResult,
    why: str,
    note: str,
    now: datetime,
    context: DecisionContext,
    region: str,
) -> Recorded:
    deal = await session.get(Deal, episode.deal_id) if episode.deal_id is not None else None
    before = await remember(session, episode, deal)
    people, (status, code) = context.people, _CLOSING[result]
    told = reason(code, who=viewer.name, why=why)
    attempt = await _attempt(session, viewer, episode, result, now, context, note or why)
    if episode.status != EpisodeStatus.OPEN:  # it closed itself when the viewer talked: only what it means is new
        episode.status, episode.closed_reason = status.value, told.stored()
        episode.version += 1
        if episode.closed_by_call_id is not None:  # and its card need not ask the same again
            await do_say_ended(session, episode.closed_by_call_id, viewer.user_id, _ENDED[result], now)
    else:
        await do_close(session, episode, status, told, now, people, by_id=viewer.user_id)
    if deal is not None and deal.closed_at is None:
        await _lose(session, viewer, deal, result, why, told, now, context)
    if result is AttemptResult.SPAM and episode.client_number is not None:
        if await special_number(session, episode.client_number) is None:
            before["spam"] = episode.client_number
        await mark_number(session, viewer, episode.client_number, NumberKind.SPAM, region=region, now=now)
    await session.flush()
    attempt.before = {**before, "version": episode.version}
    if result is not AttemptResult.REACHED or deal is None or deal.closed_at is not None:
        return Recorded(episode, attempt, None)
    theirs = await session.exec(select(Deal.id).where(Deal.id == deal.id, visible_deals(viewer)))
    asks = theirs.first() is not None and not await has_next_task(session, deal)
    return Recorded(episode, attempt, deal.id if asks else None)


async def _attempt(
    session: AsyncSession,
    viewer: Viewer,
    episode: Episode,
    result: AttemptResult,
    now: datetime,
    context: DecisionContext,
    note: str,
) -> Attempt:
    """The attempt of the talk that closed the callback, now with what it was about; a new one where there was none."""
    if episode.status == EpisodeStatus.REACHED and episode.closed_by_call_id is not None:
        from_call = await attempt_of_call(session, episode, episode.closed_by_call_id)
        if from_call is not None:
            from_call.result, from_call.by_hand = result.value, True
            from_call.note = note[:1000] or from_call.note
            return from_call
    return do_attempt(
        session,
        episode,
        result,
        now,
        context.people,
        user_id=viewer.user_id,
        call_id=None,
        note=note,
        by_hand=True,
    )


async def _lose(
    session: AsyncSession,
    viewer: Viewer,
    deal: Deal,
    result: AttemptResult,
    why: str,
    told: Reason,
    now: datetime,
    context: DecisionContext,
) -> None:
    """A client who is not interested loses the deal; so does a number that is nobody's, where the deal is still raw."""
    lost = {
        AttemptResult.NOT_INTERESTED: why,
        AttemptResult.WRONG_NUMBER: LOST_WRONG_NUMBER,
        AttemptResult.SPAM: LOST_NOT_A_CLIENT,
    }.get(result)
    if lost is None:
        return
    only_raw = result is not AttemptResult.NOT_INTERESTED
    if await do_lose_deal(session, deal, lost, now, actor=viewer, people=context.people, only_raw=only_raw, why=told):
        record(session, now, "deal.lost_by_callback", "deal", deal.id, actor=viewer, reason=told)


def _settles_own_talk(episode: Episode, viewer: Viewer) -> bool:
    """Whether the callback closed itself by the viewer's own talk and still waits for what it was about."""
    return (
        episode.status == EpisodeStatus.REACHED
        and episode.closed_by_call_id is not None
        and episode.closed_by_id == viewer.user_id
    )


async def attempt_of_call(session: AsyncSession, episode: Episode, call_id: int) -> Attempt | None:
    found = await session.exec(select(Attempt).where(Attempt.episode_id == episode.id, Attempt.call_id == call_id))
    return found.first()
