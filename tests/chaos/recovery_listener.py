"""A listener to be killed: ``python -m tests.chaos.recovery_listener URL FOLDER CEL.csv``. Keeps calls in a small SQLite file."""

import asyncio
import json
import sys
from pathlib import Path

from ami.backfill import Backfill
from ami.connection import Timing
from ami.listener import Listener, ListenerSettings
from ami.replay import as_object
from ami.tracker import Tracker
from ami.url import AmiUrl
from pbxcrm.calls.facts import Batch, FactKind, Outcome
from tests.integration.ami.listening_process import FileSink
from tests.integration.ami.office import now

_SAY = "INSERT INTO call VALUES (?, ?, ?) ON CONFLICT (linkedid) DO UPDATE SET call = excluded.call, outcome = excluded.outcome"
_UNLESS_OVER = " WHERE call.outcome IN ('open', 'unknown')"


class CallSink(FileSink):
    """The last that was told of each call; what is over stays over, as in the real database."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.db.execute("CREATE TABLE IF NOT EXISTS call (linkedid TEXT PRIMARY KEY, call TEXT, outcome TEXT)")

    async def apply(self, batch: Batch) -> None:
        self.db.execute("BEGIN IMMEDIATE")
        for fact in batch.facts:
            state = "absorbed" if fact.kind is FactKind.ABSORBED else fact.call.outcome.value
            known = (fact.call.linkedid, fact.key)
            fresh = self.db.execute("INSERT OR IGNORE INTO fact VALUES (?, ?, '')", known).rowcount
            if fresh or fact.call.outcome is not Outcome.OPEN:
                told = json.dumps(as_object(fact.call, "UA"))
                self.db.execute(_SAY + _UNLESS_OVER, (fact.call.linkedid, told, state))
        self.db.execute("DELETE FROM cursor")
        self.db.execute("INSERT INTO cursor VALUES (?, ?)", (batch.cursor.position, batch.cursor.replay_from))
        self.db.execute("COMMIT")


def main() -> None:
    url, folder, cel = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    listener = Listener(
        "main",
        AmiUrl.parse(url),
        folder / "journal",
        Tracker,
        CallSink(folder / "calls.db"),
        now,
        settings=ListenerSettings(timing=Timing(retry_first=0.05, retry_most=0.2)),
        recover=Backfill(Tracker, cel_csv=cel),
    )
    asyncio.run(listener.run())


if __name__ == "__main__":
    main()
