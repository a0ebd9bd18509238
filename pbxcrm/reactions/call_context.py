"""The data that decisions about calls need: what is loaded once per batch, and the call that is decided about."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.queries import DecisionContext, load_context
from pbxcrm.callbacks.rules import client_keys
from pbxcrm.calls.facts import CallState, Direction
from pbxcrm.calls.lines import load_lines
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.queries import Numbers
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.distribution.queries import ReadyRule, load_rules
from pbxcrm.people.models import User
from pbxcrm.reactions.client_of_call import Before, Client, WriteDown
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.numbers import format_for_people, normalise
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task


async def nothing_to_write() -> None:
    """Do nothing: outside a batch there are no pending rows."""


@dataclass(frozen=True, slots=True)
class CallContext(DecisionContext):
    """The context for callbacks, plus lines, the funnel, the rules of distribution and the numbers of the batch."""

    settings: Settings
    lines: tuple[Line, ...]
    funnel: Funnel
    distribution: tuple[ReadyRule, ...] = ()
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
    known, lines, funnel, rules = await cached_until_changed(session, _read_context)
    return CallContext(known.people, known.calendars, known.watching, known.options, settings, lines, funnel, rules)


async def _read_context(
    session: AsyncSession,
) -> tuple[DecisionContext, tuple[Line, ...], Funnel, tuple[ReadyRule, ...]]:
    context, lines = await load_context(session), await load_lines(session)
    return context, lines, await load_funnel(session), await load_rules(session)


@dataclass(frozen=True, slots=True)
class Case:
    """A call to decide about: its row, its state from the PBX, its line and client, and the time of the fact."""

    session: AsyncSession
    context: CallContext
    call: Call
    state: CallState
    line: Line
    client: Client
    at: datetime

    @property
    def keys(self) -> list[str]:
        """The keys that an open callback of this client may have; a new callback gets the first."""
        return client_keys(self.client.number, self.client.contact_ids, self.line.name)

    @property
    def number(self) -> str:
        """The client's number as people write it; a dash if it is withheld."""
        return format_for_people(self.client.number) if self.client.number else "—"

    @property
    def who_talked(self) -> User | None:
        """The user who talked first, on an extension or on their mobile."""
        state, people = self.state, self.context.people
        by_phone = people.user_of(state.made_by if state.direction is Direction.OUTBOUND else state.answered_by)
        return by_phone or people.user_of_mobile(self._mobile)

    @property
    def talker(self) -> str:
        """The extension or outside number that talked for us, for texts."""
        state = self.state
        extension = state.made_by if state.direction is Direction.OUTBOUND else state.answered_by
        return extension or (format_for_people(self._mobile) if self._mobile else "—")

    @property
    def _mobile(self) -> str | None:
        """The outside number that answered for us; None if there is none."""
        region = self.line.region or self.context.settings.region_of(self.state.pbx)
        numbers = (normalise(leg.extension, region) for leg in self.state.outside if leg.answered_at is not None)
        return next((number for number in numbers if number is not None and number != self.client.number), None)

    @property
    def client_name(self) -> str:
        """The client's name, or the number as people write it."""
        return self.client.contact.name if self.client.contact and self.client.contact.name else self.number
