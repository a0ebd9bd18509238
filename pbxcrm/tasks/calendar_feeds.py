"""Calendar feeds: a person's open tasks at a secret address, which they create and delete in the profile."""

import secrets
from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.people.models import User
from pbxcrm.people.queries import token_hash, viewer_of
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.locking import lock_row
from pbxcrm.tasks.list_queries import TaskChoice
from pbxcrm.tasks.models import CalendarFeed
from pbxcrm.tasks.queries import TaskRow, list_tasks

MOST_TASKS = 500


async def get_feed(session: AsyncSession, user_id: int) -> CalendarFeed | None:
    """The calendar feed of a user, None without one. Only the hash of its secret is stored."""
    return await session.get(CalendarFeed, user_id)


async def make_feed(session: AsyncSession, viewer: Viewer, *, now: datetime) -> str:
    """Create a feed and return its secret, which is not stored. The previous address stops working."""
    await lock_row(session, User, viewer.user_id)
    await _delete(session, viewer.user_id)
    secret = secrets.token_urlsafe(32)
    session.add(CalendarFeed(user_id=viewer.user_id, secret_hash=token_hash(secret), created_at=now))
    record(session, now, "user.feed", "user", viewer.user_id, actor=viewer)
    return secret


async def end_feed(session: AsyncSession, viewer: Viewer, *, now: datetime) -> None:
    """Delete the feed, so that its address stops working."""
    if await _delete(session, viewer.user_id):
        record(session, now, "user.feed", "user", viewer.user_id, actor=viewer)


async def end_feed_with_password(session: AsyncSession, user_id: int, _now: datetime) -> None:
    """The address of a person ends with their password, like their tokens."""
    await _delete(session, user_id)


async def _delete(session: AsyncSession, user_id: int) -> bool:
    feed = await session.get(CalendarFeed, user_id)
    if feed is None:
        return False
    await session.delete(feed)
    await session.flush()
    return True


async def feed_tasks(session: AsyncSession, secret: str) -> tuple[Viewer, list[TaskRow]]:
    """The owner of the feed and their open tasks, the earliest due first. Raises NotFound, also if the owner has left."""
    found = await session.exec(select(CalendarFeed).where(CalendarFeed.secret_hash == token_hash(secret)))
    feed = found.first()
    user = await session.get(User, feed.user_id) if feed is not None else None
    if user is None or not user.is_active:
        raise NotFound("feeds.not_found", "There is no such calendar.")
    viewer = await viewer_of(session, user)
    chosen = TaskChoice(assignee_id=viewer.user_id)
    return viewer, await list_tasks(session, viewer, *chosen.open(viewer), limit=MOST_TASKS)
