"""Timers: deadlines stored as rows. Any process may run what is due; each deadline is handled exactly once.

A context defines the handlers of its timers in its ``timers.py`` (``HANDLERS``; ``pbxcrm.composition`` registers them) and sets
timers in its own transactions::

    HANDLERS = {"callbacks.norm": norm_passed}

    await set_timer(session, "callbacks.norm", f"callbacks.norm:{episode.id}", due_at, {"episode": episode.id})

``sweep`` claims a due row (``FOR UPDATE SKIP LOCKED``; SQLite has only one writer) and runs the handler in the same
transaction that marks the row as done. So a crash leaves either both or neither. Redis is not needed for this.
"""

from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import Index, delete, text
from sqlmodel import Field, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.columns import TableModel, json_object, maybe_utc_column, row_id, utc_column
from pbxcrm.shared.core_sql import set_row
from pbxcrm.shared.db import Database, is_away
from pbxcrm.shared.lengths import cut

log = structlog.get_logger()


class Timer(TableModel, table=True):
    """A deadline. ``key`` identifies it (``callbacks.norm:17``): setting it again moves it, so it fires only once."""

    __tablename__ = "timers"
    __table_args__ = (
        Index(
            "ix_timers_due", "due_at", sqlite_where=text("done_at IS NULL"), postgresql_where=text("done_at IS NULL")
        ),
    )

    id: int | None = row_id()
    kind: str = Field(max_length=64)
    key: str = Field(max_length=150, unique=True)
    due_at: datetime = utc_column()
    payload: dict[str, Any] = json_object()
    done_at: datetime | None = maybe_utc_column()
    tries: int = 0
    error: str = Field(default="", max_length=500)


Handler = Callable[[AsyncSession, Timer, datetime], Awaitable[None]]
_handlers: dict[str, Handler] = {}

# A handler that fails is retried after these seconds; the last interval repeats without end, since no timer may be dropped.
RETRY_SECONDS = (5, 30, 120, 600, 3600)
KEEP_DONE = timedelta(days=7)
SWEEP_AT_MOST = 1000  # rows in one sweep, so that other work gets its turn


def register_timers(handlers: Mapping[str, Handler]) -> None:
    """Register a handler for each kind of timer. Raises ValueError for a second handler of one kind."""
    for kind, handler in handlers.items():
        if _handlers.setdefault(kind, handler) is not handler:
            raise ValueError(f"two handlers for timers of kind {kind}")


async def set_timer(
    session: AsyncSession, kind: str, key: str, due_at: datetime, payload: dict[str, Any] | None = None
) -> None:
    """Set or move the timer ``key``. One that has already fired is set again."""
    row = {"kind": kind, "key": key, "due_at": due_at, "payload": payload or {}}
    await set_row(session, Timer, row | {"done_at": None, "tries": 0, "error": ""}, "key")


async def cancel_timer(session: AsyncSession, key: str) -> None:
    """Delete the timer ``key``, if there is one."""
    await session.exec(delete(Timer).where(col(Timer.key) == key))


async def sweep(db: Database, now: datetime) -> int:
    """Run the handlers of timers due at ``now``. Returns how many fired. Several processes may call it at once.

    Timers of a kind that this process does not know are left for another process.
    """
    fired = 0
    while fired < SWEEP_AT_MOST and (await _anything_due(db, now)):
        claimed: list[int] = []
        try:
            async with db.write() as session:
                row = await _claim(session, now)
                if row is None or row.id is None:
                    break
                claimed.append(row.id)
                row.done_at = now  # before the handler runs: it may set the same deadline again
                row.error = ""
                await session.flush()
                await _handlers[row.kind](session, row, now)
            fired += 1
        except Exception as error:
            if not claimed or is_away(error):
                raise  # the database is not available: the caller waits and retries
            log.exception("timer.failed", timer=claimed[0])
            await _put_off(db, claimed[0], now, error)
    return fired


async def next_timer_due(db: Database) -> datetime | None:
    """When the next timer is due; None when there is none."""
    async with db.read() as session:
        query = select(Timer.due_at).where(col(Timer.done_at).is_(None), col(Timer.kind).in_(_handlers))
        return (await session.exec(query.order_by(col(Timer.due_at)).limit(1))).first()


async def prune(session: AsyncSession, now: datetime) -> None:
    """Delete timers that fired more than ``KEEP_DONE`` ago."""
    await session.exec(delete(Timer).where(col(Timer.done_at) < now - KEEP_DONE))


async def _anything_due(db: Database, now: datetime) -> bool:
    # Read first: on SQLite a write transaction each second would block the listener.
    due = await next_timer_due(db)
    return due is not None and due <= now


async def _claim(session: AsyncSession, now: datetime) -> Timer | None:
    query = (
        select(Timer)
        .where(col(Timer.done_at).is_(None), Timer.due_at <= now, col(Timer.kind).in_(_handlers))
        .order_by(col(Timer.due_at), col(Timer.id))
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    return (await session.exec(query)).first()


async def _put_off(db: Database, timer_id: int, now: datetime, error: Exception) -> None:
    async with db.write() as session:
        row = await session.get(Timer, timer_id, with_for_update=True)
        if row is not None and row.done_at is None:
            row.due_at = now + timedelta(seconds=RETRY_SECONDS[min(row.tries, len(RETRY_SECONDS) - 1)])
            row.tries += 1
            row.error = cut(f"{type(error).__name__}: {error}", Timer.error)
