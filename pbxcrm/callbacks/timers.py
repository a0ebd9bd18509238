"""What happens when a callback's deadlines are due, and how pending ones move when an option changes."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.audience import say_episode_changed
from pbxcrm.callbacks.decision_context import DecisionContext, load_context, working_of
from pbxcrm.callbacks.lamps import (
    CLAIM,
    ESCALATE,
    NORM,
    do_escalate,
    do_free,
    do_light_lamp,
    do_start_norm,
    open_escalation,
)
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.rules import is_claimed
from pbxcrm.shared.jobs import Handler, set_timer
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.timers import Timer
from pbxcrm.tasks.actions import do_change_task
from pbxcrm.tasks.models import Task


async def norm_passed(session: AsyncSession, row: Timer, now: datetime) -> None:
    """The norm is over: the first lamp."""
    episode = await _locked(session, row)
    if episode is not None:
        await do_light_lamp(session, episode, now, await load_context(session))


async def pause_passed(session: AsyncSession, row: Timer, now: datetime) -> None:
    """The reaction pause is over: to the manager."""
    episode = await _locked(session, row)
    if episode is not None:
        await do_escalate(session, episode, now, await load_context(session))


async def claim_ended(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Nothing came of a claim: the callback is anybody's again, and the pages hear of it."""
    episode = await _locked(session, row)
    if episode is None or episode.claimed_by_id is None:
        return
    context = await load_context(session)
    if is_claimed(episode.claimed_by_id, episode.claimed_at, now, context.options.claim_minutes):
        return
    before = await do_free(session, episode)
    episode.version += 1
    await say_episode_changed(session, episode, now, context.people, before)


async def recompute_deadlines(session: AsyncSession, now: datetime) -> None:
    """Working hours changed: see ``do_recompute``."""
    await do_recompute(session, await load_context(session), now)


async def do_recompute(session: AsyncSession, context: DecisionContext, now: datetime) -> int:
    """Move the deadlines of every open callback to what the options say now; how many there were.

    What is already lit stays lit, and what would have been due in the past is due now: nothing fires twice, and nothing
    that has fired is taken back.
    """
    found = await session.exec(
        select(Episode).where(Episode.status == EpisodeStatus.OPEN.value).order_by(col(Episode.id)).with_for_update()
    )
    episodes = found.all()
    tasks = {
        task.id: task
        for task in (
            await session.exec(select(Task).where(col(Task.id).in_([episode.task_id for episode in episodes])))
        ).all()
    }
    for episode in episodes:
        working = working_of(context, episode)
        if episode.norm_from is None:
            continue  # a manager has accepted it as it is: no clock runs until the client calls again
        if episode.lamp_lit_at is None:
            due_at = working.add_minutes(episode.norm_from, context.options.callback_due_minutes)
            await do_start_norm(session, episode, episode.norm_from, max(due_at, now))
            task = tasks.get(episode.task_id)
            if task is not None and episode.next_attempt_at is None:
                why = reason("task.norm_changed", norm=context.options.callback_due_minutes)
                await do_change_task(session, task, now, context.people, actor=None, why=why, due_at=due_at)
        elif await open_escalation(session, episode) is None:
            due_at = working.add_minutes(episode.lamp_lit_at, context.options.callback_pause_minutes)
            await set_timer(session, ESCALATE, f"{ESCALATE}:{episode.id}", max(due_at, now), {"episode": episode.id})
    return len(episodes)


async def _locked(session: AsyncSession, row: Timer) -> Episode | None:
    found = await session.exec(
        select(Episode)
        .where(Episode.id == int(row.payload["episode"]), Episode.status == EpisodeStatus.OPEN.value)
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found.first()


HANDLERS: dict[str, Handler] = {NORM: norm_passed, ESCALATE: pause_passed, CLAIM: claim_ended}
