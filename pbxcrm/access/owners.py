"""Who owns a row and who answers for the owner: as SQL condition, as check of a loaded row, and as audience of a change.

Sellers answer for themselves. Managers answer for the people of their own team and of the teams they lead (people without a
team form one team), and for rows without an owner. Quality control sees everything and changes nothing. Administrators see
and change everything. Whoever stands in for somebody absent answers for that person, too, with their own permissions; a
manager who stands in for a manager answers for the teams of that manager as well.
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

from pbxcrm.access.kept import kept
from pbxcrm.access.permissions import Role, Viewer, alone, leads
from pbxcrm.shared.core_sql import AmongIds
from pbxcrm.shared.errors import NotAllowed

SEES_EVERYTHING = (Role.ADMIN, Role.QC)
_USERS = table("users", column("id", Integer), column("team_id", Integer))  # the context people is above this package


class People(Protocol):
    """The part of ``pbxcrm.people.directory.Directory`` that is used here."""

    def teammates(self, viewer: Viewer) -> set[int]:
        """Ids of the viewer's own team and of those the viewer leads, the viewer and those they stand in for included."""

    def sharing_with(self, user_id: int) -> set[int]:
        """Ids of the people who have this person among their ``teammates``."""

    def answering_for(self, *user_ids: int | None) -> set[int]:
        """Ids of these people, of all their managers and of whoever stands in for them; None is skipped."""


@dataclass(frozen=True, slots=True)
class Audience:
    """Who is notified that a row changed: exactly those who see it, that is ``users`` and everybody with one of ``roles``."""

    users: frozenset[int]
    roles: tuple[Role, ...] = SEES_EVERYTHING

    def includes(self, user_id: int | None, role: str) -> bool:
        """Whether this person is notified, which is to say whether they see the row."""
        return user_id in self.users or role in self.roles

    def __or__(self, other: "Audience") -> "Audience":
        return Audience(self.users | other.users, tuple(dict.fromkeys((*self.roles, *other.roles))))


@kept
def teammates(viewer: Viewer) -> Select[tuple[int]]:
    """Ids of the people in the viewer's own team and in the teams they lead, including the viewer and those they stand in for."""
    team = _USERS.c.team_id
    same = team.is_(None) if viewer.team_id is None else team == viewer.team_id
    mine = or_(same, team.in_(viewer.managed_team_ids), is_own(viewer, _USERS.c.id))
    return select(_USERS.c.id).where(mine)


def is_own(viewer: Viewer, owner: ColumnElement[int] | Mapped[int | None]) -> ColumnElement[bool]:
    """SQL condition: the ``owner`` is the viewer, or somebody absent for whom they stand in."""
    if viewer.stands_in_for:
        return owner.in_((viewer.user_id, *viewer.stands_in_for))
    return owner == viewer.user_id


def owned(viewer: Viewer, *owners: Mapped[int | None]) -> ColumnElement[bool]:
    """SQL condition: the viewer answers for one of the ``owners``. Managers also answer for rows whose first owner is NULL."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if viewer.role is Role.MANAGER:
        people = teammates(viewer)
        nobodys = [owner.is_(None) for owner in owners[:1]]
        return or_(*nobodys, *(owner.in_(people) for owner in owners))
    return or_(*(is_own(viewer, owner) for owner in owners))


def owned_by_index(viewer: Viewer, owner: Mapped[int | None]) -> ColumnElement[bool]:
    """The same as ``owned``, for an index on the owner: a manager's few rows are then read, instead of everybody's. PostgreSQL only."""
    if viewer.role is Role.MANAGER:
        return or_(owner.is_(None), AmongIds(owner, teammates(viewer)))
    return owned(viewer, owner)


def editing(viewer: Viewer, condition: ColumnElement[bool]) -> ColumnElement[bool]:
    """``condition``, or false for quality control, which changes no rows."""
    return false() if viewer.role is Role.QC else condition


def answers_for(viewer: Viewer, owner_id: int | None, people: People) -> bool:
    """The same as ``owned``, for a loaded row with one owner."""
    if viewer.role in SEES_EVERYTHING:
        return True
    if viewer.role is Role.MANAGER:
        return owner_id is None or owner_id in people.teammates(viewer)
    return owner_id == viewer.user_id or owner_id in viewer.stands_in_for


def sees_others(viewer: Viewer) -> bool:
    """Whether the viewer sees other people's rows, so that lists offer a filter by person."""
    return sees_team(viewer) or bool(viewer.stands_in_for)


def sees_team(viewer: Viewer) -> bool:
    """Whether the viewer sees the rows of a team, so that lists offer it as a whole and there are figures by person. A seller who
    stands in for somebody does not.
    """
    return viewer.role is Role.MANAGER or viewer.role in SEES_EVERYTHING


def decides_for(viewer: Viewer, owner_id: int | None, people: People) -> bool:
    """Whether the viewer may decide about a row of ``owner_id``: they answer for the owner, or there is none. Never QC."""
    return viewer.role is not Role.QC and (owner_id is None or answers_for(viewer, owner_id, people))


def does_work_of(viewer: Viewer, owner_id: int | None) -> int:
    """The id of who does what the viewer plans for the owner's row: the owner, or the viewer where they stand in, or where it is nobody's."""
    return viewer.user_id if owner_id is None or owner_id in viewer.stands_in_for else owner_id


def leads_owner(viewer: Viewer, owner_id: int | None, people: People) -> bool:
    """Whether the viewer decides as a manager about what is the owner's. What one has only because one stands in for somebody, that
    person's manager decides about.
    """
    return leads(viewer.role) and answers_for(alone(viewer), owner_id, people)


def check_leads(viewer: Viewer, owner_id: int | None, people: People) -> None:
    """Raise NotAllowed unless the viewer decides as a manager about what is the owner's."""
    if not leads_owner(viewer, owner_id, people):
        raise NotAllowed("access.stands_in", "You stand in for somebody here. Their manager decides about it.")


def heard_by(people: People, owner_id: int | None, *others: int | None) -> Audience:
    """The reverse of ``owned``: everybody who answers for one of the owners."""
    nobodys = (Role.MANAGER,) if owner_id is None else ()
    return Audience(frozenset(people.answering_for(owner_id, *others)), (*SEES_EVERYTHING, *nobodys))


def there_is(of: type[SQLModel], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """An EXISTS condition that is tested for each row of ``of`` by an index, so that the latest fifty visible rows are found
    without collecting all of them. It is correlated only with ``of``, not with other tables of the outer query.
    """
    # Without OFFSET, PostgreSQL would collect all rows after all (hashed subplan).
    return select(literal_column("1")).where(*conditions).correlate(of).offset(literal_column("0")).exists()


def gathered(*queries: Select[Any]) -> CompoundSelect[Any]:
    """A UNION of queries for ids, each using its own index, not correlated with the outer query."""
    return union(*(query.correlate(None) for query in queries))
