"""The listener of one PBX: it always follows the PBX, and applies facts while it holds the lease.

Several listeners may run for the same PBX. All of them listen and write a journal; a lease in the database makes one of
them active. Each batch is checked against the lease, so a batch of a listener that was suspended and resumes is refused.
"""

import asyncio
import random
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from uuid import uuid4

import structlog

from ami.backfill_thread import Recovery
from ami.call_tracker import CallTracker
from ami.command_executor import CommandSource, Executor
from ami.commands import Dialling
from ami.connection import AmiConnection, Timing
from ami.errors import JournalInUse
from ami.fact_applier import Applier, Sink, describe
from ami.follower import Follower
from ami.journal import Journal
from ami.state_reports import Reporter
from ami.url import AmiUrl
from ami.waiting import wait_at_most
from pbxcrm.pbx.state import JournalPosition, Lease, LeaseLost, PbxReport, PbxState

log = structlog.get_logger(__name__)

_GOODBYE = 2.0  # seconds at most for the last report
_AT_ONCE = 1.0  # seconds; a database that takes longer to answer may be away
_LAPSED = 0.01  # seconds after which a lease that was about to lapse has lapsed
_OTHERS_COME = 5.0  # seconds in which listeners that lost the database reconnect to it
__all__ = ["Listener", "ListenerSettings", "Sink"]


@dataclass(frozen=True, slots=True)
class ListenerSettings:
    """Timing and dialling of a listener; plain numbers are seconds."""

    timing: Timing = field(default_factory=Timing)
    lease: float = 1.2  # without a renewal for so long, a standby takes over
    renew: float = 0.25  # how often the active listener renews it
    look: float = 0.5  # how often a standby looks; it also looks at the moment when the lease lapses
    retry_most: float = 30.0  # pause after a fault of our own
    keep: timedelta = timedelta(days=7)  # how long old journal segments are kept
    dialling: Dialling = field(default_factory=Dialling)


class Listener:
    """Follows one PBX until ``stop``.

    ``folder`` holds the journal. ``make_tracker`` makes an empty tracker for each term. ``commands`` is the source of commands
    from people. ``recover`` reads CEL or CDR after a gap.
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
        self._owner = uuid4().hex  # unique per process: a copied machine or folder is another owner
        self._settings = settings or ListenerSettings()
        self._commands = commands
        self._recover = recover
        self._dice = dice
        self._reporter = Reporter(pbx, sink, clock, self._owner)
        self._stop = asyncio.Event()

    @property
    def report(self) -> PbxReport:
        """The present state of the PBX."""
        return self._reporter.current()

    def stop(self) -> None:
        """Make ``run`` return."""
        self._stop.set()

    async def run(self) -> None:
        """Follow the PBX until ``stop`` or cancellation. No fault of link, disk or database ends it."""
        reports = asyncio.create_task(self._reporter.run())
        failures = 0
        try:
            while not self._stop.is_set():
                try:
                    await self._until_stop(self._term())
                    failures = 0
                except Exception as error:  # noqa: BLE001  # the supervisor loop of this PBX
                    if _is_lost_lease(error):
                        log.warning("lease_lost", pbx=self.pbx, owner=self._owner)
                        self._reporter.stand_by(waiting=True)
                        continue
                    failures += 1
                    await self._stumble(error, failures)
        finally:
            reports.cancel()
            await asyncio.gather(reports, return_exceptions=True)
            await self._say_goodbye()

    async def _say_goodbye(self) -> None:
        if self.report.code != "standby":
            self._reporter.tell(PbxState.STANDBY, "stopped")
        with suppress(Exception):
            async with asyncio.timeout(_GOODBYE):
                await self._reporter.flush()
                await self._sink.release_lease(self.pbx, self._owner)

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

    async def _term(self) -> None:
        """Follow the PBX until the lease is lost or something fails; apply facts while the lease is ours."""
        self._reporter.tell(PbxState.STARTING, "starting")
        journal = Journal(self._folder)
        connection = AmiConnection(
            self._url, self._reporter.tell, self._clock, timing=self._settings.timing, dice=self._dice
        )
        self._reporter.ask_contact = lambda: connection.last_contact_at
        applier = Applier(
            self._sink, self._folder, lambda code, params: self._reporter.trouble("database", code, params)
        )
        follower = Follower(
            journal,
            self._make_tracker(),
            self._sink,
            applier,
            self._reporter,
            connection,
            self._clock,
            recover=self._recover,
            keep=self._settings.keep,
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(follower.run())
                group.create_task(self._lead_or_stand_by(group, journal, follower, connection))
        finally:
            connection.close()
            journal.close()

    async def _lead_or_stand_by(
        self, group: asyncio.TaskGroup, journal: Journal, follower: Follower, connection: AmiConnection
    ) -> None:
        cursor = await self._open_journal(journal)
        begun, led = False, None  # the lease that we lead with
        clock = asyncio.get_running_loop().time
        asked_since: float | None = None  # since when the database answers
        answered_since: float | None = None  # since when it has answered at once
        fault = ""  # of the database, logged once: the log may be on the same full disk
        while True:
            asking = clock()
            try:
                lease = await self._sink.hold_lease(
                    self.pbx,
                    journal.name,
                    self._owner,
                    self._settings.lease,
                    is_hearing=follower.is_hearing,
                    has_waited=asked_since is not None and asking - asked_since > _OTHERS_COME,
                    answered_for=timedelta(
                        seconds=asking - answered_since if answered_since and follower.is_following else 0
                    ),
                )
                asked_since = asked_since or clock()
                answered_since = answered_since if answered_since and clock() - asking < _AT_ONCE else clock()
                if led is None or lease == led:
                    await self._go_on(follower, cursor, lease, begun=begun, led=led)
            except Exception as error:  # noqa: BLE001  # nobody loses the lease because the database is away
                asked_since = answered_since = None
                if describe(error) != fault:
                    fault = describe(error)
                    log.warning("lease_not_renewed", pbx=self.pbx, why=fault)
                if not begun:
                    self._reporter.trouble("database", "database_away", {"why": fault})
            else:
                if led is not None and lease != led:
                    raise LeaseLost(f"another listener follows {self.pbx}")
                begun, fault = True, ""
                self._reporter.stand_by(waiting=lease is None)
                if led is None:
                    self._reporter.trouble("database", None, {})
                    if lease is not None and self._commands is not None:
                        executor = Executor(self.pbx, self._commands, connection, self._settings.dialling, self._clock)
                        group.create_task(executor.run())
                led = lease
            await asyncio.sleep(self._settings.renew if led is not None else await self._until_a_look())

    async def _until_a_look(self) -> float:
        """Seconds until a standby looks at the lease again: when it lapses, unless it is renewed meanwhile."""
        try:
            left = await self._sink.lease_left(self.pbx)
        except Exception as error:  # noqa: BLE001  # if the database is away, the next look reports it
            log.debug("lease_not_seen", pbx=self.pbx, why=describe(error))
            return self._settings.renew
        return min(self._settings.look, left + _LAPSED) if left > 0 else self._settings.renew

    async def _go_on(
        self, follower: Follower, cursor: JournalPosition, lease: Lease | None, *, begun: bool, led: Lease | None
    ) -> None:
        """Begin as leader or standby, compare as standby, or change from standby to leader."""
        if not begun:
            follower.begin(cursor, await self._sink.handover(self.pbx), lease)
        elif lease is None:
            await follower.compare()
        elif led is None:
            await follower.forget_told()
            follower.take_over(lease, await self._sink.handover(self.pbx))

    async def _open_journal(self, journal: Journal) -> JournalPosition:
        """How much of this journal the database knows; retries while the database is away. The PBX is heard meanwhile."""
        pause = 0.25
        while True:
            try:
                name, cursor = await self._sink.open_journal(
                    self.pbx, journal.name, self._owner, is_new=journal.is_new, former=journal.former_owner()
                )
                if cursor.position > journal.began:  # a power failure lost the last records on disk
                    cursor = JournalPosition(journal.began, journal.began)
                    await self._sink.move_cursor(self.pbx, name, cursor)
            except Exception as error:  # noqa: BLE001  # retry on every error of the database
                self._reporter.trouble("database", "database_away", {"why": describe(error)})
                await asyncio.sleep(pause)
                pause = min(5.0, pause * 2)
            else:
                if name != journal.name:
                    log.warning("journal_is_a_copy", pbx=self.pbx, folder=str(self._folder))
                    journal.rename(name)
                with suppress(OSError):  # without it a quick restart waits longer for the lease
                    journal.sign(self._owner)
                self._reporter.trouble("database", None, {})
                return cursor

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


def _is_lost_lease(error: BaseException) -> bool:
    if isinstance(error, BaseExceptionGroup):
        return any(_is_lost_lease(each) for each in error.exceptions)
    return isinstance(error, LeaseLost)
