"""The whole product as users run it, with its own PostgreSQL and PBX, so that each part can be killed or disconnected."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, Self

from sqlmodel import select

from pbxcrm.calls.call_json import as_object
from pbxcrm.calls.models import Call, CallEvent
from pbxcrm.shared.db import Database
from tests.chaos.proxy import Proxy
from tests.databases import Postgres, fresh_name
from tests.office import open_office
from tests.running import Running, running
from tests.waiting import is_alive, until

PARTS = {"web", "work", "listen", "redis"}
WELL = 120.0  # seconds until everything has recovered from a blow, on a slow machine


class Product:
    """``async with``: runs ``pbxcrm run``, which listens to the PBX at ``ami_port`` and reads its CEL file after a gap."""

    def __init__(self, folder: Path, postgres: Postgres, ami_port: int, user: str, cel: Path) -> None:
        self.folder = folder
        self.postgres = postgres
        self.cable = Proxy(lambda: asyncio.open_connection("127.0.0.1", ami_port))
        self.run: Running | None = None
        self._user = user
        self._cel = cel
        self._name = fresh_name()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._url = await self.postgres.create(self._name)
        self.database = Database(self._url, pool_size=2)
        self._stack.push_async_callback(self.database.close)
        await open_office(self.database)
        await self._stack.enter_async_context(self.cable)
        await self.start()
        await until(self.is_well, WELL)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.kill()
        await self._stack.aclose()

    async def start(self) -> None:
        """Start or (after ``kill``) restart it, without waiting until it is ready."""
        environ = {
            "PBXCRM_DATA_DIR": str(self.folder / "data"),
            "PBXCRM_DATABASE_URL": self._url,
            "PBXCRM_AMI_URL": f"ami://{self._user}@127.0.0.1:{self.cable.port}",
            "PBXCRM_CEL_CSV": str(self._cel),
            "PBXCRM_AGI_BIND": "127.0.0.1:0",
        }
        self.run = await self._stack.enter_async_context(running(**environ))

    async def kill(self) -> None:
        """Kill all processes with SIGKILL."""
        if self.run is None:
            return
        pids = list(self.run.parts().values())
        self.run.process.kill()
        await self.run.ended(30)
        await until(lambda: not any(is_alive(pid) for pid in pids))
        with (self.folder / "log").open("a") as log:
            log.write(self.run.said)
        self.run = None

    def signal_part(self, name: str, number: signal.Signals) -> bool:
        """Send a signal to one part. Returns False if the part has no process at the moment."""
        pid = self.run.parts().get(name) if self.run is not None else None
        if pid is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return pid is not None

    async def is_well(self) -> bool:
        """Whether each part is running and reports that it is ready."""
        run = self.run
        if run is None or not run.address or set(run.parts()) != PARTS:
            return False
        return await run.well() and await run.listens()

    async def rows(self) -> list[Call]:
        """The calls sorted by start, without those that were merged into another."""
        async with self.database.read() as session:
            rows = (await session.exec(select(Call).where(Call.merged_into_id == None))).all()  # noqa: E711
        return sorted(rows, key=lambda call: (call.started_at, call.id or 0))

    async def told_twice(self) -> list[str]:
        """Calls that were opened or ended more than once."""
        async with self.database.read() as session:
            events = (await session.exec(select(CallEvent))).all()
        seen: dict[tuple[int, str], int] = {}
        for event in events:
            seen[event.call_id, event.kind] = seen.get((event.call_id, event.kind), 0) + 1
        return [
            f"call {call_id} was {kind} {count} times"
            for (call_id, kind), count in sorted(seen.items())
            if kind in {"opened", "ended"} and count > 1
        ]


def comparable(row: Call) -> dict[str, Any]:
    """The data of a call that is compared: the object of the API, and its channels."""
    return as_object(row, row.client_number) | {"channels": sorted(row.channel_ids)}
