"""Telling that a callback or an escalation changed, to those who see it."""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.access import audience_of_episode, audience_of_escalation, is_open
from pbxcrm.callbacks.models import Episode, Escalation
from pbxcrm.people.directory import Directory
from pbxcrm.shared.events import emit


async def say_episode_changed(
    session: AsyncSession,
    episode: Episode,
    at: datetime,
    people: Directory,
    *claimed_before: int | None,
    owner_before: int | None = None,
) -> None:
    """Told besides to who had taken it before, and to the team whose it was."""
    heard = audience_of_episode(episode, people)
    if episode.lamp_lit_at is not None:  # it may be before a manager, who may be of another team
        found = await session.exec(select(Escalation).where(Escalation.episode_id == episode.id, is_open()))
        for escalation in found.all():
            heard |= audience_of_escalation(escalation, people)
    before = people.sharing_with(owner_before) if owner_before is not None else set()
    emit(session, "callback", episode.id, at, users=[*heard.users, *before, *claimed_before], roles=heard.roles)


def say_escalation_changed(session: AsyncSession, escalation: Escalation, at: datetime, people: Directory) -> None:
    """Its callback changes for the manager too, who may see it by the escalation alone."""
    heard = audience_of_escalation(escalation, people)
    emit(session, "escalation", escalation.id, at, users=heard.users, roles=heard.roles)
    emit(session, "callback", escalation.episode_id, at, users=heard.users)
