"""Reports the state of a PBX: to the log at once, to the database as soon as it accepts the report."""

import asyncio
from collections import deque
from collections.abc import Callable
from datetime import datetime

import structlog

from ami.fact_applier import Sink, describe
from ami.waiting import wait_at_most
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import PbxReport, PbxState

log = structlog.get_logger(__name__)

_AGAIN_AFTER = 5.0  # seconds; the report is repeated with a fresh time, so that an old report means a dead listener
_BAD = {PbxState.REFUSED, PbxState.UNREACHABLE, PbxState.SILENT, PbxState.TROUBLE}
#: In these states a trouble of our own is more important and is shown instead.
_COVERED = {PbxState.STARTING, PbxState.SYNCING, PbxState.LISTENING}


class Reporter:
    """The state of one PBX. A trouble of our own (disk, database) replaces the state of the link while it lasts."""

    def __init__(self, pbx: str, sink: Sink, clock: Callable[[], datetime], owner: str = "") -> None:
        self.pbx = pbx
        self.owner = owner
        self._standing_by = False
        self.asterisk_version: str | None = None
        self.clock_offset: float | None = None
        self.lag: float | None = None
        self.last_event_at: datetime | None = None
        self.ask_contact: Callable[[], datetime | None] = lambda: None  # when the PBX last said anything, in this term
        self._last_contact_at: datetime | None = None
        self._sink = sink
        self._clock = clock
        self._state = (PbxState.STARTING, "starting", dict[str, str]())
        self._troubles: dict[str, tuple[str, dict[str, str]]] = {}
        self._said = ""  # the code that was logged last
        self._pending: deque[PbxReport] = deque(maxlen=100)
        self._changed = asyncio.Event()

    @property
    def state(self) -> PbxState:
        """The state that was reported last."""
        return self.current().state

    def current(self) -> PbxReport:
        """The report that describes the present state."""
        state, code, params = self._state
        self._last_contact_at = self.ask_contact() or self._last_contact_at
        if self._standing_by:
            state, code, params = PbxState.STANDBY, "standby", {}
        elif self._troubles and state in _COVERED:
            state = PbxState.TROUBLE
            code, params = next(iter(self._troubles.values()))
        return PbxReport(
            pbx=self.pbx,
            state=state,
            code=code,
            params=params,
            at=self._clock(),
            asterisk_version=self.asterisk_version,
            last_event_at=self.last_event_at,
            last_contact_at=self._last_contact_at,
            clock_offset_seconds=self.clock_offset,
            lag_seconds=self.lag,
        )

    def tell(self, state: PbxState, code: str, params: dict[str, str] | None = None) -> None:
        """Set the state of the link, and report it when it changed."""
        if (state, code, params or {}) != self._state:
            self._state = (state, code, params or {})
            self._say()

    def stand_by(self, waiting: bool) -> None:
        """Say whether another listener is active; while it is, only its reports go to the database and we only log."""
        if waiting != self._standing_by:
            self._standing_by = waiting
            self._pending.clear()
            self._say()

    def trouble(self, source: str, code: str | None, params: dict[str, str]) -> None:
        """Report a trouble on our side; ``code`` None ends the trouble of this ``source``."""
        old = self._troubles.pop(source, None)
        if code is not None:
            self._troubles[source] = (code, params)
        if (old or (None,))[0] != code:  # changed figures alone wait for the next report
            self._say()

    def _say(self) -> None:
        report = self.current()
        if self._standing_by and self._said == "standby":
            return  # the state of a standby's link is not reported
        self._said = report.code
        write = log.warning if report.state in _BAD else log.info
        write(REPORTS[report.code].format_map(report.params), pbx=self.pbx, state=str(report.state), code=report.code)
        if not self._standing_by:
            self._pending.append(report)
            self._changed.set()

    async def run(self) -> None:
        """Write every change to the database, in order, and the present state every few seconds, until cancelled."""
        while True:
            if not await wait_at_most(self._changed, _AGAIN_AFTER) and not self._standing_by:
                self._pending.append(self.current())
            self._changed.clear()
            await self.flush()

    async def flush(self) -> None:
        """Write the pending reports; stops at the first error, and the rest stay pending."""
        while self._pending:
            report = self._pending[0]
            try:
                await self._sink.report(report, self.owner)
            except Exception as error:  # noqa: BLE001  # a failed report must not stop the listener
                log.warning("report_not_stored", pbx=self.pbx, why=describe(error))
                return
            if self._pending and self._pending[0] is report:
                self._pending.popleft()
