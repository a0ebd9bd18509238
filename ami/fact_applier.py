"""Brings batches of facts into the database, however long it takes, and tells when it cannot."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import sqlalchemy.exc
import structlog

from pbxcrm.calls.facts import Batch, Handover, ToldCall
from pbxcrm.pbx.state import JournalPosition, Lease, LeaseLost, PbxReport
from pbxcrm.shared.errors import PbxcrmError, Unavailable

log = structlog.get_logger(__name__)

#: Faults that trying again will hardly mend: the fact, or our code, is wrong. Everything else (a database that is away,
#: locked, starting, out of connections, not migrated yet) is waited for: putting a fact aside must be the last resort.
_FAULTS = (
    sqlalchemy.exc.IntegrityError,
    sqlalchemy.exc.DataError,
    sqlalchemy.exc.InvalidRequestError,
    PbxcrmError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    TypeError,
    ValueError,
)
_TRIES = 5  # of a batch with a fault, before it is taken apart
_RETRY_FIRST, _RETRY_MOST = 0.05, 5.0  # seconds


class Sink(Protocol):
    """The business side of the listener; the real one is ``pbxcrm.reactions.intake``."""

    async def open_journal(self, pbx: str, journal: str, owner: str, *, is_new: bool) -> tuple[str, JournalPosition]:
        """The name of a journal from now on (a copy gets one of its own), and how far it has been applied."""

    async def handover(self, pbx: str) -> Handover:
        """What the listeners before told of a PBX, whichever journals they wrote."""

    async def apply(self, batch: Batch) -> None:
        """Apply facts and cursor in one transaction. A fact applied before changes nothing. Raises LeaseLost."""

    async def add_missing(self, batch: Batch) -> None:
        """Apply whole calls that a standby heard and nobody told the ending of; endings that are known stay as they are."""

    async def already_told(self, pbx: str, linkedids: set[str]) -> dict[str, ToldCall]:
        """What the database was told of these calls."""

    async def move_cursor(self, pbx: str, journal: str, cursor: JournalPosition) -> None:
        """Remember how much of a standby's journal others have applied."""

    async def report(self, report: PbxReport, owner: str = "") -> None:
        """Keep the latest state of a PBX for ``doctor`` and the status page, unless another listener is active."""

    async def hold_lease(
        self,
        pbx: str,
        journal: str,
        owner: str,
        seconds: float,
        *,
        is_hearing: bool = True,
        has_waited: bool = True,
    ) -> Lease | None:
        """Become or stay the one listener that applies what a PBX says, for ``seconds``; None while another is.

        ``has_waited``: it has asked for so long that another one, which may know more, would have come by now.
        """

    async def release_lease(self, pbx: str, owner: str) -> None:
        """Let a standby take over at once."""


class Applier:
    """Applies batches one after another.

    A database that is away or locked is waited for with the same batch: nothing is lost, the journal goes on growing.
    A fact that the business cannot take (a fault of ours) must not silence the telephone: after a few tries it is put
    aside into ``rejected.jsonl`` beside the journal and told loudly. ``trouble`` hears code and params, or None when over.
    """

    def __init__(self, sink: Sink, folder: Path, trouble: Callable[[str | None, dict[str, str]], None]) -> None:
        self._sink = sink
        self._rejected = folder / "rejected.jsonl"
        self._trouble = trouble
        self._troubled = False
        self.applied: JournalPosition | None = None  # of the last batch that went in

    async def apply(self, batch: Batch) -> None:
        """Returns when the batch is in the database. Raises LeaseLost when another listener has taken over."""
        failures = faults = 0
        while True:
            try:
                await self._sink.apply(batch)
            except LeaseLost:
                self._say(None, {})
                raise
            except Exception as error:  # noqa: BLE001  # the supervisor loop between telephone and business
                failures += 1
                faults += is_fault(error)
                self._say("fact_refused" if is_fault(error) else "database_away", {"why": describe(error)})
                if faults >= _TRIES and batch.facts:
                    await self._take_apart(batch, error)
                    return
                await asyncio.sleep(min(_RETRY_MOST, _RETRY_FIRST * 2 ** min(failures, 12)))
            else:
                self.applied = batch.cursor
                self._say(None, {})
                return

    async def _take_apart(self, batch: Batch, error: Exception) -> None:
        """One fact at a time, so that only the one at fault is put aside; the cursor moves with the last."""
        if len(batch.facts) == 1:
            self._put_aside(batch, error)
            await self.apply(replace(batch, facts=()))
            return
        before = self.applied or JournalPosition(0, 0)
        for fact in batch.facts:
            await self.apply(replace(batch, facts=(fact,), cursor=before))
        await self.apply(replace(batch, facts=()))

    def _put_aside(self, batch: Batch, error: Exception) -> None:
        for fact in batch.facts:
            where = {"pbx": batch.pbx, "linkedid": fact.call.linkedid, "fact": fact.key}
            log.error("fact_put_aside", **where, why=describe(error))
            self._say("fact_put_aside", {**where, "why": describe(error), "file": str(self._rejected)})
            try:
                with self._rejected.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({**where, "at": fact.at.isoformat(), "why": describe(error)}) + "\n")
            except OSError:
                log.exception(
                    "rejected_fact_not_written", **where
                )  # a full disk; the log and the journal still have it

    def _say(self, code: str | None, params: dict[str, str]) -> None:
        if code or self._troubled:
            self._trouble(code, params)
        self._troubled = code is not None


def is_fault(error: Exception) -> bool:
    """Whether the fact or our code is wrong, so that waiting for the database will not help."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated:
        return False
    return isinstance(error, _FAULTS) and not isinstance(error, Unavailable)


def describe(error: Exception) -> str:
    """A fault in a line, without SQL parameters."""
    text = str(error.orig) if isinstance(error, sqlalchemy.exc.DBAPIError) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"[:300]
