"""A listener as a process of its own, for tests that kill it: ``python -m tests.integration.ami.listening_process URL FOLDER``.

Its business side is a small SQLite file, slow by chance, with facts and cursor in one transaction.
"""

import asyncio
import json
import random
import sqlite3
import sys
from datetime import timedelta
from pathlib import Path

from ami.connection import Timing
from ami.listener import Listener, ListenerSettings
from ami.tracker import Tracker
from ami.url import AmiUrl
from pbxcrm.calls.facts import Batch, Handover, ToldCall
from pbxcrm.pbx.state import JournalPosition, Lease, PbxReport
from tests.integration.ami.office import now

SCHEMA = """
CREATE TABLE IF NOT EXISTS fact (linkedid TEXT, key TEXT, call TEXT, PRIMARY KEY (linkedid, key));
CREATE TABLE IF NOT EXISTS cursor (position INTEGER, replay_from INTEGER);
"""


class FileSink:
    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)
        self.db.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;" + SCHEMA)
        self.dice = random.Random()

    async def open_journal(
        self, pbx: str, journal: str, owner: str, *, is_new: bool, former: str = ""
    ) -> tuple[str, JournalPosition]:
        row = self.db.execute("SELECT position, replay_from FROM cursor").fetchone()
        return journal, JournalPosition(*row) if row else JournalPosition(0, 0)

    async def handover(self, pbx: str) -> Handover:
        return Handover()  # there is never but one listener, with one journal

    async def apply(self, batch: Batch) -> None:
        await asyncio.sleep(self.dice.choice([0, 0, 0.01, 0.05]))
        self.db.execute("BEGIN IMMEDIATE")
        for fact in batch.facts:
            call = fact.call
            told = [
                str(call.outcome),
                call.missed_reason,
                call.answered_by,
                call.talked,
                call.rang,
                len(call.transfers),
            ]
            # The first word counts, as in the real database: a fact that comes again changes nothing.
            self.db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?, ?)", (call.linkedid, fact.key, json.dumps(told)))
        self.db.execute("DELETE FROM cursor")
        self.db.execute("INSERT INTO cursor VALUES (?, ?)", (batch.cursor.position, batch.cursor.replay_from))
        self.db.execute("COMMIT")

    async def report(self, report: PbxReport, owner: str = "") -> None:
        print(report.state, report.code, flush=True)

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
        return Lease(owner, 1)

    async def lease_left(self, pbx: str) -> float:
        return 1.0

    async def release_lease(self, pbx: str, owner: str) -> None: ...
    async def add_missing(self, batch: Batch) -> None: ...
    async def move_cursor(self, pbx: str, journal: str, cursor: JournalPosition) -> None: ...
    async def already_told(self, pbx: str, linkedids: set[str]) -> dict[str, ToldCall]:
        return {}


def main() -> None:
    url, folder = sys.argv[1], Path(sys.argv[2])
    listener = Listener(
        "main",
        AmiUrl.parse(url),
        folder / "journal",
        Tracker,
        FileSink(folder / "facts.db"),
        now,
        settings=ListenerSettings(timing=Timing(retry_first=0.02, retry_most=0.1)),
    )
    asyncio.run(listener.run())


if __name__ == "__main__":
    main()
