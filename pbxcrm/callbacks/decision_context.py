"""What decisions about callbacks need to know: the options, the people, and everybody's working time."""

from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.callbacks.models import Episode
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.options import Options, load_options


@dataclass(frozen=True, slots=True)
class DecisionContext:
    """The same for all decisions of one transaction. Decisions about calls need more: ``pbxcrm.reactions.call_context``."""

    options: Options
    people: Directory
    calendars: Calendars


async def load_context(session: AsyncSession) -> DecisionContext:
    """As it is now, with this session."""
    people = await load_directory(session)
    return DecisionContext(await load_options(session), people, await load_calendars(session, people))


def working_of(context: DecisionContext, episode: Episode) -> WorkingTime:
    """The working time an episode is measured by: its owner's."""
    return context.calendars.of_user(episode.owner_id)
