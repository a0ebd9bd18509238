"""What marking a number took is given back when the number comes off the list: by the undo, or later from the list itself."""

from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.callbacks.models import AttemptResult, Episode
from pbxcrm.callbacks.queries import open_episodes_of_number
from pbxcrm.callbacks.results import record_result
from pbxcrm.callbacks.special_numbers import put_on_list, take_off_list
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.models import NumberKind
from pbxcrm.deals.models import Deal
from pbxcrm.screenpop.outcome_actions import mark_not_a_client, unhide
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT, CallbackDesk
from tests.lamps import sweep_all

SOON = MISSED_AT + timedelta(minutes=5)
LATER = MISSED_AT + timedelta(hours=2)


async def standing(desk: CallbackDesk) -> tuple[str, str, int | None, bool]:
    """Of the one callback: its status, that of its task, whose it is, whether its norm runs."""
    episode = await desk.one(Episode)
    task = next(task for task in await desk.rows(Task) if task.id == episode.task_id)
    return episode.status, task.status, episode.owner_id, episode.norm_from is not None


@pytest.mark.parametrize("kind", [NumberKind.SPAM, NumberKind.OWN])
async def test_a_number_off_the_list_gives_its_callback_back(desk: CallbackDesk, kind: NumberKind) -> None:
    await desk.miss()
    before = await standing(desk)
    maria = await desk.viewer("maria")
    for at in (SOON, SOON + timedelta(minutes=1)):  # marked twice, it was closed the first time
        async with desk.database.write() as session:
            await put_on_list(session, maria, CLIENT, kind, note="Robot", region="UA", now=at)
    assert (await standing(desk))[:2] == ("dismissed", "cancelled")
    async with desk.database.write() as session:
        assert await take_off_list(session, maria, CLIENT, now=LATER) == 1
    assert await standing(desk) == before
    assert (await desk.one(Episode)).closed_reason == {}
    await sweep_all(desk.database, LATER)  # the norm went on meanwhile: it burns at once
    assert [lamp.state for lamp in await desk.rows(Lamp) if lamp.step == 0] == [LampState.BURNING]


async def test_what_was_closed_for_another_reason_stays_closed(desk: CallbackDesk) -> None:
    await desk.miss()
    again = FactStory("17.1", CLIENT, at=NOON + timedelta(minutes=1)).ring("102").answer("102").wait(60).end()
    await desk.intake.apply(batch(again))
    maria = await desk.viewer("maria")
    async with desk.database.write() as session:
        await put_on_list(session, maria, CLIENT, NumberKind.SPAM, note="Robot", region="UA", now=SOON)
    async with desk.database.write() as session:
        assert await take_off_list(session, maria, CLIENT, now=LATER) == 0
    assert (await desk.one(Episode)).status == "recovered"


async def test_a_deal_that_was_lost_for_it_stands_where_it_stood(desk: CallbackDesk) -> None:
    """Marked in the queue, with the deal of the missed call; taken off from the list by who did it."""
    episode = await desk.miss()
    stood = (await desk.one(Deal)).stage_id
    ivan = await desk.viewer("ivan")
    said = {"version": episode.version, "region": "UA", "without_call": "It is a robot"}
    async with desk.database.write() as session:
        await record_result(session, ivan, episode.id or 0, AttemptResult.SPAM, now=SOON, **said)  # type: ignore[arg-type]
    assert ((deal := await desk.one(Deal)).stage_id != stood, deal.lost_reason) == (True, "Not a client")
    async with desk.database.write() as session:
        assert await take_off_list(session, ivan, CLIENT, now=LATER) == 1
    assert ((deal := await desk.one(Deal)).stage_id, deal.lost_reason, deal.closed_at) == (stood, "", None)


async def test_the_undo_on_the_card_gives_the_callback_back(desk: CallbackDesk) -> None:
    await desk.miss()
    called = FactStory("17.3", CLIENT, at=NOON + timedelta(minutes=1))
    await desk.miss("+380501110002")
    ivan = await desk.viewer("ivan")
    await desk.intake.apply(batch(called.ring("101").answer("101")))  # the talk closes it; another miss opens a new one
    await desk.intake.apply(batch(called.wait(20).end()))
    await desk.miss(at=NOON + timedelta(minutes=4))
    async with desk.database.read() as session:
        (call_id,) = {e.closed_by_call_id for e in (await session.exec(select(Episode))).all()} - {None}
    assert call_id
    async with desk.database.write() as session:
        await mark_not_a_client(session, ivan, call_id, region="UA", now=SOON)
    async with desk.database.read() as session:
        assert await open_episodes_of_number(session, CLIENT) == []
    async with desk.database.write() as session:
        await unhide(session, ivan, call_id, SOON + timedelta(minutes=1))
    async with desk.database.read() as session:
        assert len(await open_episodes_of_number(session, CLIENT)) == 1


async def test_a_new_callback_of_the_client_is_not_doubled(desk: CallbackDesk) -> None:
    first = await desk.miss()
    maria = await desk.viewer("maria")
    async with desk.database.write() as session:
        await put_on_list(session, maria, CLIENT, NumberKind.SPAM, note="Robot", region="UA", now=SOON)
    async with desk.database.write() as session:
        session.add(
            Episode(
                client_key=first.client_key, client_number="+380501110002", first_missed_at=SOON, last_missed_at=SOON
            )
        )
    async with desk.database.write() as session:
        assert await take_off_list(session, maria, CLIENT, now=LATER) == 0
