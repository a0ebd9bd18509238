"""From the hint of a ringing phone to the card in its streams, at 50 calls per second with 500 streams, in processor time of the web part.

Hub, docks and database share one process and the clock of ``ring``. What it costs to apply the calls is taken out of that clock, so
that only the web part's own work moves it. Without HTTP and sockets, which take about as long again (``popup`` measures the whole).
"""

import asyncio
import os
import tempfile
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import update
from sqlmodel import col

from pbxcrm.access import Role, Viewer
from pbxcrm.cli.parts import set_aside
from pbxcrm.migrations import upgrade
from pbxcrm.reactions.intake import Intake
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench import bench_popup
from tests.bench.bench_ring import OwnTime
from tests.bench.table import Figure, percentile
from tests.calls import FactStory, batch
from web.app import create_app
from web.live import Ear, Hint, Hub
from web.stream import _event

RATE, STREAMS = bench_popup.RATE, 500
RINGS, TALKS = 4.0, 4.0  # seconds; equal, so that they go on in the order in which they came
GATHERED = 0.1  # seconds in which facts gather that do not ring
FINISHED_AFTER = 15  # seconds after somebody answered
WARM_UP, SECONDS = 16, 20


class WebTime(OwnTime):
    """The clock of ``ring`` without the time that the calls take."""

    others = 0.0

    def time(self) -> float:
        return super().time() - self.others


class StreamCrowd:
    """People with an open stream. ``late``: milliseconds from each hint of a ring to its card."""

    def __init__(self, hub: Hub) -> None:
        self.hub = hub
        self.late: list[float] = []
        self.pushed = 0
        self.told: list[Any] = []  # hints that were committed and not heard yet
        self.waiting: dict[int, tuple[float, str]] = {}  # user id -> when the hint came, and the card it must bring
        self._nothing = os.open(os.devnull, os.O_WRONLY)

    def hear(self) -> None:
        """Give the committed hints to the hub, as it gets them from Redis."""
        at = asyncio.get_running_loop().time()
        hints, self.told = self.told, []
        for said in hints:
            hint = Hint(said.id, said.topic, said.ref, frozenset(said.users), frozenset(said.roles), said.urgent)
            if hint.topic == "dock" and hint.urgent:
                for user_id in hint.users:
                    self.waiting[user_id] = at, f"call-{hint.ref}"
            self.hub.deliver(hint)

    async def read(self, ear: Ear) -> None:
        """Read a stream as ``web.stream`` does."""
        clock = asyncio.get_running_loop().time
        while True:
            messages = await ear.next(15)
            os.write(self._nothing, b"".join(_event(name, data) for name, data in messages))
            for name, data in messages:
                self.pushed += name == "push"
                since, card = self.waiting.get(ear.viewer.user_id, (0.0, ""))
                if name == "push" and card and card in data["parts"]:
                    del self.waiting[ear.viewer.user_id]
                    self.late.append((clock() - since) * 1000)


class Calls:
    """Calls at a constant rate on the average. Each rings at two people; the first answers, and later says how it ended."""

    def __init__(self, db: Database, settings: Settings, crowd: StreamCrowd) -> None:
        self._db = db
        self._intake = Intake(db, settings)
        self._crowd = crowd
        self._dice = Random(1)
        self._count = 0
        self._going: deque[tuple[float, FactStory, str, bool]] = deque()  # when it goes on; its phone; whether it rings

    async def go_on(self, seconds: float) -> None:
        """Rings are applied at once, the rest ten times a second, as a listener does it."""
        clock = asyncio.get_running_loop().time
        began, rings_at, others_at, finished_at = clock(), 0.0, 0.0, 0.0
        while rings_at < seconds:
            await asyncio.sleep(max(0.0, began + min(rings_at, others_at) - clock()))
            now = datetime.now(UTC)
            with self._not_counted():
                if rings_at <= others_at:
                    rings_at += self._dice.expovariate(RATE)
                    await self._intake.apply(batch(self._ring(clock(), now)))
                else:
                    others_at += GATHERED
                    if further := self._further(clock(), now):
                        await self._intake.apply(batch(*further))
                    if clock() - finished_at > 1:
                        finished_at = clock()
                        await self._finish(now)
            self._crowd.hear()

    @contextmanager
    def _not_counted(self) -> Iterator[None]:
        loop, computed = asyncio.get_running_loop(), time.process_time()
        assert isinstance(loop, WebTime)
        yield
        loop.others += time.process_time() - computed

    def _ring(self, at: float, now: datetime) -> FactStory:
        self._count += 1
        phones = [bench_popup.extension(n) for n in self._dice.sample(range(1, bench_popup.PEOPLE + 1), 2)]
        client = f"+38067{self._dice.randrange(20_000):07}"
        story = FactStory(f"{1_700_000_000 + self._count}.1", client=client, at=now).ring(*phones)
        self._going.append((at + RINGS, story, phones[0], True))
        return story

    def _further(self, at: float, now: datetime) -> list[FactStory]:
        further = []
        while self._going and self._going[0][0] <= at:
            _, story, phone, rings = self._going.popleft()
            story.at, story.facts = now, []
            further.append(story.answer(phone) if rings else story.end())
            if rings:
                self._going.append((at + TALKS, story, phone, False))
        return further

    async def _finish(self, now: datetime) -> None:
        owed = col(WrapUp.done_at).is_(None), col(WrapUp.talked_at) < now - timedelta(seconds=FINISHED_AFTER)
        async with self._db.write() as session:
            await session.exec(update(WrapUp).where(*owed).values(done_at=now))


async def measure(folder: Path) -> list[Figure]:
    settings = Settings(data_dir=folder)
    await upgrade(settings.database_url)
    db, redis = Database(settings.database_url), Redis()
    try:
        await bench_popup.people(db)
        hub = create_app(settings, db, redis).state.parts.hub
        crowd = StreamCrowd(hub)

        async def hear(hints: Sequence[Any]) -> None:
            crowd.told += hints

        db.after_commit = hear
        with ExitStack() as stack:
            for n in range(1, STREAMS + 1):
                seller = Viewer(n, f"user{n}", f"Person {n}", Role.SELLER, 1 + n % (bench_popup.PEOPLE // 12))
                reading = asyncio.create_task(crowd.read(stack.enter_context(hub.listening(seller))))
                stack.callback(reading.cancel)
            calls = Calls(db, settings, crowd)
            await calls.go_on(WARM_UP)
            set_aside()
            crowd.late.clear()
            crowd.pushed = 0
            loop = asyncio.get_running_loop()
            assert isinstance(loop, WebTime)
            began, computed = loop.time(), time.process_time() - loop.others
            await calls.go_on(SECONDS)
            took, own = loop.time() - began, time.process_time() - loop.others - computed
    finally:
        await db.close()
        await redis.aclose()
    late, pushed = crowd.late, crowd.pushed
    return [
        Figure(
            f"hint of a ring to its card, {RATE} calls/s and {STREAMS} streams, p50 / p95 / p99",
            f"{percentile(late, 50):.0f} / {percentile(late, 95):.0f} / {percentile(late, 99):.0f} ms of {len(late)}",
        ),
        Figure(
            "docks pushed a second; processor time of one",
            f"{pushed / took:.0f}; {own / pushed * 1000:.2f} ms ({own / took:.0%} busy)",
        ),
    ]


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=WebTime) as runner:
        return runner.run(measure(Path(folder)))
