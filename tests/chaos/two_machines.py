"""Two listeners, as on two machines, with one PostgreSQL and one PBX.

Each machine reaches the database and the PBX only through proxies that can be cut.
"""

import asyncio
import random
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Self

from sqlmodel import select

from pbxcrm.pbx.models import PbxJournal, PbxStatus
from pbxcrm.shared.db import Database, database_now
from tests.chaos.machine import Machine
from tests.chaos.proxy import Proxy
from tests.databases import Postgres, fresh_name
from tests.office import open_office
from tests.waiting import until

_SLOW = 2.0  # seconds; what the heir logged during a slower takeover is printed
SETTLED = 300.0  # seconds until both machines have recovered, on a slow machine
_AHEAD = {"one": 0, "two": 20}  # seconds by which each machine's clock is fast


class TwoMachines:
    """``async with``: both machines listen to the PBX at ``ami_port`` as ``user``; ``cel`` is its CEL file, None for none."""

    def __init__(
        self, folder: Path, postgres: Postgres, ami_port: int, user: str, cel: Path | None, dice: random.Random
    ) -> None:
        self.postgres = postgres
        self.takeovers: list[float] = []  # seconds from the kill of the leader until the other had applied everything
        self.changes = 0  # of the listener that leads, once it is over
        self._folder = folder
        self._ami_port = ami_port
        self._user = user
        self._cel = cel
        self._dice = dice
        self._stack = AsyncExitStack()
        self._name = fresh_name()

    async def __aenter__(self) -> Self:
        url = await self.postgres.create(self._name)
        self._stack.callback(self.postgres.drop, self._name)
        self.database = Database(url, pool_size=2)
        self._stack.push_async_callback(self.database.close)
        await open_office(self.database)
        self.machines = [await self._machine(name, ahead) for name, ahead in _AHEAD.items()]
        for machine in self.machines:
            await machine.start()
        await until(self.is_well, SETTLED)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.changes = await self.epoch() - 1
        for machine in getattr(self, "machines", []):
            await machine.end(signal.SIGKILL)
        await self._stack.aclose()

    async def _machine(self, name: str, ahead: int) -> Machine:
        folder = self._folder / name
        folder.mkdir()
        socket = str(self.postgres.folder / ".s.PGSQL.5432")
        enter = self._stack.enter_async_context
        database = await enter(Proxy(lambda: asyncio.open_unix_connection(socket)))
        pbx = await enter(Proxy(lambda: asyncio.open_connection("127.0.0.1", self._ami_port)))
        database_url = f"postgresql://postgres@127.0.0.1:{database.port}/{self._name}"
        pbx_url = f"ami://{self._user}@127.0.0.1:{pbx.port}"
        return Machine(folder, database, pbx, (database_url, pbx_url), self._cel, ahead)

    async def victim_and_other(self) -> tuple[Machine, Machine]:
        """Who is struck, mostly the leader, and the other one."""
        await until(self.leader, SETTLED)
        leader = await self.leader() or self.machines[0]
        other = self.other(leader)
        return (leader, other) if self._dice.random() < 0.7 else (other, leader)

    def other(self, machine: Machine) -> Machine:
        return self.machines[1 - self.machines.index(machine)]

    @asynccontextmanager
    async def timed(self, victim: Machine) -> AsyncIterator[None]:
        """In this block the victim is killed: note how long the other one needs, if the victim led."""
        led, heir = await self.leader() is victim, self.other(victim)
        before, place, clock = heir.takeovers, heir.log_size, asyncio.get_running_loop().time
        began = clock()
        yield
        if led:
            await until(lambda: heir.takeovers > before, SETTLED)
            self.takeovers.append(clock() - began)
            if self.takeovers[-1] > _SLOW:
                print(
                    f"slow takeover, {self.takeovers[-1]:.1f} s:\n{heir.log_from(place)}", file=sys.stderr, flush=True
                )

    async def epoch(self) -> int:
        """How often the listener has changed."""
        async with self.database.read() as session:
            status = await session.get(PbxStatus, "default")
        return status.lease_epoch if status is not None else 0

    async def leader(self) -> Machine | None:
        async with self.database.read() as session:
            status = await session.get(PbxStatus, "default")
            rows = (await session.exec(select(PbxJournal))).all()
        names = {row.journal for row in rows if status is not None and row.owner and row.owner == status.lease_owner}
        return next((machine for machine in self.machines if machine.journals & names), None)

    async def is_well(self) -> bool:
        """Whether both processes are logged in at the PBX and one leads. Raises RuntimeError when one has exited."""
        for machine in self.machines:
            await machine.keep_running()
        async with self.database.read() as session:
            status = await session.get(PbxStatus, "default")
            now = await database_now(session)
            rows = (await session.exec(select(PbxJournal))).all()
        fresh = {
            row.journal for row in rows if row.is_hearing and row.seen_at and (now - row.seen_at).total_seconds() < 1
        }
        leads = status is not None and status.lease_until is not None and status.lease_until > now
        return leads and all(machine.journals & fresh for machine in self.machines)

    def keep_logs(self) -> None:
        """Nothing to do: the machines write their logs to files."""
