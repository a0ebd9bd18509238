"""Deadlines: each fires exactly once, also with several workers, after a failure, and without Redis."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared import timers
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox, emit
from pbxcrm.shared.timers import Timer

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
fired: Counter[str] = Counter()


@pytest.fixture(autouse=True)
def _clean() -> Iterator[None]:
    fired.clear()
    yield
    for kind in ("test.count", "test.fail", "test.again"):
        timers._handlers.pop(kind, None)


def count(kind: str = "test.count") -> None:
    async def handle(session: AsyncSession, row: Timer, now: datetime) -> None:
        fired[row.key] += 1
        emit(session, "timer", row.key, now)

    timers.register_timers({kind: handle})


async def rows(database: Database) -> list[Timer]:
    async with database.read() as session:
        return list((await session.exec(select(Timer).order_by(col(Timer.key)))).all())


async def test_what_is_due_fires_once_and_what_is_not_waits(database: Database) -> None:
    count()
    async with database.write() as session:
        await timers.set_timer(session, "test.count", "past", NOW - timedelta(hours=5), {"deal": 1})
        await timers.set_timer(session, "test.count", "now", NOW)
        await timers.set_timer(session, "test.count", "later", NOW + timedelta(seconds=1))
    assert await timers.sweep(database, NOW) == 2
    assert await timers.sweep(database, NOW) == 0
    assert fired == {"past": 1, "now": 1}
    assert await timers.next_timer_due(database) == NOW + timedelta(seconds=1)


async def test_many_workers_share_the_work_and_double_nothing(database: Database) -> None:
    count()
    async with database.write() as session:
        for n in range(60):
            await timers.set_timer(session, "test.count", f"t{n}", NOW)
    others = [Database(database.engine.url.render_as_string(hide_password=False)) for _ in range(3)]
    found = await asyncio.gather(*(timers.sweep(each, NOW) for each in (database, *others)))
    for other in others:
        await other.close()
    while await timers.sweep(database, NOW):  # SKIP LOCKED may leave one for the next second
        pass
    assert set(fired.values()) == {1}
    assert len(fired) == 60
    assert sum(found) <= 60
    async with database.read() as session:
        assert len((await session.exec(select(Outbox))).all()) == 60  # what each did was committed once


async def test_a_handler_that_fails_leaves_nothing_behind_and_is_tried_again_later(database: Database) -> None:
    async def fail(session: AsyncSession, row: Timer, now: datetime) -> None:
        emit(session, "timer", row.key, now)
        await session.flush()
        if row.tries == 0:
            raise ValueError("once")

    timers.register_timers({"test.fail": fail})
    async with database.write() as session:
        await timers.set_timer(session, "test.fail", "f", NOW)
    assert await timers.sweep(database, NOW) == 0
    (row,) = await rows(database)
    assert (row.done_at, row.tries, row.error) == (None, 1, "ValueError: once")
    async with database.read() as session:
        assert not (await session.exec(select(Outbox))).all()
    assert await timers.sweep(database, NOW + timedelta(seconds=4)) == 0
    assert await timers.sweep(database, NOW + timedelta(seconds=5)) == 1


async def test_one_that_fails_does_not_hold_up_the_others(database: Database) -> None:
    async def fail(session: AsyncSession, row: Timer, now: datetime) -> None:
        raise ValueError("always")

    timers.register_timers({"test.fail": fail})
    count()
    async with database.write() as session:
        await timers.set_timer(session, "test.fail", "a", NOW - timedelta(minutes=1))
        await timers.set_timer(session, "test.count", "b", NOW)
    assert await timers.sweep(database, NOW) == 1
    assert fired == {"b": 1}


async def test_a_handler_may_set_its_own_deadline_again(database: Database) -> None:
    async def again(session: AsyncSession, row: Timer, now: datetime) -> None:
        fired[row.key] += 1
        await timers.set_timer(session, "test.again", row.key, now + timedelta(minutes=1))

    timers.register_timers({"test.again": again})
    async with database.write() as session:
        await timers.set_timer(session, "test.again", "x", NOW)
    assert [await timers.sweep(database, NOW + timedelta(minutes=n)) for n in (0, 0, 1, 1)] == [1, 0, 1, 0]


async def test_a_moved_or_cancelled_deadline_does_not_fire(database: Database) -> None:
    count()
    async with database.write() as session:
        await timers.set_timer(session, "test.count", "moved", NOW)
        await timers.set_timer(session, "test.count", "cancelled", NOW)
    async with database.write() as session:
        await timers.set_timer(session, "test.count", "moved", NOW + timedelta(hours=1))
        await timers.cancel_timer(session, "cancelled")
    assert await timers.sweep(database, NOW) == 0


async def test_a_kind_nobody_here_knows_is_left_alone(database: Database) -> None:
    async with database.write() as session:
        await timers.set_timer(session, "from.the.future", "x", NOW)
    assert await timers.sweep(database, NOW) == 0
    assert (await rows(database))[0].done_at is None


async def test_a_deadline_exists_only_when_the_transaction_was_committed(database: Database) -> None:
    count()

    async def change_of_mind() -> None:
        async with database.write() as session:
            await timers.set_timer(session, "test.count", "never", NOW)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await change_of_mind()
    async with database.write() as session:
        await timers.set_timer(session, "test.count", "now", NOW)
    assert await timers.sweep(database, NOW) == 1
    assert fired == {"now": 1}


async def test_old_done_deadlines_are_forgotten(database: Database) -> None:
    count()
    async with database.write() as session:
        await timers.set_timer(session, "test.count", "old", NOW - timedelta(days=9))
        await timers.set_timer(session, "test.count", "open", NOW + timedelta(days=9))
    await timers.sweep(database, NOW)
    async with database.write() as session:
        await timers.prune(session, NOW + timedelta(days=8))
    assert [row.key for row in await rows(database)] == ["open"]


def test_two_handlers_of_one_kind_are_refused() -> None:
    count()
    with pytest.raises(ValueError, match="two handlers"):
        count()
