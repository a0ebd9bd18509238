"""Checklists, repetition, putting off, and assignments: given, accepted, done, checked or returned."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.actions import create_task, edit_task
from pbxcrm.tasks.assignment_actions import accept_task, approve_task, return_task
from pbxcrm.tasks.finish_actions import finish_task, reopen_task
from pbxcrm.tasks.models import Repeat, Task, TaskKind
from pbxcrm.tasks.progress_actions import comment_task, snooze_task, tick_item, undo_act
from pbxcrm.tasks.queries import comments_of
from tests.calls import NOON
from tests.office import Office

LATER = NOON + timedelta(hours=2)
Make = Callable[..., Awaitable[int]]
Read = Callable[[int], Awaitable[Task]]


@pytest.fixture
def make(database: Database, office: Office) -> Make:
    async def made(by: str = "maria", **changes: object) -> int:
        asked = {"title": "Send the offer", "due_at": LATER, "now": NOON} | changes
        if isinstance(asked.get("assignee_id"), str):
            asked["assignee_id"] = office.id(str(asked["assignee_id"]))
        async with database.write() as session:
            return (await create_task(session, await office.viewer(session, by), **asked)).id or 0  # type: ignore[arg-type]

    return made


@pytest.fixture
def read(database: Database) -> Read:
    async def found(task_id: int) -> Task:
        async with database.read() as session:
            task = await session.get(Task, task_id)
            assert task is not None
            return task

    return found


async def test_what_is_required_is_ticked_before_it_is_done(
    database: Database, office: Office, make: Make, read: Read
) -> None:
    items = [checklist_rules.item("Call", required=True), checklist_rules.item("Smile")]
    task_id = await make("ivan", checklist=items)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        with pytest.raises(Invalid, match="First tick what is required: Call") as refused:
            await finish_task(session, ivan, task_id, result="", now=LATER)
        assert refused.value.field == "checklist"
        ticked = await tick_item(session, ivan, task_id, 0, done=True, now=LATER, version=1)
        with pytest.raises(Conflict):
            await tick_item(session, ivan, task_id, 1, done=True, now=LATER, version=1)
        version = ticked.version
    async with database.write() as session:
        await undo_act(session, ivan, task_id, version, now=LATER)
        with pytest.raises(Invalid):
            await finish_task(session, ivan, task_id, result="", now=LATER)
        await tick_item(session, ivan, task_id, 0, done=True, now=LATER)
        await finish_task(session, ivan, task_id, result="", now=LATER)
    assert (await read(task_id)).status == "done"


async def test_a_task_that_is_cancelled_needs_no_ticks(database: Database, office: Office, make: Make) -> None:
    task_id = await make("ivan", checklist=[checklist_rules.item("Call", required=True)], repeat=Repeat.DAILY)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        await finish_task(session, ivan, task_id, result="", now=LATER, cancelled=True)
        assert (await session.exec(select(Task).where(Task.follows_id == task_id))).all() == []


async def test_the_next_of_a_repeated_one_is_made_once(database: Database, office: Office, make: Make) -> None:
    items = [checklist_rules.item("Call", required=True, done=True)]
    task_id = await make("ivan", repeat=Repeat.WEEKLY, checklist=items, instruction="By phone.")
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        for _ in range(2):
            await finish_task(session, ivan, task_id, result="", now=LATER)
        following = (await session.exec(select(Task).where(Task.follows_id == task_id))).one()
        assert (following.due_at, following.status) == (LATER + timedelta(days=7), "open")
        assert following.checklist == [checklist_rules.item("Call", required=True)]
        assert (following.repeat, following.instruction) == ("weekly", "By phone.")
        await reopen_task(session, ivan, task_id, now=LATER)
        assert (await session.exec(select(Task).where(Task.follows_id == task_id))).all() == []
        await finish_task(session, ivan, task_id, result="", now=LATER)
        following = (await session.exec(select(Task).where(Task.follows_id == task_id))).one()
        await edit_task(session, ivan, following.id or 0, version=1, now=LATER, note="Changed")
        await reopen_task(session, ivan, task_id, now=LATER)
        await finish_task(session, ivan, task_id, result="", now=LATER)
        assert len((await session.exec(select(Task).where(Task.follows_id == task_id))).all()) == 1


async def test_an_assignment_from_given_to_checked(database: Database, office: Office, make: Make, read: Read) -> None:
    task_id = await make(kind=TaskKind.ASSIGNMENT, assignee_id="ivan")
    assert (await read(task_id)).given_by_id == office.id("maria")
    async with database.write() as session:
        ivan, maria, olena = [await office.viewer(session, name) for name in ("ivan", "maria", "olena")]
        with pytest.raises(NotFound):
            await accept_task(session, olena, task_id, now=NOON)
        with pytest.raises(NotAllowed):
            await accept_task(session, maria, task_id, now=NOON)
        for _ in range(2):
            await accept_task(session, ivan, task_id, now=NOON)
        with pytest.raises(Conflict):
            await approve_task(session, maria, task_id, now=NOON)
        await finish_task(session, ivan, task_id, result="Sent", now=LATER)
        with pytest.raises(NotAllowed):
            await approve_task(session, ivan, task_id, now=LATER)
        with pytest.raises(Invalid, match="still to be done"):
            await return_task(session, maria, task_id, text=" ", now=LATER)
        await return_task(session, maria, task_id, text="Without the price", now=LATER)
        task = await session.get(Task, task_id)
        assert task is not None
        assert (task.status, task.returned_at, task.done_at) == ("open", LATER, None)
        await finish_task(session, ivan, task_id, result="With the price", now=LATER)
        await approve_task(session, maria, task_id, now=LATER)
    async with database.write() as session:
        with pytest.raises(NotAllowed, match="whoever gave it"):
            await reopen_task(session, ivan, task_id, now=LATER)
    checked = await read(task_id)
    assert (checked.status, checked.checked_at, checked.checked_by_id) == ("done", LATER, office.id("maria"))
    assert checked.accepted_at == NOON
    async with database.read() as session:
        thread = await comments_of(session, task_id)
        hints = await session.exec(select(Outbox).where(Outbox.topic == "task").order_by(col(Outbox.id)))
        told = [set(hint.users) for hint in hints.all()]
    assert [each.act for each in thread] == ["given", "accepted", "done", "returned", "done", "checked"]
    assert [each.text for each in thread][3] == "Without the price"
    both = {office.id("ivan"), office.id("maria")}
    assert told
    assert all(both <= each for each in told)
    async with database.write() as session:
        await reopen_task(session, maria, task_id, now=LATER)
    again = await read(task_id)
    assert (again.status, again.checked_at) == ("open", None)


async def test_a_task_that_is_given_on_is_an_assignment_of_whoever_gave_it(
    database: Database, office: Office, make: Make, read: Read
) -> None:
    task_id = await make("ivan")
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        await edit_task(session, ivan, task_id, version=1, now=NOON, assignee_id=office.id("olena"))
    given = await read(task_id)
    assert (given.kind, given.given_by_id, given.assignee_id) == ("assignment", office.id("ivan"), office.id("olena"))
    async with database.write() as session:
        olena = await office.viewer(session, "olena")
        await comment_task(session, olena, task_id, text="Which one?", now=NOON)
        await finish_task(session, olena, task_id, result="", now=LATER)
        await approve_task(session, await office.viewer(session, "ivan"), task_id, now=LATER)
    assert (await read(task_id)).checked_by_id == office.id("ivan")


async def test_putting_off_wants_a_reason_and_the_third_time_is_told_to_the_manager(
    database: Database, office: Office, make: Make, read: Read
) -> None:
    task_id = await make("ivan")
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        with pytest.raises(Invalid, match="Say why"):
            await snooze_task(session, ivan, task_id, until=LATER + timedelta(days=1), why=" ", now=NOON)
        with pytest.raises(Invalid, match="later time"):
            await snooze_task(session, ivan, task_id, until=LATER, why="Busy", now=NOON)
        for day in (1, 2):
            await snooze_task(session, ivan, task_id, until=LATER + timedelta(days=day), why="Busy", now=NOON)
        about = select(Task).where(Task.about == f"postponed:{task_id}")
        assert (await session.exec(about)).all() == []
        third = LATER + timedelta(days=3)
        task = await edit_task(session, ivan, task_id, version=3, now=NOON, due_at=third)
        signal = (await session.exec(about)).one()
        assert (signal.kind, signal.assignee_id) == ("control", office.id("maria"))
        version = task.version
    async with database.write() as session:
        await undo_act(session, ivan, task_id, version, now=NOON)
        assert (await session.exec(about)).all() == []
    found = await read(task_id)
    assert (found.postponed, found.due_at, found.first_due_at) == (2, LATER + timedelta(days=2), LATER)
