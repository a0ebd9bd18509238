"""Claiming a callback: one person at a time, until a result, a release or the expiry of the claim."""

from datetime import datetime, timedelta

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import CLAIM, do_free, say_episode_changed
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import DecisionContext, access_episode, load_context
from pbxcrm.callbacks.rules import is_claimed
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.timers import set_timer


async def claim(session: AsyncSession, viewer: Viewer, episode_id: int, *, now: datetime) -> Episode:
    """Claim an open callback, or renew the viewer's claim. Raises NotFound, and Conflict with the name of a colleague who has claimed
    it.
    """
    episode = await access_for_work(session, viewer, episode_id)
    if episode.status != EpisodeStatus.OPEN:
        raise closed(episode)
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    await do_claim(session, episode, viewer.user_id, now, context)
    return episode


async def do_claim(
    session: AsyncSession, episode: Episode, user_id: int, now: datetime, context: DecisionContext
) -> None:
    """Claim the callback for a person until the claim expires. The caller must have checked access."""
    before = episode.claimed_by_id
    episode.claimed_by_id, episode.claimed_at = user_id, now
    episode.version += 1
    ends = now + timedelta(minutes=context.options.claim_minutes)
    await set_timer(session, CLAIM, f"{CLAIM}:{episode.id}", ends, {"episode": episode.id})
    await say_episode_changed(session, episode, now, context.people, before)


async def release(session: AsyncSession, viewer: Viewer, episode_id: int, *, now: datetime) -> Episode:
    """Release the viewer's claim; does nothing without a claim. Raises NotFound, and Conflict for a colleague's claim."""
    episode = await access_for_work(session, viewer, episode_id)
    context = await load_context(session)
    check_free(episode, viewer, context, now)
    if episode.claimed_by_id is None:
        return episode
    before = await do_free(session, episode)
    episode.version += 1
    record(session, now, "callback.released", "callback", episode.id, actor=viewer)
    await say_episode_changed(session, episode, now, context.people, before)
    return episode


async def access_for_work(session: AsyncSession, viewer: Viewer, episode_id: int) -> Episode:
    """The episode, if the viewer may work on it, locked and reloaded. Raises NotAllowed, NotFound."""
    check(viewer, Permission.CALLBACKS_WORK)
    await access_episode(session, viewer, episode_id)
    return await lock_episode(session, episode_id)


async def lock_episode(session: AsyncSession, episode_id: int) -> Episode:
    """The callback, locked for this transaction and reloaded. It must exist."""
    found = await session.exec(
        select(Episode)
        .where(Episode.id == episode_id)
        .with_for_update()
        .execution_options(populate_existing=True)  # an earlier read may be outdated
    )
    return found.one()


def check_free(episode: Episode, viewer: Viewer, context: DecisionContext, now: datetime) -> None:
    """Raise Conflict when a colleague has a valid claim."""
    if episode.claimed_by_id in {None, viewer.user_id}:
        return
    if is_claimed(episode.claimed_by_id, episode.claimed_at, now, context.options.claim_minutes):
        who = context.people.name(episode.claimed_by_id)
        raise Conflict("callbacks.claimed", "{who} has taken this callback.", who=who)


def closed(episode: Episode) -> Conflict:
    """The error that says how the callback was closed."""
    if episode.status == EpisodeStatus.RECOVERED:
        return Conflict("callbacks.recovered", "The client called meanwhile and got through: this callback is closed.")
    if episode.status == EpisodeStatus.REACHED:
        return Conflict("callbacks.reached", "The client has been reached meanwhile: this callback is closed.")
    return Conflict("callbacks.closed", "This callback is closed already.")
