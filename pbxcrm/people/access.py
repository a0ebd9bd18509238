"""Which people a viewer sees: those of their own team and the teams they lead; QC and admins see all."""

from sqlalchemy import ColumnElement, true
from sqlmodel import col

from pbxcrm.access.kept import kept
from pbxcrm.access.owners import SEES_EVERYTHING, People, teammates
from pbxcrm.access.permissions import Viewer
from pbxcrm.people.models import User


@kept
def visible_users(viewer: Viewer) -> ColumnElement[bool]:
    """SQL condition for people the viewer sees in lists and may assign things to."""
    return true() if viewer.role in SEES_EVERYTHING else col(User.id).in_(teammates(viewer))


def sees_user(viewer: Viewer, user_id: int, people: People) -> bool:
    """The same as ``visible_users``, for a known id."""
    return viewer.role in SEES_EVERYTHING or user_id in people.teammates(viewer)
