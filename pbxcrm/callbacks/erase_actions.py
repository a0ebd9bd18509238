"""Takes a client who is erased out of callbacks: that they were missed, and when and by whom they were called back, stays."""

from sqlalchemy import update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import do_forget_details
from pbxcrm.callbacks.actions import say_episode_changed
from pbxcrm.callbacks.models import Attempt, Episode
from pbxcrm.contacts.hooks import Erasing
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_from_callbacks(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``."""
    held, people = erasing.held, await load_directory(session)
    for episode in await lock_rows(session, Episode, one_of(session, col(Episode.id), held.callbacks)):
        episode.client_key, episode.client_number, episode.contact_id = f"erased:{episode.id}", None, None
        episode.reason = dict(erasing.why)
        episode.closed_reason = dict(erasing.why) if episode.closed_reason else {}
        episode.version += 1
        await say_episode_changed(session, episode, erasing.at, people)
    tried = update(Attempt).where(one_of(session, col(Attempt.episode_id), held.callbacks)).values(note="", before={})
    await session.exec(tried.execution_options(synchronize_session=False))
    await do_forget_details(session, "callback", held.callbacks)
