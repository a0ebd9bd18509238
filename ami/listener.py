"""The listener of one PBX: becomes the one that follows it, and stays it as long as it lives.

Several listeners may be started for the same PBX; a lease in the database makes one of them active and the others stand
by. An overlap of two does no harm, because every fact has a key that makes applying it twice change nothing.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from ami.applying import Applier, Sink, describe
from ami.commands import Dialling
from ami.connection import AmiConnection, Timing
from ami.errors import JournalInUse
from ami.executing import CommandSource, Executor
from ami.following import CallTracker, Follower, Recovery
from ami.journal import Journal
from ami.reporting import Reporter
from ami.url import AmiUrl
from ami.waiting import wait_at_most
from pbxcrm.calls.facts import Cursor, PbxReport, PbxState

log = structlog.get_logger(__name__)

_GOODBYE = 2.0  # seconds at most for the last report
__all__ = ["Listener", "ListenerSettings", "Sink"]


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """How a listener behaves; all times in seconds."""

    timing: Timing = field(default_factory=Timing)
    lease: float = 15.0  # a standby takes over so long after the active one died
    renew: float = 5.0
    retry_most: float = 30.0  # pause after a fault of our own
    keep: timedelta = timedelta(days=7)  # old journal segments, for looking back
    dialling: Dialling = field(default_factory=Dialling)


class Listener:
    """Follows one PBX until ``stop``.

    ``folder`` is the journal's; ``make_tracker`` makes an empty tracker for each term; ``owner`` names this process in
    the lease; ``commands`` are what people ask to be done with calls; ``recover`` reads CEL or CDR after a gap.
    """

    def __init__(
        self,
        pbx: str,
        url: AmiUrl,
        folder: Path,
        make_tracker: Callable[[], CallTracker],
        sink: Sink,
        clock: Callable[[], datetime],
        *,
        owner: str,
        settings: ListenerSettings | None = None,
        commands: CommandSource | None = None,
        recover: Recovery | None = None,
        dice: random.Random | None = None,
    ) -> None:
        self.pbx = pbx
        self._url = url
        self._folder = folder
        self._make_tracker = make_tracker
        self._sink = sink
        self._clock = clock
        self._owner = owner
        self._settings = settings or ListenerSettings()
        self._commands = commands
        self._recover = recover
        self._dice = dice
        self._reporter = Reporter(pbx, sink, clock)
        self._stop = asyncio.Event()

    @property
    def report(self) -> PbxReport:
        """What there is to say of the PBX now."""
        return self._reporter.current()

    def stop(self) -> None:
        self._stop.set()

    async def run(self) -> None:
        """Follow the PBX until ``stop`` or cancellation. No fault of link, disk or database ends it."""
        reports = asyncio.create_task(self._reporter.run())
        failures = 0
        try:
            while not self._stop.is_set():
                try:
                    if await self._lease_held():
                        await self._until_stop(self._term())
                        failures = 0
                    else:
                        self._reporter.tell(PbxState.STANDBY, "standby")
                        await wait_at_most(self._stop, self._settings.renew)
                except Exception as error:  # noqa: BLE001  # the supervisor loop of this PBX
                    failures += 1
                    await self._stumble(error, failures)
        finally:
            reports.cancel()
            await asyncio.gather(reports, return_exceptions=True)
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        if self.report.code != "standby":
            self._reporter.tell(PbxState.STANDBY, "stopped")
            with suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE):
                    await self._reporter.flush()

    async def _stumble(self, error: Exception, failures: int) -> None:
        cause: BaseException = error
        while isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        pause = min(self._settings.retry_most, 2.0 ** min(failures - 1, 10))
        why = describe(cause) if isinstance(cause, Exception) else repr(cause)
        folder = str(self._folder)
        if isinstance(cause, JournalInUse):
            self._reporter.tell(PbxState.TROUBLE, "journal_in_use", {"folder": folder})
        elif isinstance(cause, OSError) and cause.filename is not None:
            self._reporter.tell(PbxState.TROUBLE, "journal_unusable", {"folder": folder, "why": cause.strerror or why})
        else:
            log.error("listener_failed", pbx=self.pbx, exc_info=error)
            self._reporter.tell(PbxState.TROUBLE, "failed", {"why": why, "retry_seconds": f"{pause:.0f}"})
        await wait_at_most(self._stop, pause)

    async def _lease_held(self) -> bool:
        """Ask for the lease; waits while the database is away."""
        pause = 0.25
        while not self._stop.is_set():
            try:
                held = await self._sink.acquire_lease(self.pbx, self._owner, self._settings.lease)
            except Exception as error:  # noqa: BLE001  # whatever the database's fault is, we wait for it
                self._reporter.trouble("database", "database_away", {"why": describe(error)})
                await wait_at_most(self._stop, pause)
                pause = min(5.0, pause * 2)
            else:
                self._reporter.trouble("database", None, {})
                return held
        return False

    async def _keep_lease(self) -> None:
        """Returns when another listener has taken over. A database that is away takes the lease from nobody."""
        while True:
            await asyncio.sleep(self._settings.renew)
            try:
                if not await self._sink.acquire_lease(self.pbx, self._owner, self._settings.lease):
                    log.warning("lease_lost", pbx=self.pbx, owner=self._owner)
                    return
            except Exception as error:  # noqa: BLE001  # whatever the database's fault is, the link lives on
                log.warning("lease_not_renewed", pbx=self.pbx, why=describe(error))

    async def _term(self) -> None:
        """Follow until the lease is lost."""
        self._reporter.tell(PbxState.STARTING, "starting")
        cursor: Cursor = await self._sink.cursor(self.pbx)
        handover = await self._sink.handover(self.pbx)
        journal = Journal(self._folder, at_least=cursor.position)
        connection = AmiConnection(
            self._url, self._reporter.tell, self._clock, timing=self._settings.timing, dice=self._dice
        )
        applier = Applier(
            self._sink, self._folder, lambda code, params: self._reporter.trouble("database", code, params)
        )
        follower = Follower(
            journal,
            self._make_tracker(),
            cursor,
            handover,
            applier,
            self._reporter,
            connection,
            self._clock,
            recover=self._recover,
            keep=self._settings.keep,
        )
        tasks = [asyncio.create_task(follower.run()), asyncio.create_task(self._keep_lease())]
        if self._commands is not None:
            executor = Executor(self.pbx, self._commands, connection, self._settings.dialling, self._clock)
            tasks.append(asyncio.create_task(executor.run()))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            connection.close()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            journal.close()

    async def _until_stop(self, term: Coroutine[None, None, None]) -> None:
        work = asyncio.create_task(term)
        stop = asyncio.create_task(self._stop.wait())
        try:
            await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            stop.cancel()
            if not work.done():
                work.cancel()
            await asyncio.gather(work, stop, return_exceptions=True)
        if not work.cancelled():
            work.result()
