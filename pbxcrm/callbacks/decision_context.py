"""What decisions about callbacks stand on: the options, the people, whose working time is what."""

from dataclasses import dataclass
from typing import Protocol

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.callbacks.models import Episode
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.options import Options, load_options


class DecisionContext(Protocol):
    """``pbxcrm.reactions.call_context.CallContext`` is one too."""

    @property
    def options(self) -> Options: ...
    @property
    def people(self) -> Directory: ...
    @property
    def calendars(self) -> Calendars: ...


@dataclass(frozen=True, slots=True)
class LoadedContext:
    options: Options
    people: Directory
    calendars: Calendars


async def load_context(session: AsyncSession) -> LoadedContext:
    """As it is now, with this session."""
    people = await load_directory(session)
    return LoadedContext(await load_options(session), people, await load_calendars(session, people))


def working_of(context: DecisionContext, episode: Episode) -> WorkingTime:
    """The working time an episode is measured by: its owner's."""
    return context.calendars.of_user(episode.owner_id)
