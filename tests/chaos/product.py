"""The whole product as users run it, with its own PostgreSQL and PBX, so that each part can be killed or disconnected."""

import asyncio
import os
import signal
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

from pbxcrm.shared.db import Database
from tests.chaos.proxy import Proxy
from tests.chaos.story_run import WELL
from tests.databases import Postgres, fresh_name
from tests.office import open_office
from tests.running import Running, running
from tests.waiting import is_alive, until

PARTS = {"web", "work", "listen", "redis"}


class ProductParts:
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
        self.keep_logs()
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

    def keep_logs(self) -> None:
        """Write what the running product has printed to the folder."""
        if self.run is not None:
            with (self.folder / "log").open("a") as log:
                log.write(self.run.said)
