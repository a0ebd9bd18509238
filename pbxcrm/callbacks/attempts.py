"""An attempt that did not reach the client: counted once, and the next one planned at once (C2).

The tracker sees the call and a person says how it went, in either order; both are one attempt.
"""

from datetime import datetime, timedelta

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import do_attempt
from pbxcrm.callbacks.audience import say_episode_changed
from pbxcrm.callbacks.decision_context import DecisionContext, working_of
from pbxcrm.callbacks.lamps import client_of, do_free, do_put_out, do_start_norm
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.rules import next_attempt, retry_title
from pbxcrm.calls.models import Call
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.actions import do_change_task
from pbxcrm.tasks.models import Task

SAME_ATTEMPT = timedelta(minutes=10)  # how long after the call somebody may still say how it went


async def do_failed_attempt(
    session: AsyncSession,
    episode: Episode,
    at: datetime,
    context: DecisionContext,
    *,
    user_id: int | None,
    call: Call | None = None,
    note: str = "",
) -> Attempt:
    """Note that the client was not reached, by ``call`` or (without one) as a person says; plan the next attempt.

    The same attempt told a second time, by the other side, only completes what is known of it.
    """
    known = await (_told_by_hand(session, episode, user_id, call) if call else _seen(session, episode, user_id, at))
    if known is not None:
        known.call_id = known.call_id or (call.id if call else None)
        known.by_hand = known.by_hand or call is None
        known.note = known.note or note[:1000]
        return known
    attempt = await do_attempt(
        session,
        episode,
        AttemptResult.DIDNT_REACH,
        at,
        context.people,
        user_id=user_id,
        call_id=call.id if call else None,
        note=note,
        by_hand=call is None,
    )
    await session.flush()
    await _plan_next(session, episode, attempt, at, context)
    return attempt


async def failures(session: AsyncSession, episode: Episode) -> int:
    """Unsuccessful attempts since the client called last; the schedule begins anew when they call again."""
    found = await session.exec(
        select(func.count())
        .select_from(Attempt)
        .where(
            Attempt.episode_id == episode.id,
            Attempt.result == AttemptResult.DIDNT_REACH.value,
            Attempt.at >= episode.last_missed_at,
        )
    )
    return found.one()


async def _plan_next(
    session: AsyncSession, episode: Episode, attempt: Attempt, at: datetime, context: DecisionContext
) -> None:
    failed = await failures(session, episode)
    working, options = working_of(context, episode), context.options
    planned = next_attempt(failed, at, options.retry_minutes, working)
    title = retry_title(failed, options.retry_minutes, await client_of(session, episode))
    who = context.people.name(attempt.user_id) or "—"
    why = reason("attempt.by_hand" if attempt.by_hand else "attempt.failed", who=who, count=failed)
    was_claimed_by = await do_free(session, episode)
    episode.next_attempt_at = planned
    await do_put_out(session, episode, reason("lamp.out_attempt"), at, context.people, by_id=attempt.user_id)
    await do_start_norm(session, episode, planned, working.add_minutes(planned, options.callback_due_minutes))
    record(session, at, "callback.attempt", "callback", episode.id, actor=None, reason=why, planned=planned.isoformat())
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is not None:
        await do_change_task(session, task, at, context.people, actor=None, why=why, title=title, due_at=planned)
    await say_episode_changed(session, episode, at, context.people, was_claimed_by)


async def _told_by_hand(session: AsyncSession, episode: Episode, user_id: int | None, call: Call) -> Attempt | None:
    """What is known of the attempt that ``call`` was: this very call, or what its maker said while or after it rang."""
    query = select(Attempt).where(Attempt.episode_id == episode.id)
    same = (await session.exec(query.where(Attempt.call_id == call.id))).first()
    if same is not None:
        return same
    said = await session.exec(
        query.where(
            col(Attempt.call_id).is_(None),
            Attempt.user_id == user_id,
            col(Attempt.by_hand),
            Attempt.at >= call.started_at,
        ).order_by(col(Attempt.at))
    )
    return said.first()


async def _seen(session: AsyncSession, episode: Episode, user_id: int | None, at: datetime) -> Attempt | None:
    """The call that a person now tells the result of: their latest one, when nobody told it yet."""
    found = await session.exec(
        select(Attempt).where(Attempt.episode_id == episode.id).order_by(col(Attempt.at).desc(), col(Attempt.id).desc())
    )
    latest = found.first()
    if latest is None or latest.by_hand or latest.user_id != user_id or latest.result != AttemptResult.DIDNT_REACH:
        return None
    return latest if at - latest.at <= SAME_ATTEMPT else None
