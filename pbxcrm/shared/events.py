"""Hints for browsers: rows written in the transaction of a change and published after its commit.

An event is a hint (topic and reference) without data. A browser that gets one requests the new state through the usual,
access-checked routes. So a hint that is lost, late or sent twice does no harm.
"""

import asyncio
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from redis.asyncio import Redis
from sqlalchemy import JSON, delete, false, func
from sqlmodel import Field, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.columns import NEVER_REUSED, TableModel, row_id, utc_column
from pbxcrm.shared.db import EMITTED, Database, before_commit
from pbxcrm.shared.many_rows import add_many

CHANNEL = "pbxcrm:events"
SAYINGS = "sayings"  # key in ``session.info``: the hints to write at the commit
RELAY_AT_ONCE = 500
PUBLISH_SECONDS = 1.0  # if Redis takes longer to accept a message, it counts as unavailable


class Outbox(TableModel, table=True):
    """A hint to publish, to the users with the ids ``users`` and to everybody with one of ``roles``."""

    __tablename__ = "outbox"
    # Browsers remember the last id they got, so ids must not restart after the table was emptied.
    __table_args__ = NEVER_REUSED

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
    """After the commit, tell these users and everybody with one of these roles that the object ``ref`` of ``topic`` changed.

    ``urgent`` hints are sent first. Hints of one transaction about the same object become one row for all their recipients.
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


@dataclass(frozen=True, slots=True)
class PublishedHint:
    """A committed row of the outbox."""

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
    ids = {tuple(said): id_ for id_, *said in await add_many(session, Outbox, rows, "id", "topic", "ref", "urgent")}
    session.info[EMITTED] = [PublishedHint(ids[row["topic"], row["ref"], row["urgent"]], **row) for row in rows]


async def relay(db: Database, redis: Redis, *, up_to: int | None = None) -> int:
    """Publish the rows of the outbox up to the id ``up_to``, at most ``RELAY_AT_ONCE``, and delete them. Returns how many.

    Several processes may call it. Rows are published before they are deleted, so that a crash in between sends hints twice,
    which is harmless. Raises as ``publish`` does.
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
    """Send the hints to all web processes in one message. Raises RedisError, OSError or (no answer) TimeoutError."""
    async with asyncio.timeout(PUBLISH_SECONDS):
        await redis.publish(CHANNEL, json.dumps([_as_hint(row) for row in rows]))


async def forget(db: Database, ids: Iterable[int | None]) -> None:
    """Delete rows of the outbox that are published."""
    async with db.write() as session:
        await session.exec(delete(Outbox).where(col(Outbox.id).in_(ids)))


async def newest(db: Database) -> int:
    """The highest id in the outbox; 0 when it is empty."""
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
    """Delete hints that are unpublished for a day: every page has been reloaded since then."""
    await session.exec(delete(Outbox).where(col(Outbox.at) < now - timedelta(days=1)))
