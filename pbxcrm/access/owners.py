"""Whose a row is, and who answers for them: as a condition for the database, as a check of a loaded row, and as the audience of a change.

Sellers answer for themselves; managers for the people of their own team and of those they lead (people without a team are one
team) and for what is nobody's; quality control sees everything and changes nothing; the administrator does both.
"""

from dataclasses import dataclass
from typing import Any, Protocol

from sqlalchemy import (
    ColumnElement,
    CompoundSelect,
    Integer,
    Select,
    column,
    false,
    literal_column,
    or_,
    select,
    table,
    true,
    union,
)
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel

from pbxcrm.access.permissions import Role, Viewer

SEES_EVERYTHING = (Role.ADMIN, Role.QC)
_USERS = table("users", column("id", Integer), column("team_id", Integer))  # people stand above this package


class People(Protocol):
    """As much of ``pbxcrm.people.directory.Directory`` as is asked here."""

    def teammates(self, viewer: Viewer) -> set[int]:
        """Ids of the viewer's own team and of those the viewer leads, the viewer included."""

    def sharing_with(self, user_id: int) -> set[int]:
        """Ids of those who have this person among their ``teammates``."""

    def managing(self, user_id: int) -> set[int]:
        """Ids of every manager who sees the rows of this person."""

    def answering_for(self, *user_ids: int | None) -> set[int]:
        """Ids of these people and of all their managers; None is skipped."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who hears that a row changed: exactly those who see it. Everybody of ``roles`` besides ``users``."""

    users: frozenset[int]
    roles: tuple[Role, ...] = SEES_EVERYTHING

    def __or__(self, other: "Audience") -> "Audience":
        return Audience(self.users | other.users, tuple(dict.fromkeys((*self.roles, *other.roles))))


def teammates(viewer: Viewer) -> Select[tuple[int]]:
    """Ids of the people in the viewer's own team and in those they lead, themselves among them."""
    team = _USERS.c.team_id
    same = team.is_(None) if viewer.team_id is None else team == viewer.team_id
    mine = or_(same, team.in_(viewer.managed_team_ids), _USERS.c.id == viewer.user_id)
    return select(_USERS.c.id).where(mine)


def owned(viewer: Viewer, *owners: Mapped[int | None]) -> ColumnElement[bool]:
    """Rows any of whose ``owners`` the viewer answers for; a row whose first is nobody is the managers' business."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if viewer.role is Role.MANAGER:
        people = teammates(viewer)
        nobodys = [owner.is_(None) for owner in owners[:1]]
        return or_(*nobodys, *(owner.in_(people) for owner in owners))
    return or_(*(owner == viewer.user_id for owner in owners))


def editing(viewer: Viewer, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """``condition`` for those who change rows at all: quality control does not."""
    return false() if viewer.role is Role.QC else condition


def answers_for(viewer: Viewer, owner_id: int | None, people: People) -> bool:
    """The same as ``owned``, for a loaded row with one owner."""
    if viewer.role in SEES_EVERYTHING:
        return True
    if viewer.role is Role.MANAGER:
        return owner_id is None or owner_id in people.teammates(viewer)
    return owner_id == viewer.user_id


def sees_others(viewer: Viewer) -> bool:
    """Whether the viewer sees what is other people's at all: their lists ask whose."""
    return viewer.role is Role.MANAGER or viewer.role in SEES_EVERYTHING


def decides_for(viewer: Viewer, owner_id: int | None, people: People) -> bool:
    """Whether the viewer may decide about what is ``owner_id``'s: oneself, one's people; what is nobody's, anybody."""
    return viewer.role is not Role.QC and (owner_id is None or answers_for(viewer, owner_id, people))


def heard_by(people: People, owner_id: int | None, *others: int | None) -> Audience:
    """The same as ``owned``, the other way round: everybody who answers for one of the owners."""
    nobodys = (Role.MANAGER,) if owner_id is None else ()
    return Audience(frozenset(people.answering_for(owner_id, *others)), (*SEES_EVERYTHING, *nobodys))


def there_is(of: type[SQLModel], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Asked of one row of ``of`` after the other, each time by an index: the fifty latest rows one may see are found without
    gathering all of them first. Whatever else the query around reads is not mistaken for what is looked for here.
    """
    # PostgreSQL would gather all of them after all (its hashed subplan); a question with an OFFSET it asks as it stands.
    return select(literal_column("1")).where(*conditions).correlate(of).offset(literal_column("0")).exists()


def gathered(*queries: Select[Any]) -> CompoundSelect[Any]:
    """Ids from several places, each found by its own index; whatever else the query around reads is not mistaken for theirs."""
    return union(*(query.correlate(None) for query in queries))
