"""Reads what the PBX itself recorded during a gap, in a thread so that listening goes on; errors are logged, not raised."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

import structlog

from ami.backfill import SETTLES
from ami.cel_translation import Told
from ami.fact_applier import describe
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact

log = structlog.get_logger(__name__)


class Recovery(Protocol):
    """The interface of ``ami.backfill.Backfill``: it reads the files that Asterisk wrote while nobody listened."""

    def missed(
        self, snapshot: Snapshot, since: datetime | None, until: datetime, *, restarted: bool = False
    ) -> list[Told]:
        """The events, from their beginning, of calls in progress since ``since`` or now; none without a CEL file."""

    def is_unsettled(self, snapshot: Snapshot, until: datetime) -> bool:
        """Whether the file is likely to get more rows about the time of the snapshot."""

    def __call__(
        self, facts: Sequence[CallFact], since: datetime, until: datetime, clock_error: timedelta = timedelta(0)
    ) -> list[CallFact]: ...


class Gap:
    """Calls ``recover`` in a thread; without it nothing is known about a gap."""

    def __init__(self, recover: Recovery | None, clock: Callable[[], datetime]) -> None:
        self._recover = recover
        self._clock = clock

    async def told(
        self,
        seen: Snapshot,
        since: datetime | None,
        now: datetime,
        *,
        booted_before: datetime | None,
        shift: timedelta = timedelta(0),
    ) -> list[Told]:
        """The events of the gap between ``since`` and a snapshot that was received ``now``, both by our clock.

        ``shift`` is added to our times to get those of events (``pbx_clock.clock_shift``).
        Asterisk may write the last events before the snapshot a moment later, so this waits for them; a replay does not wait.
        """
        if self._recover is None:
            return []
        restarted = None not in {booted_before, seen.booted_at} and seen.booted_at != booted_before
        try:
            left = (SETTLES - (self._clock() - now)).total_seconds()
            if left > 0 and await asyncio.to_thread(self._recover.is_unsettled, seen, now):
                await asyncio.sleep(left)
            began = None if since is None else since + shift
            return await asyncio.to_thread(self._recover.missed, seen, began, now + shift, restarted=restarted)
        except Exception as error:  # without it these calls are unknown; they must not stay open
            log.exception("gap_not_read", since=str(since), why=describe(error))
            return []

    async def bettered(
        self, facts: list[CallFact], since: datetime, until: datetime, clock_error: timedelta
    ) -> list[CallFact]:
        """The facts corrected from the files of the PBX; unchanged without them or on an error.

        ``since`` and ``until`` are times of events; ``clock_error``: ``pbx_clock.clock_error``.
        """
        if self._recover is None:
            return facts
        try:
            return await asyncio.to_thread(self._recover, facts, since, until, clock_error)
        except Exception as error:  # without it these calls are unknown; they must not stay open
            log.exception("gap_not_recovered", since=since.isoformat(), why=describe(error))
            return facts
