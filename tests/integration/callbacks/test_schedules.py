"""Schedules of attempts: whose holds, what comes after the last one, and what a failed call of ours plans (C2)."""

from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import select

from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.results import record_result
from pbxcrm.callbacks.undo_actions import undo_result
from pbxcrm.calls.lines import LineRules, save_line
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.deals.queries import stage_of_kind
from pbxcrm.reports.day_figures import load_day_figures
from pbxcrm.reports.missed import MISSED
from pbxcrm.reports.report import Asked
from pbxcrm.shared import reasons
from pbxcrm.shared.reasons import Reason
from pbxcrm.tasks.models import Task, TaskKind
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, CallbackDesk

SOON = NOON + timedelta(minutes=3)


def schedule(*minutes: int, then: str = "mornings", stage_id: int | None = None) -> dict[str, Any]:
    return {"minutes": list(minutes), "then": then, "stage_id": stage_id}


async def of_pipeline(desk: CallbackDesk, stored: dict[str, Any]) -> None:
    async with desk.database.write() as session:
        (await session.exec(select(Pipeline))).one().attempt_schedule = stored


async def stage(desk: CallbackDesk, kind: StageKind, **asks: Any) -> Stage:
    async with desk.database.write() as session:
        pipeline = (await session.exec(select(Pipeline))).one()
        found = await stage_of_kind(session, pipeline.id or 0, kind)
        assert found
        found.requires = asks
        return found


async def fail(desk: CallbackDesk, linkedid: str, at: datetime) -> datetime:
    """An attempt that nobody answers; when it ended."""
    await desk.intake.apply(batch(outbound(linkedid, "101", at=at).wait(25).end()))
    return at + timedelta(seconds=25)


async def talk(desk: CallbackDesk, linkedid: str = "17.1", at: datetime = NOON) -> None:
    """The client is answered: they have a deal and no callback."""
    await desk.intake.apply(batch(FactStory(linkedid, at=at).ring("101").answer("101").wait(9).end()))


async def retries(desk: CallbackDesk) -> list[Task]:
    return [task for task in await desk.rows(Task) if task.about.startswith("next-attempt:")]


def said(stored: dict[str, Any]) -> str:
    found = Reason.load(stored)
    assert found
    return " ".join(reasons.text(each) for each in (found, *found.because))


async def test_the_line_s_own_schedule_holds_before_that_of_the_pipeline_and_it_before_the_general(
    desk: CallbackDesk,
) -> None:
    await of_pipeline(desk, schedule(30, 60))
    await desk.miss()
    ended = await fail(desk, "8.1", SOON)
    episode = await desk.one(Episode)
    assert episode.next_attempt_at == ended + timedelta(minutes=30)
    async with desk.database.write() as session:
        line = Line(name="Shop", did="0800", attempt_schedule=schedule(45, 45))
        session.add(line)
        await session.flush()
        (await session.get_one(Episode, episode.id)).line_id = line.id
    ended = await fail(desk, "8.2", ended + timedelta(minutes=30))
    episode = await desk.one(Episode)
    assert episode.next_attempt_at == ended + timedelta(minutes=45)
    task = next(task for task in await desk.rows(Task) if task.id == episode.task_id)
    assert (task.due_at, task.title) == (episode.next_attempt_at, f"Call back in 45 min: {_number()}")


async def test_calls_over_a_line_with_a_schedule_of_its_own_from_the_form_to_the_manager(desk: CallbackDesk) -> None:
    """Its settings are saved as the form does it; the calls are found by their DID."""
    await of_pipeline(desk, schedule(30, 60))
    rules = LineRules("Shop", did="0800", attempt_minutes=(5, 15), attempts_then="manager")
    async with desk.database.write() as session:
        line = await save_line(session, await desk.viewer("admin"), None, rules, NOON)
    await desk.intake.apply(batch(FactStory("9.1", CLIENT, at=NOON, did="0800").ring("101").wait(9).end()))
    episode = await desk.one(Episode)
    assert episode.line_id == line.id
    ended = SOON
    for number, minutes in enumerate((5, 15)):
        ended = await fail(desk, f"8.{number}", ended + timedelta(minutes=minutes))
        assert (await desk.one(Episode)).next_attempt_at == ended + timedelta(minutes=minutes)
    ended = await fail(desk, "8.9", ended + timedelta(minutes=15))
    (asked,) = [task for task in await desk.rows(Task) if task.about.startswith("last-attempt:")]
    assert (asked.kind, asked.assignee_id) == ("control", desk.office.id("maria"))
    assert "The schedule of line “Shop”" in said(asked.reason)
    later = (await desk.one(Episode)).next_attempt_at
    assert later is not None
    assert later > ended + timedelta(hours=6)  # until the manager decides, the next working morning


def _number() -> str:
    return "+380 67 111 22 33"


async def test_after_the_last_attempt_the_deal_moves_and_nobody_is_called_any_more(desk: CallbackDesk) -> None:
    lost = await stage(desk, StageKind.LOST)
    await of_pipeline(desk, schedule(10, then="stage", stage_id=lost.id))
    await desk.miss()
    ended = await fail(desk, "8.1", SOON)
    assert (await desk.one(Episode)).status == "open"
    await fail(desk, "8.2", ended + timedelta(minutes=10))
    episode, deal = await desk.one(Episode), await desk.one(Deal)
    assert (episode.status, episode.next_attempt_at) == ("dismissed", None)
    assert (deal.stage_id, deal.lost_reason) == (lost.id, "Not reached")
    assert "2 attempts" in said(episode.closed_reason)
    assert not [task for task in await desk.rows(Task) if task.kind == TaskKind.CALLBACK and task.status == "open"]


@pytest.mark.parametrize("name", ["Unsorted", "Didn't reach", "New request"])
async def test_a_client_who_was_never_reached_was_not_dismissed_and_is_forgotten_in_no_stage(
    desk: CallbackDesk, name: str
) -> None:
    """The deal comes into Didn't reach with the missed call, so for that one nothing moves. New request has a checkpoint."""
    async with desk.database.write() as session:
        to = (await session.exec(select(Stage).where(Stage.name == name))).one()
    await of_pipeline(desk, schedule(10, then="stage", stage_id=to.id))
    await desk.miss()
    stood = (await desk.one(Deal)).stage_id
    ended = await fail(desk, "8.1", SOON)
    await fail(desk, "8.2", ended + timedelta(minutes=10))
    episode, deal = await desk.one(Episode), await desk.one(Deal)
    assert (episode.status, deal.stage_id) == ("dismissed", to.id)
    assert f"the deal {'stays in' if stood == to.id else 'goes to'} “{name}”" in said(episode.closed_reason)
    asked = [task for task in await desk.rows(Task) if task.status == "open" and task.deal_id == deal.id]
    is_watched = name == "New request"
    assert [task.assignee_id for task in asked] == ([] if is_watched else [desk.office.id("maria")])
    assert all(f"No checkpoint watches “{name}”" in said(task.reason) for task in asked)
    period = Asked(NOON, NOON + timedelta(days=1), ZoneInfo("Europe/Kyiv"), NOON + timedelta(hours=2), "owner")
    async with desk.database.read() as session:
        viewer = await desk.viewer("maria")
        totals = (await MISSED.load(session, viewer, period)).totals
        today = await load_day_figures(session, viewer, NOON, NOON + timedelta(hours=2))
    assert {name: totals[name] for name in ("missed", "left", "not_reached", "dismissed", "percent_returned")} == {
        "missed": 1, "left": 0, "not_reached": 1, "dismissed": 0, "percent_returned": 0
    }  # fmt: skip
    assert (totals["judged"], totals["in_norm"]) == (1, 0)
    assert (today.missed, today.in_norm, today.judged) == (1, 0, 1)


async def test_a_stage_that_refuses_the_deal_leaves_it_and_a_task_says_why(desk: CallbackDesk) -> None:
    won = await stage(desk, StageKind.WON, fields=["amount"], files=0, lost_reason=False, next_task=False)
    await of_pipeline(desk, schedule(10, then="stage", stage_id=won.id))
    await desk.miss()
    ended = await fail(desk, "8.1", SOON)
    await fail(desk, "8.2", ended + timedelta(minutes=10))
    episode = await desk.one(Episode)
    assert (episode.status, episode.attempts, (await desk.one(Deal)).closed_at) == ("open", 2, None)
    assert episode.next_attempt_at is not None
    assert episode.next_attempt_at > ended + timedelta(hours=6)  # the next working morning
    refused = [task for task in await desk.rows(Task) if task.about.startswith("gate:")]
    assert len(refused) == 1
    assert "2 attempts" in said(refused[0].reason)


async def test_after_the_last_attempt_the_manager_decides_and_a_talk_answers_it(desk: CallbackDesk) -> None:
    await of_pipeline(desk, schedule(10, then="manager"))
    await desk.miss()
    ended = await fail(desk, "8.1", SOON)
    ended = await fail(desk, "8.2", ended + timedelta(minutes=10))
    ended = await fail(desk, "8.3", ended + timedelta(minutes=10))
    asked = [task for task in await desk.rows(Task) if task.about.startswith("last-attempt:")]
    assert [(task.kind, task.assignee_id, task.status) for task in asked] == [
        ("control", desk.office.id("maria"), "open")
    ]
    assert (await desk.one(Episode)).status == "open"
    await talk(desk, "17.9", ended + timedelta(minutes=5))
    assert {task.status for task in await desk.rows(Task)} == {"done"}


@pytest.mark.parametrize("kind", [StageKind.LOST, StageKind.UNSORTED, None])
async def test_the_last_attempt_said_by_hand_is_taken_back_whole(desk: CallbackDesk, kind: StageKind | None) -> None:
    """The manager has a task, too, where nothing watches the deal in its stage."""
    to = await stage(desk, kind) if kind is not None else None
    await of_pipeline(
        desk, schedule(10, then="stage", stage_id=to.id) if to is not None else schedule(10, then="manager")
    )
    episode = await desk.miss()
    stood = (await desk.one(Deal)).stage_id
    ended = await fail(desk, "8.1", SOON)
    before = (await desk.one(Episode)).next_attempt_at
    viewer, at = await desk.viewer("ivan"), ended + timedelta(minutes=20)
    async with desk.database.write() as session:
        recorded = await record_result(
            session, viewer, episode.id or 0, AttemptResult.DIDNT_REACH, now=at, region="UA", without_call="by mobile"
        )
    assert recorded.attempt
    async with desk.database.write() as session:
        await undo_result(session, viewer, recorded.attempt.id or 0, now=at + timedelta(minutes=1))
    back, deal = await desk.one(Episode), await desk.one(Deal)
    assert (back.status, back.next_attempt_at, deal.stage_id) == ("open", before, stood)
    assert [task.kind for task in await desk.rows(Task) if task.status == "open"] == ["callback"]


async def test_a_failed_call_of_ours_to_a_client_with_an_open_deal_plans_the_next_one(desk: CallbackDesk) -> None:
    await of_pipeline(desk, schedule(120, 60))
    await talk(desk)
    story = outbound("17.2", "101", at=SOON).wait(25).end()
    await desk.intake.apply(batch(story))
    (task,) = await retries(desk)
    deal = await desk.one(Deal)
    assert (task.kind, task.deal_id, task.assignee_id) == ("todo", deal.id, desk.office.id("ivan"))
    assert (task.title, task.due_at) == (
        f"Call back in 2 hours: {_number()}",
        SOON + timedelta(minutes=120, seconds=25),
    )
    assert "The schedule of pipeline" in said(task.reason)
    assert "a task to call again is planned" in said((await desk.rows(Call))[-1].reason)
    await desk.intake.apply(batch(story))  # told once more
    (task,) = await retries(desk)
    assert task.title.startswith("Call back in 2 hours")
    ended = await fail(desk, "17.3", SOON + timedelta(hours=2))
    (task,) = await retries(desk)
    assert (task.title, task.due_at) == (f"Call back in an hour: {_number()}", ended + timedelta(minutes=60))
    assert "attempt 2" in said(task.reason)
    await desk.intake.apply(batch(outbound("17.4", "101", at=ended + timedelta(hours=1)).answer("101").wait(9).end()))
    (task,) = await retries(desk)
    assert task.status == "done"
    assert not await desk.rows(Attempt)


async def test_what_somebody_planned_stays_and_the_call_says_so(desk: CallbackDesk) -> None:
    await talk(desk)
    deal = await desk.one(Deal)
    async with desk.database.write() as session:
        due = SOON + timedelta(days=1)
        session.add(Task(kind="todo", title="Send the offer", due_at=due, deal_id=deal.id, created_at=NOON))
    await fail(desk, "17.2", SOON)
    assert not await retries(desk)
    assert "Send the offer" in said((await desk.rows(Call))[-1].reason)


async def test_a_call_that_misses_us_makes_the_planned_attempt_a_callback(desk: CallbackDesk) -> None:
    await talk(desk)
    ended = await fail(desk, "17.2", SOON)
    await desk.miss(at=ended + timedelta(minutes=2))
    (task,) = await retries(desk)
    assert task.status == "done"
    assert (await desk.one(Episode)).status == "open"


async def test_nothing_is_planned_for_strangers_and_where_it_is_switched_off(desk: CallbackDesk) -> None:
    await fail(desk, "17.2", SOON)  # no deal
    assert not await desk.rows(Task)
    await desk.plan_no_retries()
    await talk(desk, "17.3", SOON + timedelta(minutes=1))
    await fail(desk, "17.4", SOON + timedelta(minutes=5))
    assert not await desk.rows(Task)


async def test_nothing_is_planned_for_a_number_that_is_no_client(desk: CallbackDesk) -> None:
    await talk(desk)
    async with desk.database.write() as session:
        session.add(SpecialNumber(number=CLIENT, kind="spam", added_at=NOON))
    await fail(desk, "17.2", SOON)
    assert not await desk.rows(Task)


async def test_a_call_told_late_plans_nothing_for_a_client_talked_to_since(desk: CallbackDesk) -> None:
    await talk(desk)
    await talk(desk, "17.2", SOON + timedelta(minutes=30))
    await fail(desk, "17.3", SOON)
    assert not await desk.rows(Task)
    assert "talked to since" in said((await desk.rows(Call))[-1].reason)


async def test_after_the_last_call_of_ours_the_deal_moves_too(desk: CallbackDesk) -> None:
    lost = await stage(desk, StageKind.LOST)
    await of_pipeline(desk, schedule(10, then="stage", stage_id=lost.id))
    await talk(desk)
    ended = await fail(desk, "17.2", SOON)
    await fail(desk, "17.3", ended + timedelta(minutes=10))
    (task,) = await retries(desk)
    assert (task.status, (await desk.one(Deal)).stage_id) == ("done", lost.id)
