"""Who sees a lamp, and who may work on an escalation."""

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, SelectBase, and_, case, false, literal_column, or_, true
from sqlalchemy.orm import aliased
from sqlmodel import col, select

from pbxcrm.access import SEES_EVERYTHING, Viewer
from pbxcrm.access.kept import kept
from pbxcrm.access.owners import owned
from pbxcrm.access.permissions import Permission, alone, can
from pbxcrm.checkpoints.models import Lamp


@kept
def visible_lamps(viewer: Viewer, lamp: type[Lamp] = Lamp) -> ColumnElement[bool]:
    """Lamps whose addressee is the viewer or for whose owner they answer; a manager also sees lamps without an owner."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    return or_(owned(viewer, col(lamp.owner_id)), col(lamp.addressee_id) == viewer.user_id)


@kept
def waiting_for(viewer: Viewer) -> ColumnElement[bool]:
    """The same as ``visible_lamps`` for armed ones: they have asked nobody yet, so their owner alone decides, and an index finds them."""
    return owned(viewer, col(Lamp.owner_id))


@kept
def visible_escalations(viewer: Viewer, lamp: type[Lamp] = Lamp) -> ColumnElement[bool]:
    """Lamps that reached a manager, for roles that may read escalations; none for others.

    What of a manager's own work has reached another one is for that one to decide. The manager works on it as on all their own. To
    stand in for somebody of another team is not to decide about that person's work.
    """
    if not can(viewer, Permission.ESCALATIONS_READ):
        return false()
    reached = and_(col(lamp.is_escalation), visible_lamps(alone(viewer), lamp))
    if viewer.role in SEES_EVERYTHING:
        return reached
    owner, addressee = col(lamp.owner_id), col(lamp.addressee_id)
    return and_(reached, or_(owner.is_(None), owner != viewer.user_id, addressee == viewer.user_id))


def escalated_tasks(viewer: Viewer) -> SelectBase:
    """The ids of the viewer's tasks that burning escalations have given them."""
    asked = (col(Lamp.addressee_id) == viewer.user_id, is_burning(), col(Lamp.is_escalation))
    return select(Lamp.task_id).where(*asked, col(Lamp.task_id).is_not(None))


@kept
def editable_escalations(viewer: Viewer) -> ColumnElement[bool]:
    """Escalations that the viewer may accept or reassign; none for roles that only read them."""
    return visible_escalations(viewer) if can(viewer, Permission.ESCALATIONS_WORK) else false()


def is_burning(lamp: type[Lamp] = Lamp) -> ColumnElement[bool]:
    """Burning lamps, in the words of ``ix_lamps_burning``: with a bind parameter no database would be sure to use the index."""
    return col(lamp.state) == literal_column("'burning'")


def subject_key() -> ColumnElement[int]:
    """A number of the deal or callback of a lamp, for counting each of them once: that of a callback is negative."""
    return case((col(Lamp.subject) == literal_column("'deal'"), col(Lamp.deal_id)), else_=-col(Lamp.callback_id))


_Other = aliased(Lamp, name="lamps_0")  # made once: copying its columns takes milliseconds


def is_first(listed: Callable[[type[Lamp]], ColumnElement[bool]]) -> ColumnElement[bool]:
    """The first burning lamp of each deal or callback among those that are ``listed``: however many burn for it, it is one thing to do."""
    other = _Other
    of_deal = and_(col(other.deal_id) == col(Lamp.deal_id), col(other.subject) == literal_column("'deal'"))
    earlier = and_(col(other.id) < col(Lamp.id), is_burning(other), listed(other))

    def exists(condition: ColumnElement[bool]) -> ColumnElement[bool]:
        found: Any = select(literal_column("1")).where(condition, earlier)
        there: ColumnElement[bool] = found.correlate(Lamp).exists()
        return there

    return case(
        (col(Lamp.subject) == literal_column("'deal'"), ~exists(of_deal)),
        else_=~exists(col(other.callback_id) == col(Lamp.callback_id)),
    )


def is_parked() -> ColumnElement[bool]:
    """Armed lamps that could not be lit, in the words of ``ix_lamps_parked``."""
    return col(Lamp.parked_at).is_not(None) & (col(Lamp.state) == literal_column("'armed'"))
