"""From a ring at the PBX's socket to its commit, at 50 calls per second, measured in processor time.

Simulator, listener and SQLite share one process and one event loop. The clock of the loop is the processor time of the process, and
it jumps while the loop is idle. So the figures hardly depend on other work on the machine, and versions can be compared:
``PYTHONPATH=<another tree> python -m tests.bench ring``. The figures include the simulator's work.
"""

import asyncio
import selectors
import tempfile
import time
from bisect import bisect_left
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ami.listener import Listener
from ami.tracker import Tracker, TrackerSettings
from ami.url import AmiUrl
from pbxcrm.calls.facts import Batch
from pbxcrm.cli.parts import set_aside
from pbxcrm.migrations import upgrade
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench import bench_popup
from tests.bench.table import Figure, percentile

SETTLED, WARM_UP, SECONDS = 8, 6, 20
LOOK = 0.0005  # seconds to wait for a socket of this process before the clock jumps


class Jumping(selectors.DefaultSelector):
    """A selector that does not wait; ``skipped`` sums up how long it would have waited."""

    skipped = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found and timeout != 0:
            found = super().select(LOOK if timeout is not None else 0.05)
            if not found and timeout is not None:
                self.skipped += timeout
        return found


class OwnTime(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return time.process_time() + self._jumping.skipped


class RingPbx(bench_popup.WatchedPbx):
    """The simulated PBX that records when it reported a ringing phone, and whose."""

    def __init__(self) -> None:
        super().__init__()
        self.rings: list[tuple[float, int]] = []

    def _say(self, data: bytes) -> None:
        now = asyncio.get_running_loop().time()
        for raw in data.split(b"\r\n\r\n"):
            if raw.startswith(b"Event: Newstate") and b"ChannelStateDesc: Ringing" in raw:
                channel = bench_popup._CHANNEL.search(raw)
                if channel:
                    self.rings.append((now, int(channel[1]) - 1000))
        super()._say(data)


class Timed(Intake):
    """Records how long each batch took."""

    took: list[float]

    async def apply(self, batch: Batch) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        await super().apply(batch)
        self.took.append((clock() - began) * 1000)


async def measure(folder: Path) -> list[Figure]:
    clock = asyncio.get_running_loop().time
    settings = Settings(data_dir=folder)
    await upgrade(settings.database_url)
    db = Database(settings.database_url)
    told: dict[int, list[float]] = {}  # user id -> times at which rings of their phone were committed

    async def hear(hints: Sequence[Any]) -> None:
        for hint in hints:
            for user_id in hint.users if hint.topic == "dock" and hint.urgent else ():
                told.setdefault(user_id, []).append(clock())

    db.after_commit = hear
    try:
        await bench_popup.people(db)
        intake, base = Timed(db, settings), datetime.now(UTC) - timedelta(seconds=clock())
        intake.took = []
        async with RingPbx() as pbx:
            url = AmiUrl.parse(pbx.url)
            tracker = TrackerSettings()
            listener = Listener(
                "default",
                url,
                folder / "journal",
                lambda: Tracker(tracker),
                intake,
                lambda: base + timedelta(seconds=clock()),
            )
            listening = asyncio.create_task(listener.run())
            await asyncio.sleep(SETTLED)
            set_aside()
            await pbx.go_on(WARM_UP)
            pbx.rings.clear()
            told.clear()
            intake.took.clear()
            began, computed = clock(), time.process_time()
            await pbx.go_on(SECONDS)
            own, took = time.process_time() - computed, clock() - began
            await asyncio.sleep(3)
            listener.stop()
            await listening
            rings = list(pbx.rings)
    finally:
        await db.close()
    late = []
    for at, user_id in rings:
        heard = told.get(user_id, [])
        found = bisect_left(heard, at)
        if found < len(heard):
            late.append((heard[found] - at) * 1000)
    calls = bench_popup.RATE * SECONDS
    return [
        Figure(
            f"ring to commit at {bench_popup.RATE} calls/s, p50 / p95 / p99",
            f"{percentile(late, 50):.0f} / {percentile(late, 95):.0f} / {percentile(late, 99):.0f} ms of {len(late)}",
        ),
        Figure(
            "processor time of a call, with the simulator's", f"{own / calls * 1000:.1f} ms ({own / took:.0%} busy)"
        ),
        Figure(
            "batches a second; how long one takes, p50 / p99",
            f"{len(intake.took) / took:.0f}; {percentile(intake.took, 50):.0f} / {percentile(intake.took, 99):.0f} ms",
        ),
    ]


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=OwnTime) as runner:
        return runner.run(measure(Path(folder)))
