"""A stage's norm lights a lamp, a pause later the manager's; only work puts them out. Wednesday 14:00 in Kyiv, 9 to 18."""

from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.checkpoints.models import LampState
from pbxcrm.deals.pipeline_actions import change_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.shared.errors import Invalid
from tests.integration.checkpoints.conftest import DealDesk

MINUTE = timedelta(minutes=1)
# 27 working hours after Wednesday 14:00 in Kyiv are over on Saturday's eve: Wed 4 h, Thu 9 h, Fri 9 h, Mon 5 h.
DUE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


async def test_the_norm_of_a_stage_lights_for_the_responsible_then_for_the_manager(desk: DealDesk) -> None:
    deal_id = await desk.deal()
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.due_at, armed.minutes, armed.deal_id) == (DUE, 27 * 60, deal_id)
    assert await desk.sweep(DUE - MINUTE) == 0
    assert await desk.sweep(DUE) == 1
    assert await desk.sweep(DUE) == 0
    burning = await desk.one_lamp(LampState.BURNING)
    task = (await desk.tasks("lamp"))[0]
    assert (burning.addressee_id, burning.lit_at, burning.task_id) == (desk.office.id("ivan"), DUE, task.id)
    assert (task.assignee_id, task.due_at, task.deal_id) == (desk.office.id("ivan"), DUE, deal_id)
    following = await desk.one_lamp(LampState.ARMED)
    assert (following.step, following.due_at) == (1, DUE + 60 * MINUTE)
    assert await desk.sweep(DUE + 60 * MINUTE) == 1
    control = (await desk.tasks("control"))[0]
    assert (control.assignee_id, control.part_of_id) == (desk.office.id("maria"), task.id)
    assert not await desk.lamps(LampState.ARMED)


async def test_a_conversation_puts_out_what_burns_and_starts_the_clock_anew(desk: DealDesk) -> None:
    await desk.deal()
    await desk.sweep(DUE)
    await desk.sweep(DUE + 60 * MINUTE)
    at = DUE + 90 * MINUTE
    await desk.talk(at, 10)  # too short to count
    assert len(await desk.lamps(LampState.BURNING)) == 2
    await desk.talk(at, 60)
    assert not await desk.lamps(LampState.BURNING)
    assert {lamp.out_by_id for lamp in await desk.lamps(LampState.OUT)} == {desk.office.id("ivan")}
    assert not await desk.tasks("lamp")
    assert not await desk.tasks("control")
    armed = await desk.one_lamp(LampState.ARMED)
    assert armed.entered_at == at + timedelta(seconds=60)


async def test_a_move_forgets_the_old_stage_and_arms_the_new_one(desk: DealDesk) -> None:
    deal_id = await desk.deal()
    await desk.sweep(DUE)
    await desk.move(deal_id, "Invoice issued", DUE + MINUTE)
    (lamp,) = await desk.lamps(LampState.OUT)
    assert (lamp.out_reason["code"], lamp.out_by_id) == ("lamp.out_moved", desk.office.id("ivan"))
    armed = await desk.one_lamp(LampState.ARMED)
    assert armed.entered_at == DUE + MINUTE
    await desk.move(deal_id, "Call held", DUE + 2 * MINUTE)  # nobody waits there
    assert not await desk.lamps(LampState.ARMED)


async def test_a_dated_next_task_keeps_silence_until_its_first_date_however_often_it_is_put_off(desk: DealDesk) -> None:
    deal_id = await desk.deal()
    await desk.sweep(DUE)
    planned = DUE + timedelta(days=1)
    task_id = await desk.plan(deal_id, planned, DUE + MINUTE)
    assert (await desk.one_lamp(LampState.OUT)).out_reason["code"] == "lamp.out_planned"
    assert (await desk.one_lamp(LampState.ARMED)).entered_at == planned
    viewer = await desk.viewer("ivan")
    from pbxcrm.tasks.actions import edit_task

    async with desk.database.write() as session:
        await edit_task(
            session, viewer, task_id, version=None, now=DUE + 2 * MINUTE, due_at=planned + timedelta(days=9)
        )
    assert (await desk.one_lamp(LampState.ARMED)).entered_at == planned


async def test_a_burning_lamp_goes_to_the_new_responsible_whose_pause_begins_anew(desk: DealDesk) -> None:
    deal_id = await desk.deal()
    await desk.sweep(DUE)
    given = DUE + 30 * MINUTE
    await desk.give(deal_id, "olena", given)
    burning = await desk.one_lamp(LampState.BURNING)
    assert (burning.addressee_id, burning.lit_at, burning.asked_at) == (desk.office.id("olena"), DUE, given)
    assert (await desk.tasks("lamp"))[0].assignee_id == desk.office.id("olena")
    assert (await desk.one_lamp(LampState.ARMED)).due_at == given + 60 * MINUTE


async def test_late_lamps_of_one_person_are_one_task(desk: DealDesk) -> None:
    for number in range(15):
        await desk.deal(number=f"+38067111{number:04}")
    monday = DUE + timedelta(days=3)
    assert await desk.sweep(monday) == 15
    burning = await desk.lamps(LampState.BURNING)
    (task,) = await desk.tasks("lamp")
    assert {lamp.task_id for lamp in burning} == {task.id}
    assert len(task.note.splitlines()) == 15
    for number in range(15):
        await desk.talk(monday + MINUTE, 60, client=f"+38067111{number:04}")
    assert not await desk.tasks("lamp")


async def test_the_task_of_many_late_lamps_counts_those_that_still_burn(desk: DealDesk) -> None:
    deals = [await desk.deal(number=f"+38067111{number:04}") for number in range(12)]
    monday = DUE + timedelta(days=3)
    assert await desk.sweep(monday) == 12

    async def counted() -> list[str]:
        titles = [task.title for task in await desk.tasks("lamp")]
        return sorted(title for title in titles if "waited longer" in title)

    assert await counted() == ["12 clients have waited longer than the norm"]
    await desk.talk(monday + MINUTE, 60, client="+380671110000")  # one goes out by work
    assert await counted() == ["11 clients have waited longer than the norm"]
    await desk.give(deals[1], "olena", monday + 5 * MINUTE)  # one is given away, with a task of its own
    assert await counted() == ["10 clients have waited longer than the norm"]
    await desk.move(deals[2], "Invoice issued", monday + 6 * MINUTE)
    assert await counted() == ["9 clients have waited longer than the norm"]
    for number in range(3, 12):
        await desk.move(deals[number], "Invoice issued", monday + 7 * MINUTE)
    assert await counted() == []


async def test_nothing_is_asked_twice_whatever_the_clock_does(desk: DealDesk) -> None:
    await desk.deal()
    for at in (DUE, DUE - timedelta(hours=1), DUE + timedelta(minutes=30), DUE):
        await desk.sweep(at)
    assert len(await desk.tasks("lamp")) == 1


async def test_a_next_task_counts_for_at_most_as_long_as_the_pipeline_allows(desk: DealDesk) -> None:
    """A task of twenty years would otherwise silence the deal for twenty years."""
    deal_id = await desk.deal()
    planned = DUE - timedelta(days=3)
    task_id = await desk.plan(deal_id, datetime(2046, 11, 30, 10, tzinfo=UTC), planned)
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.entered_at, armed.entry.endswith(f"task:{task_id}")) == (planned + timedelta(days=90), True)
    admin = await desk.viewer("admin")
    later = DUE + timedelta(days=7)
    for days, now, entered in ((10, DUE, planned + timedelta(days=10)), (1, later, later)):  # it lights nothing at once
        async with desk.database.write() as session:
            await change_pipeline(session, admin, 1, PipelineChange(longest_plan_days=days), now=now)
        armed = await desk.one_lamp(LampState.ARMED)
        assert (armed.entered_at, armed.due_at > now) == (entered, True), days
    with pytest.raises(Invalid) as refused:
        async with desk.database.write() as session:
            await change_pipeline(session, admin, 1, PipelineChange(longest_plan_days=0), now=DUE)
    assert refused.value.field == "longest_plan_days"
