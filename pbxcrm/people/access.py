"""Whom one sees: everybody of one's own teams; quality control and administrators everybody."""

from sqlalchemy import ColumnElement, true
from sqlmodel import col

from pbxcrm.access.owners import SEES_EVERYTHING, People, teammates
from pbxcrm.access.permissions import Viewer
from pbxcrm.people.models import User


def visible_users(viewer: Viewer) -> ColumnElement[bool]:
    """People one may see in lists and give things to."""
    return true() if viewer.role in SEES_EVERYTHING else col(User.id).in_(teammates(viewer))


def sees_user(viewer: Viewer, user_id: int, people: People) -> bool:
    """The same as ``visible_users``."""
    return viewer.role in SEES_EVERYTHING or user_id in people.teammates(viewer)
