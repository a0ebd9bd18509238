"""What decisions about callbacks stand on: the options, the people, whose working time is what."""

from dataclasses import dataclass
from typing import Protocol

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calendars.rules import WorkingTime
from pbxcrm.callbacks.models import Episode
from pbxcrm.options import Options, load_options
from pbxcrm.people.queries import Directory, load_directory


class Ground(Protocol):
    """``pbxcrm.calls.world.World`` is one too."""

    @property
    def options(self) -> Options: ...
    @property
    def people(self) -> Directory: ...
    @property
    def calendars(self) -> Calendars: ...


@dataclass(frozen=True, slots=True)
class Standing:
    options: Options
    people: Directory
    calendars: Calendars


async def load_ground(session: AsyncSession) -> Standing:
    people = await load_directory(session)
    return Standing(await load_options(session), people, await load_calendars(session, people))


def working_of(ground: Ground, episode: Episode) -> WorkingTime:
    """The working time an episode is measured by: its owner's."""
    return ground.calendars.of_user(episode.owner_id)
