"""Whose lamps one sees."""

from sqlalchemy import ColumnElement, or_, true
from sqlmodel import col

from pbxcrm.access import SEES_EVERYTHING, Role, Viewer, teammates
from pbxcrm.checkpoints.models import Lamp


def visible_lamps(viewer: Viewer) -> ColumnElement[bool]:
    """One's own work and what one is asked to do; a manager those of the team's people and what is nobody's."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner, addressee = col(Lamp.owner_id), col(Lamp.addressee_id)
    if viewer.role is not Role.MANAGER:
        return or_(owner == viewer.user_id, addressee == viewer.user_id)
    return or_(owner.is_(None), owner.in_(teammates(viewer)), addressee == viewer.user_id)
