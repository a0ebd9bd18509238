"""Writes batches of facts to the database, retries as long as needed, and reports trouble."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Protocol

import sqlalchemy.exc
import structlog

from pbxcrm.calls.facts import Batch, Handover, ToldCall
from pbxcrm.pbx.state import JournalPosition, Lease, LeaseLost, PbxReport
from pbxcrm.shared.errors import PbxcrmError, Unavailable

log = structlog.get_logger(__name__)

#: Errors that a retry will hardly cure: the fact or our code is wrong. All other errors (the database is away, locked,
#: starting, out of connections or not migrated yet) are retried without limit: putting a fact aside is the last resort.
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
_TRIES = 5  # of a batch with a fault, before its facts are applied one by one
_RETRY_FIRST, _RETRY_MOST = 0.05, 5.0  # seconds


class Sink(Protocol):
    """The business side of the listener; the real one is ``pbxcrm.reactions.intake``."""

    async def open_journal(
        self, pbx: str, journal: str, owner: str, *, is_new: bool, former: str = ""
    ) -> tuple[str, JournalPosition]:
        """The name of the journal from now on (a copied journal gets a new one), and how far it has been applied.

        ``former``: the owner who wrote this very folder before and is dead.
        """

    async def handover(self, pbx: str) -> Handover:
        """What earlier listeners applied for a PBX, from any journal."""

    async def apply(self, batch: Batch) -> None:
        """Apply facts and cursor in one transaction. A fact that was applied before changes nothing. Raises LeaseLost."""

    async def add_missing(self, batch: Batch) -> None:
        """Apply whole calls that a standby heard and whose end the database lacks; known endings stay unchanged."""

    async def already_told(self, pbx: str, linkedids: set[str]) -> dict[str, ToldCall]:
        """What the database knows of these calls, by linkedid."""

    async def move_cursor(self, pbx: str, journal: str, cursor: JournalPosition) -> None:
        """Store how far a standby's journal is covered by what others have applied."""

    async def report(self, report: PbxReport, owner: str = "") -> None:
        """Store the latest state of a PBX for ``doctor`` and the status page, unless another listener is active."""

    async def hold_lease(
        self,
        pbx: str,
        journal: str,
        owner: str,
        seconds: float,
        *,
        is_hearing: bool = True,
        has_waited: bool = True,
        answered_for: timedelta = timedelta(0),
    ) -> Lease | None:
        """Become or stay the only listener that applies facts of a PBX, for ``seconds``; None while another one is.

        ``has_waited``: this listener has asked long enough for a better informed one to have taken the lease first.
        ``answered_for``: since when it follows the PBX and the database has answered it at once each time.
        """

    async def lease_left(self, pbx: str) -> float:
        """Seconds until the lease lapses if nobody renews it; 0 or less when it has lapsed or nobody has it."""

    async def release_lease(self, pbx: str, owner: str) -> None:
        """Let a standby take over at once."""


class Applier:
    """Applies batches one after another.

    While the database is away or locked, the same batch is retried: nothing is lost, the journal keeps growing.
    A fact that cannot be applied (a fault of ours) must not stop the facts after it: after a few tries it is put aside into
    ``rejected.jsonl`` beside the journal and reported as an error. ``trouble`` gets code and params, or None when it is over.
    """

    def __init__(self, sink: Sink, folder: Path, trouble: Callable[[str | None, dict[str, str]], None]) -> None:
        self._sink = sink
        self._rejected = folder / "rejected.jsonl"
        self._trouble = trouble
        self._troubled = False
        self.applied: JournalPosition | None = None  # the cursor of the last applied batch

    async def apply(self, batch: Batch) -> None:
        """Return when the batch is in the database. Raises LeaseLost when another listener has taken over."""
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
        """Apply one fact at a time, so that only the faulty one is put aside; the cursor moves after the last."""
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
    """Whether the fact or our code is at fault, so that waiting for the database will not help."""
    if isinstance(error, sqlalchemy.exc.DBAPIError) and error.connection_invalidated:
        return False
    return isinstance(error, _FAULTS) and not isinstance(error, Unavailable)


def describe(error: Exception) -> str:
    """The error in one line, at most 300 characters, without SQL parameters."""
    text = str(error.orig) if isinstance(error, sqlalchemy.exc.DBAPIError) else str(error)
    return f"{type(error).__name__}: {text.splitlines()[0] if text else ''}"[:300]
