"""What decisions about a call need to know, loaded once for a whole batch."""

from dataclasses import dataclass, field

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calls.lines import load_lines
from pbxcrm.calls.models import Line
from pbxcrm.contacts.queries import Numbers
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.options import Options, load_options
from pbxcrm.shared.settings import Settings


@dataclass(frozen=True, slots=True)
class CallContext:
    settings: Settings
    options: Options
    people: Directory
    calendars: Calendars
    lines: tuple[Line, ...]
    funnel: Funnel
    numbers: Numbers = field(default_factory=Numbers)  # who has the numbers of the batch


async def load_call_context(session: AsyncSession, settings: Settings) -> CallContext:
    """As it is now; read anew only once somebody has changed it."""
    return CallContext(settings, *await cached_until_changed(session, _read_context))


async def _read_context(session: AsyncSession) -> tuple[Options, Directory, Calendars, tuple[Line, ...], Funnel]:
    people = await load_directory(session)
    return (
        await load_options(session),
        people,
        await load_calendars(session, people),
        await load_lines(session),
        await load_funnel(session),
    )
