"""Whose callbacks one sees and decides about. The queue is shared by the owner's team; what it lets one see, one works, but only
its owner lets a client go.
"""

from sqlalchemy import ColumnElement, or_, true
from sqlmodel import col

from pbxcrm.access.owners import SEES_EVERYTHING, Audience, People, editing, owned, teammates, there_is
from pbxcrm.access.permissions import Role, Viewer
from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.access import audience_of_lamp, is_burning, visible_escalations
from pbxcrm.checkpoints.models import Lamp


def visible_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """The callback queue is shared by the owner's team, sellers too; a callback without an owner is everybody's.

    Whoever is asked about one by a lamp sees it while the lamp burns, whosever it is (a deputy may be of another team); a manager
    what is escalated to them or to their team.
    """
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner = col(Episode.owner_id)
    shared = or_(owner.is_(None), owner.in_(teammates(viewer)), col(Episode.claimed_by_id) == viewer.user_id)
    asked: ColumnElement[bool] = col(Lamp.addressee_id) == viewer.user_id
    if viewer.role is Role.MANAGER:
        asked = or_(asked, visible_escalations(viewer))
    return or_(shared, there_is(Episode, col(Lamp.callback_id) == col(Episode.id), is_burning(), asked))


def editable_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """Callbacks one may let go without a call: one's own, one's people's, and what is nobody's."""
    return editing(viewer, or_(col(Episode.owner_id).is_(None), owned(viewer, col(Episode.owner_id))))


def audience_of_episode(episode: Episode, people: People) -> Audience:
    """Everybody of the owner's team, whoever leads it, and who has taken it. Whoever a lamp asks hears it besides (``audience_of_asked``)."""
    if episode.owner_id is None:
        return Audience(frozenset(), tuple(Role))
    claimed = {episode.claimed_by_id} if episode.claimed_by_id is not None else set()
    return Audience(frozenset(people.sharing_with(episode.owner_id) | claimed))


def audience_of_asked(lamp: Lamp, people: People) -> Audience:
    """Who sees a callback by a lamp of it that burns."""
    if lamp.is_escalation:
        return audience_of_lamp(lamp, people)
    return Audience(frozenset({lamp.addressee_id} if lamp.addressee_id is not None else ()), ())
