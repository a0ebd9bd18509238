"""A database that hangs is given up on after three seconds, and what was typed comes back."""

import asyncio
import os
import signal
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import pytest
from httpx2 import AsyncClient
from sqlalchemy import text

from pbxcrm.shared import sqlite
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers
from web import database_timeout

FORM = {"name": "Ромашка & <b>Co</b>", "note": "подзвонити після обіду", "password": "s3cret-word"}


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_timeout, "PATIENCE_SECONDS", 0.7)
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 60.0)  # it is we who give up


@contextmanager
def locked(url: str) -> Iterator[None]:
    """Meanwhile another program writes into the SQLite file and does not come to an end."""
    other = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.rollback()
        other.close()


async def given_up(client: AsyncClient) -> None:
    clock = asyncio.get_running_loop().time
    began = clock()
    answers = await asyncio.gather(*(client.post("/companies/new", data=FORM) for _ in range(3)))
    assert clock() - began < 20
    assert (await client.get("/healthz")).status_code == 200, "the process runs, whoever asks"
    for answer in answers:
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
        assert "What you typed is still here" in answer.text
        assert 'name="note" value="подзвонити після обіду"' in answer.text
        assert "Ромашка &amp; &lt;b&gt;Co&lt;/b&gt;" in answer.text
        assert "s3cret-word" not in answer.text
    answer = await client.post("/companies/new", data=FORM, headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-retarget"]) == (503, "#toasts"), "the page with the form stays"


async def well_again(client: AsyncClient) -> None:
    assert (await client.post("/companies/new", data=FORM)).status_code == 303


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_sqlite_that_another_program_keeps(browser: Browsers, sqlite_url: str) -> None:
    admin = await browser("admin")
    with locked(sqlite_url):
        await given_up(admin)
        assert (await admin.get("/companies")).status_code == 200, "reading goes on"
    await well_again(admin)


@pytest.fixture
async def frozen(database: Database) -> AsyncIterator[list[int]]:
    """The processes of PostgreSQL that serve us; whatever is stopped in a test goes on afterwards."""
    stopped: list[int] = []
    yield stopped
    for pid in stopped:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_postgres_that_hangs(browser: Browsers, database: Database, frozen: list[int]) -> None:
    admin = await browser("admin")
    async with database.read() as session:
        rows = await (await session.connection()).execute(
            text("SELECT pid FROM pg_stat_activity WHERE datname = current_database()")
        )
        pids = [pid for (pid,) in rows]
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        frozen.append(pid)
    clock = asyncio.get_running_loop().time
    began = clock()
    answer = await admin.get("/companies")
    assert answer.status_code == 503
    assert clock() - began < 20  # it hangs for as long as we let it
    for pid in frozen:
        os.kill(pid, signal.SIGCONT)
    frozen.clear()

    async def back() -> bool:
        return (await admin.get("/companies")).status_code == 200

    async with asyncio.timeout(60):
        while not await back():
            await asyncio.sleep(0.1)  # another process cannot be awaited
    await well_again(admin)
