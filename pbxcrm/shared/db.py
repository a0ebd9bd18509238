"""The database: the only place that opens connections, begins transactions and commits.

``read()`` gives a session that only reads. ``write()`` gives a session that is committed when the block ends without an
error, and rolled back otherwise. Nothing else in the product commits.

On SQLite a write transaction begins with ``BEGIN IMMEDIATE``: two processes that read and then write would otherwise lose
each other's updates silently (measured: half of 900). With WAL, readers are not blocked meanwhile.
"""

import asyncio
import errno
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import structlog
from sqlalchemy import BigInteger, DateTime, Dialect, TypeDecorator, event, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.constraints import in_words
from pbxcrm.shared.sqlite import WRITES, checkpoint, sqlite_engine

log = structlog.get_logger()

DATABASE = "database"  # key in ``session.info``: the ``Database`` of the session
BEFORE_COMMIT = "before_commit"  # key in ``session.info``: functions that write rows just before the commit
LOCKED = "locked"  # key in ``session.info``: the keys that this transaction has locked
EMITTED = "emitted"  # key in ``session.info``: the hints to publish after the commit


# The keys are sorted in Python; the database locks them in the order of the list.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST(:keys AS text[])) AS key")

#: Called with the ``PublishedHint`` objects of ``pbxcrm.shared.events``, which this module does not import.
AfterCommit = Callable[[list[Any]], Awaitable[None]]


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC on every database. A naive one is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Convert an aware time to UTC for the database. Raises ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """The stored time as an aware time in UTC."""
        if value is None or value.tzinfo is UTC:
            return value
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        """None on PostgreSQL: asyncpg makes each moment aware and in UTC, and reports read hundreds of thousands."""
        return None if dialect.name == "postgresql" else super().result_processor(dialect, coltype)


class Money(TypeDecorator[Decimal]):
    """An amount with two decimals, stored as an integer number of hundredths so that sums are exact on SQLite too."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """The amount in hundredths, as it is stored."""
        return None if value is None else int((value * 100).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """The amount as a Decimal with two places."""
        return None if value is None else Decimal(int(value)).scaleb(-2)


class Database:
    """``after_commit`` gets the hints that a committed transaction put into the outbox; it must not make the writer wait.

    ``idle_seconds``: PostgreSQL ends a transaction that does nothing for so long, and with it its locks; None for never.
    ``keeps_plans``: PostgreSQL may plan a statement once for all values, which saves the planning of small ones. A search for a rare
    name and one for a frequent name need different plans, so only the listener keeps them.
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 8,
        after_commit: AfterCommit | None = None,
        idle_seconds: float | None = None,
        keeps_plans: bool = False,
    ) -> None:
        self.url = async_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self.engine = _engine(self.url, pool_size, idle_seconds, keeps_plans)
        self._writing = self.engine.execution_options(**{WRITES: True})
        self.after_commit = after_commit
        self._turn = asyncio.Lock()
        self.kept: dict[Any, Any] = {}  # the rows that ``pbxcrm.shared.config_cache`` has cached

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading. Raises NotFound for an id that no row can have."""
        with _waited_for(), _in_words():
            async with AsyncSession(
                self.engine, expire_on_commit=False, autoflush=False, info={DATABASE: self}
            ) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """A session that is committed at the end of the block. Raises a business error for a violated constraint
        (``pbxcrm.shared.constraints``).
        """
        with _waited_for(), _in_words():
            async with (
                self._in_turn(),
                AsyncSession(self._writing, expire_on_commit=False, info={DATABASE: self}) as session,
            ):
                yield session
                gathered: list[Callable[[AsyncSession], Awaitable[None]]] = session.info.pop(BEFORE_COMMIT, [])
                for write in gathered:
                    await write(session)
                await session.commit()
            session.info.pop(LOCKED, None)
        emitted = session.info.pop(EMITTED, None)
        if emitted and self.after_commit is not None:
            await self.after_commit(emitted)

    def _in_turn(self) -> AbstractAsyncContextManager[None]:
        """Serialises the writers of this process on SQLite, which allows only one at a time.

        SQLite makes writers poll for its lock, so that one that writes all the time would starve the others until they give up.
        """
        return self._turn if self.is_sqlite else nullcontext()

    async def ping(self) -> None:
        """Run a trivial query. Raises the driver's error when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def check_writable(self) -> None:
        """Make a write that changes nothing. Raises DBAPIError when the database cannot write: the disk is full, or the file or
        server is read-only.
        """
        async with self._in_turn(), self._writing.begin() as connection:
            if self.is_sqlite:
                version = (await connection.execute(text("PRAGMA user_version"))).scalar_one()
                await connection.exec_driver_sql(f"PRAGMA user_version = {version}")
            else:
                await connection.execute(text("DELETE FROM alembic_version WHERE false"))  # fails on a read-only server
                await connection.execute(text("SELECT txid_current()"))  # forces a write to the WAL

    async def checkpoint(self) -> None:
        """Move SQLite's write-ahead log into the file; does nothing on PostgreSQL. Raises sqlite3.Error."""
        if self.is_sqlite:
            await asyncio.to_thread(checkpoint, self.url)

    async def close(self) -> None:
        """Close all connections; the object cannot be used afterwards."""
        await self.engine.dispose()


_DISK_FULL = "53100"  # PostgreSQL's code for it


def is_full(error: BaseException) -> bool:
    """Whether the database could not write because its disk is full."""
    cause: object = getattr(error, "orig", None) or error
    if isinstance(cause, OSError):
        return cause.errno in {errno.ENOSPC, errno.EDQUOT}
    if isinstance(cause, sqlite3.Error):
        return getattr(cause, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
    return getattr(cause, "sqlstate", None) == _DISK_FULL


@dataclass(slots=True)
class Wait:
    """When the current database operation began, by the clock of the event loop; None between operations."""

    since: float | None = None


#: Set for a web request, which is cancelled when the database hangs (``web.database_timeout``).
WAITING: ContextVar[Wait | None] = ContextVar("pbxcrm_waiting", default=None)


@contextmanager
def _waited_for() -> Iterator[None]:
    wait = WAITING.get()
    if wait is None or wait.since is not None:
        yield
        return
    wait.since = asyncio.get_running_loop().time()
    try:
        yield
    finally:
        wait.since = None


def is_away(error: BaseException) -> bool:
    """Whether the connection to the database was lost, so that the same work can be retried."""
    return isinstance(error, OSError) or (isinstance(error, DBAPIError) and error.connection_invalidated)


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        said = in_words(error)
        if said is None:
            raise
        raise said from error


def before_commit(session: AsyncSession, write: Callable[[AsyncSession], Awaitable[None]]) -> None:
    """Call ``write`` just before this transaction commits: for rows that are collected and written in one statement."""
    session.info.setdefault(BEFORE_COMMIT, []).append(write)


async def lock(session: AsyncSession, key: str) -> None:
    """Take an advisory lock on ``key`` until this transaction ends. SQLite has only one writer, so nothing is done there."""
    await lock_all(session, [key])


async def lock_all(session: AsyncSession, keys: Iterable[str]) -> None:
    """Lock several keys in one round trip, in sorted order, so that two such calls cannot deadlock."""
    held: set[str] = session.info.setdefault(LOCKED, set())
    wanted = sorted(set(keys) - held)
    if wanted and session.get_bind().dialect.name == "postgresql":
        await (await session.connection()).execute(_LOCK, {"keys": wanted})
    held.update(wanted)


async def database_now(session: AsyncSession) -> datetime:
    """The aware UTC time of the database server, which all machines share; with SQLite, the time of this machine."""
    if session.get_bind().dialect.name != "postgresql":
        return datetime.now(UTC)
    now: datetime = (await (await session.connection()).execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now.astimezone(UTC)


def async_url(url: str) -> str:
    """The URL as users write it (``sqlite:///…``, ``postgresql://…``) with the asynchronous driver added."""
    parsed = make_url(url)
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return parsed.set(drivername=driver.get(parsed.drivername, parsed.drivername)).render_as_string(hide_password=False)


def _engine(url: str, pool_size: int, idle_seconds: float | None, keeps_plans: bool) -> AsyncEngine:
    if url.startswith("sqlite"):
        return sqlite_engine(url, pool_size)
    # PostgreSQL's JIT takes 30 ms for a query that runs in 1 ms, because it overestimates the number of rows.
    # With its 4 MB, the rows of a frequent word are noted by page only, and each row of these pages is compared again: 3.7 s instead of 0.5.
    # A ``random_page_cost`` of 4 is that of a turning disk; an office's database is in memory or on an SSD.
    server = {"jit": "off", "work_mem": "32MB", "random_page_cost": "1.1"}
    if not keeps_plans:
        server["plan_cache_mode"] = "force_custom_plan"
    if idle_seconds is not None:
        server["idle_in_transaction_session_timeout"] = f"{idle_seconds * 1000:.0f}"
    # Without ``hide_parameters``, error messages would put personal data into the log.
    engine = create_async_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_pre_ping=True,
        connect_args={"server_settings": server},
        hide_parameters=True,
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


def _connect(dialect: Any, _record: object, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """Connect as SQLAlchemy does, but turn what asyncpg raises (no server, no such database or user) into a database error."""
    try:
        return dialect.connect(*args, **options)
    except (OSError, dialect.loaded_dbapi.Error) as error:
        raise dialect.loaded_dbapi.OperationalError(str(error) or type(error).__name__) from error
