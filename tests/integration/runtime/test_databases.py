"""The ground the other tests stand on."""

import asyncio
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError, SQLAlchemyError
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared import sqlite
from pbxcrm.shared.db import Database
from tests.databases import Postgres


async def _run(session: AsyncSession, statement: str, **values: int) -> None:
    await (await session.connection()).execute(text(statement), values)


async def _one(session: AsyncSession, statement: str) -> int:
    found: int = (await (await session.connection()).execute(text(statement))).scalar_one()
    return found


async def test_each_test_has_a_database_of_its_own(database: Database) -> None:
    async with database.write() as session:
        await _run(session, "CREATE TABLE mine (n INTEGER)")
    async with database.write() as session:
        await _run(session, "INSERT INTO mine VALUES (1)")
    async with database.read() as session:
        assert await _one(session, "SELECT count(*) FROM mine") == 1


async def test_two_writers_lose_nothing(database: Database) -> None:
    async with database.write() as session:
        await _run(session, "CREATE TABLE mine (n INTEGER)")
        await _run(session, "INSERT INTO mine VALUES (0)")
    lock = "" if database.is_sqlite else "FOR UPDATE"

    async def count() -> None:
        async with database.write() as session:
            n = await _one(session, f"SELECT n FROM mine {lock}")
            await _run(session, "UPDATE mine SET n = :n", n=n + 1)

    await asyncio.gather(*(count() for _ in range(20)))
    async with database.read() as session:
        assert await _one(session, "SELECT n FROM mine") == 20


async def test_a_checkpoint_moves_the_log_into_the_file(tmp_path: Path) -> None:
    """Whoever commits does not wait for the disk; the worker moves what was committed once a second."""
    db = Database(f"sqlite:///{tmp_path}/one.db")
    try:
        async with db.write() as session:
            await _run(session, "CREATE TABLE words (word TEXT)")
            await _run(session, "INSERT INTO words VALUES ('moved')")
        await db.checkpoint()
        shutil.copy(tmp_path / "one.db", tmp_path / "alone.db")  # without the log beside it
    finally:
        await db.close()
    with closing(sqlite3.connect(tmp_path / "alone.db")) as alone:
        assert alone.execute("SELECT word FROM words").fetchall() == [("moved",)]


async def test_a_writer_that_waits_in_vain_does_not_hold_up_the_loop(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_SECONDS", 1.0)
    db = Database(f"sqlite:///{tmp_path}/one.db")
    loop = asyncio.get_running_loop()
    pauses: list[float] = []

    async def look_at_the_clock() -> None:
        last = loop.time()
        while True:
            await asyncio.sleep(0)
            pauses.append(loop.time() - last)
            last = loop.time()

    async with db.write() as session:
        await _run(session, "CREATE TABLE mine (n INTEGER)")
    looking = asyncio.create_task(look_at_the_clock())
    try:
        with closing(sqlite3.connect(tmp_path / "one.db", isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(OperationalError, match="database is locked"):
                async with db.write() as session:
                    await _run(session, "INSERT INTO mine VALUES (1)")
        assert sum(pauses) > 0.9  # it was patient
        assert max(pauses) < 0.5  # and others went on meanwhile
        async with db.read() as session:  # on the same connection, which is as patient as before
            assert await _one(session, "PRAGMA busy_timeout") == 1000
    finally:
        looking.cancel()
        await db.close()


@pytest.mark.postgres
async def test_a_postgresql_that_went_away_is_an_error_of_the_database(
    postgres: Postgres, postgres_url: str, tmp_path: Path
) -> None:
    """Not a naked OSError of the driver: whoever is to say 503 or to wait knows SQLAlchemy's errors only."""
    way = tmp_path / "way"
    way.symlink_to(postgres.folder)
    db = Database(postgres_url.replace(str(postgres.folder), str(way)))
    try:
        async with db.read() as session:
            assert await _one(session, "SELECT 1") == 1
        way.unlink()  # nobody is to be found there any more,
        with pytest.raises(SQLAlchemyError):
            async with db.read() as session:
                await _run(session, "SELECT pg_terminate_backend(pg_backend_pid())")  # and who was, hangs up
        with pytest.raises(OperationalError, match="No such file"):
            await db.ping()
    finally:
        await db.close()


@pytest.mark.postgres
async def test_a_port_where_nobody_listens_is_an_error_of_the_database() -> None:
    db = Database("postgresql://postgres@127.0.0.1:1/pbxcrm")
    with pytest.raises(OperationalError, match="Connect"):
        await db.ping()
    await db.close()


@pytest.mark.postgres
async def test_a_database_that_does_not_exist_is_an_error_of_the_database(postgres: Postgres) -> None:
    """The commands say it in one line; asyncpg's own error would be a traceback."""
    db = Database(postgres.url("nowhere"))
    try:
        with pytest.raises(OperationalError, match="nowhere"):
            async with db.engine.connect():
                pass
    finally:
        await db.close()
