"""An undisturbed listener. The product, though its parts are killed, must report the same about each call."""

import asyncio
from pathlib import Path
from typing import Any, Self

from ami.backfill import Backfill
from ami.connection import Timing
from ami.listener import Listener, ListenerSettings
from ami.replay import as_object
from ami.tracker import Tracker, TrackerSettings
from ami.url import AmiUrl
from pbxcrm.calls.facts import CallState, FactKind
from pbxcrm.pbx.state import PbxState
from tests.fakes.memory_sink import MemorySink
from tests.integration.ami.office import now


class Witness:
    """``async with``: listens to the PBX directly, in this process, and keeps its facts in memory.

    When the PBX was started again it reads its CEL file: only there stands who had hung up right before.
    """

    def __init__(self, folder: Path, ami_port: int, user: str, cel: Path) -> None:
        config = TrackerSettings(pbx="default")
        self.sink = MemorySink(now)
        self.listener = Listener(
            "default",
            AmiUrl.parse(f"ami://{user}@127.0.0.1:{ami_port}"),
            folder / "witness",
            lambda: Tracker(config),
            self.sink,
            now,
            recover=Backfill(lambda: Tracker(config), cel_csv=cel),
            settings=ListenerSettings(timing=Timing(retry_first=0.05, retry_most=0.2)),
        )

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self.listener.run())
        await self.sink.until(lambda: bool(self.sink.reports) and self.hears)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    @property
    def hears(self) -> bool:
        return self.listener.report.state is PbxState.LISTENING

    def calls(self) -> dict[str, CallState]:
        """The latest state of each call by its linkedid, without calls that were merged into another."""
        last: dict[str, CallState] = {}
        for fact in self.sink.facts.values():
            last[fact.call.linkedid] = fact.call
            if fact.kind is FactKind.ABSORBED:
                del last[fact.call.linkedid]
        return last


def comparable(call: CallState) -> dict[str, Any]:
    """The same data of a call as ``stored.comparable``."""
    return as_object(call, "UA") | {"channels": sorted(call.channel_ids)}
