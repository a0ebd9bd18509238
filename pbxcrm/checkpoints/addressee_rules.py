"""Pure rules for the addressee of a lamp, with the reasons for the choice."""

from collections.abc import Iterable
from datetime import datetime

from pbxcrm.access.permissions import LEADING, Permission, Role, may
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.models import Subject
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.people.whom import JOINT, MANAGER, ROLE, USER, named, of_role
from pbxcrm.shared.reasons import Reason, reason


def goes_to_manager(whom: str) -> bool:
    """Whether a step with this ``whom`` asks a manager, so that its lamp is an escalation."""
    return whom in {MANAGER, JOINT} or whom == f"{ROLE}{Role.MANAGER}"


def addressee_of(
    context: EngineContext, whom: str, owner_id: int | None, at: datetime, subject: Subject = Subject.DEAL
) -> tuple[int | None, list[Reason]]:
    """The id of the addressee and the reasons; the id is None if there is nobody at all.

    Somebody absent is replaced by the deputy, else by the manager; somebody who has left or may not work on the ``subject`` of this
    owner, by the manager. Nobody becomes their own manager.
    """
    people = context.people
    if whom in {MANAGER, JOINT}:
        return _manager(context, owner_id, at)
    if whom.startswith(USER):
        wanted = named(whom, people)
    elif whom.startswith(ROLE):
        present = {user_id for user_id in people.users if context.calendars.acting(user_id, at) == user_id}
        wanted = of_role(people, whom.removeprefix(ROLE), owner_id, present)
    else:
        wanted = people.users.get(owner_id) if owner_id is not None else None
    if wanted is not None and wanted.is_active and not may_work(people, wanted, owner_id, subject):
        found, why = _manager(context, owner_id, at)
        return found, [reason("lamp.to_cannot", who=wanted.name, manager=people.name(found)), *why]
    return _who_is_there(context, wanted, at)


def may_work(people: Directory, user: User, owner_id: int | None, subject: Subject) -> bool:
    """Whether the person may work on what the owner has. Who is asked about a callback sees it by that; a deal is seen only by whoever
    answers for its owner.
    """
    if subject is Subject.CALLBACK:
        return may(user.role, Permission.CALLBACKS_WORK)
    if user.id == owner_id or not may(user.role, Permission.DEALS_EDIT):
        return may(user.role, Permission.DEALS_EDIT)
    if user.role == Role.MANAGER:
        return owner_id is None or user.id in people.managing(owner_id)
    return user.role == Role.ADMIN


def _who_is_there(context: EngineContext, wanted: User | None, at: datetime) -> tuple[int | None, list[Reason]]:
    if wanted is None or wanted.id is None:
        found, why = _manager(context, None, at)
        return found, [reason("lamp.to_nobodys", manager=context.people.name(found)), *why]
    if not wanted.is_active:
        found, why = _manager(context, wanted.id, at)
        return found, [reason("lamp.to_left", who=wanted.name, manager=context.people.name(found)), *why]
    acting = context.calendars.acting(wanted.id, at)
    if acting == wanted.id:
        return acting, []
    if acting is not None:
        return acting, [reason("lamp.to_deputy", who=wanted.name, deputy=context.people.name(acting))]
    found, why = _manager(context, wanted.id, at)
    return found, [reason("lamp.to_away", who=wanted.name, manager=context.people.name(found)), *why]


def _manager(context: EngineContext, of_id: int | None, at: datetime) -> tuple[int | None, list[Reason]]:
    """The first manager who is present or has a present deputy; if all are absent, the first manager."""
    candidates = _managers(context, of_id)
    for manager in candidates:
        acting = context.calendars.acting(manager.id or 0, at)
        if acting is not None and acting != of_id:
            if acting == manager.id:
                return acting, []
            return acting, [reason("lamp.to_deputy", who=manager.name, deputy=context.people.name(acting))]
    return (candidates[0].id, []) if candidates else (None, [])


def _managers(context: EngineContext, of_id: int | None) -> list[User]:
    people = context.people
    found = list(people.managers_of(of_id))
    rest: Iterable[User] = (
        user
        for role in LEADING
        for _, user in sorted(people.users.items())
        if user.is_active and user.role == role and user.id != of_id
    )
    return found + [user for user in rest if user not in found]
