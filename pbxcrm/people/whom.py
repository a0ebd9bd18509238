"""Whom an automatic task or a step of a checkpoint asks, as it is stored: ``responsible manager joint role:ROLE user:LOGIN``."""

from collections.abc import Collection

from pbxcrm.access.permissions import Permission, Role, may
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User

RESPONSIBLE, MANAGER, JOINT = "responsible", "manager", "joint"
ROLE, USER = "role:", "user:"
KNOWN = (RESPONSIBLE, MANAGER, JOINT, *(f"{ROLE}{role.value}" for role in Role), f"{USER}LOGIN")


def is_whom(whom: str, people: Directory) -> bool:
    """Whether the text names somebody; somebody who has left is named, too (``has_left``)."""
    if whom in {RESPONSIBLE, MANAGER, JOINT}:
        return True
    if whom.startswith(ROLE) and whom.removeprefix(ROLE) in set(Role):
        return True
    return named(whom, people) is not None


def has_left(whom: str, people: Directory) -> bool:
    """Whether the text names a person who is not active any more."""
    user = named(whom, people)
    return user is not None and not user.is_active


def works_for_others(whom: str, people: Directory) -> bool:
    """Whether whoever it names may work on what is somebody else's: sellers see only their own, quality control changes nothing."""
    if whom in {RESPONSIBLE, MANAGER, JOINT}:
        return True
    user = named(whom, people)
    return may(user.role if user is not None else whom.removeprefix(ROLE), Permission.ESCALATIONS_WORK)


def takes_callbacks(whom: str, people: Directory) -> bool:
    """Whether whoever it names may work on callbacks; quality control may not."""
    if whom in {RESPONSIBLE, MANAGER, JOINT}:
        return True
    user = named(whom, people)
    return may(user.role if user is not None else whom.removeprefix(ROLE), Permission.CALLBACKS_WORK)


def takes_tasks(whom: str, people: Directory) -> bool:
    """Whether whoever it names may finish tasks; quality control may not."""
    if whom in {RESPONSIBLE, MANAGER, JOINT}:
        return True
    user = named(whom, people)
    return may(user.role if user is not None else whom.removeprefix(ROLE), Permission.TASKS_EDIT)


def named(whom: str, people: Directory) -> User | None:
    """The person of ``user:LOGIN``, even if inactive; None for any other text and for an unknown login."""
    login = whom.removeprefix(USER)
    if not whom.startswith(USER):
        return None
    return next((user for user in people.users.values() if user.login == login), None)


def of_role(people: Directory, role: str, owner_id: int | None, present: Collection[int]) -> User | None:
    """An active person with this role: of the owner's team, else of any; one of ``present`` (ids) and not the owner if possible."""
    owner = people.users.get(owner_id) if owner_id is not None else None
    of_it = [user for _, user in sorted(people.users.items()) if user.is_active and user.role == role]
    same = [user for user in of_it if owner is not None and user.team_id == owner.team_id]
    return min(same or of_it, key=lambda user: (user.id not in present, user.id == owner_id), default=None)
