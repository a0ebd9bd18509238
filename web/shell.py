"""The frame of every page: the sections that the viewer may open, their counters, and the result of the last act."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.access import Permission, Viewer, can, may
from pbxcrm.people.directory import load_directory
from pbxcrm.upkeep.first_run import count_left
from pbxcrm.upkeep.pbx_silence import Silence, load_silence
from web.answers import done_word
from web.i18n import N_
from web.parts import parts


@dataclass(frozen=True, slots=True)
class Section:
    """One entry of the rail. ``counter`` names its counter, ``tone`` its colour; ``phone``: whether it may stand in the
    bar of a phone; the others stand in the menu there.
    """

    path: str
    icon: str
    word: str  # English; the template translates
    needs: Permission
    key: str  # pressed after "g"
    counter: str = ""
    tone: str = ""
    phone: bool = True
    last: bool = False  # at the foot of the rail
    also: tuple[str, ...] = ()  # other paths of the section


SECTIONS = (
    Section("/board", "board", N_("Board"), Permission.DEALS_READ, "b"),
    Section("/unsorted", "phone-in", N_("Unsorted"), Permission.DEALS_READ, "u", "unsorted", "amber"),
    Section("/callbacks", "callbacks", N_("Callbacks"), Permission.CALLBACKS_READ, "k", "callbacks", "red"),
    Section("/tasks", "tasks", N_("Tasks"), Permission.TASKS_READ, "t", "tasks", "amber"),
    Section("/escalations", "escalations", N_("Escalations"), Permission.ESCALATIONS_READ, "e", "escalations", "red"),
    Section("/burning", "lamp", N_("What burns"), Permission.TASKS_READ, "w", phone=False),
    Section("/flags", "warning", N_("Flagged"), Permission.FLAGS_READ, "f", "flags", phone=False),
    Section("/calls", "phone", N_("Calls"), Permission.CALLS_READ, "c"),
    Section(
        "/contacts",
        "contacts",
        N_("Clients"),
        Permission.CONTACTS_READ,
        "l",
        phone=False,
        also=("/companies", "/numbers"),
    ),
    Section("/reports", "reports", N_("Reports"), Permission.OWN_PROFILE, "o", phone=False),
    Section("/automation", "robot", N_("Automation"), Permission.RULES_EDIT, "a", phone=False, last=True),
    Section(
        "/settings",
        "settings",
        N_("Settings"),
        Permission.SETTINGS_EDIT,
        "i",
        "first_steps",
        phone=False,
        last=True,
    ),
    Section("/people", "people", N_("People"), Permission.PEOPLE_READ, "p", phone=False, last=True, also=("/teams",)),
    Section("/status", "status", N_("Status"), Permission.STATUS_READ, "s", phone=False, last=True),
)

#: ``Section.counter`` -> the query that counts it for a viewer.
Counter = Callable[[AsyncSession, Viewer, datetime], Awaitable[int]]


IN_PHONE_BAR = 5  # sections that fit into 360 px in each language


@dataclass(frozen=True, slots=True)
class Shell:
    """The frame of a page: menu, counters, the state of the PBXs."""

    sections: tuple[Section, ...]
    path: str
    counters: Mapping[str, int]
    done: str  # translated, for example "Saved."
    heard: int  # id of the last event this process had heard when the page was rendered
    silence: Silence | None  # the PBXs to which no listener is connected now
    has_pbx: bool  # whether the settings name a PBX
    admins: tuple[str, ...]  # names of administrators to ask, if there is no PBX
    live: str  # ok | offline: whether this process hears events

    @property
    def phone_bar(self) -> tuple[Section, ...]:
        """The sections in the bar of a phone."""
        return tuple(section for section in self.sections if section.phone)[:IN_PHONE_BAR]

    def is_here(self, section: Section) -> bool:
        """Whether the page belongs to this section."""
        return any(self.path == path or self.path.startswith(path + "/") for path in (section.path, *section.also))


def sections_for(viewer: Viewer, served: frozenset[str]) -> tuple[Section, ...]:
    """Sections whose page is served and which this person may open."""
    return tuple(section for section in SECTIONS if section.path in served and can(viewer, section.needs))


async def count(
    counters: Mapping[str, Counter], session: AsyncSession, viewer: Viewer, sections: tuple[Section, ...], at: datetime
) -> dict[str, int]:
    """The numbers on the badges of these sections, by the name of their counter."""
    wanted = [section.counter for section in sections if section.counter in counters]
    return {name: await counters[name](session, viewer, at) for name in wanted}


async def load_shell(request: Request, viewer: Viewer, session: AsyncSession, at: datetime, *, path: str = "") -> Shell:
    """The frame for this viewer. ``path``: the page that shows the rail, if it is not the one of the request."""
    served: frozenset[str] = request.app.state.served
    sections = sections_for(viewer, served)
    hub, configured = parts(request).hub, [pbx.name for pbx in parts(request).settings.pbxs]
    counters = await count(request.app.state.counters, session, viewer, sections, at)
    if can(viewer, Permission.SETTINGS_EDIT):
        counters["first_steps"] = await count_left(session, configured)
    return Shell(
        sections=sections,
        path=path or request.url.path,
        counters=counters,
        done=done_word(request),
        heard=hub.last_id,
        silence=await load_silence(session, configured, at),
        has_pbx=bool(configured),
        admins=() if configured else await _admins(session),
        live="ok" if hub.online else "offline",
    )


async def _admins(session: AsyncSession) -> tuple[str, ...]:
    people = await load_directory(session)
    return tuple(
        user.name for user in people.users.values() if user.is_active and may(user.role, Permission.SETTINGS_EDIT)
    )
