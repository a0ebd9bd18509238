"""A whole pbxcrm beside a real Asterisk: started by ``pbxcrm run``, looked at through its own REST API."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx2

from pbxcrm.cli.database import prepare
from pbxcrm.people.actions import add_user
from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.running import START_SECONDS, Running, running
from tests.waiting import until

PASSWORD = "correct horse battery"
STAFF = (
    ("admin", "Admin", "admin", (), "Sales"),
    ("maria", "Maria Manager", "manager", ("104",), "Sales"),
    ("ivan", "Ivan Kravets", "seller", ("101",), "Sales"),
    ("olena", "Olena Hryhorenko", "seller", ("102",), "Sales"),
    ("petro", "Petro Lys", "seller", ("103",), "Sales"),
    ("danylo", "Danylo Outsider", "seller", ("105",), "Support"),
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

    async def when(self, path: str, count: int = 1, seconds: float = 30, **asked: Any) -> list[dict[str, Any]]:
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


@cache
def _installed() -> tuple[bytes, str]:
    """The database that the README's first steps make (upgrade, people, a token), and the token: made once per session.

    Each step as a command of its own is what ``test_cli`` runs; here seven processes a test would be the same again.
    """
    with ThreadPoolExecutor(1) as thread, TemporaryDirectory() as folder:
        token = thread.submit(asyncio.run, _install(Path(folder))).result()  # this thread has a loop that runs
        return (Path(folder) / "pbxcrm.db").read_bytes(), token


async def _install(folder: Path) -> str:
    settings = Settings(data_dir=folder, database_url=f"sqlite:///{folder}/pbxcrm.db")
    await prepare(settings)
    database = Database(settings.database_url, pool_size=1)
    hashed = await hash_password(PASSWORD)
    async with database.write() as session:
        people = {
            login: await add_user(
                session,
                login=login,
                name=name,
                role=role,
                extensions=extensions,
                team=team,
                password_hash=hashed,
            )
            for login, name, role, extensions, team in STAFF
        }
        token = await create_token(session, people["admin"])
    await database.close()  # the last one out folds the log into the file
    return token


@asynccontextmanager
async def crm(folder: Path, **environ: str) -> AsyncIterator[Crm]:
    """A data directory with an office in it; then ``pbxcrm run`` until it listens."""
    database, token = _installed()
    (folder / "pbxcrm.db").write_bytes(database)
    async with (
        running(PBXCRM_DATA_DIR=str(folder), **environ) as run,
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=10) as client,
    ):
        await until(lambda: run.address, START_SECONDS)
        await until(run.well, START_SECONDS)
        if "PBXCRM_AMI_URL" in environ:
            await until(run.listens, START_SECONDS)
        yield Crm(run, folder, client)
