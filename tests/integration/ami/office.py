"""A PBX, a database and listeners between them, for tests. Import the fixture ``office``."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from ami.connection import Timing
from ami.listener import Listener, ListenerSettings
from ami.url import AmiUrl
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import PbxState
from tests.fakes.ami_server import Action, FakeAmiServer, listing, message
from tests.fakes.memory_sink import MemorySink
from tests.fakes.plain_tracker import PlainTracker

TIMING = Timing(answer=2, ping_after=2, retry_first=0.02, retry_most=0.1)
SETTINGS = ListenerSettings(timing=TIMING, lease=0.6, renew=0.15, retry_most=0.1)


def now() -> datetime:
    return datetime.now(UTC)


class PbxOffice:
    """The PBX remembers which channels live, as a real one does; ``listen`` starts a listener."""

    def __init__(self, pbx: FakeAmiServer, folder: Path) -> None:
        self.pbx = pbx
        self.folder = folder
        self.sink = MemorySink(now)
        self.alive: dict[str, None] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.listeners: list[Listener] = []
        pbx.responders["coreshowchannels"] = self._show_channels

    def _show_channels(self, action: Action) -> bytes | None:
        rows = [{"Uniqueid": call} for call in self.alive]
        return listing("CoreShowChannel", "CoreShowChannelsComplete", rows)(action)

    def listen(self, folder: Path | None = None, **more: Any) -> Listener:  # as Listener takes it
        settings = more.pop("settings", SETTINGS)
        url = AmiUrl.parse(more.pop("url", self.pbx.url))
        make_tracker: Callable[[], Any] = more.pop("make_tracker", PlainTracker)
        listener = Listener(
            "main",
            url,
            folder or self.folder / "journal",
            make_tracker,
            self.sink,
            now,
            settings=settings,
            dice=random.Random(1),
            **more,
        )
        self.listeners.append(listener)
        self.tasks.append(asyncio.create_task(listener.run()))
        return listener

    async def kill(self) -> None:
        """End all listeners without a word."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)
        self.tasks.clear()

    async def stop(self) -> None:
        self.sink.gate.set()
        for listener in self.listeners:
            listener.stop()
        await asyncio.wait_for(asyncio.gather(*self.tasks), 30)
        self.tasks.clear()

    def begin(self, call: str) -> bytes:
        self.alive[call] = None
        return message(Event="Newchannel", Uniqueid=call, Linkedid=call)

    def end(self, call: str) -> bytes:
        self.alive.pop(call)
        return message(Event="Hangup", Uniqueid=call, Linkedid=call)

    async def call(self, name: str) -> None:
        await self.pbx.send(self.begin(name) + self.end(name))

    async def listening(self, times: int = 1) -> None:
        """Until the PBX has been logged in to so many times and is listened to."""

        def there() -> bool:
            reports = self.sink.reports
            return sum(r.code == "syncing" for r in reports) >= times and reports[-1].state is PbxState.LISTENING

        await self.sink.until(there)

    async def standing_by(self) -> None:
        """Until the latest listener stands by; that is told in its log only."""
        async with asyncio.timeout(30):
            while self.listeners[-1].report.code != "standby":
                await asyncio.sleep(0.01)

    async def heard(self, *keys: str) -> None:
        await self.sink.until(lambda: set(keys) <= set(self.sink.applied()))


def quick(**more: Any) -> ListenerSettings:  # fields of ListenerSettings
    return replace(SETTINGS, **more)


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[PbxOffice]:
    async with FakeAmiServer() as pbx:
        made = PbxOffice(pbx, tmp_path)
        yield made
        await made.kill()
        for report in made.sink.reports:
            assert "s3cret" not in REPORTS[report.code].format_map(report.params)


async def journalled(folder: Path, call: str) -> None:
    needle = f"Hangup\r\nUniqueid: {call}\r\n".encode()
    async with asyncio.timeout(30):
        while not any(needle in segment.read_bytes() for segment in folder.glob("*.journal")):
            await asyncio.sleep(0.005)
