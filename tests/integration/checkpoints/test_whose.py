"""Who is asked when people leave, change teams or pass deals on: nothing that burns is left with nobody, and no clock stops."""

from datetime import datetime, timedelta

import pytest
from sqlmodel import select

from pbxcrm.access import Viewer
from pbxcrm.calendars.actions import CalendarChange, create_calendar
from pbxcrm.checkpoints.actions import change_checkpoint, create_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.escalation_actions import reassign
from pbxcrm.checkpoints.hours_queries import look_at_pause
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp, LampState
from pbxcrm.checkpoints.pause_actions import pause_deal
from pbxcrm.checkpoints.rules import Rest
from pbxcrm.deals.actions import edit_deal
from pbxcrm.people.actions import edit_user, save_team
from pbxcrm.people.models import Team
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.models import Task
from tests.integration.checkpoints.conftest import DealDesk
from tests.integration.checkpoints.test_engine import DUE

MINUTE = timedelta(minutes=1)


async def change(
    desk: DealDesk, login: str, *, team: str = "Sales", is_active: bool = True, role: str = "seller"
) -> None:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        await edit_user(
            session, admin, desk.office.id(login), name=login.title(), role=role, extensions=[], team=team, is_active=is_active,
            now=DUE + 10 * MINUTE,
        )  # fmt: skip


async def watch(desk: DealDesk, steps: list[StepChange], work: list[str], field: str = "") -> Viewer:
    """A second checkpoint on *Call held*, which has none."""
    admin, stage = await desk.viewer("admin"), await desk.stage("Call held")
    async with desk.database.write() as session:
        new = CheckpointChange("Call", "stage", steps, work=work, stage_id=stage.id, field=field)
        await create_checkpoint(session, admin, new, now=DUE - timedelta(days=9))
    return admin


async def test_what_was_asked_of_somebody_who_leaves_is_asked_of_the_manager_who_then_has_a_pause(
    desk: DealDesk,
) -> None:
    await desk.deal()
    await desk.sweep(DUE)
    await change(desk, "ivan", is_active=False)
    burning = await desk.one_lamp(LampState.BURNING)
    (task,) = await desk.tasks("lamp")
    assert (burning.addressee_id, task.assignee_id) == (desk.office.id("maria"), desk.office.id("maria"))
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 70 * MINUTE


async def test_what_was_asked_of_a_manager_who_leaves_is_asked_of_whoever_sees_the_deal(desk: DealDesk) -> None:
    await desk.deal()
    await desk.sweep(DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    await change(desk, "maria", is_active=False, role="manager")
    (control,) = await desk.tasks("control")
    assert control.assignee_id == desk.office.id("admin")
    assert {lamp.addressee_id for lamp in await desk.lamps()} == {desk.office.id("ivan"), desk.office.id("admin")}


async def test_a_manager_is_never_their_own_manager(desk: DealDesk) -> None:
    """Maria leads her team and has a deal herself: when she leaves it, an administrator is asked."""
    await desk.deal(owner="maria")
    await desk.sweep(DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    assert [task.assignee_id for task in await desk.tasks("control")] == [desk.office.id("admin")]


async def test_another_team_means_its_hours_at_once(desk: DealDesk) -> None:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        other = (await session.exec(select(Team).where(Team.name == "Other"))).one()
        always = CalendarChange("Always", "Europe/Kyiv", ["00:00-24:00"] * 7, team_ids=[other.id or 0])
        await create_calendar(session, admin, always, now=DUE)
    await desk.deal()
    before = (await desk.one_lamp(LampState.ARMED)).due_at
    await change(desk, "ivan", team="Other")
    armed = await desk.one_lamp(LampState.ARMED)
    assert armed.due_at == armed.entered_at + timedelta(minutes=armed.minutes) < before


async def test_whoever_gets_a_deal_has_a_pause_though_the_same_person_stands_in(desk: DealDesk) -> None:
    """Both sellers have left, so Maria is asked for both; the escalation comes again after the deal was given."""
    deal_id = await desk.deal()
    await change(desk, "ivan", is_active=False)
    await desk.sweep(DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    maria = await desk.viewer("maria")
    (lamp,) = [each for each in await desk.lamps() if each.is_escalation]
    given = DUE + 70 * MINUTE
    async with desk.database.write() as session:
        await reassign(session, maria, lamp.id or 0, desk.office.id("olena"), now=given)
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.deal_id, armed.step, armed.due_at) == (deal_id, 1, given + 60 * MINUTE)


async def test_a_manager_who_is_asked_first_and_gives_the_deal_away_is_asked_again(desk: DealDesk) -> None:
    await watch(desk, [StepChange(60, "manager", "control")], ["talked"])
    await desk.deal("Call held", at=DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    lamp = await desk.one_lamp(LampState.BURNING)
    maria, given = await desk.viewer("maria"), DUE + 90 * MINUTE
    async with desk.database.write() as session:
        await reassign(session, maria, lamp.id or 0, desk.office.id("olena"), now=given)
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.entered_at, armed.due_at, armed.owner_id) == (given, given + 60 * MINUTE, desk.office.id("olena"))


async def edit(desk: DealDesk, admin: Viewer, deal_id: int, at: datetime, **values: str) -> None:
    async with desk.database.write() as session:
        await edit_deal(session, admin, deal_id, version=None, now=at, values=values)


async def test_a_field_that_is_filled_puts_the_lamp_out_with_the_change(desk: DealDesk) -> None:
    admin = await watch(desk, [StepChange(60, "responsible", "task")], ["field_filled"], "amount")
    deal_id = await desk.deal("Call held", at=DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    for values, burns in (({"title": "Better"}, 1), ({"amount": "0"}, 1), ({"amount": "12"}, 0)):
        await edit(desk, admin, deal_id, DUE + 61 * MINUTE, **values)
        assert len(await desk.lamps(LampState.BURNING)) == burns, values
    assert (await desk.one_lamp(LampState.OUT)).out_reason["code"] == "lamp.out_filled"


async def test_where_only_a_field_is_asked_for_nothing_is_watched_while_it_is_filled(desk: DealDesk) -> None:
    admin = await watch(desk, [StepChange(60, "responsible", "task")], ["stage_moved", "field_filled"], "amount")
    deal_id = await desk.deal("Call held", at=DUE)
    await edit(desk, admin, deal_id, DUE + 30 * MINUTE, amount="12")
    assert await desk.lamps() == []
    await edit(desk, admin, deal_id, DUE + 40 * MINUTE, amount="15")  # another amount is no filling
    assert await desk.lamps() == []
    await edit(desk, admin, deal_id, DUE + 50 * MINUTE, amount="")  # the clock goes on where it stood
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 80 * MINUTE
    await desk.sweep(DUE + 80 * MINUTE)
    for second, amount in ((1, "12"), (2, "")):  # two clicks do not silence it
        await edit(desk, admin, deal_id, DUE + 80 * MINUTE + timedelta(seconds=second), amount=amount)
    assert (await desk.one_lamp(LampState.BURNING)).due_at == DUE + 80 * MINUTE
    await edit(desk, admin, deal_id, DUE + 90 * MINUTE, amount="12")
    await desk.move(deal_id, "Proposal sent", DUE + 91 * MINUTE)
    await desk.move(deal_id, "Call held", DUE + 92 * MINUTE)  # enters it filled
    assert [lamp for lamp in await desk.lamps(LampState.ARMED) if lamp.step == 0 and lamp.minutes == 60] == []


async def test_a_pause_stops_the_clock_of_a_checkpoint_that_only_asks_for_a_field(desk: DealDesk) -> None:
    """Filled and emptied in the pause: no minute is left out twice. What a pause would do says the same beforehand."""
    admin = await watch(desk, [StepChange(60, "responsible", "task")], ["field_filled"], "amount")
    deal_id = await desk.deal("Call held", at=DUE)
    await edit(desk, admin, deal_id, DUE + 5 * MINUTE, amount="12")
    await edit(desk, admin, deal_id, DUE + 10 * MINUTE, amount="")
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 65 * MINUTE
    until = DUE + 50 * MINUTE
    async with desk.database.read() as session:
        look = await look_at_pause(session, deal_id, (Rest(DUE + 20 * MINUTE, until),))
    assert (look.now_at, look.then_at) == (DUE + 65 * MINUTE, DUE + 95 * MINUTE)
    async with desk.database.write() as session:
        await pause_deal(session, admin, deal_id, until, "On holiday", now=DUE + 20 * MINUTE)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 95 * MINUTE
    await edit(desk, admin, deal_id, DUE + 30 * MINUTE, amount="12")
    await edit(desk, admin, deal_id, DUE + 60 * MINUTE, amount="")  # ten minutes after the end of the pause
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 105 * MINUTE
    assert await desk.sweep(DUE + 104 * MINUTE) == 0
    assert await desk.sweep(DUE + 105 * MINUTE) == 1


async def test_a_filling_beside_other_work_restarts_the_clock_once(desk: DealDesk) -> None:
    admin = await watch(desk, [StepChange(60, "responsible", "task")], ["talked", "field_filled"], "amount")
    deal_id = await desk.deal("Call held", at=DUE)
    await edit(desk, admin, deal_id, DUE + 30 * MINUTE, amount="12")
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 90 * MINUTE
    await edit(desk, admin, deal_id, DUE + 40 * MINUTE, amount="15")
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 90 * MINUTE
    await edit(desk, admin, deal_id, DUE + 50 * MINUTE, amount="")  # taken back: it was no work
    assert (await desk.one_lamp(LampState.ARMED)).due_at == DUE + 60 * MINUTE


async def test_a_move_puts_out_the_lamp_of_a_date_where_it_counts_as_work(desk: DealDesk) -> None:
    admin = await desk.viewer("admin")
    for work in (["stage_moved"], ["talked"]):
        change = CheckpointChange(
            "Event", "date", [StepChange(None, "responsible", "task")], work, field="event_at", pipeline_id=1
        )
        async with desk.database.write() as session:
            await create_checkpoint(session, admin, change, now=DUE)
    deal_id = await desk.deal("Call held", at=DUE)
    await edit(desk, admin, deal_id, DUE, event_at=(DUE + 10 * MINUTE).isoformat())
    await desk.sweep(DUE + 10 * MINUTE)
    assert len([lamp for lamp in await desk.lamps(LampState.BURNING) if lamp.minutes == 0]) == 2
    await desk.move(deal_id, "Proposal sent", DUE + 20 * MINUTE)
    burning = [lamp for lamp in await desk.lamps(LampState.BURNING) if lamp.minutes == 0]
    out = await desk.one_lamp(LampState.OUT)
    assert (len(burning), out.out_reason["code"], out.out_by_id) == (1, "lamp.out_stage", desk.office.id("ivan"))


async def test_a_deal_that_is_given_leaves_the_shared_task_of_late_lamps(desk: DealDesk) -> None:
    deals = [await desk.deal(number=f"+38067111{number:04}") for number in range(12)]
    late = DUE + timedelta(days=3)
    await desk.sweep(late)
    (shared,) = await desk.tasks("lamp")
    for number, deal_id in enumerate(deals):
        await desk.give(deal_id, "olena", late + (number + 1) * MINUTE)
    open_tasks = await desk.tasks("lamp")
    assert {task.assignee_id for task in open_tasks} == {desk.office.id("olena")}
    assert {task.deal_id for task in open_tasks} == set(deals)
    assert shared.id not in {task.id for task in open_tasks}
    lamps = await desk.lamps(LampState.BURNING)
    assert {lamp.task_id for lamp in lamps} == {task.id for task in open_tasks}


async def test_nobody_leads_the_team_and_only_another_team_has_a_manager(desk: DealDesk) -> None:
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        sales = (await session.exec(select(Team).where(Team.name == "Sales"))).one()
        await save_team(session, admin, name="Sales", manager_id=None, now=DUE, team_id=sales.id)
    await change(desk, "maria", is_active=False, role="manager")
    await desk.deal()
    await desk.sweep(DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    assert [task.assignee_id for task in await desk.tasks("control")] == [desk.office.id("admin")]


async def test_who_cannot_work_on_a_deal_is_not_asked_though_it_is_stored(desk: DealDesk) -> None:
    """Steps that were stored before they were refused: a seller, quality control, a manager of another team."""
    await watch(desk, [StepChange(60, "manager", "control")], ["talked"])
    await desk.deal("Call held", at=DUE)
    for whom, asked in (("user:olena", "maria"), ("role:qc", "maria"), ("user:oksana", "maria"), ("user:ivan", "ivan")):
        async with desk.database.write() as session:
            row = (await session.exec(select(Checkpoint).where(Checkpoint.name == "Call"))).one()
            step = (await session.exec(select(CheckpointStep).where(CheckpointStep.checkpoint_id == row.id))).one()
            step.whom = whom
        await desk.sweep(DUE + 60 * MINUTE)
        lamp = await desk.one_lamp(LampState.BURNING)
        assert lamp.addressee_id == desk.office.id(asked), whom
        because = [each["code"] for each in lamp.reason.get("because", ())]
        assert ("lamp.to_cannot" in because) is (whom != "user:ivan"), whom
        async with desk.database.write() as session:
            burning = await session.get_one(Lamp, lamp.id)
            burning.state, burning.lit_at, burning.due_at = LampState.ARMED.value, None, DUE + 60 * MINUTE
            for task in (await session.exec(select(Task).where(Task.deal_id == lamp.deal_id))).all():
                task.status = "cancelled"
            for armed in (await session.exec(select(Lamp).where(Lamp.state == "armed", Lamp.id != lamp.id))).all():
                await session.delete(armed)


async def test_a_manager_of_another_team_is_refused_where_their_deals_are_watched_too(desk: DealDesk) -> None:
    await desk.deal("Call held", at=DUE)
    with pytest.raises(Invalid) as refused:
        await watch(desk, [StepChange(60, "responsible", "task"), StepChange(60, "user:oksana", "control")], ["talked"])
    assert (refused.value.code, refused.value.params["position"]) == ("checkpoints.other_team", 1)
    assert refused.value.params["team"] == "Sales"
    await watch(desk, [StepChange(60, "user:maria", "control")], ["talked"])  # she sees all deals that are there


async def test_what_is_stored_and_cannot_work_may_be_switched_off(desk: DealDesk) -> None:
    admin = await watch(desk, [StepChange(60, "manager", "control")], ["talked"])
    async with desk.database.write() as session:
        row = (await session.exec(select(Checkpoint).where(Checkpoint.name == "Call"))).one()
    steps, stage_id = [StepChange(60, "user:olena", "task")], row.stage_id
    for is_active in (False, True):
        change = CheckpointChange("Call", "stage", steps, work=["talked"], stage_id=stage_id, is_active=is_active)
        async with desk.database.write() as session:
            if is_active:
                with pytest.raises(Invalid):
                    await change_checkpoint(session, admin, row.id or 0, change, now=DUE)
            else:
                await change_checkpoint(session, admin, row.id or 0, change, now=DUE)
