"""Who may do what, and whose rows they may see. Every path goes through here: page, fragment, API, export, live stream.

Two questions, two answers:

* ``can(viewer, permission)`` whether a kind of act is for this role at all; each route declares one permission.
* ``visible_…(viewer)`` a condition for the WHERE clause, so that a row one may not see is never fetched.

Sellers see their own cards; managers see those of the people in their teams (people without a team are one team); quality
control reads everything; the administrator may do everything. A callback queue is shared within the team.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, CompoundSelect, and_, false, func, literal_column, or_, true, union, union_all
from sqlalchemy.orm import Mapped
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.callbacks.models import Episode, Escalation
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import Role, User
from pbxcrm.shared.errors import NotAllowed
from pbxcrm.tasks.models import Task

if TYPE_CHECKING:
    from pbxcrm.people.queries import Directory


class Permission(StrEnum):
    OWN_PROFILE = "own_profile"
    CALLS_READ = "calls_read"
    DEALS_READ = "deals_read"
    DEALS_EDIT = "deals_edit"
    TASKS_READ = "tasks_read"
    TASKS_EDIT = "tasks_edit"
    CALLBACKS_READ = "callbacks_read"
    CALLBACKS_WORK = "callbacks_work"
    CONTACTS_READ = "contacts_read"
    CONTACTS_EDIT = "contacts_edit"
    PHONE_USE = "phone_use"  # click-to-call, transfer, hang up
    RECORDINGS_LISTEN = "recordings_listen"
    ESCALATIONS_READ = "escalations_read"
    ESCALATIONS_WORK = "escalations_work"
    PEOPLE_READ = "people_read"
    PEOPLE_EDIT = "people_edit"
    LEAVES_EDIT = "leaves_edit"  # who of one's people is away when
    STATUS_READ = "status_read"
    SETTINGS_EDIT = "settings_edit"


_READS = {
    Permission.OWN_PROFILE,
    Permission.CALLS_READ,
    Permission.DEALS_READ,
    Permission.TASKS_READ,
    Permission.CALLBACKS_READ,
    Permission.CONTACTS_READ,
    Permission.RECORDINGS_LISTEN,
}
_SELLS = _READS | {
    Permission.DEALS_EDIT,
    Permission.TASKS_EDIT,
    Permission.CALLBACKS_WORK,
    Permission.CONTACTS_EDIT,
    Permission.PHONE_USE,
}
GRANTS: dict[Role, frozenset[Permission]] = {
    Role.SELLER: frozenset(_SELLS),
    Role.MANAGER: frozenset(
        _SELLS
        | {
            Permission.ESCALATIONS_READ,
            Permission.ESCALATIONS_WORK,
            Permission.PEOPLE_READ,
            Permission.LEAVES_EDIT,
            Permission.STATUS_READ,
        }
    ),
    Role.QC: frozenset(_READS | {Permission.ESCALATIONS_READ, Permission.PEOPLE_READ}),
    Role.ADMIN: frozenset(Permission),
}
SEES_EVERYTHING = (Role.ADMIN, Role.QC)
LITTLE = 2000  # rows of a kind


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person who is logged in (or whose API token it is), as every query and action wants to know them."""

    user_id: int
    login: str
    name: str
    role: Role
    team_id: int | None
    managed_team_ids: tuple[int, ...] = ()
    extensions: tuple[str, ...] = ()
    language: str = ""
    theme: str = "auto"
    popup: str = "ringing"
    sound: bool = True
    notify: bool = True
    session_id: int | None = field(default=None, compare=False)


def can(viewer: Viewer, permission: Permission) -> bool:
    return permission in GRANTS[viewer.role]


def check(viewer: Viewer, permission: Permission) -> None:
    """Raise NotAllowed unless ``viewer`` may do this kind of act."""
    if not can(viewer, permission):
        raise NotAllowed("access.role", "Your role does not allow this. Ask an administrator.")


def teammates(viewer: Viewer) -> SelectOfScalar[int | None]:
    """Ids of the people in the viewer's own team and in those they manage, themselves among them."""
    same = col(User.team_id).is_(None) if viewer.team_id is None else col(User.team_id) == viewer.team_id
    return select(col(User.id)).where(
        or_(same, col(User.team_id).in_(viewer.managed_team_ids), col(User.id) == viewer.user_id)
    )


def _theirs(viewer: Viewer, *owners: Mapped[int | None]) -> ColumnElement[bool]:
    """Rows any of whose ``owners`` the viewer answers for; a row that is nobody's is the managers' business."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if viewer.role is Role.MANAGER:
        people = teammates(viewer)
        nobodys = [owner.is_(None) for owner in owners[:1]]
        return or_(*nobodys, *(owner.in_(people) for owner in owners))
    return or_(*(owner == viewer.user_id for owner in owners))


def _there_is(of: type[SQLModel], *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Asked of one row of ``of`` after the other, each time by an index: the fifty latest rows one may see are found without
    gathering all of them first. Whatever else the query around reads is not mistaken for what is looked for here.
    """
    # PostgreSQL would gather all of them after all (its hashed subplan); a question with an OFFSET it asks as it stands.
    return select(literal_column("1")).where(*conditions).correlate(of).offset(literal_column("0")).exists()


def visible_deals(viewer: Viewer) -> ColumnElement[bool]:
    return _theirs(viewer, col(Deal.responsible_id))


def sees_deal(viewer: Viewer, deal: Deal, people: "Directory") -> bool:
    """The same as ``visible_deals``, of a deal that is in hand for another reason: of a colleague's one may know that it is there."""
    return _answers_for(viewer, deal.responsible_id, people)


def sees_user(viewer: Viewer, user_id: int, people: "Directory") -> bool:
    """The same as ``visible_users``."""
    return viewer.role in SEES_EVERYTHING or user_id in people.teammates(viewer)


def _answers_for(viewer: Viewer, owner_id: int | None, people: "Directory") -> bool:
    """The same as ``_theirs``."""
    if viewer.role in SEES_EVERYTHING:
        return True
    if viewer.role is Role.MANAGER:
        return owner_id is None or owner_id in people.teammates(viewer)
    return owner_id == viewer.user_id


def visible_tasks(viewer: Viewer) -> ColumnElement[bool]:
    """Tasks given to one, given by one, or on one's own deal."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    on_own_deal = _there_is(Task, col(Deal.id) == col(Task.deal_id), visible_deals(viewer))
    return or_(_theirs(viewer, col(Task.assignee_id), col(Task.created_by_id)), on_own_deal)


async def sees_little(session: AsyncSession, viewer: Viewer) -> bool:
    """Whether the viewer has to do with so few rows that they are best gathered first (``little`` of the conditions).

    A list of the latest fifty is otherwise read from its latest end until fifty are found that one may see: quick for whoever
    sees every third row, a walk through all of them for somebody new.
    """
    if viewer.role in SEES_EVERYTHING:
        return False
    rows = (
        select(col(CallLeg.id)).where(_took_part(viewer)),
        select(col(Call.id)).where(_theirs(viewer, col(Call.responsible_id))),
        select(col(Deal.id)).where(visible_deals(viewer)),
        select(col(Contact.id)).where(_theirs(viewer, col(Contact.responsible_id))),
        select(col(Task.id)).where(_theirs(viewer, col(Task.assignee_id))),
    )
    some = union_all(*(select(func.count()).select_from(query.limit(LITTLE + 1).subquery()) for query in rows))
    return all(count <= LITTLE for (count,) in (await session.exec(some)).all())  # type: ignore[call-overload]


def _gathered(*queries: SelectOfScalar[Any]) -> CompoundSelect[Any]:
    """Ids from several places, each found by its own index; whatever else the query around reads is not mistaken for theirs."""
    return union(*(query.correlate(None) for query in queries))


def visible_calls(viewer: Viewer, *, little: bool = False) -> ColumnElement[bool]:
    """Calls one is responsible for, took part in (also only by a ringing phone), or that belong to one's own deal."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if little:
        return col(Call.id).in_(_little_calls(viewer))
    took_part = _there_is(Call, col(CallLeg.call_id) == col(Call.id), _took_part(viewer))
    on_own_deal = _there_is(Call, col(Deal.id) == col(Call.deal_id), visible_deals(viewer))
    return or_(_theirs(viewer, col(Call.responsible_id)), took_part, on_own_deal)


def audible_calls(viewer: Viewer) -> ColumnElement[bool]:
    """Calls whose recording one may hear: who talked, whose client or deal it is, and who manages these.

    To see that a call was is more: one whose phone merely rang may know of it, and hears nothing.
    """
    if viewer.role in SEES_EVERYTHING:
        return true()
    talked = _there_is(
        Call, col(CallLeg.call_id) == col(Call.id), _took_part(viewer), col(CallLeg.answered_at).is_not(None)
    )
    on_own_deal = _there_is(Call, col(Deal.id) == col(Call.deal_id), visible_deals(viewer))
    of_own_client = _there_is(
        Call, col(Contact.id) == col(Call.contact_id), _theirs(viewer, col(Contact.responsible_id))
    )
    return or_(_theirs(viewer, col(Call.responsible_id)), talked, on_own_deal, of_own_client)


async def audible_of(session: AsyncSession, viewer: Viewer, call_ids: Iterable[int | None]) -> frozenset[int]:
    """Those of the calls whose recording the viewer may hear."""
    ids = {call_id for call_id in call_ids if call_id is not None}
    if not ids or not can(viewer, Permission.RECORDINGS_LISTEN):
        return frozenset()
    found = await session.exec(select(col(Call.id)).where(col(Call.id).in_(ids), audible_calls(viewer)))
    return frozenset(call_id for call_id in found.all() if call_id is not None)


def _little_calls(viewer: Viewer) -> CompoundSelect[Any]:
    deals = select(col(Deal.id)).where(visible_deals(viewer))
    return _gathered(
        select(col(Call.id)).where(_theirs(viewer, col(Call.responsible_id))),
        select(col(CallLeg.call_id)).where(_took_part(viewer)),
        select(col(Call.id)).where(col(Call.deal_id).in_(deals)),
    )


def _took_part(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.role is Role.MANAGER:
        return col(CallLeg.user_id).in_(teammates(viewer))
    return col(CallLeg.user_id) == viewer.user_id


def visible_episodes(viewer: Viewer) -> ColumnElement[bool]:
    """The callback queue is shared by the owner's team, sellers too; a callback without an owner is everybody's.

    A manager sees besides what was escalated to them, whosever it is.
    """
    if viewer.role in SEES_EVERYTHING:
        return true()
    owner = col(Episode.owner_id)
    shared = or_(owner.is_(None), owner.in_(teammates(viewer)), col(Episode.claimed_by_id) == viewer.user_id)
    if viewer.role is not Role.MANAGER:
        return shared
    return or_(shared, _there_is(Episode, col(Escalation.episode_id) == col(Episode.id), visible_escalations(viewer)))


def visible_escalations(viewer: Viewer) -> ColumnElement[bool]:
    """What reached one as a manager: one's own, those of one's team, and those that are nobody's."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    if viewer.role is not Role.MANAGER:
        return false()
    owner, manager = col(Escalation.owner_id), col(Escalation.manager_id)
    nobodys = owner.is_(None) & (manager.is_(None) | (manager == viewer.user_id))
    return or_(nobodys, manager == viewer.user_id, owner.in_(teammates(viewer)))


def visible_contacts(viewer: Viewer, *, little: bool = False) -> ColumnElement[bool]:
    """Clients one is responsible for, has a deal with, or has spoken with."""
    if viewer.role in SEES_EVERYTHING:
        return true()
    contact_id = col(Contact.id)
    if little:
        return contact_id.in_(
            _gathered(
                select(col(Contact.id)).where(_theirs(viewer, col(Contact.responsible_id))),
                select(col(Deal.contact_id)).where(visible_deals(viewer)),
                select(col(Task.contact_id)).where(_given_to(viewer)),
                select(col(Call.contact_id)).where(col(Call.id).in_(_little_calls(viewer))),
            )
        )
    return or_(
        _theirs(viewer, col(Contact.responsible_id)),
        _there_is(Contact, col(Deal.contact_id) == contact_id, visible_deals(viewer)),
        _there_is(Contact, col(Task.contact_id) == contact_id, _given_to(viewer)),
        _there_is(Contact, col(Call.contact_id) == contact_id, visible_calls(viewer)),
    )


def _given_to(viewer: Viewer) -> ColumnElement[bool]:
    """Tasks that let one see their client: those somebody else gave. One cannot let oneself in."""
    maker = col(Task.created_by_id)
    return and_(_theirs(viewer, col(Task.assignee_id)), or_(maker.is_(None), maker != col(Task.assignee_id)))


def visible_companies(viewer: Viewer) -> ColumnElement[bool]:
    if viewer.role in SEES_EVERYTHING:
        return true()
    by_contact = _there_is(Company, col(Contact.company_id) == col(Company.id), visible_contacts(viewer))
    return or_(_theirs(viewer, col(Company.responsible_id)), by_contact)


def visible_users(viewer: Viewer) -> ColumnElement[bool]:
    """People one may see in lists and give things to: everybody of one's team; all of them for whoever sees everything."""
    return true() if viewer.role in SEES_EVERYTHING else col(User.id).in_(teammates(viewer))
