"""A cache in memory for rows that every decision reads and that seldom change (people, lines, stages).

``cached_until_changed`` reads only a version number in the current transaction and reloads the rows when it has changed. The
models are marked with ``@cached_config``; a transaction that changes such a row increments the version.
"""

from collections.abc import Awaitable, Callable
from itertools import chain
from typing import TypeVar

from sqlalchemy import Executable, event, func, text
from sqlalchemy.orm import ORMExecuteState, Session
from sqlmodel import Field, SQLModel, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.columns import ID, TableModel
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.db import DATABASE, Database

Model = TypeVar("Model", bound=SQLModel)
Found = TypeVar("Found")
_CHANGED = "configuration_changed"  # key in ``session.info``
_KEPT_HERE = "configuration_kept"  # key in ``session.info``: what this transaction read after its own change
_VERSION_READ = "configuration_version"  # key in ``session.info``
_models: set[type[SQLModel]] = set()
_GROW: Executable = text(
    "INSERT INTO configuration_version (id, version) VALUES (1, 1)"
    " ON CONFLICT (id) DO UPDATE SET version = configuration_version.version + 1"
)


class ConfigurationVersion(TableModel, table=True):
    """A table of one row with ``id`` 1; empty before the first change."""

    __tablename__ = "configuration_version"

    id: int = Field(primary_key=True, sa_type=ID)
    version: int


_VERSION = select(ConfigurationVersion.version)


def cached_config(model: type[Model]) -> type[Model]:
    """Decorator for a model whose rows are cached; changing one increments the version."""
    _models.add(model)
    return model


async def config_version(session: AsyncSession) -> int:
    """The number of changes so far; 0 before the first."""
    found = await fetch(session, _VERSION)
    return found[0][0] if found else 0


#: The version as a column of another first query of a transaction; its result goes to ``note_version``.
VERSION_BESIDE = func.coalesce(_VERSION.scalar_subquery(), 0)


def note_version(session: AsyncSession, version: int) -> None:
    """The version that this transaction has just read beside something else, so that it is not asked for again."""
    session.info.setdefault(_VERSION_READ, version)


async def cached_until_changed(session: AsyncSession, load: Callable[[AsyncSession], Awaitable[Found]]) -> Found:
    """The result of ``load``, cached in memory until the configuration changes. Its rows belong to no session."""
    if _CHANGED in session.info:  # uncommitted rows must not get into the cache: they may be rolled back
        return await _of_this_session(session, load)
    database: Database = session.info[DATABASE]
    version = session.info.get(_VERSION_READ)
    if version is None:  # read once per session, so that all its cached rows are of the same version
        version = session.info[_VERSION_READ] = await config_version(session)
    known = database.kept.get(load)
    if known is None or known[0] != version:
        known = database.kept[load] = version, await _read(session, load)
    found: Found = known[1]
    return found


async def _of_this_session(session: AsyncSession, load: Callable[[AsyncSession], Awaitable[Found]]) -> Found:
    """The result of ``load`` in a transaction that changed the configuration, kept until it changes more: a stage that is removed moves
    many deals, and each of them asks for people, calendars and stages several times.
    """
    if _has_unflushed(session.sync_session):
        await session.flush()  # which forgets what was kept
    kept: dict[object, Found] = session.info.setdefault(_KEPT_HERE, {})
    if load not in kept:
        kept[load] = await load(session)
    return kept[load]


async def _read(session: AsyncSession, load: Callable[[AsyncSession], Awaitable[Found]]) -> Found:
    """Call ``load`` with a separate session, so that a rollback does not expire the cached rows. It shares the connection, so that
    it never waits for a second one.
    """
    info = {name: session.info[name] for name in (DATABASE, _VERSION_READ)}
    async with AsyncSession(await session.connection(), expire_on_commit=False, autoflush=False, info=info) as reading:
        return await load(reading)


@event.listens_for(Session, "after_flush")
def _flushed(session: Session, _context: object) -> None:
    if _has_unflushed(session):
        _grow(session)


@event.listens_for(Session, "do_orm_execute")
def _executed(state: ORMExecuteState) -> None:
    """Bulk statements bypass ``after_flush``; they are caught here."""
    if not state.is_select and state.bind_mapper is not None and state.bind_mapper.class_ in _models:
        _grow(state.session)


@event.listens_for(Session, "after_soft_rollback")
def _rolled_back(session: Session, _previous: object) -> None:
    session.info.pop(_KEPT_HERE, None)


def _has_unflushed(session: Session) -> bool:
    return any(type(row) in _models for row in chain(session.new, session.dirty, session.deleted))


def _grow(session: Session) -> None:
    session.info[_CHANGED] = True
    session.info.pop(_KEPT_HERE, None)
    session.connection().execute(_GROW)
