"""Who sees a callback and who decides about it. The owner's team shares the queue: everybody who sees a callback may work on it, but
only those who answer for the owner may close it without a call.
"""

from collections.abc import Collection
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, or_, true
from sqlalchemy import select as columns
from sqlmodel import col, select

from pbxcrm.access.kept import kept
from pbxcrm.access.owners import SEES_EVERYTHING, editing, owned, teammates, there_is
from pbxcrm.access.permissions import Role, Viewer
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.checkpoints.access import is_burning, visible_escalations
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.contacts.number_owners import OwnedRow, WorkOnNumber


@kept
def visible_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """Callbacks of the viewer's team (sellers too), callbacks without an owner, and those that the viewer has claimed.

    While a lamp burns, its addressee also sees the callback (a deputy may be from another team), and a manager sees the callbacks of
    the escalations that they may see.
    """
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner = col(Episode.owner_id)
    shared = or_(owner.is_(None), owner.in_(teammates(viewer)), col(Episode.claimed_by_id) == viewer.user_id)
    asked: ColumnElement[bool] = col(Lamp.addressee_id) == viewer.user_id
    if viewer.role is Role.MANAGER:
        asked = or_(asked, visible_escalations(viewer))
    return or_(shared, there_is(Episode, col(Lamp.callback_id) == col(Episode.id), is_burning(), asked))


@kept
def editable_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """Callbacks that the viewer may close without a call: of people they answer for, and those without an owner."""
    return editing(viewer, or_(col(Episode.owner_id).is_(None), owned(viewer, col(Episode.owner_id))))


def _others_episode_before(row: OwnedRow) -> ColumnElement[bool]:
    apart = [] if row.deal_id is None else [col(Episode.deal_id).is_distinct_from(row.deal_id)]
    return exists().where(
        col(Episode.client_number) == row.number,
        col(Episode.status) == EpisodeStatus.OPEN.value,
        col(Episode.owner_id).is_not(None),
        col(Episode.first_missed_at) <= row.since,
        col(Episode.owner_id).is_distinct_from(row.owner_id),
        or_(col(Episode.contact_id).is_(None), col(Episode.contact_id).is_distinct_from(row.contact_id)),
        *apart,
    )


def _own_episodes(viewer: Viewer, number: str) -> Select[Any]:
    of_number = Episode.client_number == number, Episode.status == EpisodeStatus.OPEN.value
    return select(Episode.first_missed_at).where(
        *of_number, col(Episode.owner_id).is_not(None), editable_episodes(viewer)
    )


def _episodes_of_numbers(numbers: Collection[str]) -> Any:  # a Select of three columns
    return columns(col(Episode.client_number), col(Episode.first_missed_at), col(Episode.owner_id)).where(
        col(Episode.client_number).in_(numbers),
        col(Episode.status) == EpisodeStatus.OPEN.value,
        col(Episode.owner_id).is_not(None),
    )


#: An open callback with an owner.
CALLBACK_OF_NUMBER = WorkOnNumber(_others_episode_before, _own_episodes, _episodes_of_numbers)
