"""Pure rules for the addressee of a lamp, with the reasons for the choice."""

from dataclasses import dataclass
from datetime import datetime

from pbxcrm.access.owners import heard_by
from pbxcrm.access.permissions import Permission, Role, may
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.models import Subject
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.people.whom import JOINT, MANAGER, ROLE, USER, named, of_role
from pbxcrm.shared.reasons import Reason, reason


def goes_to_manager(whom: str) -> bool:
    """Whether a step with this ``whom`` asks a manager, so that its lamp is an escalation."""
    return whom in {MANAGER, JOINT} or whom == f"{ROLE}{Role.MANAGER}"


@dataclass(frozen=True, slots=True)
class Addressee:
    """Who is asked, and why it is not whom the step names. ``user_id``: None if there is nobody at all.

    ``instead_of_id``: who would have been asked if they were not away; what was asked instead comes back to them.
    """

    user_id: int | None
    why: tuple[Reason, ...] = ()
    instead_of_id: int | None = None


def addressee_of(
    context: EngineContext, whom: str, owner_id: int | None, at: datetime, subject: Subject = Subject.DEAL
) -> Addressee:
    """Who is asked for the work of ``owner_id``.

    Somebody absent is replaced by their deputy, else by the manager; somebody who has left or may not work on the ``subject`` of this
    owner, by the manager. A manager is replaced by whoever sees the same rows (``Directory.managers_of``). Nobody becomes their own
    manager.
    """
    people = context.people
    if whom in {MANAGER, JOINT}:
        return _manager(context, owner_id, at, subject)
    if whom.startswith(USER):
        wanted = named(whom, people)
    elif whom.startswith(ROLE):
        present = {user_id for user_id in people.users if context.calendars.acting(user_id, at) == user_id}
        wanted = of_role(people, whom.removeprefix(ROLE), owner_id, present)
    else:
        wanted = people.users.get(owner_id) if owner_id is not None else None
    if wanted is not None and wanted.is_active and not may_work(people, wanted, owner_id, subject):
        found = _manager(context, owner_id, at, subject)
        return _said(found, reason("lamp.to_cannot", who=wanted.name, manager=people.name(found.user_id)))
    return _who_is_there(context, wanted, owner_id, at, subject)


def may_work(people: Directory, user: User, owner_id: int | None, subject: Subject) -> bool:
    """Whether the person may work on what the owner has. Who is asked about a callback sees it by that; a deal is seen only by whoever
    answers for its owner.
    """
    if subject is Subject.CALLBACK:
        return may(user.role, Permission.CALLBACKS_WORK)
    return may(user.role, Permission.DEALS_EDIT) and heard_by(people, owner_id).includes(user.id, user.role)


def _who_is_there(
    context: EngineContext, wanted: User | None, owner_id: int | None, at: datetime, subject: Subject
) -> Addressee:
    people = context.people
    if wanted is None or wanted.id is None:
        found = _manager(context, None, at, subject)
        return _said(found, reason("lamp.to_nobodys", manager=people.name(found.user_id)))
    if not wanted.is_active:
        found = _manager(context, wanted.id, at, subject)
        return _said(found, reason("lamp.to_left", who=wanted.name, manager=people.name(found.user_id)))
    acting = context.calendars.acting(wanted.id, at)
    if acting == wanted.id:
        return Addressee(acting)
    deputy = people.active(acting)
    if deputy is not None and _may_stand_in(people, deputy, wanted, owner_id, subject):
        return Addressee(acting, (reason("lamp.to_deputy", who=wanted.name, deputy=deputy.name),), wanted.id)
    found = _manager(context, wanted.id, at, subject)
    return _said(found, _away(people, wanted, deputy, found.user_id), instead_of_id=wanted.id)


def _manager(context: EngineContext, of_id: int | None, at: datetime, subject: Subject) -> Addressee:
    """The first manager who is present or has a deputy who can decide; if all are absent, the first manager."""
    people = context.people
    candidates = [user for user in people.managers_of(of_id) if user.id is not None]
    if not candidates:
        return Addressee(None)
    first = candidates[0]
    first_deputy: User | None = None
    for manager in candidates:
        acting = context.calendars.acting(manager.id or 0, at)
        if acting == manager.id:
            if manager is first:
                return Addressee(acting)
            return Addressee(acting, (_away(people, first, first_deputy, acting),), first.id)
        deputy = people.active(acting)
        if deputy is None or deputy.id == of_id:
            continue
        if _may_decide(people, deputy, of_id, subject):
            return Addressee(acting, (reason("lamp.to_deputy", who=manager.name, deputy=deputy.name),), first.id)
        if manager is first:
            first_deputy = deputy
    return Addressee(first.id, (reason("lamp.to_all_away", manager=first.name),))


def _may_stand_in(people: Directory, deputy: User, wanted: User, owner_id: int | None, subject: Subject) -> bool:
    """Whether the deputy of ``wanted`` may work on what the owner has."""
    if wanted.id == owner_id:  # a deputy works on what is theirs whom they stand in for
        return may(deputy.role, Permission.CALLBACKS_WORK if subject is Subject.CALLBACK else Permission.DEALS_EDIT)
    return may_work(people, deputy, owner_id, subject)


def _may_decide(people: Directory, deputy: User, of_id: int | None, subject: Subject) -> bool:
    """Whether the deputy of a manager may open it and decide about it."""
    return may(deputy.role, Permission.ESCALATIONS_WORK) and may_work(people, deputy, of_id, subject)


def _away(people: Directory, who: User, deputy: User | None, found_id: int | None) -> Reason:
    if deputy is not None:
        told = {"who": who.name, "deputy": deputy.name, "manager": people.name(found_id)}
        return reason("lamp.to_deputy_cannot", **told)
    return reason("lamp.to_away", who=who.name, manager=people.name(found_id))


def _said(found: Addressee, why: Reason, *, instead_of_id: int | None = None) -> Addressee:
    return Addressee(
        found.user_id, (why, *found.why), instead_of_id if instead_of_id is not None else found.instead_of_id
    )
