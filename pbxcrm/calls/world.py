"""What decisions about a call need to know, loaded once for a whole batch."""

from dataclasses import dataclass, field

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calls.models import Line
from pbxcrm.configuration import kept
from pbxcrm.contacts.queries import Numbers
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


async def load_world(session: AsyncSession, settings: Settings) -> World:
    """As it is now; read anew only once somebody has changed it."""
    return World(settings, *await kept(session, _read_world))


async def _read_world(session: AsyncSession) -> tuple[Options, Directory, Calendars, tuple[Line, ...], Funnel]:
    people = await load_directory(session)
    return (
        await load_options(session),
        people,
        await load_calendars(session, people),
        await load_lines(session),
        await load_funnel(session),
    )


async def load_lines(session: AsyncSession) -> tuple[Line, ...]:
    """In the order in which they are tried; read anew only once somebody has changed them."""
    return await kept(session, _read_lines)


async def _read_lines(session: AsyncSession) -> tuple[Line, ...]:
    return tuple((await session.exec(select(Line).order_by(col(Line.position), col(Line.id)))).all())
