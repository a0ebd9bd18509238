"""What decisions about a call need to know, loaded once for a whole batch."""

from dataclasses import dataclass, field

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calls.models import Line
from pbxcrm.configuration import configuration_version
from pbxcrm.contacts.queries import Numbers
from pbxcrm.db import Database
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.options import Options, load_options
from pbxcrm.people.queries import Directory, load_directory
from pbxcrm.settings import Settings


@dataclass(frozen=True, slots=True)
class World:
    settings: Settings
    options: Options
    people: Directory
    calendars: Calendars
    lines: tuple[Line, ...]
    funnel: Funnel
    numbers: Numbers = field(default_factory=Numbers)  # who has the numbers of the batch


class Worlds:
    """The world as it is, kept until somebody changes something in it."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.db = db
        self.settings = settings
        self._known: tuple[int, World] | None = None

    async def get(self, session: AsyncSession) -> World:
        """For a decision that is made in ``session``; its rows belong to no session."""
        version = await configuration_version(session)
        if self._known is None or self._known[0] != version:
            async with self.db.read() as reading:  # of its own: a rollback in ``session`` would forget what it had read
                self._known = version, await load_world(reading, self.settings)
        return self._known[1]


async def load_world(session: AsyncSession, settings: Settings) -> World:
    people = await load_directory(session)
    lines = (await session.exec(select(Line).order_by(col(Line.position), col(Line.id)))).all()
    return World(
        settings,
        await load_options(session),
        people,
        await load_calendars(session, people),
        tuple(lines),
        await load_funnel(session),
    )
