"""Two real workers on PostgreSQL: both are killed, their clocks are set an hour either way, Redis goes, the database crashes, while lamps
of deals and callbacks become due. Each lights exactly once, none before its time by the clock of the worker, and none is lost.
"""

import os
import random
import signal
import subprocess
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import delete, update
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, func, select

from pbxcrm.calendars.models import CalendarSpan
from pbxcrm.checkpoints.models import CheckpointStep, Lamp, LampState, Subject
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import redis_server
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task, TaskStatus
from tests import forks
from tests.calls import FactStory, batch
from tests.databases import Postgres, fresh_name, postgres_programs, running_postgres
from tests.integration.checkpoints.conftest import DealDesk
from tests.lamps import set_norm
from tests.needs import need
from tests.office import open_office
from tests.waiting import until

DEALS, CALLBACKS = 80, 40
SPREAD = timedelta(seconds=12)  # of what becomes due
HOUR = 3600


class SteppedWorker:
    """A worker of its own machine, whose clock can be set while it runs."""

    def __init__(self, environ: dict[str, str], folder: Path) -> None:
        folder.mkdir()
        self.environ, self.log, self.clock = environ, folder / "log", folder / "clock"
        self.set_clock(0)
        self.start()

    def set_clock(self, seconds: int) -> None:
        new = self.clock.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.clock)

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = forks.start(
                "tests.week.stepped", str(self.clock),
                environ={**os.environ, **self.environ}, stdout=log.fileno(), stderr=log.fileno(),
            )  # fmt: skip

    def kill(self) -> None:
        self.process.kill()

    def check(self) -> None:
        """Start it again if it has ended because the database was away while it started: a service manager does the same."""
        if self.process.poll() is None:
            return
        said = self.log.read_text()
        assert said.splitlines()[-1].startswith("pbxcrm: The database cannot be reached:"), said[-3000:]
        self.start()


@pytest.fixture
def own_postgres() -> Iterator[Postgres]:
    """A server that may crash without harm to other tests."""
    programs = postgres_programs()
    need(programs, "PostgreSQL is missing (apt-get install postgresql)")
    assert programs
    with running_postgres(programs, keeps_commits=True) as server:
        yield server


@pytest.mark.postgres
async def test_each_lamp_exactly_once_whatever_dies_and_wherever_the_clocks_go(
    own_postgres: Postgres, tmp_path: Path
) -> None:
    database = Database(await own_postgres.create(fresh_name()))
    redis_folder = tmp_path / "redis"
    redis_folder.mkdir()
    command, socket = redis_server.prepare(redis_folder)
    redis = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    workers: list[SteppedWorker] = []
    try:
        await _fill(database, tmp_path)
        await redis_server.wait_until_ready(socket)
        environ = {
            "PBXCRM_DATABASE_URL": database.url,
            "PBXCRM_REDIS_URL": f"unix://{socket}",
            "PBXCRM_DATA_DIR": str(tmp_path / "data"),
        }
        workers = [SteppedWorker(environ, tmp_path / f"worker-{n}") for n in range(2)]
        first, second = workers

        async def crash() -> None:
            own_postgres.end(signal.SIGQUIT)
            own_postgres.start()
            await until(own_postgres.answers)

        async def kill(worker: SteppedWorker) -> None:
            worker.kill()
            worker.start()

        async def set_clock(worker: SteppedWorker, seconds: int) -> None:
            worker.set_clock(seconds)

        async def no_redis() -> None:
            redis.kill()
            redis.wait()

        blows: list[Callable[[], Awaitable[None]]] = [
            lambda: kill(first),
            lambda: set_clock(first, -HOUR),
            no_redis,
            crash,
            lambda: kill(second),
            lambda: set_clock(second, HOUR),
            crash,
            lambda: kill(second),
            lambda: set_clock(first, HOUR),
        ]
        goals = sorted(random.Random(3).sample(range(1, 2 * (DEALS + CALLBACKS) - 20), len(blows)))
        for goal, blow in zip(goals, blows, strict=True):
            await until(_lit_at_least(database, goal, workers), 90)
            await blow()
        await until(_lit_at_least(database, 2 * (DEALS + CALLBACKS), workers), 90)
    finally:
        for worker in workers:
            worker.kill()
        redis.kill()
        redis.wait()
    await _compare(database)
    await database.close()


def _lit_at_least(database: Database, goal: int, workers: list[SteppedWorker]) -> Callable[[], Awaitable[bool]]:
    async def lit() -> bool:
        for worker in workers:
            worker.check()
        try:
            async with database.read() as session:
                query = select(func.count()).select_from(Lamp).where(Lamp.state == LampState.BURNING.value)
                return (await session.exec(query)).one() >= goal
        except (SQLAlchemyError, OSError):  # it has just crashed
            return False

    return lit


async def _fill(database: Database, tmp_path: Path) -> None:
    """Everybody works at all times; the norms are a minute and no minute, so that lamps become due for ``SPREAD`` from now on."""
    office = await open_office(database)
    desk = DealDesk(database, office, Intake(database, Settings(data_dir=tmp_path)))
    async with database.write() as session:
        await session.exec(delete(CalendarSpan))
        session.add_all(CalendarSpan(calendar_id=1, weekday=day, start_minute=0, end_minute=1440) for day in range(7))
        await session.exec(update(Stage).where(col(Stage.name) == "Proposal sent").values(norm_minutes=1))
        await session.exec(update(CheckpointStep).where(col(CheckpointStep.position) == 1).values(after_minutes=0))
        await set_norm(session, 1, 0)
    begin = datetime.now(UTC) - timedelta(seconds=55)
    for number in range(DEALS):
        owner = ("ivan", "olena", "petro")[number % 3]
        await desk.deal(at=begin + number * SPREAD / DEALS, number=f"+38067777{number:04}", owner=owner)
    missed = (
        FactStory(f"5.{n}", f"+38050777{n:04}", at=begin + n * SPREAD / CALLBACKS - timedelta(seconds=20))
        .ring("101")
        .wait(20)
        for n in range(CALLBACKS)
    )
    await desk.intake.apply(batch(*(story.end() for story in missed)))


async def _compare(database: Database) -> None:
    async with database.read() as session:
        lamps = (await session.exec(select(Lamp))).all()
        entered = dict((await session.exec(select(Deal.id, Deal.stage_since))).all())
        tasks = {task.id: task for task in (await session.exec(select(Task))).all()}
    found = Counter(
        (lamp.subject, lamp.deal_id if lamp.subject == Subject.DEAL else lamp.callback_id, lamp.step) for lamp in lamps
    )
    assert set(found.values()) == {1}
    assert Counter((subject, step) for subject, _, step in found) == {
        ("deal", 0): DEALS, ("deal", 1): DEALS, ("callback", 0): CALLBACKS, ("callback", 1): CALLBACKS
    }  # fmt: skip
    for lamp in lamps:
        assert lamp.lit_at is not None
        assert lamp.lit_at >= lamp.due_at
        if lamp.subject == Subject.DEAL and lamp.step == 0:
            assert lamp.due_at == entered[lamp.deal_id] + timedelta(minutes=1)
        task = tasks[lamp.task_id]
        assert (task.status, task.assignee_id) == (TaskStatus.OPEN, lamp.addressee_id)
    about = Counter(task.about for task in tasks.values() if task.about)
    assert set(about.values()) == {1}
