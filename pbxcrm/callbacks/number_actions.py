"""Open callbacks go to a client with their number, and back to the number when that is undone. Handlers of hooks of contacts."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, decides_for
from pbxcrm.callbacks.actions import say_episode_changed
from pbxcrm.callbacks.models import Episode
from pbxcrm.callbacks.queries import open_episodes
from pbxcrm.callbacks.rules import client_keys
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.locking import lock_row


async def adopt_callbacks(session: AsyncSession, viewer: Viewer, contact_id: int, number: str, now: datetime) -> None:
    """Link the open callback of the number to the contact. If the contact has one already, both stay until a talk closes them.

    A callback that the viewer may not change is left alone, and so is one that names another client: the number was theirs when they called.
    """
    key, people = f"contact:{contact_id}", await load_directory(session)
    for mine in await open_episodes(session, [f"number:{number}"]):
        if mine.contact_id not in {None, contact_id} or not decides_for(viewer, mine.owner_id, people):
            continue
        mine.contact_id = contact_id
        if not await open_episodes(session, [key]):
            mine.client_key = key
        mine.version += 1
        await say_episode_changed(session, mine, now, people)


async def release_callbacks(
    session: AsyncSession,
    _viewer: Viewer,
    contact_id: int,
    given: Mapping[str, Sequence[int]],
    now: datetime,
) -> None:
    """Undo ``adopt_callbacks`` for those of ``given`` that this contact still has: the number's next missed call finds an open one."""
    people = await load_directory(session)
    for episode_id in given.get("episodes.contact_id", ()):
        episode = await lock_row(session, Episode, episode_id)
        if episode.contact_id != contact_id:
            continue
        episode.contact_id = None
        (key,) = client_keys(episode.client_number, (), "")
        if episode.client_key == f"contact:{contact_id}" and not await open_episodes(session, [key]):
            episode.client_key = key
        episode.version += 1
        await say_episode_changed(session, episode, now, people)
