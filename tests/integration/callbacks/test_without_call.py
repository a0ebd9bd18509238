"""A result stands on a call or says why there is none; what is another's is passed on; lamps go out by work only."""

from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.callbacks.claims import claim
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode
from pbxcrm.callbacks.results import Recorded, dismiss, record_result
from pbxcrm.callbacks.undo_actions import undo_result
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.screenpop import outcome_actions
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Incomplete, Invalid
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.integration.callbacks.conftest import CLIENT, CallbackDesk
from tests.lamps import sweep_all as sweep

SOON = NOON + timedelta(minutes=3)
LIT = NOON + timedelta(minutes=25)  # the norm of twenty minutes has passed
R = AttemptResult
NEED_A_CALL = [R.REACHED, R.DIDNT_REACH, R.WRONG_NUMBER, R.NOT_INTERESTED, R.SPAM]

#: What the title of the task says that passes such a result on.
SAID = {
    R.REACHED: ": reached, without a call, says Ivan Kravets",
    R.DIDNT_REACH: ": didn't reach, without a call, says Ivan Kravets",
    R.WRONG_NUMBER: ": the number is wrong, without a call, says Ivan Kravets",
    R.NOT_INTERESTED: ": not interested, without a call, says Ivan Kravets",
}


async def burns(desk: CallbackDesk) -> bool:
    return any(lamp.state == LampState.BURNING for lamp in await desk.rows(Lamp))


async def say(
    desk: CallbackDesk,
    episode: Episode,
    result: R,
    login: str = "ivan",
    *,
    at: datetime = SOON,
    why: str = "too dear",
    without_call: str = "",
    note: str = "",
) -> Recorded:
    viewer = await desk.viewer(login)
    async with desk.database.write() as session:
        return await record_result(
            session, viewer, episode.id or 0, result, now=at, region="UA", why=why, without_call=without_call, note=note
        )


async def call_out(desk: CallbackDesk, linkedid: str, at: datetime, extension: str = "101") -> None:
    await desk.intake.apply(batch(outbound(linkedid, extension, at=at).wait(25).end()))


async def kind_of_stage(desk: CallbackDesk) -> str:
    deal = await desk.one(Deal)
    async with desk.database.read() as session:
        return (await session.get_one(Stage, deal.stage_id)).kind


async def task_about(desk: CallbackDesk, what: str) -> Task | None:
    return next((task for task in await desk.rows(Task) if task.about.startswith(f"passed:{what}:")), None)


@pytest.mark.parametrize("result", NEED_A_CALL)
async def test_without_a_call_nothing_happens_but_the_question(desk: CallbackDesk, result: R) -> None:
    episode = await desk.miss()
    with pytest.raises(Incomplete) as refused:
        await say(desk, episode, result)
    assert (refused.value.code, [m.kind for m in refused.value.missing]) == ("callbacks.no_call", ["call"])
    after = await desk.one(Episode)
    assert (after.status, after.version, after.attempts) == ("open", episode.version, 0)
    assert (await kind_of_stage(desk), await desk.rows(Attempt)) == ("didnt_reach", [])


@pytest.mark.parametrize("result", NEED_A_CALL)
async def test_a_call_of_ones_own_is_enough_and_counts_once(desk: CallbackDesk, result: R) -> None:
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON)
    await say(desk, episode, result, at=SOON + timedelta(minutes=1))
    (attempt,) = await desk.rows(Attempt)
    assert (attempt.result, attempt.by_hand, attempt.call_id is not None) == (result.value, True, True)
    if result is R.DIDNT_REACH:  # its result is said: the next one needs the next call
        with pytest.raises(Incomplete):
            await say(desk, episode, R.REACHED, at=SOON + timedelta(minutes=2))


async def test_a_note_that_does_not_fit_beside_its_reason_is_refused_and_not_cut(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON)
    with pytest.raises(Invalid) as refused:
        await say(desk, episode, R.NOT_INTERESTED, why="too dear", note="x" * 991)
    assert (refused.value.field, refused.value.params) == ("note", {"most": 990})
    assert [each.note for each in await desk.rows(Attempt)] == [""]  # that of the call itself
    await say(desk, episode, R.NOT_INTERESTED, why="too dear", note="x" * 990)
    assert (await desk.one(Attempt)).note == "too dear; " + "x" * 990


async def test_the_reason_says_only_what_happened(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON)
    await say(desk, episode, R.NOT_INTERESTED, at=SOON + timedelta(minutes=1))
    assert reasons.text((await desk.one(Episode)).closed_reason) == (
        "Ivan Kravets said that the client is not interested: too dear"
    )


async def test_without_a_call_the_reason_is_kept_and_shown(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await say(desk, episode, R.NOT_INTERESTED, without_call="wrote a message")
    episode, attempt = await desk.one(Episode), await desk.one(Attempt)
    assert reasons.text(episode.closed_reason).endswith("too dear Without a call: wrote a message")
    assert attempt.note == "too dear; wrote a message"
    assert await kind_of_stage(desk) == "lost"


async def test_a_colleagues_call_an_old_one_and_one_before_the_claim_do_not_count(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON, "102")
    with pytest.raises(Incomplete):
        await say(desk, episode, R.REACHED, at=SOON + timedelta(minutes=1))
    await call_out(desk, "17.3", SOON + timedelta(minutes=2))
    await desk.miss(at=SOON + timedelta(minutes=4))  # they called once more since
    with pytest.raises(Incomplete):
        await say(desk, episode, R.REACHED, at=SOON + timedelta(minutes=5))
    await call_out(desk, "17.4", SOON + timedelta(minutes=6))
    async with desk.database.write() as session:
        await claim(session, await desk.viewer("ivan"), episode.id or 0, now=SOON + timedelta(minutes=8))
    with pytest.raises(Incomplete):
        await say(desk, episode, R.REACHED, at=SOON + timedelta(minutes=9))


async def test_a_call_that_goes_on_counts(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    story = outbound("17.2", "101", at=SOON)
    await desk.intake.apply(batch(story.wait(5)))
    await say(desk, episode, R.DIDNT_REACH, at=SOON + timedelta(seconds=20))
    await desk.intake.apply(batch(story.wait(20).end()))
    assert (await desk.one(Episode)).attempts == 1


@pytest.mark.parametrize(("result", "what"), [(R.NOT_INTERESTED, "not_interested"), (R.WRONG_NUMBER, "wrong_number")])
async def test_anothers_deal_is_passed_on_never_lost(desk: CallbackDesk, result: R, what: str) -> None:
    """Olena called and may close the callback; about Ivan's deal Ivan decides."""
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON, "102")
    recorded = await say(desk, episode, result, "olena", at=SOON + timedelta(minutes=1))
    assert ((await desk.one(Episode)).status, await kind_of_stage(desk)) == ("dismissed", "didnt_reach")
    task = await task_about(desk, what)
    assert task
    assert (task.assignee_id, task.deal_id, task.status) == (desk.office.id("ivan"), (await desk.one(Deal)).id, "open")
    assert "Olena Hryhorenko" in reasons.text(task.reason)
    async with desk.database.write() as session:
        assert recorded.attempt
        await undo_result(
            session, await desk.viewer("olena"), recorded.attempt.id or 0, now=SOON + timedelta(minutes=2)
        )
    assert await task_about(desk, what) is None


@pytest.mark.parametrize("called", [True, False])
async def test_anothers_client_is_not_silenced(desk: CallbackDesk, called: bool) -> None:
    episode = await desk.miss()
    if called:
        await call_out(desk, "17.2", SOON, "102")
    at = SOON + timedelta(minutes=1)
    recorded = await say(desk, episode, R.SPAM, "olena", at=at, without_call="" if called else "sounds like it")
    async with desk.database.read() as session:
        assert await session.get(SpecialNumber, CLIENT) is None
    assert ((await desk.one(Episode)).status, recorded.attempt) == ("open", None)
    assert recorded.passed
    assert recorded.passed.assignee_id == desk.office.id("ivan")
    again = await say(desk, episode, R.SPAM, "olena", at=at, without_call="" if called else "again")
    assert again.passed
    assert again.passed.id == recorded.passed.id, "one open task about the same"


async def test_a_contact_of_another_without_a_deal_is_not_silenced(desk: CallbackDesk) -> None:
    async with desk.database.write() as session:
        petro = await desk.viewer("petro")
        await create_contact(session, petro, name="Andriy", phones=[CLIENT], now=NOON, region="UA")
    episode = await desk.miss()
    async with desk.database.write() as session:
        (await session.get_one(Deal, episode.deal_id)).responsible_id = desk.office.id("ivan")
        (await session.get_one(Episode, episode.id)).owner_id = desk.office.id("ivan")
    recorded = await say(desk, episode, R.SPAM, "ivan", without_call="a robot")
    assert recorded.passed
    assert recorded.passed.assignee_id == desk.office.id("petro")


async def test_without_a_call_anothers_callback_stays_open(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    recorded = await say(desk, episode, R.REACHED, "olena", without_call="met them")
    assert ((await desk.one(Episode)).status, recorded.attempt) == ("open", None)
    assert recorded.passed
    assert (recorded.passed.assignee_id, recorded.passed.id) == (desk.office.id("ivan"), episode.task_id)
    async with desk.database.write() as session:
        told = await dismiss(session, await desk.viewer("olena"), episode.id or 0, "met them", now=SOON)
    assert told.passed
    assert (await desk.one(Episode)).status == "open"


@pytest.mark.parametrize("result", NEED_A_CALL)
async def test_a_result_that_is_passed_on_leaves_the_owner_one_thing_to_do(desk: CallbackDesk, result: R) -> None:
    """One miss, one task: it says what the colleague said, keeps its deadline, and ends with the callback."""
    episode = await desk.miss()
    before = await desk.one(Task)
    await say(desk, episode, result, "olena", without_call="met them")
    await say(desk, episode, result, "olena", without_call="they said it again", at=SOON + timedelta(minutes=1))
    task = await desk.one(Task)
    assert (task.id, task.status, task.due_at) == (before.id, "open", before.due_at)
    assert (before.title != task.title, "says Olena" in task.title) == (True, True)
    assert [each["code"] for each in task.reason["because"]][-1] == before.reason["code"]
    assert "passed" not in str(task.reason["because"])
    at = SOON + timedelta(minutes=2)
    async with desk.database.write() as session:
        await dismiss(session, await desk.viewer("ivan"), episode.id or 0, "right so", now=at)
    assert (await desk.one(Task)).status == "cancelled"


async def test_what_is_passed_on_can_be_decided_in_time(desk: CallbackDesk) -> None:
    """Half a working day later, here the next morning; not the moment at which it was said."""
    episode = await desk.miss()
    await call_out(desk, "17.2", SOON, "102")
    said_at = SOON + timedelta(minutes=1)
    await say(desk, episode, R.NOT_INTERESTED, "olena", at=said_at)
    task = await task_about(desk, "not_interested")
    assert task
    assert task.due_at == datetime(2026, 11, 19, 7, 4, tzinfo=UTC)


@pytest.mark.parametrize("result", [R.REACHED, R.DIDNT_REACH, R.WRONG_NUMBER, R.NOT_INTERESTED])
async def test_a_lamp_goes_out_by_work_only(desk: CallbackDesk, result: R) -> None:
    episode = await desk.miss()
    await sweep(desk.database, LIT)
    assert await burns(desk)
    recorded = await say(desk, episode, result, at=LIT, without_call="wrote a message")
    after = await desk.one(Episode)
    assert (after.status, await burns(desk), recorded.attempt) == ("open", True, None)
    assert recorded.passed
    assert recorded.passed.assignee_id == desk.office.id("maria")
    assert "wrote a message" in reasons.text(recorded.passed.reason)
    assert SAID[result] in recorded.passed.title
    await say(desk, episode, result, "maria", at=LIT, without_call="I know")  # the manager may decide
    assert not await burns(desk)


@pytest.mark.parametrize("escalated_first", [True, False])
@pytest.mark.parametrize("result", [R.REACHED, R.DIDNT_REACH, R.WRONG_NUMBER, R.NOT_INTERESTED])
async def test_what_is_passed_on_while_a_lamp_burns_leaves_the_manager_one_thing_to_do(
    desk: CallbackDesk, result: R, escalated_first: bool
) -> None:
    """The task of the escalation says what the seller said, whichever of the two came first, and ends with the lamp."""
    episode = await desk.miss()
    await sweep(desk.database, LIT)
    later = LIT + timedelta(minutes=25)
    for escalates in (escalated_first, not escalated_first):
        if escalates:
            await sweep(desk.database, later)
        else:
            await say(desk, episode, result, at=later, without_call="wrote a message")
            await say(desk, episode, result, at=later, without_call="they said it again")
    (task,) = [each for each in await desk.rows(Task) if each.assignee_id == desk.office.id("maria")]
    escalation = next(lamp for lamp in await desk.rows(Lamp) if lamp.is_escalation)
    assert (task.kind, task.status, task.id) == ("control", "open", escalation.task_id)
    assert (SAID[result] in task.title, "they said it again" in reasons.text(task.reason)) == (True, True)
    assert [each["code"].split(".")[0] for each in task.reason["because"]][-1] == "escalation"
    await say(desk, episode, result, "maria", at=later + timedelta(minutes=1), without_call="I know")
    assert [each.status for each in await desk.rows(Task) if each.id == task.id] == ["done"]


async def test_two_results_passed_on_before_the_escalation_are_one_task(desk: CallbackDesk) -> None:
    episode = await desk.miss()
    await sweep(desk.database, LIT)
    await say(desk, episode, R.REACHED, at=LIT, without_call="wrote a message")
    await say(desk, episode, R.WRONG_NUMBER, at=LIT, without_call="a fax")
    (task,) = [each for each in await desk.rows(Task) if each.assignee_id == desk.office.id("maria")]
    assert SAID[R.WRONG_NUMBER] in task.title


async def test_a_call_puts_the_lamp_out(desk: CallbackDesk) -> None:
    await desk.miss()
    await sweep(desk.database, LIT)
    await call_out(desk, "17.2", LIT)
    assert not await burns(desk)


async def test_on_the_card_anothers_deal_is_passed_on_too(desk: CallbackDesk) -> None:
    """Olena answers Ivan's client; "not interested" is for Ivan to decide, and the number of his client is not silenced."""
    await desk.intake.apply(batch(FactStory("17.1").ring("101").answer("101").wait(5).end()))
    await desk.intake.apply(batch(FactStory("17.2", at=SOON).ring("102").answer("102").wait(5).end()))
    call_id = next(call.id for call in await desk.rows(Call) if call.linkedid == "17.2") or 0
    at = SOON + timedelta(minutes=1)
    async with desk.database.write() as session:
        olena = await desk.viewer("olena")
        await outcome_actions.finish(session, olena, call_id, "not_interested", at, why="too dear")
    assert await kind_of_stage(desk) == "unsorted"
    task = await task_about(desk, "not_interested")
    assert task
    assert task.assignee_id == desk.office.id("ivan")
    async with desk.database.write() as session:
        await outcome_actions.unhide(session, olena, call_id, at)
        await outcome_actions.mark_not_a_client(session, olena, call_id, region="UA", now=at)
    assert await task_about(desk, "not_interested") is None
    assert await task_about(desk, "spam")
    async with desk.database.read() as session:
        assert await session.get(SpecialNumber, CLIENT) is None
