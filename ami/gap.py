"""What the PBX wrote itself while nobody listened, read without holding up who listens now; a fault there is told and survived."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

import structlog

from ami.backfill import SETTLES
from ami.cel_translation import Told
from ami.fact_applier import describe
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact

log = structlog.get_logger(__name__)


class Recovery(Protocol):
    """``ami.backfill.Backfill``: what Asterisk wrote itself while nobody listened."""

    def missed(
        self, snapshot: Snapshot, since: datetime | None, until: datetime, *, restarted: bool = False
    ) -> list[Told]:
        """The events of the calls that went on since then or go on now, from their beginning; none without such a record."""

    def is_unsettled(self, snapshot: Snapshot, until: datetime) -> bool:
        """Whether that record will know more a moment after the snapshot."""

    def __call__(self, facts: Sequence[CallFact], since: datetime, until: datetime) -> list[CallFact]: ...


class Gap:
    """``recover`` is asked in a thread; without it nothing is known of a gap."""

    def __init__(self, recover: Recovery | None, clock: Callable[[], datetime]) -> None:
        self._recover = recover
        self._clock = clock

    async def told(
        self, seen: Snapshot, since: datetime | None, now: datetime, *, booted_before: datetime | None
    ) -> list[Told]:
        """The events of the gap before a snapshot that was received ``now``.

        What happened right before it may be written a moment later, and is waited for; a replay needs not wait.
        """
        if self._recover is None:
            return []
        restarted = None not in {booted_before, seen.booted_at} and seen.booted_at != booted_before
        try:
            left = (SETTLES - (self._clock() - now)).total_seconds()
            if left > 0 and await asyncio.to_thread(self._recover.is_unsettled, seen, now):
                await asyncio.sleep(left)
            return await asyncio.to_thread(self._recover.missed, seen, since, now, restarted=restarted)
        except Exception as error:  # without it these calls are unknown; they must not stay open
            log.exception("gap_not_read", since=str(since), why=describe(error))
            return []

    async def bettered(self, facts: list[CallFact], since: datetime, until: datetime) -> list[CallFact]:
        """The facts bettered from what the PBX wrote itself, where there is that."""
        if self._recover is None:
            return facts
        try:
            return await asyncio.to_thread(self._recover, facts, since, until)
        except Exception as error:  # without it these calls are unknown; they must not stay open
            log.exception("gap_not_recovered", since=since.isoformat(), why=describe(error))
            return facts
