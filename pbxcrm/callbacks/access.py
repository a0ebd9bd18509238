"""Whose callbacks one sees and decides about. The queue is shared by the owner's team; what it lets one see, one works, but only
its owner lets a client go.
"""

from sqlalchemy import ColumnElement, false, or_, true
from sqlmodel import col

from pbxcrm.access.owners import SEES_EVERYTHING, Audience, People, editing, owned, teammates, there_is
from pbxcrm.access.permissions import Permission, Role, Viewer, can
from pbxcrm.callbacks.models import Episode, Escalation, EscalationState


def visible_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """The callback queue is shared by the owner's team, sellers too; a callback without an owner is everybody's.

    A manager sees besides what is escalated to them, whosever it is, until it is decided.
    """
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner = col(Episode.owner_id)
    shared = or_(owner.is_(None), owner.in_(teammates(viewer)), col(Episode.claimed_by_id) == viewer.user_id)
    if viewer.role is not Role.MANAGER:
        return shared
    return or_(
        shared, there_is(Episode, col(Escalation.episode_id) == col(Episode.id), is_open(), visible_escalations(viewer))
    )


def is_open() -> ColumnElement[bool]:
    """Escalations that wait for the manager. There are some only while the callback's lamp burns."""
    return col(Escalation.state) == EscalationState.OPEN.value


def editable_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """Callbacks one may let go without a call: one's own, one's people's, and what is nobody's."""
    return editing(viewer, or_(col(Episode.owner_id).is_(None), owned(viewer, col(Episode.owner_id))))


def visible_escalations(viewer: Viewer) -> ColumnElement[bool]:
    """What reached one as a manager: one's own, those of one's team, and those that are nobody's."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if viewer.role is not Role.MANAGER:
        return false()
    owner, manager = col(Escalation.owner_id), col(Escalation.manager_id)
    nobodys = owner.is_(None) & (manager.is_(None) | (manager == viewer.user_id))
    return or_(nobodys, manager == viewer.user_id, owner.in_(teammates(viewer)))


def editable_escalations(viewer: Viewer) -> ColumnElement[bool]:
    return visible_escalations(viewer) if can(viewer, Permission.ESCALATIONS_WORK) else false()


def audience_of_episode(episode: Episode, people: People) -> Audience:
    """Everybody of the owner's team, whoever leads it, and who has taken it. Whom it is escalated to hears it besides (``audience_of_escalation``)."""
    if episode.owner_id is None:
        return Audience(frozenset(), tuple(Role))
    claimed = {episode.claimed_by_id} if episode.claimed_by_id is not None else set()
    return Audience(frozenset(people.sharing_with(episode.owner_id) | claimed))


def audience_of_escalation(escalation: Escalation, people: People) -> Audience:
    """The manager it reached and every manager of the owner; nobody's is every manager's."""
    if escalation.owner_id is None and escalation.manager_id is None:
        return Audience(frozenset(), (*SEES_EVERYTHING, Role.MANAGER))
    over = people.managing(escalation.owner_id) if escalation.owner_id is not None else set()
    reached = {escalation.manager_id} if escalation.manager_id is not None else set()
    return Audience(frozenset(over | reached))
