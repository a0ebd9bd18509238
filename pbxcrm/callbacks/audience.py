"""Who hears that a callback or an escalation changed."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Episode, Escalation
from pbxcrm.people.models import Role
from pbxcrm.people.queries import Directory
from pbxcrm.shared.events import emit


def say_episode_changed(
    session: AsyncSession, episode: Episode, at: datetime, people: Directory, *also: int | None
) -> None:
    """The queue is the team's: everybody in the owner's team hears of it."""
    users = people.team_of(episode.owner_id).union(
        *(people.team_of(user_id) for user_id in (episode.claimed_by_id, *also))
    )
    everybody = [role.value for role in Role] if episode.owner_id is None else [Role.ADMIN.value, Role.QC.value]
    emit(session, "callback", episode.id, at, users=users, roles=everybody)


def say_escalation_changed(session: AsyncSession, escalation: Escalation, at: datetime, people: Directory) -> None:
    """Managers of the owner hear of it; of one without an owner every manager does."""
    nobodys = [Role.MANAGER.value] if escalation.manager_id is None or escalation.owner_id is None else []
    managers = {manager.id for manager in people.managers_of(escalation.owner_id)}
    roles = [Role.ADMIN.value, Role.QC.value, *nobodys]
    emit(session, "escalation", escalation.id, at, users=managers | {escalation.manager_id}, roles=roles)
