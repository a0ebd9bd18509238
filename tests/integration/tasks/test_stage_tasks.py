"""Automatic tasks: once for each entry into the stage, to whom and until when it says, and what becomes of them afterwards."""

from datetime import timedelta

import pytest
from sqlmodel import col, select

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Stage
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.finish_actions import finish_task, reopen_task
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.progress_actions import tick_item
from pbxcrm.tasks.stage_tasks import StageTaskChange, list_stage_tasks, save_stage_tasks, seen_of
from tests.calls import NOON
from tests.office import Office

CHECKLIST = [checklist_rules.item("Write down what they need", required=True)]


async def stage_ids(database: Database) -> list[int]:
    async with database.read() as session:
        found = await session.exec(select(Stage.id).where(Stage.kind == "open").order_by(col(Stage.position)))
        return [each for each in found.all() if each is not None]


async def tasks_of(database: Database, deal_id: int) -> list[Task]:
    async with database.read() as session:
        found = await session.exec(
            select(Task).where(Task.deal_id == deal_id, col(Task.stage_task_id).is_not(None)).order_by(col(Task.id))
        )
        return list(found.all())


async def test_a_deal_gets_them_once_for_each_entry(database: Database, office: Office) -> None:
    first, second, *_ = await stage_ids(database)
    changes = [
        StageTaskChange("Call them", after_minutes=120, checklist=CHECKLIST, instruction="Be kind."),
        StageTaskChange("Look at it", whom="manager", after_minutes=9 * 60, keep=True),
        StageTaskChange("Send the catalogue", whom="user:olena"),
    ]
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        with pytest.raises(NotAllowed):
            await save_stage_tasks(session, await office.viewer(session, "ivan"), second, changes, seen="", now=NOON)
        await save_stage_tasks(session, admin, second, changes, seen="", now=NOON)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        deal = await create_deal(session, ivan, title="Roof", stage_id=first, now=NOON, currency="UAH", region="UA")
        deal_id = deal.id or 0
        await move_deal(session, ivan, deal_id, second, version=None, now=NOON)
    made = await tasks_of(database, deal_id)
    assert [each.title for each in made] == ["Call them", "Look at it", "Send the catalogue"]
    assert [each.assignee_id for each in made] == [office.id(name) for name in ("ivan", "maria", "olena")]
    assert (made[0].checklist, made[0].instruction) == (CHECKLIST, "Be kind.")
    async with database.read() as session:
        calendars = await load_calendars(session, await load_directory(session))
    working = calendars.of_user(office.id("ivan"))
    assert [each.due_at for each in made] == [working.add_minutes(NOON, minutes) for minutes in (120, 540, 0)]
    async with database.write() as session:
        await move_deal(
            session, await office.viewer(session, "ivan"), deal_id, first, version=None, now=NOON + timedelta(hours=1)
        )
    left = await tasks_of(database, deal_id)
    assert [each.status for each in left] == ["cancelled", "open", "cancelled"]
    assert "left the stage" in left[0].result
    async with database.write() as session:
        await move_deal(
            session, await office.viewer(session, "ivan"), deal_id, second, version=None, now=NOON + timedelta(hours=2)
        )
    again = await tasks_of(database, deal_id)
    assert len(again) == 6
    assert len({(each.stage_task_id, each.stage_move_id) for each in again}) == 6


async def test_what_is_taken_away_is_not_made_any_more_and_two_administrators_do_not_overwrite(
    database: Database, office: Office
) -> None:
    [stage_id, *_] = await stage_ids(database)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await save_stage_tasks(session, admin, stage_id, [StageTaskChange("Call")], seen="", now=NOON)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        with pytest.raises(Conflict):
            await save_stage_tasks(session, admin, stage_id, [StageTaskChange("Other")], seen="", now=NOON)
    for wrong, field in (
        (StageTaskChange("x" * 301), "title"),
        (StageTaskChange("Call", whom="user:nobody"), "whom"),
        (StageTaskChange("Call", whom="role:nobody"), "whom"),
        (StageTaskChange("Call", after_minutes=10 * 366 * 24 * 60), "after_minutes"),
        (StageTaskChange("Call", checklist=[checklist_rules.item(f"{n}") for n in range(1000)]), "checklist"),
    ):
        async with database.read() as session:
            seen = seen_of(await list_stage_tasks(session, stage_id))
            with pytest.raises(Invalid) as refused:
                await save_stage_tasks(
                    session, await office.viewer(session, "admin"), stage_id, [wrong], seen=seen, now=NOON
                )
            assert (refused.value.field, refused.value.params["position"]) == (field, 0)
    async with database.write() as session:
        seen = seen_of(await list_stage_tasks(session, stage_id))
        await save_stage_tasks(session, await office.viewer(session, "admin"), stage_id, [], seen=seen, now=NOON)
    async with database.write() as session:
        deal = await create_deal(
            session,
            await office.viewer(session, "ivan"),
            title="Roof",
            stage_id=stage_id,
            now=NOON,
            currency="UAH",
            region="UA",
        )
    assert await tasks_of(database, deal.id or 0) == []


async def test_a_role_of_the_team_is_asked_and_not_the_responsible_themself(database: Database, office: Office) -> None:
    [stage_id, *_] = await stage_ids(database)
    changes = [StageTaskChange("Look over it", whom="role:seller"), StageTaskChange("Listen", whom="role:manager")]
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await save_stage_tasks(session, admin, stage_id, changes, seen=None, now=NOON)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        deal = await create_deal(session, ivan, title="Roof", stage_id=stage_id, now=NOON, currency="UAH", region="UA")
    made = await tasks_of(database, deal.id or 0)
    assert [each.assignee_id for each in made] == [office.id("olena"), office.id("maria")]


async def test_a_joint_task_is_two_halves_and_whoever_does_it_does_it_for_both(
    database: Database, office: Office
) -> None:
    first, second, *_ = await stage_ids(database)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        changes = [StageTaskChange("Agree on the price", whom="joint", checklist=CHECKLIST)]
        await save_stage_tasks(session, admin, first, changes, seen=None, now=NOON)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        deal = await create_deal(session, ivan, title="Roof", stage_id=first, now=NOON, currency="UAH", region="UA")
        deal_id = deal.id or 0
    seller, manager = await tasks_of(database, deal_id)
    assert (seller.assignee_id, manager.assignee_id) == (office.id("ivan"), office.id("maria"))
    assert (manager.part_of_id, manager.checklist) == (seller.id, CHECKLIST)
    async with database.write() as session:
        maria = await office.viewer(session, "maria")
        await tick_item(session, maria, manager.id or 0, 0, done=True, now=NOON)
        await finish_task(session, maria, manager.id or 0, result="20% off", now=NOON)
    seller, manager = await tasks_of(database, deal_id)
    assert (seller.status, manager.status) == ("done", "done")
    assert seller.result == "Maria Manager did it for both."
    async with database.write() as session:
        await reopen_task(session, await office.viewer(session, "maria"), manager.id or 0, now=NOON)
    assert [each.status for each in await tasks_of(database, deal_id)] == ["open", "open"]
    async with database.write() as session:
        await move_deal(session, await office.viewer(session, "ivan"), deal_id, second, version=None, now=NOON)
    assert [each.status for each in await tasks_of(database, deal_id)] == ["cancelled", "cancelled"]
