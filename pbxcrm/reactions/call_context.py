"""The data that decisions about calls need, loaded once per batch."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.queries import DecisionContext, load_context
from pbxcrm.calls.lines import load_lines
from pbxcrm.calls.models import Line
from pbxcrm.contacts.queries import Numbers
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.reactions.client_of_call import Before, WriteDown
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task


async def nothing_to_write() -> None:
    """Do nothing: outside a batch there are no pending rows."""


@dataclass(frozen=True, slots=True)
class CallContext(DecisionContext):
    """The context for callbacks, plus lines, the funnel and the numbers of the batch."""

    settings: Settings
    lines: tuple[Line, ...]
    funnel: Funnel
    numbers: Numbers = field(default_factory=Numbers)  # contacts and special numbers of the batch
    before: dict[str, Before] = field(default_factory=dict)  # read before the batch, by number
    attempts: dict[int | None, Task | None] = field(
        default_factory=dict
    )  # the same: see ``ReadBefore``; each is used once
    tasks: Sequence[Task] = ()
    write_down: WriteDown = nothing_to_write
    deals: list[Deal] = field(default_factory=list)  # held so that the session does not drop them and read them again


async def load_call_context(session: AsyncSession, settings: Settings) -> CallContext:
    """The context as it is now; cached until somebody changes it."""
    known, lines, funnel = await cached_until_changed(session, _read_context)
    return CallContext(known.people, known.calendars, known.watching, known.options, settings, lines, funnel)


async def _read_context(session: AsyncSession) -> tuple[DecisionContext, tuple[Line, ...], Funnel]:
    return await load_context(session), await load_lines(session), await load_funnel(session)
