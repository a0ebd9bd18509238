"""Rules on dates, days, silence and overdue tasks: each has a timer, which follows what it depends on."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select

from pbxcrm.automation.arming import OF_DEAL, OF_TASK
from pbxcrm.automation.models import RuleState
from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.undo_actions import undo_run
from pbxcrm.contacts.actions import create_contact
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.timers import Timer
from pbxcrm.tasks.models import Task
from tests.calls import NOON, batch, outbound
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk

DAY = timedelta(days=1)
KYIV = ZoneInfo("Europe/Kyiv")
NOTE = {"kind": "note", "text": "It is time"}


async def due(desk: RuleDesk) -> list[str]:
    """The keys of timers that are still to fire."""
    async with desk.database.read() as session:
        rows = await session.exec(
            select(Timer.key).where(col(Timer.done_at).is_(None), col(Timer.kind).in_([OF_DEAL, OF_TASK]))
        )
        return sorted(rows.all())


async def test_a_date_is_told_of_before_it_comes_once(desk: RuleDesk) -> None:
    rule_id = await desk.rule({"kind": "date", "field": "event_at", "days": -2}, NOTE)
    deal_id = await desk.deal()
    await desk.edit(deal_id, event_at=desk.now + 5 * DAY)
    await desk.tick()
    assert await due(desk) == [f"automation:{rule_id}:{deal_id}"]
    await desk.edit(deal_id, event_at=desk.now + 6 * DAY)
    await desk.tick()
    await desk.tick(3 * DAY)
    assert not await desk.runs(), "the date has moved"
    await desk.tick(DAY)
    (run,) = await desk.runs()
    assert (run.status, run.act, run.deal_id) == ("done", "time.date", deal_id)
    async with desk.database.write() as session:  # another version sets the timers of all deals
        viewer = await desk.office.viewer(session, "admin")
        draft = RuleDraft(
            name="Rule",
            owner_id=desk.office.id("admin"),
            when={"kind": "date", "field": "event_at", "days": -3},
            steps=[NOTE],
            state=RuleState.ON.value,
        )
        await save_rule(session, viewer, rule_id, draft, version=None, region=REGION, now=desk.now)
    await desk.tick()
    await desk.tick(DAY)
    assert len(await desk.runs()) == 1, "of one date it is told once"


async def test_an_emptied_or_past_date_is_told_to_nobody(desk: RuleDesk) -> None:
    await desk.rule({"kind": "date", "field": "event_at", "time": "10:00"}, NOTE)
    emptied, past = await desk.deal(), await desk.deal(second=True)
    await desk.edit(emptied, event_at=desk.now + 5 * DAY)
    await desk.edit(past, event_at=desk.now - DAY)
    await desk.tick()
    assert len(await due(desk)) == 1
    await desk.edit(emptied, event_at=None)
    await desk.tick()
    assert not await due(desk)
    await desk.tick(9 * DAY)
    assert not await desk.runs()


async def test_a_new_rule_takes_the_dates_that_are_there_and_an_undo_brings_a_date_back(desk: RuleDesk) -> None:
    deal_id = await desk.deal()
    await desk.edit(deal_id, event_at=desk.now + 5 * DAY)
    rule_id = await desk.rule({"kind": "date", "field": "event_at"}, NOTE)
    await desk.rule(
        {"kind": "field_changed", "fields": ["title"]}, {"kind": "field", "field": "event_at", "value": None}
    )
    await desk.tick()
    key = f"automation:{rule_id}:{deal_id}"
    assert await due(desk) == [key]
    await desk.edit(deal_id, title="Never mind")
    await desk.tick()
    await desk.tick()  # the rule's own act is an event, too
    assert not await due(desk)
    (run,) = await desk.runs()
    async with desk.database.write() as session:
        assert not await undo_run(session, await desk.office.viewer(session, "ivan"), run.id or 0, desk.now)
    await desk.tick()
    assert await due(desk) == [key]
    assert len(await desk.runs()) == 1, "no rule hears an undo"


async def test_once_a_day_each_open_deal_whose_condition_holds(desk: RuleDesk) -> None:
    asked = {"field": "amount", "op": ">=", "value": "1000"}
    await desk.rule(
        {"kind": "daily", "time": "18:00", "stage_id": desk.stages["Invoice issued"]}, NOTE, conditions=asked
    )
    large, small, elsewhere = [await desk.deal(second=True) for _ in range(3)]
    for deal_id, amount in ((large, 2000), (small, 10), (elsewhere, 3000)):
        await desk.edit(deal_id, amount=Decimal(amount))
    for deal_id in (large, small):
        await desk.move(deal_id, "Invoice issued")
    await desk.tick()
    assert not await desk.runs()
    for _ in range(2):
        await desk.tick(DAY)
    assert [(run.deal_id, run.status, run.act) for run in await desk.runs()] == 2 * [(large, "done", "time.day")]


async def born(desk: RuleDesk, *days: timedelta) -> list[int]:
    """Clients whose birthday is so many days from now."""
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        made = [
            await create_contact(
                session, viewer, name="Petro", now=desk.now, region=REGION, birthday=f"{desk.now + each:%d.%m}.1990"
            )
            for each in days
        ]
    return [each.id or 0 for each in made]


async def test_days_of_a_pause_of_the_server_are_caught_up_each_once(desk: RuleDesk) -> None:
    """The server is off for two days, and on again two minutes before the time of the rule; later its time is changed."""
    asked = {"kind": "birthday", "time": f"{NOON.astimezone(KYIV) + timedelta(minutes=2):%H:%M}"}
    rule_id = await desk.rule(asked, NOTE, A_TASK)
    first, second, third = await born(desk, DAY, 2 * DAY, 3 * DAY)
    await desk.tick(timedelta(minutes=3))
    await desk.tick(3 * DAY - timedelta(minutes=5))
    assert [run.contact_id for run in await desk.runs()] == [first, second]
    await desk.tick(timedelta(minutes=5))
    assert [run.contact_id for run in await desk.runs()] == [first, second, third]
    later = asked | {"time": f"{NOON.astimezone(KYIV) + timedelta(hours=1):%H:%M}"}
    await desk.rule(later, NOTE, A_TASK, rule_id=rule_id)
    await desk.tick(timedelta(hours=2))
    await desk.tick(DAY)
    assert [run.contact_id for run in await desk.runs()] == [first, second, third]


async def test_a_rule_saved_before_the_worker_is_back_loses_no_day(desk: RuleDesk) -> None:
    rule_id = await desk.rule({"kind": "birthday", "time": "18:00"}, A_TASK)
    (client,) = await born(desk, DAY)
    desk.now += 3 * DAY
    await desk.rule({"kind": "birthday", "time": "18:00"}, A_TASK, rule_id=rule_id)
    await desk.tick()
    assert [run.contact_id for run in await desk.runs()] == [client]


async def test_once_a_day_takes_the_last_of_several_missed_days(desk: RuleDesk) -> None:
    await desk.rule({"kind": "daily", "time": "18:00"}, NOTE)
    deal_id = await desk.deal()
    await desk.tick(DAY)
    await desk.tick(4 * DAY)
    day = (desk.now - DAY).date().isoformat()
    assert [run.deal_id for run in await desk.runs()] == [deal_id, deal_id]
    assert (await desk.runs())[-1].event["day"] == day
    await desk.tick(DAY)
    assert len(await desk.runs()) == 3


async def test_silence_is_told_once_and_broken_by_work(desk: RuleDesk) -> None:
    await desk.rule({"kind": "silence", "days": 3}, NOTE)
    deal_id = await desk.deal()
    await desk.tick()
    await desk.tick(2 * DAY)
    await desk.edit(deal_id, source="Fair")
    await desk.tick(2 * DAY)
    assert not await desk.runs()
    for _ in range(3):
        await desk.tick(2 * DAY)
    assert [(run.deal_id, run.act) for run in await desk.runs()] == [(deal_id, "time.silence")]
    await desk.edit(deal_id, source="Shop")
    for _ in range(4):
        await desk.tick(2 * DAY)
    assert len(await desk.runs()) == 2, "another silence"


async def test_a_task_that_is_not_done_in_time(desk: RuleDesk) -> None:
    await desk.rule({"kind": "field_changed", "fields": ["title"]}, A_TASK)
    rule_id = await desk.rule({"kind": "task_overdue"}, NOTE)
    deal_id, done = await desk.deal(), await desk.deal(second=True)
    for each in (deal_id, done):
        await desk.edit(each, title="New")
    await desk.tick()
    await desk.tick()
    assert len(await due(desk)) == 2
    async with desk.database.write() as session:
        for task in (await session.exec(select(Task).where(Task.deal_id == done))).all():
            task.status = "done"
    await desk.tick(DAY)
    assert [(run.deal_id, run.status) for run in await desk.runs(rule_id)] == [(deal_id, "done")]


async def test_the_second_time_in_a_row_that_the_client_is_not_reached(desk: RuleDesk, intake: Intake) -> None:
    rule_id = await desk.rule({"kind": "not_reached", "attempt": 2}, NOTE)
    deal_id = await desk.deal(client_number="+380671112233")
    for number in range(3):
        await intake.apply(batch(outbound(f"18.{number}", "101", at=NOON + timedelta(minutes=number)).wait(20).end()))
    await desk.work()
    assert [(run.deal_id, run.status) for run in await desk.runs(rule_id)] == [(deal_id, "done")]


@pytest.mark.parametrize(("amounts", "times"), [((900, 1500, 2000), 1), ((900, 999), 0), ((1500, 10, 1000), 2)])
async def test_a_sum_is_reached_from_below(desk: RuleDesk, amounts: tuple[int, ...], times: int) -> None:
    await desk.rule({"kind": "sum_reached", "amount": "1000"}, NOTE)
    deal_id = await desk.deal()
    await desk.work()  # of a new deal the amount is read when it is heard of
    for amount in amounts:
        await desk.edit(deal_id, amount=Decimal(amount))
    await desk.deal(second=True, values={"amount": Decimal(5000)})
    await desk.work()
    assert len(await desk.runs()) == times + 1, "a new deal may begin with it"


async def test_a_wait_lets_so_many_go_on_on_a_day(desk: RuleDesk) -> None:
    """Seven refusals at once, three a day: also those that are handled in one transaction, and a later one stands behind them."""
    await desk.rule(
        {"kind": "stage_entered", "stage_id": desk.stages["Lost"]}, {"kind": "wait", "minutes": 60, "per_day": 3}, NOTE
    )
    deals = [await desk.deal(second=True) for _ in range(8)]
    for deal_id in deals[:7]:
        await desk.move(deal_id, "Lost", login="admin", lost_reason="Too dear")
    await desk.work()
    await desk.move(deals[7], "Lost", login="admin", lost_reason="Too dear")
    await desk.work()
    went: list[int] = []
    for after in (timedelta(hours=2), DAY, DAY, DAY):
        await desk.work(after)
        went.append(sum(run.status == "done" for run in await desk.runs()))
    assert went == [3, 6, 8, 8]


async def test_what_went_on_today_counts(desk: RuleDesk) -> None:
    await desk.rule(
        {"kind": "stage_entered", "stage_id": desk.stages["Lost"]}, {"kind": "wait", "minutes": 1, "per_day": 1}, NOTE
    )
    for _ in range(2):
        await desk.move(await desk.deal(second=True), "Lost", login="admin", lost_reason="Too dear")
        await desk.work()
        await desk.work(timedelta(minutes=2))
    assert [run.status for run in await desk.runs()] == ["done", "waiting"]


async def test_a_pause_lets_no_more_go_on_on_a_day(desk: RuleDesk) -> None:
    """Three waits end while the rule pauses, and all may go on at its end."""
    rule_id = await desk.rule(
        {"kind": "stage_entered", "stage_id": desk.stages["Lost"]}, {"kind": "wait", "minutes": 1, "per_day": 1}, NOTE
    )
    for _ in range(3):
        await desk.move(await desk.deal(second=True), "Lost", login="admin", lost_reason="Too dear")
    await desk.work()
    await desk.change(rule_id, paused_until=desk.now + 7 * DAY)
    await desk.work(6 * DAY)
    went = [sum(run.status == "done" for run in await desk.runs())]
    for after in (timedelta(days=1, hours=1), DAY, DAY):
        await desk.work(after)
        went.append(sum(run.status == "done" for run in await desk.runs()))
    assert went == [0, 1, 2, 3]
