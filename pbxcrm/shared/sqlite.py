"""SQLite on the event loop's own thread, and what every connection to it is told.

aiosqlite hands each statement to a thread of the connection and back. Our statements take microseconds; each hand-over
waits for the interpreter's lock, up to 5 ms while the loop is busy, and a card needs sixteen of them
(docs/decisions/0010). Only a writer that finds another one at work waits longer, and does so without holding up the loop.
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
BUSY_SECONDS = 5.0  # how long a writer waits for another before it says "database is locked"
ASK_AGAIN_SECONDS = 0.001
# Moving the log into the file waits for the disk, up to half a second: the worker does that (``checkpoint``), not whoever
# happens to commit. Where no worker runs, every so many pages of 4 KiB.
PAGES_WITHOUT_WORKER = 16_000


class InlineCursor:
    """A cursor as aiosqlite's, for SQLAlchemy's dialect of that name; its coroutines are done without a turn of the loop."""

    __slots__ = ("_cursor",)

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        self._cursor = cursor

    async def __aenter__(self) -> Self:
        return self

    @property
    def description(self) -> Any:  # DB-API's tuples
        """Columns of the last query, as DB-API says."""
        return self._cursor.description

    @property
    def rowcount(self) -> int:
        """Rows that the last statement changed."""
        return self._cursor.rowcount

    @property
    def lastrowid(self) -> int | None:
        """Id of the last inserted row."""
        return self._cursor.lastrowid

    @property
    def arraysize(self) -> int:
        """As DB-API wants it; we fetch all rows at once."""
        return self._cursor.arraysize

    async def execute(self, statement: str, parameters: Sequence[Any] = ()) -> None:
        """Run one statement in this thread."""
        self._cursor.execute(statement, parameters)

    async def executemany(self, statement: str, parameters: Sequence[Sequence[Any]]) -> None:
        """Run one statement for each set of parameters."""
        self._cursor.executemany(statement, parameters)

    async def fetchall(self) -> list[Any]:
        """The rows that are left."""
        return self._cursor.fetchall()

    async def close(self) -> None:
        """Give the statement back."""
        self._cursor.close()


class InlineConnection:
    """A connection as aiosqlite's."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection: sqlite3.Connection = connection  # under the name by which the dialect asks whether it is open

    def cursor(self) -> InlineCursor:
        """A new cursor of this connection."""
        return InlineCursor(self._connection.cursor())

    async def commit(self) -> None:
        """End the transaction; SQLAlchemy alone calls it."""
        self._connection.commit()

    async def rollback(self) -> None:
        """Undo the transaction."""
        self._connection.rollback()

    async def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def stop(self) -> None:
        """What SQLAlchemy calls on a connection that it gives up; there is no thread to stop."""
        self._connection.close()

    async def create_function(self, *args: Any, **options: Any) -> None:
        """Make a Python function known to SQL."""
        self._connection.create_function(*args, **options)

    async def begin_immediate(self) -> bool:
        """Begin to write now; False while another writer is at work."""
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
        """Meanwhile a lock that somebody else has is refused at once: SQLite would wait for it inside the loop."""
        self._connection.execute("PRAGMA busy_timeout=0")
        try:
            yield
        finally:
            self._connection.execute(f"PRAGMA busy_timeout={BUSY_SECONDS * 1000:.0f}")


def sqlite_engine(url: str, pool_size: int) -> AsyncEngine:
    """An engine for ``sqlite+aiosqlite:///…`` whose statements run where they are asked for."""
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
    """Move what is in the log into the file, as far as no reader needs it; waits for the disk, so call it in a thread."""
    path = make_url(url).database
    if path and not path.startswith("file:"):
        there = f"{Path(path).absolute().as_uri()}?mode=rw"  # a file that is gone is not made anew
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
    """A reader just begins. A writer takes the one lock there is; while somebody else has it, the loop goes on."""
    if not connection.get_execution_options().get(WRITES, False):
        connection.exec_driver_sql("BEGIN")
        return
    driver: Any = connection.connection.driver_connection  # an InlineConnection
    if not await_(_begin_to_write(driver)):
        with driver.impatient():
            connection.exec_driver_sql("BEGIN IMMEDIATE")  # in vain: it says what is wrong in SQLAlchemy's words


async def _begin_to_write(driver: Any) -> bool:  # an InlineConnection
    """False when the lock cannot be had: not in time, or not at all (a full disk, a file that cannot be written)."""
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
