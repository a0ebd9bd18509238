"""Tasks that people make, change, finish and take up again: each change has its version and its audit entry."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.tasks.actions import (
    create_task,
    do_close_task,
    do_restore_task,
    do_take_back_task,
    edit_task,
    undo_state_of,
)
from pbxcrm.tasks.finish_actions import finish_task, reopen_task
from pbxcrm.tasks.models import Task, TaskKind
from tests.calls import NOON
from tests.office import Office

LATER = NOON + timedelta(hours=2)
Make = Callable[..., Awaitable[int]]


@pytest.fixture
def make(database: Database, office: Office) -> Make:
    """A task of Ivan's, made by himself unless said otherwise; its id."""

    async def made(by: str = "ivan", **changes: object) -> int:
        asked = {"title": "Send the offer", "due_at": LATER, "now": NOON} | changes
        async with database.write() as session:
            return (await create_task(session, await office.viewer(session, by), **asked)).id or 0  # type: ignore[arg-type]

    return made


async def acts_of(database: Database, task_id: int) -> list[str]:
    async with database.read() as session:
        found = await session.exec(
            select(AuditEntry.action)
            .where(AuditEntry.entity == "task", AuditEntry.entity_id == str(task_id))
            .order_by(col(AuditEntry.id))
        )
        return list(found.all())


async def read(database: Database, task_id: int) -> Task | None:
    async with database.read() as session:
        return await session.get(Task, task_id)


async def test_from_made_to_done_and_back(database: Database, office: Office, make: Make) -> None:
    task_id = await make(title="  Send\nthe offer ")
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        await edit_task(session, ivan, task_id, version=1, now=NOON, note=" by mail ", due_at=LATER + timedelta(days=1))
        await finish_task(session, ivan, task_id, result=" sent ", now=LATER)
    done = await read(database, task_id)
    assert done is not None
    assert (done.title, done.note, done.status, done.result) == ("Send the offer", "by mail", "done", "sent")
    assert (done.done_at, done.done_by_id, done.version) == (LATER, office.id("ivan"), 3)
    async with database.write() as session:
        await reopen_task(session, await office.viewer(session, "ivan"), task_id, now=LATER)
    again = await read(database, task_id)
    assert again is not None
    assert (again.status, again.result, again.done_at, again.done_by_id, again.version) == ("open", "", None, None, 4)
    assert await acts_of(database, task_id) == ["task.created", "task.edited", "task.closed", "task.reopened"]


async def test_nothing_changed_is_no_change(database: Database, office: Office, make: Make) -> None:
    task_id = await make()
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        await edit_task(session, ivan, task_id, version=1, now=NOON, title="Send the offer", due_at=LATER)
    task = await read(database, task_id)
    assert task is not None
    assert task.version == 1
    assert await acts_of(database, task_id) == ["task.created"]


async def test_who_saw_an_older_version_is_told(database: Database, office: Office, make: Make) -> None:
    task_id = await make()
    async with database.write() as session:
        await edit_task(session, await office.viewer(session, "ivan"), task_id, version=1, now=NOON, title="Call")
    with pytest.raises(Conflict, match="Somebody changed this task"):
        async with database.write() as session:
            await edit_task(session, await office.viewer(session, "maria"), task_id, version=1, now=NOON, title="Write")
    task = await read(database, task_id)
    assert task is not None
    assert task.title == "Call"


@pytest.mark.parametrize(
    ("changes", "field"),
    [({"title": " \n"}, "title"), ({"title": "д" * 301}, "title"), ({"kind": TaskKind.LAMP}, "kind")],
)
async def test_what_is_wrong_is_said_at_the_field(make: Make, changes: dict[str, object], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        await make(**changes)
    assert caught.value.field == field


async def test_a_colleagues_task_is_nobody_elses(database: Database, office: Office, make: Make) -> None:
    task_id = await make()
    for login in ("olena", "petro", "oksana"):
        with pytest.raises(NotFound):
            async with database.write() as session:
                await finish_task(session, await office.viewer(session, login), task_id, result="", now=NOON)
    with pytest.raises(NotAllowed):
        await make(by="kira")


async def test_closing_twice_keeps_the_first_result(database: Database, office: Office, make: Make) -> None:
    task_id = await make()
    async with database.write() as session:
        ivan, people = await office.viewer(session, "ivan"), await load_directory(session)
        task = await session.get(Task, task_id)
        assert task is not None
        await do_close_task(session, task, NOON, people, result="sent", actor=ivan)
        await do_close_task(session, task, LATER, people, result="again", actor=ivan, cancelled=True)
    closed = await read(database, task_id)
    assert closed is not None
    assert (closed.status, closed.result, closed.done_at, closed.version) == ("done", "sent", NOON, 2)


async def test_it_stands_again_as_it_stood(database: Database, office: Office, make: Make) -> None:
    task_id = await make()
    async with database.write() as session:
        ivan, people = await office.viewer(session, "ivan"), await load_directory(session)
        task = await session.get(Task, task_id)
        assert task is not None
        before = undo_state_of(task)
        await do_close_task(session, task, LATER, people, result="sent", actor=ivan)
        await do_restore_task(session, task, before, LATER, people, actor=ivan)
    task = await read(database, task_id)
    assert task is not None
    assert undo_state_of(task) == before
    assert await acts_of(database, task_id) == ["task.created", "task.closed", "task.restored"]


async def test_only_what_nobody_changed_is_taken_back(database: Database, office: Office, make: Make) -> None:
    fresh, changed = await make(), await make(title="Call")
    async with database.write() as session:
        ivan, people = await office.viewer(session, "ivan"), await load_directory(session)
        await edit_task(session, ivan, changed, version=1, now=NOON, note="twice")
        for task_id, is_taken in ((fresh, True), (changed, False)):
            task = await session.get(Task, task_id)
            assert task is not None
            assert await do_take_back_task(session, task, LATER, people, actor=ivan) is is_taken
    assert await read(database, fresh) is None
    assert await read(database, changed) is not None
    assert (await acts_of(database, fresh))[-1] == "task.taken_back"
