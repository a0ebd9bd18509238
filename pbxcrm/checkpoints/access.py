"""Who sees a lamp, and who may work on an escalation."""

from sqlalchemy import ColumnElement, false, literal_column, or_, true
from sqlmodel import col

from pbxcrm.access import SEES_EVERYTHING, Role, Viewer, teammates
from pbxcrm.access.permissions import Permission, can
from pbxcrm.checkpoints.models import Lamp


def visible_lamps(viewer: Viewer) -> ColumnElement[bool]:
    """Lamps whose owner or addressee is the viewer; a manager also sees lamps of teammates and lamps without an owner."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner, addressee = col(Lamp.owner_id), col(Lamp.addressee_id)
    if viewer.role is not Role.MANAGER:
        return or_(owner == viewer.user_id, addressee == viewer.user_id)
    return or_(owner.is_(None), owner.in_(teammates(viewer)), addressee == viewer.user_id)


def waiting_for(viewer: Viewer) -> ColumnElement[bool]:
    """The same as ``visible_lamps`` for armed ones: they have asked nobody yet, so their owner alone decides, and an index finds them."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner = col(Lamp.owner_id)
    if viewer.role is not Role.MANAGER:
        return owner == viewer.user_id
    return or_(owner.is_(None), owner.in_(teammates(viewer)))


def visible_escalations(viewer: Viewer) -> ColumnElement[bool]:
    """Lamps that reached a manager, for roles that may read escalations; none for others."""
    if not can(viewer, Permission.ESCALATIONS_READ):
        return false()
    return col(Lamp.is_escalation) & visible_lamps(viewer)


def editable_escalations(viewer: Viewer) -> ColumnElement[bool]:
    """Escalations that the viewer may accept or reassign; none for roles that only read them."""
    return visible_escalations(viewer) if can(viewer, Permission.ESCALATIONS_WORK) else false()


def is_burning() -> ColumnElement[bool]:
    """Burning lamps, in the words of ``ix_lamps_burning``: with a bind parameter no database would be sure to use the index."""
    return col(Lamp.state) == literal_column("'burning'")


def is_parked() -> ColumnElement[bool]:
    """Armed lamps that could not be lit, in the words of ``ix_lamps_parked``."""
    return col(Lamp.parked_at).is_not(None) & (col(Lamp.state) == literal_column("'armed'"))
