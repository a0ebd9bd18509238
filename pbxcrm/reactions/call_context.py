"""What decisions about a call need to know, loaded once for a whole batch."""

from dataclasses import dataclass, field

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.queries import DecisionContext, load_context
from pbxcrm.calls.lines import load_lines
from pbxcrm.calls.models import Line
from pbxcrm.contacts.queries import Numbers
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.reactions.clients import Before, WriteDown
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.settings import Settings


async def nothing_to_write() -> None:
    """Outside of a batch the database knows everything."""


@dataclass(frozen=True, slots=True)
class CallContext(DecisionContext):
    """Lines, the funnel and the numbers of the batch on top of what decisions about callbacks need."""

    settings: Settings
    lines: tuple[Line, ...]
    funnel: Funnel
    numbers: Numbers = field(default_factory=Numbers)  # who has the numbers of the batch
    before: dict[str, Before] = field(default_factory=dict)  # what was known of them
    write_down: WriteDown = nothing_to_write
    deals: list[Deal] = field(
        default_factory=list
    )  # the session forgets rows that nobody holds, and would read them again


async def load_call_context(session: AsyncSession, settings: Settings) -> CallContext:
    """As it is now; read anew only once somebody has changed it."""
    known, lines, funnel = await cached_until_changed(session, _read_context)
    return CallContext(known.people, known.calendars, known.watching, known.options, settings, lines, funnel)


async def _read_context(session: AsyncSession) -> tuple[DecisionContext, tuple[Line, ...], Funnel]:
    return await load_context(session), await load_lines(session), await load_funnel(session)
