"""SQLite in the event loop's own thread, and the settings of every connection.

aiosqlite runs each statement in a thread of the connection. Our statements take microseconds, but each switch of threads
waits for the interpreter lock, up to 5 ms while the loop is busy, and a card needs sixteen of them (docs/decisions/0010).
Only a writer that finds another writer active waits longer, and it does not block the loop.
"""

import asyncio
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

from sqlalchemy import event
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.util import await_

WRITES = "pbxcrm_writes"
BUSY_SECONDS = 5.0  # how long a writer waits for another one before the error "database is locked"
ASK_AGAIN_SECONDS = 0.001
# Moving the log into the file (a checkpoint) waits for the disk, up to half a second. So the worker does it (``checkpoint``), not
# the process that happens to commit. Without a worker, SQLite does it after this many pages of 4 KiB.
PAGES_WITHOUT_WORKER = 16_000


class InlineCursor:
    """A cursor with the interface of aiosqlite, for SQLAlchemy's dialect of that name. Its coroutines never suspend."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:  # DB-API's tuples
        """The columns of the last query, as DB-API defines them."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """The number of rows that the last statement changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """The id of the last inserted row."""
        return self._cursor.lastrowid

    @property
    def arraysize(self) -> int:
        """Required by DB-API; we fetch all rows at once."""
        return self._cursor.arraysize

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement in this thread."""
        self._cursor.execute(statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""
        self._cursor.executemany(statement, parameters)

    async def fetchall(self) -> list[Any]:
        """The remaining rows."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Close the cursor."""
        self._cursor.close()


class InlineConnection:
    """A connection with the interface of aiosqlite that runs statements in the calling thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection = connection  # the dialect reads this name to see whether it is open

    def cursor(self) -> InlineCursor:
        """A new cursor of this connection."""
        return InlineCursor(self._connection.cursor())

    async def commit(self) -> None:
        """Commit the transaction; only SQLAlchemy calls it."""
        self._connection.commit()

    async def rollback(self) -> None:
        """Roll back the transaction."""
        self._connection.rollback()

    async def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def stop(self) -> None:
        """Close the connection. SQLAlchemy calls it for a connection that it discards; there is no thread to stop."""
        self._connection.close()

    async def create_function(self, *args: Any, **options: Any) -> None:
        """Register a Python function for use in SQL."""
        self._connection.create_function(*args, **options)

    async def begin_immediate(self) -> bool:
        """Begin a write transaction without waiting. False while another writer is active."""
        with self.impatient():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                return False
        return True

    @contextmanager
    def impatient(self) -> Iterator[None]:
        """In this block a statement fails at once when the database is locked: waiting in SQLite would block the loop."""
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")


def sqlite_engine(url: str, pool_size: int) -> AsyncEngine:
    """An engine for ``sqlite+aiosqlite:///…`` that runs its statements in the calling thread."""
    path = make_url(url).database or ":memory:"

    async def connect() -> InlineConnection:
        is_uri = path.startswith("file:")
        return InlineConnection(
            sqlite3.connect(path, isolation_level=None, timeout=BUSY_SECONDS, check_same_thread=False, uri=is_uri)
        )

    engine = create_async_engine(url, pool_size=pool_size, async_creator=connect, hide_parameters=True)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def checkpoint(url: str) -> None:
    """Move the log into the database file, as far as no reader needs it. It waits for the disk, so call it in a thread."""
    path = make_url(url).database
    if path and not path.startswith("file:"):
        there = f"{Path(path).absolute().as_uri()}?mode=rw"  # does not create a file that is gone
        with closing(sqlite3.connect(there, uri=True)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")


def _prepare(connection: Any, _record: object) -> None:  # SQLAlchemy's connection for the DB-API; its type is private
    # SQLite's own lower() knows only ASCII: "олена" would not find "Олена".
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    for pragma in (
        "journal_mode=WAL",
        f"wal_autocheckpoint={PAGES_WITHOUT_WORKER}",
        "synchronous=NORMAL",
        "foreign_keys=ON",
        "cache_size=-32000",
        "temp_store=MEMORY",
    ):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _lower(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _begin(connection: Connection) -> None:
    """Begin a transaction. A writer waits for SQLite's write lock without blocking the loop."""
    if not connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection  # an InlineConnection
    if not await_(_begin_to_write(driver)):
        with driver.impatient():
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # fails again, and so raises SQLAlchemy's error


async def _begin_to_write(driver: Any) -> bool:  # an InlineConnection
    """Take the write lock. False on a timeout or an error (the disk is full, the file is read-only)."""
    loop = asyncio.get_running_loop()
    patient_until = loop.time() + BUSY_SECONDS
    try:
        while not await driver.begin_immediate():
            if loop.time() > patient_until:
                return False
            await asyncio.sleep(ASK_AGAIN_SECONDS)
    except sqlite3.Error:
        return False
    return True
