"""The database: one place that opens, begins and commits.

``read()`` gives a session that only reads; ``write()`` gives one whose work is committed as a whole when the block
ends without an error, and rolled back otherwise. Nothing else in the product commits.

On SQLite a writing unit begins with ``BEGIN IMMEDIATE``: two processes that read and then write would otherwise lose
each other's updates silently (measured: half of 900). WAL lets readers go on meanwhile.
"""

import asyncio
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

DATABASE = "database"  # of a session: the ``Database`` that it is of
BEFORE_COMMIT = "before_commit"  # of a session: what is still to be written right before its commit
LOCKED = "locked"  # of a session: the keys that this transaction has locked
EMITTED = "emitted"  # of a session: what whoever hears of its commit is handed


# Sorted here and not by the database: there each client's number is locked in the order of the list.
_LOCK = text("SELECT pg_advisory_xact_lock(hashtextextended(key, 0)) FROM unnest(CAST(:keys AS text[])) AS key")

#: Is handed what ``pbxcrm.shared.events`` calls ``Said``, which this module does not know.
AfterCommit = Callable[[list[Any]], Awaitable[None]]


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC, on every database; a naive one is refused rather than guessed."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """An aware time in UTC, on its way into the database. Raises ValueError for a naive one."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """What the database keeps, as an aware time in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Money(TypeDecorator[Decimal]):
    """An amount with two decimals, kept as a whole number of hundredths so that sums are exact on SQLite too."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, dialect: Dialect) -> int | None:
        """The amount as the database keeps it."""
        return None if value is None else int((value * 100).to_integral_value())

    def process_result_value(self, value: int | None, dialect: Dialect) -> Decimal | None:
        """The amount as a Decimal with two places."""
        return None if value is None else (Decimal(int(value)) / 100).quantize(Decimal("0.01"))


class Database:
    """``after_commit`` is handed what a committed write put into the outbox; it must not make the writer wait."""

    def __init__(self, url: str, *, pool_size: int = 8, after_commit: AfterCommit | None = None) -> None:
        self.url = async_url(url)
        self.is_sqlite = self.url.startswith("sqlite")
        self.engine = _engine(self.url, pool_size)
        self._writing = self.engine.execution_options(**{WRITES: True})
        self.after_commit = after_commit
        self._turn = asyncio.Lock()
        self.kept: dict[Any, Any] = {}  # of ``pbxcrm.shared.config_cache``: rows that need not be read each time

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """Raises what ``pbxcrm.shared.constraints`` makes of what the database refuses."""
        with _waited_for(), _in_words():
            async with AsyncSession(
                self.engine, expire_on_commit=False, autoflush=False, info={DATABASE: self}
            ) as session:
                yield session

    @asynccontextmanager
    async def write(self) -> AsyncIterator[AsyncSession]:
        """Raises what ``pbxcrm.shared.constraints`` makes of what the database refuses."""
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
        """Writers of this process one after the other, where the database has room for one only.

        SQLite lets them poll for its lock, and one that writes all the time starves the others until they give up.
        """
        return self._turn if self.is_sqlite else nullcontext()

    async def ping(self) -> None:
        """Raises what the driver raises when the database does not answer."""
        async with self.engine.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def check_writable(self) -> None:
        """Make the database write something that changes nothing. Raises DBAPIError when it cannot: a full disk, a file or
        a server that may only be read.
        """
        async with self._in_turn(), self._writing.begin() as connection:
            if self.is_sqlite:
                version = (await connection.execute(text("PRAGMA user_version"))).scalar_one()
                await connection.exec_driver_sql(f"PRAGMA user_version = {version}")
            else:
                await connection.execute(
                    text("DELETE FROM alembic_version WHERE false")
                )  # refused where one may only read
                await connection.execute(text("SELECT txid_current()"))  # makes it write to its log

    async def checkpoint(self) -> None:
        """Keep SQLite's log short; nothing to do on PostgreSQL. Raises sqlite3.Error."""
        if self.is_sqlite:
            await asyncio.to_thread(checkpoint, self.url)

    async def close(self) -> None:
        """Close all connections; the object cannot be used afterwards."""
        await self.engine.dispose()


@dataclass(slots=True)
class Wait:
    """Since when whoever asked works with the database, by the loop's clock; None while it does not."""

    since: float | None = None


#: Of whoever does not want to wait for a database that hangs (``web.patience``).
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
    """Whether the connection broke, so that the work itself is not to blame and waits for the database."""
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
    """Let ``write`` add its rows right before the commit of this transaction; for what is gathered and written at once."""
    session.info.setdefault(BEFORE_COMMIT, []).append(write)


async def lock(session: AsyncSession, key: str) -> None:
    """Until this transaction ends nobody else works on ``key``. SQLite has one writer at a time anyway."""
    await lock_all(session, [key])


async def lock_all(session: AsyncSession, keys: Iterable[str]) -> None:
    """The same for several, in one round trip, and in the same order for everybody who asks like this."""
    held: set[str] = session.info.setdefault(LOCKED, set())
    wanted = sorted(set(keys) - held)
    if wanted and session.get_bind().dialect.name == "postgresql":
        await (await session.connection()).execute(_LOCK, {"keys": wanted})
    held.update(wanted)


async def database_now(session: AsyncSession) -> datetime:
    """The database's clock, which all machines share; with SQLite there is one machine, and its clock is it."""
    if session.get_bind().dialect.name != "postgresql":
        return datetime.now(UTC)
    now: datetime = (await (await session.connection()).execute(text("SELECT clock_timestamp()"))).scalar_one()
    return now.astimezone(UTC)


def async_url(url: str) -> str:
    """``sqlite:///…`` and ``postgresql://…`` as users write them, with the asynchronous driver named."""
    parsed = make_url(url)
    driver = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
    return parsed.set(drivername=driver.get(parsed.drivername, parsed.drivername)).render_as_string(hide_password=False)


def _engine(url: str, pool_size: int) -> AsyncEngine:
    if url.startswith("sqlite"):
        return sqlite_engine(url, pool_size)
    # Its compiler takes 30 ms for a list that is read in one, because it believes that all rows will be looked at.
    plain = {"server_settings": {"jit": "off"}}
    # What is stored is nobody's business in a log: a message of an error would have the parameters in it.
    engine = create_async_engine(
        url, pool_size=pool_size, max_overflow=pool_size, pool_pre_ping=True, connect_args=plain, hide_parameters=True
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    return engine


def _connect(dialect: Any, _record: object, args: tuple[Any, ...], options: dict[str, Any]) -> Any:
    """As SQLAlchemy connects, but nobody there is an error of the database, as on SQLite: asyncpg lets OSError through."""
    try:
        return dialect.connect(*args, **options)
    except OSError as error:
        raise dialect.loaded_dbapi.OperationalError(str(error) or type(error).__name__) from error
