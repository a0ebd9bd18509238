"""Roles, their permissions, and the viewer. It has no tables, so that every other module may import it."""

from dataclasses import dataclass, field, replace
from enum import StrEnum

from pbxcrm.shared.errors import NotAllowed


class Role(StrEnum):
    """The role of a user; ``GRANTS`` says what each role may do."""

    SELLER = "seller"  # sees and edits own cards; an operator is a seller who answers
    MANAGER = "manager"  # sees all of the team
    QC = "qc"  # reads everything, writes notes and flags, edits nothing else
    ADMIN = "admin"


class Permission(StrEnum):
    """A kind of action; each route and each action checks the one it needs."""

    OWN_PROFILE = "own_profile"
    NOTES_WRITE = "notes_write"  # on visible rows; also for roles that change nothing else
    FLAGS_READ = "flags_read"
    FLAGS_RESOLVE = "flags_resolve"  # record what was done about a flag
    FLAGS_EDIT = "flags_edit"  # raise a flag
    CALLS_READ = "calls_read"
    DEALS_READ = "deals_read"
    DEALS_EDIT = "deals_edit"
    TEAM_VIEWS_EDIT = "team_views_edit"  # keep the saved views of one's teams
    TASKS_READ = "tasks_read"
    TASKS_EDIT = "tasks_edit"
    CALLBACKS_READ = "callbacks_read"
    CALLBACKS_WORK = "callbacks_work"
    CONTACTS_READ = "contacts_read"
    CONTACTS_EDIT = "contacts_edit"
    NUMBERS_LIST_EDIT = "numbers_list_edit"  # the list of our own numbers and of those that are not clients
    REQUESTS_DECIDE = "requests_decide"  # see the requests that were set aside, and take them in
    PERSONAL_DATA_EXPORT = "personal_data_export"  # all that is kept about a client, in one archive
    PERSONAL_DATA_ERASE = "personal_data_erase"
    PHONE_USE = "phone_use"  # click-to-call, transfer, hang up
    RECORDINGS_LISTEN = "recordings_listen"
    ESCALATIONS_READ = "escalations_read"
    ESCALATIONS_WORK = "escalations_work"
    PEOPLE_READ = "people_read"
    PEOPLE_EDIT = "people_edit"
    LEAVES_EDIT = "leaves_edit"  # absences of the people one manages
    REPORTS_READ = "reports_read"
    RULES_EDIT = "rules_edit"  # the rules of automation
    STATUS_READ = "status_read"
    SETTINGS_EDIT = "settings_edit"


_READS = {
    Permission.OWN_PROFILE,
    Permission.NOTES_WRITE,
    Permission.FLAGS_READ,
    Permission.FLAGS_RESOLVE,
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
            Permission.FLAGS_EDIT,
            Permission.LEAVES_EDIT,
            Permission.TEAM_VIEWS_EDIT,
            Permission.REPORTS_READ,
            Permission.STATUS_READ,
            Permission.NUMBERS_LIST_EDIT,
            Permission.REQUESTS_DECIDE,
            Permission.PERSONAL_DATA_EXPORT,
        }
    ),
    Role.QC: frozenset(
        _READS
        | {
            Permission.FLAGS_EDIT,
            Permission.ESCALATIONS_READ,
            Permission.PEOPLE_READ,
            Permission.REPORTS_READ,
        }
    ),
    Role.ADMIN: frozenset(Permission),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """The person who is logged in, or who owns the API token, as every query and action needs them."""

    user_id: int
    login: str
    name: str
    role: Role
    team_id: int | None
    managed_team_ids: tuple[int, ...] = ()
    stands_in_for: tuple[int, ...] = ()  # ids of the absent people whose rows are theirs meanwhile, in order
    extensions: tuple[str, ...] = ()
    language: str = ""
    theme: str = "auto"
    popup: str = "ringing"
    sound: bool = True
    notify: bool = True
    quiet_desktop: str = ""  # hours without notifications
    session_id: int | None = field(default=None, compare=False)


def alone(viewer: Viewer) -> Viewer:
    """The viewer without the people whom they stand in for: for what goes with a position and not with rows."""
    return replace(viewer, stands_in_for=()) if viewer.stands_in_for else viewer


LEADING = (Role.MANAGER, Role.ADMIN)


def leads(role: str) -> bool:
    """Whether people with this role decide for others: a manager for the people of their teams, an administrator for everybody."""
    return role in LEADING


def may(role: str, permission: Permission) -> bool:
    """Whether the role has the permission."""
    return permission in GRANTS[Role(role)]


def can(viewer: Viewer, permission: Permission) -> bool:
    """Whether the viewer's role has the permission; says nothing about a particular row."""
    return permission in GRANTS[viewer.role]


def check(viewer: Viewer, permission: Permission) -> None:
    """Raise NotAllowed unless the viewer's role has the permission."""
    if not can(viewer, permission):
        raise NotAllowed("access.role", "Your role does not allow this. Ask an administrator.")
