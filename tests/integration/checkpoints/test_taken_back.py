"""An ending that is taken back: the checkpoint or the norm was off for a moment, or the work was cancelled. Nobody is forgotten by it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.checkpoints.actions import change_checkpoint, delete_checkpoint
from pbxcrm.checkpoints.burning_queries import paces
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, LampState
from pbxcrm.checkpoints.preview_jobs import try_change
from pbxcrm.deals.pipeline_actions import change_stage, split_stage
from pbxcrm.deals.pipeline_drafts import StageChange
from pbxcrm.shared import reasons
from pbxcrm.tasks.actions import edit_task
from pbxcrm.tasks.finish_actions import finish_task
from tests.integration.checkpoints.conftest import DealDesk

MINUTE = timedelta(minutes=1)
DUE = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)  # see test_engine
LATER = DUE + 60 * MINUTE


async def _checkpoint(desk: DealDesk) -> tuple[Checkpoint, CheckpointChange]:
    """The checkpoint of "Proposal sent" as it is."""
    stage = await desk.stage("Proposal sent")
    row = next(each for each in await desk.rows(Checkpoint) if each.stage_id == stage.id)
    steps = [each for each in await desk.rows(CheckpointStep) if each.checkpoint_id == row.id]
    said = [StepChange(each.after_minutes, each.whom, each.what) for each in steps]
    return row, CheckpointChange(row.name, row.trigger, said, row.work, stage_id=stage.id, talked_seconds=30)


async def switch(desk: DealDesk, at: datetime, *, on: bool, begin_now: bool = False) -> None:
    row, change = await _checkpoint(desk)
    new, admin = replace(change, is_active=on, begin_now=begin_now), await desk.viewer("admin")
    async with desk.database.write() as session:
        await change_checkpoint(session, admin, row.id or 0, new, now=at)


async def set_norm(desk: DealDesk, at: datetime, minutes: int | None) -> None:
    stage, admin = await desk.stage("Proposal sent"), await desk.viewer("admin")
    async with desk.database.write() as session:
        change = StageChange(norm_minutes=minutes) if minutes else StageChange(unset=frozenset({"norm_minutes"}))
        await change_stage(session, admin, stage.id or 0, change, now=at)


async def _burn(desk: DealDesk) -> int:
    """A deal whose seller and manager are asked."""
    deal_id = await desk.deal()
    await desk.sweep(DUE)
    await desk.sweep(LATER)
    assert len(await desk.lamps(LampState.BURNING)) == 2
    return deal_id


async def test_a_checkpoint_that_was_off_watches_its_deals_as_before(desk: DealDesk) -> None:
    await _burn(desk)
    before = {lamp.id: (lamp.lit_at, lamp.asked_at, lamp.task_id) for lamp in await desk.lamps()}
    await switch(desk, LATER + MINUTE, on=False)
    out = await desk.lamps(LampState.OUT)
    assert len(out) == 2
    assert {lamp.out_by_id for lamp in out} == {None}
    row, _ = await _checkpoint(desk)
    assert {reasons.text(lamp.out_reason) for lamp in out} == {f"Admin switched off the checkpoint “{row.name}”."}
    assert not [*await desk.tasks("lamp"), *await desk.tasks("control")]
    async with desk.database.read() as session:
        reacted = await paces(session, await desk.viewer("maria"), DUE)
    assert not [each for pace in reacted.values() for each in pace.reactions]
    await switch(desk, LATER + 5 * MINUTE, on=True)
    burning = await desk.lamps(LampState.BURNING)
    assert {lamp.id: (lamp.lit_at, lamp.asked_at, lamp.task_id) for lamp in burning} == before
    assert {lamp.out_at for lamp in burning} == {None}
    assert len(await desk.tasks("lamp")) == len(await desk.tasks("control")) == 1
    await desk.talk(LATER + 6 * MINUTE)
    assert not await desk.lamps(LampState.BURNING)


async def test_a_checkpoint_that_begins_when_it_is_switched_on_keeps_what_burned_as_history(desk: DealDesk) -> None:
    await _burn(desk)
    for minute in (1, 20):  # twice: the history of both times has its own names
        await switch(desk, LATER + minute * MINUTE, on=False)
        await switch(desk, LATER + (minute + 1) * MINUTE, on=True, begin_now=True)
    assert len(await desk.lamps(LampState.OUT)) == 2
    armed = await desk.one_lamp(LampState.ARMED)
    assert armed.entered_at == LATER + 21 * MINUTE
    assert await desk.sweep(armed.due_at) == 1
    await switch(desk, armed.due_at + MINUTE, on=False)
    await switch(desk, armed.due_at + 2 * MINUTE, on=True, begin_now=True)
    assert len(await desk.lamps(LampState.OUT)) == 3
    assert len(await desk.lamps(LampState.ARMED)) == 1


async def test_a_norm_that_was_gone_for_a_moment_forgets_nobody(desk: DealDesk) -> None:
    await _burn(desk)
    norm = (await desk.stage("Proposal sent")).norm_minutes
    await set_norm(desk, LATER + MINUTE, None)
    out = await desk.lamps(LampState.OUT)
    assert {lamp.out_by_id for lamp in out} == {None}
    assert {reasons.text(lamp.out_reason) for lamp in out} == {"Admin removed the norm of “Proposal sent”."}
    await set_norm(desk, LATER + 2 * MINUTE, norm)
    assert len(await desk.lamps(LampState.BURNING)) == 2


async def test_a_deleted_checkpoint_says_who_deleted_it(desk: DealDesk) -> None:
    await _burn(desk)
    row, _ = await _checkpoint(desk)
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        await delete_checkpoint(session, admin, row.id or 0, now=LATER + MINUTE)
    out = await desk.lamps(LampState.OUT)
    assert {(lamp.out_by_id, lamp.out_reason["code"]) for lamp in out} == {(None, "lamp.out_removed")}


async def test_a_deal_that_moved_while_its_checkpoint_was_off_has_moved(desk: DealDesk) -> None:
    deal_id = await _burn(desk)
    await switch(desk, LATER + MINUTE, on=False)
    await desk.move(deal_id, "Invoice issued", LATER + 2 * MINUTE)
    await switch(desk, LATER + 3 * MINUTE, on=True)
    assert not await desk.lamps(LampState.BURNING)


async def test_whoever_has_the_deal_meanwhile_is_asked_when_it_burns_again(desk: DealDesk) -> None:
    deal_id = await _burn(desk)
    await switch(desk, LATER + MINUTE, on=False)
    await desk.give(deal_id, "olena", LATER + 2 * MINUTE)
    await switch(desk, LATER + 3 * MINUTE, on=True)
    burning = await desk.one_lamp(LampState.BURNING)
    assert (burning.step, burning.addressee_id) == (0, desk.office.id("olena"))
    assert (await desk.tasks("lamp"))[0].assignee_id == desk.office.id("olena")
    assert (await desk.one_lamp(LampState.ARMED)).step == 1


async def _close(desk: DealDesk, task_id: int, at: datetime, *, cancelled: bool) -> None:
    ivan = await desk.viewer("ivan")
    async with desk.database.write() as session:
        await finish_task(session, ivan, task_id, result="", now=at, cancelled=cancelled)


@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_next_task_that_is_closed_before_its_time_silences_nobody(desk: DealDesk, cancelled: bool) -> None:
    deal_id = await _burn(desk)
    before = {lamp.id: (lamp.lit_at, lamp.asked_at) for lamp in await desk.lamps()}
    at = LATER + MINUTE
    task_id = await desk.plan(deal_id, at + timedelta(days=1), at)
    assert not await desk.lamps(LampState.BURNING)
    await _close(desk, task_id, at + MINUTE, cancelled=cancelled)
    assert {lamp.id: (lamp.lit_at, lamp.asked_at) for lamp in await desk.lamps(LampState.BURNING)} == before


async def test_a_next_task_that_is_done_early_with_a_talk_begins_a_new_norm(desk: DealDesk) -> None:
    deal_id = await _burn(desk)
    at = LATER + MINUTE
    task_id = await desk.plan(deal_id, at + timedelta(days=1), at)
    await desk.talk(at + MINUTE, seconds=120)
    await _close(desk, task_id, at + 5 * MINUTE, cancelled=False)
    assert not await desk.lamps(LampState.BURNING)
    assert (await desk.one_lamp(LampState.ARMED)).entered_at == at + 5 * MINUTE


@pytest.mark.parametrize("ahead", [timedelta(hours=-20), timedelta(0), timedelta(seconds=1)])
@pytest.mark.parametrize("cancelled", [True, False])
async def test_a_next_task_in_the_past_or_at_once_plans_nothing(
    desk: DealDesk, ahead: timedelta, cancelled: bool
) -> None:
    deal_id = await _burn(desk)
    before = [(lamp.id, lamp.version) for lamp in await desk.lamps(LampState.BURNING)]
    at = LATER + MINUTE
    task_id = await desk.plan(deal_id, at + ahead, at)
    assert [(lamp.id, lamp.version) for lamp in await desk.lamps(LampState.BURNING)] == before
    await _close(desk, task_id, at + MINUTE, cancelled=cancelled)
    assert [(lamp.id, lamp.version) for lamp in await desk.lamps(LampState.BURNING)] == before


async def test_a_next_task_that_is_brought_forward_stops_the_clock_until_its_new_time(desk: DealDesk) -> None:
    deal_id = await _burn(desk)
    at = LATER + MINUTE
    task_id = await desk.plan(deal_id, at + timedelta(days=2), at)
    ivan = await desk.viewer("ivan")
    async with desk.database.write() as session:
        await edit_task(session, ivan, task_id, version=None, now=at + MINUTE, due_at=at + timedelta(hours=1))
    assert (await desk.one_lamp(LampState.ARMED)).entered_at == at + timedelta(hours=1)
    async with desk.database.write() as session:
        await edit_task(session, ivan, task_id, version=None, now=at + 2 * MINUTE, due_at=at + 3 * MINUTE)
    assert len(await desk.lamps(LampState.BURNING)) == 2


async def test_a_next_task_that_is_cancelled_before_the_norm_is_over_stops_the_clock_while_it_stood(
    desk: DealDesk,
) -> None:
    deal_id = await desk.deal()
    due = (await desk.one_lamp(LampState.ARMED)).due_at
    at = DUE - timedelta(days=3)
    task_id = await desk.plan(deal_id, at + timedelta(days=30), at)
    assert (await desk.one_lamp(LampState.ARMED)).due_at != due
    await _close(desk, task_id, at + MINUTE, cancelled=True)
    assert (await desk.one_lamp(LampState.ARMED)).due_at == due + MINUTE


async def test_a_switched_off_checkpoint_would_light_nothing_and_put_out_what_burns(desk: DealDesk) -> None:
    await _burn(desk)
    row, change = await _checkpoint(desk)
    admin = await desk.viewer("admin")
    async with desk.database.write() as session:
        job = await try_change(session, admin, replace(change, is_active=False), row.id, now=LATER + MINUTE)
        said = dict(job.result)
    assert (said["would_go_out"], said["would_light_now"], said["then"]["lamps"]) == (2, 0, 0)
    assert said["now"]["lamps"] == 2


async def test_both_parts_of_a_split_stage_are_watched(desk: DealDesk) -> None:
    stage, admin = await desk.stage("Proposal sent"), await desk.viewer("admin")
    async with desk.database.write() as session:
        await split_stage(session, admin, stage.id or 0, "Proposal read", now=DUE)
    deal_id = await desk.deal("Proposal read")
    armed = await desk.one_lamp(LampState.ARMED)
    assert (armed.due_at, armed.deal_id) == (DUE, deal_id)
    first, second = [
        each for each in await desk.rows(Checkpoint) if each.id == armed.checkpoint_id or each.stage_id == stage.id
    ]
    steps: dict[int, list[tuple[int | None, str]]] = {}
    for step in await desk.rows(CheckpointStep):
        steps.setdefault(step.checkpoint_id, []).append((step.after_minutes, step.whom))
    assert steps[first.id or 0] == steps[second.id or 0]
    assert (first.name, second.name, second.work) == ("Proposal sent", "Proposal read", first.work)
