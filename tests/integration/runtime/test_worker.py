"""The worker with a real Redis that comes and goes."""

import asyncio
import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession
from structlog.testing import capture_logs

from pbxcrm.checkpoints.queries import workers_stopped_at
from pbxcrm.people.models import FailedLogin
from pbxcrm.shared import events, redis_server, relay, timers
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import CHANNEL, Outbox, emit
from pbxcrm.shared.relay import Relay
from pbxcrm.shared.timers import Timer
from tests.databases import paused_redis
from tests.waiting import until
from workers.settings import from_json, make_worker, to_json
from workers.work import WorkLoop, _end


@asynccontextmanager
async def working(work: WorkLoop) -> AsyncIterator[None]:
    task = asyncio.create_task(work.run())
    try:
        yield
        assert not task.done(), task.exception()
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@pytest.fixture
async def own_redis(tmp_path: Path) -> AsyncIterator["OwnRedis"]:
    server = OwnRedis(tmp_path)
    yield server
    server.stop()


class OwnRedis:
    """A Redis that this test may kill."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = redis_server.socket_path(folder)
        self.process: subprocess.Popen[bytes] | None = None

    async def start(self) -> None:
        command, socket = redis_server.prepare(self.folder)
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        await redis_server.wait_until_ready(socket)

    def stop(self) -> None:
        if self.process:
            self.process.kill()
            self.process.wait()
            self.process = None


@pytest.fixture
def _counts() -> None:
    timers._handlers.pop("test.worker", None)

    async def handle(session: AsyncSession, row: Timer, now: datetime) -> None:
        emit(session, "timer", row.key, now)

    timers.register_timers({"test.worker": handle})


def relay_of(database: Database, redis: Redis) -> Relay:
    carrier = Relay(database, redis)
    database.after_commit = carrier.say
    return carrier


async def fire(database: Database, key: str) -> None:
    async with database.write() as session:
        await timers.set_timer(session, "test.worker", key, datetime.now(UTC))


async def all_done(database: Database) -> bool:
    """Whether every deadline has fired. None waits for Redis, which is away for longer than the busiest machine takes."""
    async with database.read() as session:
        rows = (await session.exec(select(Timer))).all()
    assert all((row.done_at or datetime.now(UTC)) - row.due_at < timedelta(seconds=20) for row in rows)
    return all(row.done_at for row in rows)


async def outbox_empty(database: Database) -> bool:
    async with database.read() as session:
        return not (await session.exec(select(Outbox))).all()


@pytest.mark.usefixtures("_counts")
async def test_deadlines_fire_while_redis_is_killed_and_hints_come_when_it_is_back(
    database: Database, own_redis: OwnRedis
) -> None:
    await own_redis.start()
    url = f"unix://{own_redis.socket}"
    async with Redis.from_url(url) as redis, working(WorkLoop(database, relay_of(database, redis), url)):
        await fire(database, "with")
        await until(lambda: all_done(database))
        await until(lambda: outbox_empty(database))
        own_redis.stop()
        await fire(database, "without")
        await until(lambda: all_done(database))
        assert not await outbox_empty(database)
        await own_redis.start()
        await until(lambda: outbox_empty(database))
        await fire(database, "again")
        await until(lambda: all_done(database))


async def test_a_worker_that_is_stopped_says_so_and_another_takes_it_back(database: Database, redis_url: str) -> None:
    async def stopped() -> datetime | None:
        async with database.read() as session:
            return await workers_stopped_at(session)

    async def runs() -> bool:
        return await stopped() is None

    began = datetime.now(UTC)
    async with Redis.from_url(redis_url) as redis:
        async with working(WorkLoop(database, relay_of(database, redis), redis_url)):
            async with working(WorkLoop(database, relay_of(database, redis), redis_url)):
                assert await runs()
            await until(runs)
        at = await stopped()
    assert at is not None
    assert at >= began


@pytest.mark.usefixtures("_counts")
async def test_what_is_committed_is_published_at_once(
    database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay, "REST_SECONDS", 3600.0)  # what is not said at once, nobody says
    monkeypatch.setattr(events, "PUBLISH_SECONDS", 30.0)
    async with (
        Redis.from_url(redis_url) as redis,
        redis.pubsub() as listener,
        working(WorkLoop(database, relay_of(database, redis), redis_url)),
    ):
        await listener.subscribe(CHANNEL)
        assert (await listener.get_message(timeout=30) or {})["type"] == "subscribe"
        for ref in range(5):
            async with database.write() as session:
                emit(session, "deal", ref, datetime.now(UTC), users=[7])
            found = await listener.get_message(ignore_subscribe_messages=True, timeout=30)
            assert found
            assert [hint["ref"] for hint in json.loads(found["data"])] == [str(ref)]


async def test_what_a_redis_that_hangs_did_not_take_is_carried_later(database: Database, redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis, redis.pubsub() as listener:
        await listener.subscribe(CHANNEL)
        assert (await listener.get_message(timeout=30) or {})["type"] == "subscribe"
        carrier = relay_of(database, redis)
        running = asyncio.create_task(carrier.run())
        try:
            with paused_redis(redis_url), capture_logs() as said:
                async with database.write() as session:
                    emit(session, "deal", 7, datetime.now(UTC), users=[7])
                await until(lambda: "redis.away" in [line["event"] for line in said], 20)
            async with database.write() as session:
                emit(session, "deal", 8, datetime.now(UTC), users=[7])
            await until(lambda: not carrier._away)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        carrying = asyncio.create_task(carrier.carry_leftovers())
        await until(lambda: outbox_empty(database))
        carrying.cancel()
        await asyncio.gather(carrying, return_exceptions=True)
        refs: set[str] = set()
        while refs != {"7", "8"}:
            message = await listener.get_message(ignore_subscribe_messages=True, timeout=30)
            assert message, refs
            refs |= {hint["ref"] for hint in json.loads(message["data"])}


async def test_what_is_old_is_thrown_away_also_while_redis_is_away(database: Database, tmp_path: Path) -> None:
    now = datetime.now(UTC)
    async with database.write() as session:
        emit(session, "deal", "old", now - timedelta(days=2))
        emit(session, "deal", "new", now)
        session.add(FailedLogin(login="olena", ip="127.0.0.1", at=now - timedelta(days=1)))
        session.add(Timer(kind="test.worker", key="old", due_at=now, done_at=now - timedelta(days=8)))

    async def tidied() -> bool:
        async with database.read() as session:
            hints = (await session.exec(select(Outbox.ref))).all()
            others = [*(await session.exec(select(FailedLogin))).all(), *(await session.exec(select(Timer))).all()]
        return hints == ["new"] and not others

    url = f"unix://{tmp_path}/nobody"
    async with Redis.from_url(url) as redis, working(WorkLoop(database, relay_of(database, redis), url)):
        await until(tidied)


async def test_arq_sweeps_each_second_and_speaks_json(redis_url: str) -> None:
    swept = asyncio.Event()

    async def sweep() -> int:
        swept.set()
        return 0

    worker = make_worker(redis_url, sweep)
    task = asyncio.create_task(worker.async_run())
    await asyncio.wait_for(swept.wait(), 30)
    task.cancel()
    await _end(worker)
    assert from_json(to_json({"t": 1, "a": ("x",), "r": ValueError("x")})) == {"t": 1, "a": ["x"], "r": "x"}


async def test_a_database_that_is_away_is_said_in_one_line(
    tmp_path: Path, redis_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Not in the tracebacks of arq, once a second."""
    gone = Database(f"postgresql://postgres@/nothing?host={tmp_path}")
    tried: list[str] = []

    class Counting(WorkLoop):
        async def sweep(self) -> int:
            tried.append(getattr(asyncio.current_task(), "get_name", str)())
            return await super().sweep()

    async with Redis.from_url(redis_url) as redis:
        with capture_logs() as said:
            async with working(Counting(gone, Relay(gone, redis), redis_url)):
                await until(lambda: len(tried) > 4 and len(set(tried)) > 1)  # by arq, too
    await gone.close()
    assert [line["event"] for line in said].count("database.away") == 1
    assert [record.getMessage() for record in caplog.records if record.exc_info] == []
