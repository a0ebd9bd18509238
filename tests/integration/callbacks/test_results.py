"""What a person says of a callback, and what the tracker sees of the same attempt."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.callbacks.claims import claim
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.results import Recorded, dismiss, record_result
from pbxcrm.callbacks.undo_actions import undo_result
from pbxcrm.callbacks.worklist_queries import WorklistFilter, load_worklist
from pbxcrm.calls.facts import Outcome
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.people.models import User
from pbxcrm.screenpop.dock_queries import load_docks
from pbxcrm.shared import reasons
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, CallbackDesk

SOON = NOON + timedelta(minutes=3)
R = AttemptResult


async def say(
    desk: CallbackDesk,
    episode: Episode,
    result: R,
    login: str = "ivan",
    at: datetime = SOON,
    why: str = "",
    without_call: str = "from a mobile of mine",
) -> Recorded:
    viewer = await desk.viewer(login)
    assert episode.id
    async with desk.database.write() as session:
        return await record_result(
            session, viewer, episode.id, result, now=at, region="UA", why=why, without_call=without_call
        )


async def undo(desk: CallbackDesk, recorded: Recorded, at: datetime = SOON, login: str = "ivan") -> None:
    assert recorded.attempt
    assert recorded.attempt.id
    async with desk.database.write() as session:
        await undo_result(session, await desk.viewer(login), recorded.attempt.id, now=at)


async def stage_of(desk: CallbackDesk) -> str:
    deal = await desk.one(Deal)
    async with desk.database.read() as session:
        found = await session.get(Stage, deal.stage_id)
    assert found
    return found.name


async def call_out(desk: CallbackDesk, linkedid: str, at: datetime, extension: str = "101") -> None:
    await desk.intake.apply(batch(outbound(linkedid, extension, at=at).wait(25).end()))


async def test_didnt_reach_plans_the_next_attempt_at_once_and_the_task_says_when(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await say(desk, episode, R.DIDNT_REACH)
    episode, task = await desk.one(Episode), await desk.one(Task)
    assert (episode.status, episode.attempts) == ("open", 1)
    assert episode.next_attempt_at == task.due_at == SOON + timedelta(minutes=10)
    assert task.title == "Call back in 10 min: +380 67 111 22 33"
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(minutes=10))
    assert (await desk.one(Task)).title == "Call back in 2 hours: +380 67 111 22 33"
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(minutes=30))
    assert (await desk.one(Task)).due_at == datetime(2026, 11, 19, 7, 0, tzinfo=UTC)  # 9:00 in Kyiv


async def test_the_call_that_the_tracker_sees_plans_in_the_same_way(desk: CallbackDesk) -> None:
    await desk.miss()
    await call_out(desk, "17.2", SOON)
    episode, task, attempt = await desk.one(Episode), await desk.one(Task), await desk.one(Attempt)
    over = SOON + timedelta(seconds=25)
    assert episode.next_attempt_at == task.due_at == over + timedelta(minutes=10)
    assert (attempt.result, attempt.user_id, attempt.by_hand) == ("didnt_reach", desk.office.id("ivan"), False)


@pytest.mark.parametrize("outcome", [Outcome.BUSY, Outcome.FAILED])
async def test_busy_and_failed_are_attempts_too(desk: CallbackDesk, outcome: Outcome) -> None:
    await desk.miss()
    await desk.intake.apply(batch(outbound("17.2", "101", at=SOON).wait(5).end(outcome)))
    assert (await desk.one(Attempt)).result == "didnt_reach"


async def test_our_own_phone_not_picked_up_is_no_attempt(desk: CallbackDesk) -> None:
    await desk.miss()
    await desk.intake.apply(batch(outbound("17.2", "101", at=SOON).wait(5).end(Outcome.NOT_DIALLED)))
    assert not await desk.rows(Attempt)
    assert (await desk.one(Episode)).next_attempt_at is None


async def test_seen_first_and_said_afterwards_is_one_attempt(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON)
    before = await desk.one(Episode)
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(seconds=40))
    after, attempt = await desk.one(Episode), await desk.one(Attempt)
    assert (after.attempts, after.next_attempt_at) == (1, before.next_attempt_at)
    assert attempt.by_hand
    assert attempt.call_id is not None
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(minutes=2))  # said again: another attempt
    assert (await desk.one(Episode)).attempts == 2


async def test_said_first_and_seen_afterwards_is_one_attempt(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(seconds=20))
    await call_out(desk, "17.2", SOON)
    assert (await desk.one(Episode)).attempts == 1
    assert (await desk.one(Attempt)).call_id is not None
    await call_out(desk, "17.3", SOON + timedelta(minutes=5))
    assert (await desk.one(Episode)).attempts == 2


async def test_a_colleagues_call_is_an_attempt_of_its_own(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON, "102")
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(minutes=1))
    assert [a.user_id for a in await desk.rows(Attempt)] == [desk.office.id("olena"), desk.office.id("ivan")]


async def test_the_client_calls_again_then_the_schedule_begins_anew(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await say(desk, episode, R.DIDNT_REACH)
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(minutes=10))
    again = SOON + timedelta(minutes=15)
    await desk.miss(at=again)
    episode, task = await desk.one(Episode), await desk.one(Task)
    assert episode.next_attempt_at is None
    assert task.due_at == again + timedelta(seconds=9, minutes=20)
    assert task.title == "Call back +380 67 111 22 33, missed 2 times"
    await say(desk, episode, R.DIDNT_REACH, at=again + timedelta(minutes=1))
    assert (await desk.one(Task)).title == "Call back in 10 min: +380 67 111 22 33"


async def test_reached_closes_and_asks_for_the_next_task(desk: CallbackDesk) -> None:
    recorded = await say(desk, await desk.miss(), R.REACHED)
    episode, task = await desk.one(Episode), await desk.one(Task)
    assert (episode.status, task.status, recorded.ask_task_for) == ("reached", "done", episode.deal_id)
    assert (
        reasons.text(episode.closed_reason)
        == task.result
        == ("Ivan Kravets said that the client was reached. Without a call: from a mobile of mine")
    )


async def test_a_talk_closes_it_and_what_it_was_about_may_still_be_said(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await desk.intake.apply(batch(outbound("17.2", "101", at=SOON).wait(5).answer("101").wait(30).end()))
    assert (await desk.one(Episode)).status == "reached"
    with pytest.raises(Conflict, match="reached meanwhile"):
        await say(desk, episode, R.DIDNT_REACH)
    with pytest.raises(Conflict, match="reached meanwhile"):
        await say(desk, episode, R.NOT_INTERESTED, "olena", why="not hers to say")
    recorded = await say(desk, episode, R.NOT_INTERESTED, why="too dear")
    assert await stage_of(desk) == "Lost"
    assert ((await desk.one(Deal)).lost_reason, (await desk.one(Attempt)).result) == ("too dear", "not_interested")
    await undo(desk, recorded)
    assert await stage_of(desk) == "Unsorted"
    assert ((await desk.one(Episode)).status, (await desk.one(Attempt)).result) == ("reached", "reached")


async def test_not_interested_needs_a_reason_and_loses_the_deal(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    with pytest.raises(Invalid) as error:
        await say(desk, episode, R.NOT_INTERESTED)
    assert error.value.field == "why"
    await say(desk, episode, R.NOT_INTERESTED, why="bought elsewhere")
    deal, episode = await desk.one(Deal), await desk.one(Episode)
    assert (deal.lost_reason, episode.status) == ("bought elsewhere", "dismissed")
    assert "not interested: bought elsewhere" in reasons.text(episode.closed_reason)


async def test_wrong_number_loses_only_a_raw_deal(desk: CallbackDesk) -> None:
    await say(desk, await desk.miss(), R.WRONG_NUMBER)
    assert (await desk.one(Deal)).lost_reason == "Wrong number"


async def test_wrong_number_leaves_a_deal_that_somebody_works_on(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await move(desk, "Call held")
    await say(desk, episode, R.WRONG_NUMBER)
    assert await stage_of(desk) == "Call held"
    assert (await desk.one(Episode)).status == "dismissed"


async def test_spam_goes_on_the_list_and_calls_no_more(desk: CallbackDesk) -> None:
    recorded = await say(desk, await desk.miss(), R.SPAM)
    assert (await desk.one_special()).kind == "spam"
    await desk.intake.apply(batch(FactStory("17.9", at=NOON + timedelta(minutes=9)).ring("101").end()))
    assert (await desk.one(Episode)).missed_count == 1
    await undo(desk, recorded, NOON + timedelta(minutes=5))
    assert ((await desk.one(Episode)).status, await stage_of(desk)) == ("open", "Didn't reach")
    async with desk.database.read() as session:
        assert await session.get(SpecialNumber, CLIENT) is None


async def test_a_withheld_number_is_noted_and_can_be_no_spam(desk: CallbackDesk) -> None:
    await desk.intake.apply(batch(FactStory(client=None).ring("101").wait(9).end()))
    episode = await desk.one(Episode)
    with pytest.raises(Invalid):
        await say(desk, episode, R.SPAM)
    await say(desk, episode, R.NO_NUMBER)
    assert (await desk.one(Episode)).status == "dismissed"
    with pytest.raises(Invalid, match="is known"):
        await say(desk, await desk.miss(), R.NO_NUMBER)


async def test_undo_brings_back_the_task_as_it_was(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    task = await desk.one(Task)
    recorded = await say(desk, episode, R.DIDNT_REACH)
    await undo(desk, recorded)
    episode, after = await desk.one(Episode), await desk.one(Task)
    assert (episode.attempts, episode.next_attempt_at, await desk.rows(Attempt)) == (0, None, [])
    assert (after.title, after.due_at, after.status) == (task.title, task.due_at, "open")
    with pytest.raises(NotFound):
        await undo(desk, recorded)


async def move(desk: CallbackDesk, name: str, login: str = "maria") -> None:
    deal, viewer = await desk.one(Deal), await desk.viewer(login)
    async with desk.database.write() as session:
        ((_, stages),) = await list_pipelines(session)
        to = next(stage.id for stage in stages if stage.name == name)
        await move_deal(session, viewer, deal.id or 0, to or 0, version=deal.version, now=SOON, lost_reason="gone")


async def test_undo_leaves_a_deal_that_the_result_did_not_move(desk: CallbackDesk) -> None:
    recorded = await say(desk, await desk.miss(), R.REACHED)
    await move(desk, "Proposal sent")
    await undo(desk, recorded)
    assert ((await desk.one(Episode)).status, await stage_of(desk)) == ("open", "Proposal sent")


async def test_undo_leaves_a_deal_that_somebody_has_moved_since(desk: CallbackDesk) -> None:
    recorded = await say(desk, await desk.miss(), R.WRONG_NUMBER)
    assert await stage_of(desk) == "Lost"
    await move(desk, "Proposal sent")
    moved = await desk.one(Deal)
    await undo(desk, recorded)
    assert ((await desk.one(Episode)).status, await stage_of(desk)) == ("open", "Proposal sent")
    assert (await desk.one(Deal)).version == moved.version


async def test_undo_is_refused_to_others_later_and_when_something_happened(desk: CallbackDesk) -> None:
    recorded = await say(desk, await desk.miss(), R.REACHED)
    with pytest.raises(NotFound):
        await undo(desk, recorded, login="olena")
    with pytest.raises(Conflict):
        await undo(desk, recorded, SOON + timedelta(minutes=11))
    await desk.miss(at=SOON + timedelta(minutes=1))  # a new episode of the same client is open
    with pytest.raises(Conflict):
        await undo(desk, recorded)
    assert [e.status for e in await desk.rows(Episode)] == ["reached", "open"]


async def test_a_key_pressed_twice_counts_once(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    ivan = await desk.viewer("ivan")
    assert episode.id
    async with desk.database.write() as session:
        await record_result(
            session, ivan, episode.id, R.DIDNT_REACH, now=SOON, region="UA", without_call="sms", version=episode.version
        )
    with pytest.raises(Conflict):
        async with desk.database.write() as session:
            await record_result(
                session,
                ivan,
                episode.id,
                R.DIDNT_REACH,
                now=SOON,
                region="UA",
                without_call="sms",
                version=episode.version,
            )
    assert (await desk.one(Episode)).attempts == 1


async def test_what_a_colleague_has_taken_cannot_be_answered_for(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    assert episode.id
    async with desk.database.write() as session:
        await claim(session, await desk.viewer("olena"), episode.id, now=SOON)
    with pytest.raises(Conflict, match="Olena Hryhorenko"):
        await say(desk, episode, R.REACHED)


async def test_dismissing_needs_a_reason(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    assert episode.id
    async with desk.database.write() as session:
        with pytest.raises(Invalid):
            await dismiss(session, await desk.viewer("ivan"), episode.id, " ", now=SOON)
        await dismiss(session, await desk.viewer("ivan"), episode.id, "a colleague's mobile", now=SOON)
    assert ((await desk.one(Episode)).status, (await desk.one(Task)).status) == ("dismissed", "cancelled")


async def test_a_deal_is_not_closed_after_a_failed_attempt_until_something_is_planned(desk: CallbackDesk) -> None:
    await desk.plan_no_retries()
    await desk.intake.apply(batch(FactStory("17.1").ring("101").answer("101").wait(9).end()))
    await call_out(desk, "17.2", SOON)  # no callback is open: nothing is planned by itself
    deal, ivan = await desk.one(Deal), await desk.viewer("ivan")

    async def close(database: Database) -> None:
        async with database.write() as session:
            ((_, stages),) = await list_pipelines(session)
            lost = next(stage for stage in stages if stage.name == "Lost")
            assert deal.id
            assert lost.id
            await move_deal(session, ivan, deal.id, lost.id, version=None, now=SOON, lost_reason="gone")

    with pytest.raises(Invalid) as error:
        await close(desk.database)
    assert error.value.field == "next_task"
    await desk.intake.apply(batch(outbound("17.3", "101", at=SOON + timedelta(minutes=2)).answer("101").wait(5).end()))
    await close(desk.database)
    assert await stage_of(desk) == "Lost"


@pytest.mark.parametrize("popup", ["ringing", "off"])
async def test_what_is_said_in_the_queue_is_not_asked_again_by_the_card(desk: CallbackDesk, popup: str) -> None:
    """R after one's own talk: the row is done with, the card goes; taken back, both ask again (a card only who wants cards)."""
    async with desk.database.write() as session:
        (await session.get_one(User, desk.office.id("ivan"))).popup = popup
    await desk.miss()
    await desk.intake.apply(batch(outbound("17.7", "101", at=SOON).wait(3).answer("101").wait(60).end()))
    viewer = replace(await desk.viewer("ivan"), popup=popup)
    cards = 1 if popup == "ringing" else 0

    async def asked() -> tuple[list[bool], int]:
        async with desk.database.read() as session:
            queue = await load_worklist(session, viewer, WorklistFilter(), SOON)
            dock = (await load_docks(session, [viewer], SOON))[viewer.user_id]
        return [row.asks for row in queue.closed], len(dock.finished)

    assert await asked() == ([True], cards)
    recorded = await say(desk, await desk.one(Episode), R.REACHED)
    assert await asked() == ([False], 0)
    await undo(desk, recorded)
    assert await asked() == ([True], cards)
