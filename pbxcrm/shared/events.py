"""Hints for browsers: rows written in the transaction that changes something, published after its commit.

An event is a hint (topic and reference), never data: a browser that hears it asks for the state again through the
ordinary, access-checked path. So an event that is lost, late or sent twice does no harm.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis.asyncio import Redis
from sqlalchemy import JSON, delete, false, func, insert
from sqlmodel import Field, SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.columns import row_id, utc_column
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.db import EMITTED, Database, before_commit

CHANNEL = "pbxcrm:events"
SAYINGS = "sayings"  # key in ``session.info``: the hints to write at the commit
RELAY_AT_ONCE = 500
PUBLISH_SECONDS = 1.0  # a Redis that takes longer to accept a message counts as away: nobody waits for a hint


class Outbox(SQLModel, table=True):
    """``users`` are the ids of those who may hear it; ``everybody`` is for what anybody logged in may know (PBX state)."""

    __tablename__ = "outbox"
    # Browsers remember the last number they heard, so numbers must not start again after the table was emptied.
    __table_args__ = {"sqlite_autoincrement": True}

    id: int | None = row_id()
    topic: str = Field(max_length=32)
    ref: str = Field(default="", max_length=64)
    urgent: bool = Field(default=False, sa_column_kwargs={"server_default": false()})
    users: list[int] = Field(default_factory=list, sa_type=JSON, nullable=False)
    roles: list[str] = Field(default_factory=list, sa_type=JSON, nullable=False)
    at: datetime = utc_column()


def emit(
    session: AsyncSession,
    topic: str,
    ref: object,
    at: datetime,
    *,
    users: Iterable[int | None] = (),
    roles: Iterable[str] = (),
    urgent: bool = False,
) -> None:
    """Publish, after the commit, that ``topic`` ``ref`` changed, to these users and to everybody with one of these roles.

    ``urgent`` hints are shown first. Hints about the same thing in one transaction become one row for all their recipients.
    """
    said: dict[tuple[str, str, bool], _Saying] = session.info.setdefault(SAYINGS, {})
    if not said:
        before_commit(session, _write)
    saying = said.setdefault((topic, str(ref), urgent), _Saying(at))
    saying.at = at
    saying.users.update(user for user in users if user is not None)
    saying.roles.update(roles)


@dataclass(slots=True)
class _Saying:
    at: datetime
    users: set[int] = field(default_factory=set)
    roles: set[str] = field(default_factory=set)


_TABLE = SQLModel.metadata.tables["outbox"]
_ADD = insert(_TABLE).returning(
    _TABLE.c.id, _TABLE.c.topic, _TABLE.c.ref, _TABLE.c.urgent
)  # in any order, so in one statement


@dataclass(frozen=True, slots=True)
class PublishedHint:
    """A row of the outbox, as it was committed."""

    id: int
    topic: str
    ref: str
    urgent: bool
    users: list[int]
    roles: list[str]
    at: datetime


async def _write(session: AsyncSession) -> None:
    """Write the hints of this transaction in one statement; after the commit they are passed to ``after_commit``."""
    rows = [
        {
            "topic": topic,
            "ref": ref,
            "urgent": urgent,
            "users": sorted(saying.users),
            "roles": sorted(saying.roles),
            "at": saying.at,
        }
        for (topic, ref, urgent), saying in session.info.pop(SAYINGS).items()
    ]
    ids = {tuple(said): id_ for id_, *said in await fetch(session, _ADD, rows)}
    session.info[EMITTED] = [PublishedHint(ids[row["topic"], row["ref"], row["urgent"]], **row) for row in rows]


async def relay(db: Database, redis: Redis, *, up_to: int | None = None) -> int:
    """Publish the rows of the outbox up to the number ``up_to`` and delete them. Returns how many there were.

    Safe to run in several processes. Rows are published before they are deleted: after a crash in between, hints are sent twice, which is harmless.
    """
    waiting = select(Outbox).order_by(col(Outbox.id)).limit(RELAY_AT_ONCE)
    if up_to is not None:
        waiting = waiting.where(col(Outbox.id) <= up_to)
    async with db.read() as session:
        rows = (await session.exec(waiting)).all()
    if rows:
        await publish(redis, rows)
        await forget(db, [row.id for row in rows])
    return len(rows)


async def publish(redis: Redis, rows: Iterable[Outbox | PublishedHint]) -> None:
    """Tell all web processes, in one message; raises RedisError or OSError, TimeoutError when Redis does not answer."""
    async with asyncio.timeout(PUBLISH_SECONDS):
        await redis.publish(CHANNEL, json.dumps([_as_hint(row) for row in rows]))


async def forget(db: Database, ids: Iterable[int | None]) -> None:
    """Delete these rows of the outbox: they are published."""
    async with db.write() as session:
        await session.exec(delete(Outbox).where(col(Outbox.id).in_(ids)))


async def newest(db: Database) -> int:
    """The highest number in the outbox; 0 when it is empty."""
    async with db.read() as session:
        return (await session.exec(select(func.max(Outbox.id)))).one() or 0


async def count_waiting(session: AsyncSession) -> int:
    """How many hints are not published yet."""
    return (await session.exec(select(func.count()).select_from(Outbox))).one()


def _as_hint(row: Outbox | PublishedHint) -> dict[str, object]:
    return {
        "id": row.id,
        "topic": row.topic,
        "ref": row.ref,
        "urgent": row.urgent,
        "users": row.users,
        "roles": row.roles,
    }


async def prune(session: AsyncSession, now: datetime) -> None:
    """Delete hints that could not be published for a day: every page has been loaded again since then."""
    await session.exec(delete(Outbox).where(col(Outbox.at) < now - timedelta(days=1)))
