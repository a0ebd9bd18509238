"""The data that every decision about lamps needs: people, calendars and checkpoints."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.config import Watching, load_watching
from pbxcrm.people.directory import Directory, load_directory


@dataclass(frozen=True, slots=True)
class EngineContext:
    people: Directory
    calendars: Calendars
    watching: Watching

    def working_of(self, owner_id: int | None) -> WorkingTime:
        """The working time by which norms of this owner run: the calendar of their team."""
        owner = self.people.users.get(owner_id) if owner_id is not None else None
        return self.calendars.of_team(owner.team_id if owner is not None else None)


async def load_engine(session: AsyncSession) -> EngineContext:
    """Load the context in this session."""
    people = await load_directory(session)
    return EngineContext(people, await load_calendars(session, people), await load_watching(session))
