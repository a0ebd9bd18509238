"""Taking a callback: one person at a time, until a result, until they let go, or until nothing came of it."""

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
from pbxcrm.shared.jobs import set_timer


async def claim(session: AsyncSession, viewer: Viewer, episode_id: int, *, now: datetime) -> Episode:
    """Take an open callback, or keep it when it is the viewer's already. Of two at once one wins; the other gets
    Conflict with the name of who was faster.
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
    """Take the callback for a person, until the claim expires; access was checked before."""
    before = episode.claimed_by_id
    episode.claimed_by_id, episode.claimed_at = user_id, now
    episode.version += 1
    ends = now + timedelta(minutes=context.options.claim_minutes)
    await set_timer(session, CLAIM, f"{CLAIM}:{episode.id}", ends, {"episode": episode.id})
    await say_episode_changed(session, episode, now, context.people, before)


async def release(session: AsyncSession, viewer: Viewer, episode_id: int, *, now: datetime) -> Episode:
    """Let go of a callback one has taken; it was nobody's already: nothing happens. A colleague's is Conflict."""
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
    """The episode, locked for this transaction, as it stands after whoever had it before."""
    check(viewer, Permission.CALLBACKS_WORK)
    await access_episode(session, viewer, episode_id)
    return await lock_episode(session, episode_id)


async def lock_episode(session: AsyncSession, episode_id: int) -> Episode:
    """The callback, locked for this transaction and read anew. It must exist."""
    found = await session.exec(
        select(Episode)
        .where(Episode.id == episode_id)
        .with_for_update()
        .execution_options(populate_existing=True)  # what was read a moment ago may be old by now
    )
    return found.one()


def check_free(episode: Episode, viewer: Viewer, context: DecisionContext, now: datetime) -> None:
    """Raise Conflict when a colleague is at it."""
    if episode.claimed_by_id in {None, viewer.user_id}:
        return
    if is_claimed(episode.claimed_by_id, episode.claimed_at, now, context.options.claim_minutes):
        who = context.people.name(episode.claimed_by_id)
        raise Conflict("callbacks.claimed", "{who} has taken this callback.", who=who)


def closed(episode: Episode) -> Conflict:
    """The Conflict that says how the callback was closed meanwhile."""
    if episode.status == EpisodeStatus.RECOVERED:
        return Conflict("callbacks.recovered", "The client called meanwhile and got through: this callback is closed.")
    if episode.status == EpisodeStatus.REACHED:
        return Conflict("callbacks.reached", "The client has been reached meanwhile: this callback is closed.")
    return Conflict("callbacks.closed", "This callback is closed already.")
