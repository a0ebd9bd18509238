"""A whole pbxcrm beside a real Asterisk: started by its own command line, looked at through its own REST API."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from tests.running import START_SECONDS, Running, running
from tests.waiting import until

PASSWORD = "correct horse battery"
STAFF = (
    ("admin", "Admin", "admin", ()),
    ("maria", "Maria Manager", "manager", ("104",)),
    ("ivan", "Ivan Kravets", "seller", ("101",)),
    ("olena", "Olena Hryhorenko", "seller", ("102",)),
    ("petro", "Petro Lys", "seller", ("103",)),
)


@dataclass
class Crm:
    run: Running
    folder: Path
    client: httpx2.AsyncClient

    @property
    def address(self) -> str:
        return self.run.address.rstrip("/")

    async def get(self, path: str, **asked: Any) -> Any:
        answer = await self.client.get(f"{self.address}/api/v1/{path}", params=asked)
        answer.raise_for_status()
        return answer.json()

    async def items(self, path: str, **asked: Any) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (await self.get(path, **asked))["items"]
        return found

    async def when(self, path: str, count: int = 1, seconds: float = 15, **asked: Any) -> list[dict[str, Any]]:
        """The items once there are ``count`` of them."""
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            nonlocal found
            found = await self.items(path, **asked)
            return len(found) == count

        try:
            await until(there, seconds)
        except TimeoutError:
            raise AssertionError(f"{path} {asked}: {count} expected, there are {found}") from None
        return found


async def command(folder: Path, *words: str, stdin: str = "", **environ: str) -> str:
    """What ``pbxcrm WORDS`` prints; it must succeed."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PBXCRM_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pbxcrm", *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=clean | {"PBXCRM_DATA_DIR": str(folder)} | environ,
    )
    out, err = await process.communicate(stdin.encode())
    assert process.returncode == 0, err.decode()
    return out.decode()


@asynccontextmanager
async def crm(folder: Path, **environ: str) -> AsyncIterator[Crm]:
    """Set up as the README says: the database, the people, a token; then ``pbxcrm run`` until it listens."""
    await command(folder, "db", "upgrade")
    for login, name, role, extensions in STAFF:
        phones = [word for extension in extensions for word in ("--extension", extension)]
        await command(
            folder,
            "user",
            "add",
            login,
            "--name",
            name,
            "--role",
            role,
            *phones,
            "--team",
            "Sales",
            "--password-stdin",
            stdin=PASSWORD,
        )
    token = (await command(folder, "token", "create", "admin")).split()[-1]
    async with (
        running(PBXCRM_DATA_DIR=str(folder), **environ) as run,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10) as client,
    ):
        await until(lambda: run.address, START_SECONDS)
        await until(run.well, START_SECONDS)
        yield Crm(run, folder, client)
