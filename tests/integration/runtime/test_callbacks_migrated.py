"""Callbacks as they were before the engine (options, timers, escalations) become lamps: nothing that burns or is armed is lost."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, event, text
from sqlmodel import col, select

from pbxcrm import migrations
from pbxcrm.callbacks.models import Episode
from pbxcrm.callbacks.queries import load_context
from pbxcrm.callbacks.rules import clock_of_callback
from pbxcrm.checkpoints.lamps import OPEN
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.queries import list_checkpoints
from pbxcrm.checkpoints.rules import settle
from pbxcrm.composition import compose
from pbxcrm.migrations import _without_foreign_keys
from pbxcrm.shared.db import Database
from pbxcrm.shared.sqlite import WRITES
from pbxcrm.tasks.models import Task
from tests.databases import Postgres, fresh_name

NOON = datetime(2026, 11, 18, 10, tzinfo=UTC)
LIT, PAUSED = NOON + timedelta(minutes=30), NOON + timedelta(minutes=40)


def to_0015(connection: Connection) -> None:
    config = Config()
    config.set_main_option("script_location", str(migrations.FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, "0015")


def fill(connection: Connection) -> None:
    """1 is armed, 2 has its first lamp, 3 is before the manager, 4 was accepted, 5 was lit and reached, 6 is closed and never lit."""
    is_sqlite = connection.dialect.name == "sqlite"

    def at(moment: datetime) -> object:
        return moment.replace(tzinfo=None).isoformat(" ") + ".000000" if is_sqlite else moment

    def run(statement: str, **values: object) -> None:
        connection.execute(text(statement), {key: at(v) if isinstance(v, datetime) else v for key, v in values.items()})

    run("INSERT INTO options (key, value) VALUES ('callback_due_minutes', '30'), ('callback_pause_minutes', '10')")
    for login, role in (("ivan", "seller"), ("maria", "manager")):
        run(
            "INSERT INTO users (login, name, role, password_hash, language, theme, popup, sound, notify, is_active, created_at)"
            " VALUES (:login, :login, :role, '', 'en', 'auto', 'tab', true, true, true, :at)",
            login=login,
            role=role,
            at=NOON,
        )
    rows = [("open", True), ("open", True), ("open", True), ("open", False), ("reached", True), ("recovered", True)]
    for number, (status, runs) in enumerate(rows, start=1):
        run(
            "INSERT INTO episodes (id, client_key, missed_count, first_missed_at, last_missed_at, owner_id, attempts, norm_from,"
            " lamp_lit_at, status, closed_reason, reason, version)"
            " VALUES (:id, :key, 1, :at, :at, 1, 0, :norm, :lit, :status, '{}', '{}', 1)",
            id=number,
            key=f"number:{number}",
            at=NOON,
            norm=NOON if runs else None,
            lit=LIT if number in {2, 3} else None,
            status=status,
        )
    for number, kind, episode, is_open in (
        (12, "lamp", 2, True),
        (13, "lamp", 3, True),
        (23, "control", 3, True),
        (14, "lamp", 4, False),
        (24, "control", 4, False),
        (15, "lamp", 5, False),
    ):
        about = f"callback:{episode}" if kind == "lamp" else f"escalation:{episode}"
        run(
            "INSERT INTO tasks (id, kind, title, title_folded, title_code, note, due_at, assignee_id, status, about, result,"
            " result_code, reason, created_at, done_at, done_by_id, version)"
            " VALUES (:id, :kind, 'x', 'x', '{}', '', :at, :who, :status, :about, '', '{}', :reason, :at, :done, :by, 1)",
            id=number,
            kind=kind,
            at=LIT if kind == "lamp" else PAUSED,
            who=1 if kind == "lamp" else 2,
            status="open" if is_open else "done",
            about=about,
            reason='{"code": "lamp.callback", "params": {"norm": "30"}}',
            done=None if is_open else PAUSED + timedelta(minutes=5),
            by=None if is_open else 2,
        )
    for episode, state, task in ((3, "open", 23), (4, "accepted", 24)):
        run(
            "INSERT INTO escalations (episode_id, owner_id, manager_id, task_id, state, opened_at, closed_at, closed_by_id, note,"
            " reason, version) VALUES (:episode, 1, 2, :task, :state, :at, :closed, :by, :note, '{}', 1)",
            episode=episode,
            task=task,
            state=state,
            at=PAUSED,
            closed=None if state == "open" else PAUSED + timedelta(minutes=5),
            by=None if state == "open" else 2,
            note="" if state == "open" else "They come by tomorrow",
        )
    for kind, episode, due in (("norm", 1, LIT), ("escalate", 2, PAUSED)):
        run(
            "INSERT INTO timers (kind, key, due_at, payload, tries, error) VALUES (:kind, :key, :due, '{}', 0, '')",
            kind=f"callbacks.{kind}",
            key=f"callbacks.{kind}:{episode}",
            due=due,
        )
    run(
        "INSERT INTO timers (kind, key, due_at, payload, tries, error) VALUES ('callbacks.claim', 'callbacks.claim:1', :due, '{}', 0, '')",
        due=LIT,
    )


@pytest.fixture(params=["sqlite", "postgres"])
async def database(request: pytest.FixtureRequest, tmp_path: Path, postgres: Postgres) -> AsyncIterator[Database]:
    """One that is at 0015 with callbacks of the old kind, and then upgraded."""
    name = fresh_name()
    is_sqlite = request.param == "sqlite"
    url = f"sqlite:///{tmp_path}/old.db" if is_sqlite else await postgres.create(name, "template1")
    old = Database(url, pool_size=1)
    if is_sqlite:
        event.listen(old.engine.sync_engine, "connect", _without_foreign_keys)
    async with old.engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.run_sync(to_0015)
        await connection.run_sync(fill)
    await old.close()
    await migrations.upgrade(url)
    database = Database(url)
    yield database
    await database.close()
    if not is_sqlite:
        postgres.drop(name)


async def test_what_was_armed_burns_and_burned_are_lamps(database: Database) -> None:
    compose()
    async with database.read() as session:
        lamps = (await session.exec(select(Lamp).where(Lamp.subject == "callback").order_by(col(Lamp.id)))).all()
        told = {(lamp.callback_id, lamp.step): lamp for lamp in lamps}
        assert {key: lamp.state for key, lamp in told.items()} == {
            (1, 0): "armed",
            (2, 0): "burning",
            (2, 1): "armed",
            (3, 0): "burning",
            (3, 1): "burning",
            (4, 0): "out",
            (4, 1): "out",
            (5, 0): "out",
        }
        assert (told[1, 0].due_at, told[2, 1].due_at) == (LIT, PAUSED)
        before_manager, accepted = told[3, 1], told[4, 1]
        assert (before_manager.is_escalation, before_manager.addressee_id, before_manager.lit_at) == (True, 2, PAUSED)
        assert (accepted.decision, accepted.note, accepted.out_by_id) == ("accepted", "They come by tomorrow", 2)
        assert accepted.out_at == PAUSED + timedelta(minutes=5)
        tasks = {task.id: task.about for task in (await session.exec(select(Task))).all()}
        assert tasks == {lamp.task_id: f"callback-lamp:{lamp.id}" for lamp in lamps if lamp.task_id is not None}
        (checkpoint, steps), *_ = [one for one in await list_checkpoints(session) if one[0].trigger == "callback"]
        assert [(step.after_minutes, step.whom, step.what) for step in steps] == [
            (30, "responsible", "task"),
            (10, "manager", "control"),
        ]
        assert checkpoint.is_active
        keys = (await session.exec(text("SELECT key FROM options"))).all()  # type: ignore[call-overload]
        timers = (await session.exec(text("SELECT key FROM timers"))).all()  # type: ignore[call-overload]
        assert (list(keys), [row[0] for row in timers]) == ([], ["callbacks.claim:1"])


async def test_the_engine_finds_nothing_to_change(database: Database) -> None:
    """The entries of what is open are those the engine itself would have given."""
    compose()
    async with database.write() as session:
        context = await load_context(session)
        for episode in (await session.exec(select(Episode).where(Episode.status == "open"))).all():
            rows = await session.exec(select(Lamp).where(Lamp.callback_id == episode.id, col(Lamp.state).in_(OPEN)))
            changes = settle(clock_of_callback(context, episode), rows.all())
            assert (changes.arm, changes.forget, changes.put_out) == (None, [], []), episode.id
        assert len((await session.exec(select(Lamp).where(Lamp.state == LampState.BURNING.value))).all()) == 3
