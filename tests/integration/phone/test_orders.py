"""Click-to-call: one call at a time to a client, never late, recognised with certainty."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest
from redis.asyncio import Redis

from pbxcrm.callbacks.models import Attempt, Episode
from pbxcrm.calls.facts import Batch, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.pbx.state import JournalPosition
from pbxcrm.people.models import Extension
from pbxcrm.phone import order_source
from pbxcrm.phone.actions import hang_up, transfer
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.phone.order_source import Answer, Order, Orders, wake
from pbxcrm.shared import timers
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound, Unavailable
from tests.calls import NOON, FactStory, batch, outbound
from tests.databases import paused_redis
from tests.integration.callbacks.conftest import CLIENT, MISSED_AT
from tests.integration.phone.conftest import Phones
from tests.unit.tracker.story import TRANSFERRED_TO_103, MessageStory


def clicked(command: PhoneCommand, extension: str = "101") -> FactStory:
    """The call that the PBX makes of an order."""
    story = outbound(command.channel_id, extension, command.client_number or "", at=NOON + timedelta(minutes=1))
    story.state = replace(story.state, click_to_call=True)
    return story


@pytest.fixture
def orders(database: Database, redis_url: str, phones: Phones) -> Orders:
    return Orders(database, Redis.from_url(redis_url), lambda: phones.now)


async def test_an_order_is_taken_once_and_becomes_a_call_that_is_recognised(phones: Phones, orders: Orders) -> None:
    episode = await phones.desk.miss()
    command = await phones.call()
    (order,) = await orders.take("default")
    assert (order.kind, order.params) == (
        "originate",
        {"extension": "101", "number": CLIENT, "call_id": command.key},
    )
    assert order.expires_at == NOON + timedelta(seconds=30)
    assert not await orders.take("default")
    await orders.finish(Answer(order.id, done=True, code="done"))
    assert (await phones.order()).status == "ringing"
    await phones.desk.intake.apply(batch(clicked(command).wait(5).answer("101").wait(20).end()))
    done = await phones.order()
    call = (await phones.desk.rows(Call))[-1]
    assert (done.status, done.call_id, call.linkedid) == ("done", call.id, f"crm-{command.key}")
    async with phones.desk.database.read() as session:
        deal = await session.get(Deal, call.deal_id)
        stage = await session.get(Stage, deal.stage_id) if deal else None
    assert stage
    assert stage.name == "Unsorted"  # it was "Didn't reach", until somebody talked
    closed = await phones.desk.one(Episode)
    assert (closed.id, closed.status, closed.closed_by_call_id) == (episode.id, "reached", call.id)


async def test_calling_claims_the_clients_callback_and_a_failed_call_is_its_attempt(phones: Phones) -> None:
    await phones.desk.miss()
    phones.now = MISSED_AT
    command = await phones.call()
    claimed = await phones.desk.one(Episode)
    assert (claimed.claimed_by_id, command.episode_id) == (phones.desk.office.id("ivan"), claimed.id)
    await phones.desk.intake.apply(batch(clicked(command).wait(25).end()))
    attempt, order = await phones.desk.one(Attempt), await phones.order()
    assert (attempt.call_id, attempt.result, order.status) == (order.call_id, "didnt_reach", "done")
    assert (await phones.desk.one(Episode)).claimed_by_id is None


async def test_our_own_phone_not_picked_up(phones: Phones) -> None:
    await phones.desk.miss()
    command = await phones.call()
    await phones.desk.intake.apply(batch(clicked(command).wait(25).end(Outcome.NOT_DIALLED)))
    order = await phones.order()
    assert (order.status, order.error_code, order.error_params) == ("failed", "not_picked_up", {"extension": "101"})
    assert not await phones.desk.rows(Attempt)
    await phones.call()  # and may be tried again at once


async def test_two_people_never_call_the_same_client_at_once(phones: Phones) -> None:
    await phones.call("ivan")
    with pytest.raises(Conflict, match="Ivan Kravets is calling this client right now"):
        await phones.call("petro")
    await phones.call("petro", "+380501112233")


async def test_two_clicks_at_the_same_moment(phones: Phones, database: Database) -> None:
    found = await asyncio.gather(phones.call("ivan"), phones.call("olena"), return_exceptions=True)
    assert sorted(type(result).__name__ for result in found) == ["Conflict", "PhoneCommand"]
    assert len(await phones.desk.rows(PhoneCommand)) == 1


async def test_a_client_who_is_on_a_call_already_is_not_called(phones: Phones) -> None:
    """Whatever made the call: it rings, it is talked on, or a colleague dials from their desk."""
    story = FactStory("17.1").ring("101")
    await phones.desk.intake.apply(batch(story))
    with pytest.raises(Conflict, match="calling us"):
        await phones.call("olena")
    await phones.desk.intake.apply(batch(story.wait(3).answer("101")))
    with pytest.raises(Conflict, match="Ivan Kravets is talking"):
        await phones.call("olena")
    with pytest.raises(Conflict, match="You are on a call"):
        await phones.call("ivan")
    await phones.desk.intake.apply(batch(story.wait(3).end(), dialled := outbound("17.2", "101")))
    with pytest.raises(Conflict, match="Ivan Kravets is calling"):
        await phones.call("olena")
    await phones.desk.intake.apply(batch(dialled.wait(9).end()))
    assert (await phones.call("olena")).status == "asked"


async def test_who_dials_from_the_desk_takes_the_callback(phones: Phones) -> None:
    episode = await phones.desk.miss()
    story = outbound("17.2", "101")
    await phones.desk.intake.apply(batch(story))
    assert (await phones.desk.one(Episode)).claimed_by_id == phones.desk.office.id("ivan")
    await phones.desk.intake.apply(batch(story.wait(25).end()))
    episode = await phones.desk.one(Episode)
    assert (episode.claimed_by_id, episode.attempts, episode.status) == (None, 1, "open")


async def test_who_has_claimed_the_callback_is_named(phones: Phones) -> None:
    await phones.desk.miss()
    command = await phones.call("ivan")
    await phones.desk.intake.apply(batch(clicked(command).wait(5).end(Outcome.NOT_DIALLED)))
    with pytest.raises(Conflict, match="Ivan Kravets has taken"):
        await phones.call("olena")
    assert len(await phones.desk.rows(PhoneCommand)) == 1  # refused as a whole


async def test_a_click_that_nobody_sent_in_time_never_dials(phones: Phones, orders: Orders) -> None:
    await phones.call()
    phones.now = NOON + timedelta(seconds=30)
    assert not await orders.take("default")
    assert ((await phones.order()).status, (await phones.order()).error_code) == ("expired", "command_expired")


async def test_it_is_said_to_have_expired_also_when_no_listener_is_there(phones: Phones) -> None:
    await phones.call()
    await timers.sweep(phones.desk.database, NOON + timedelta(seconds=29))
    assert (await phones.order()).status == "asked"
    await timers.sweep(phones.desk.database, NOON + timedelta(seconds=30))
    assert (await phones.order()).status == "expired"


async def test_an_order_whose_call_was_never_seen_locks_nobody_out(phones: Phones, orders: Orders) -> None:
    await phones.call()
    await orders.take("default")
    await timers.sweep(phones.desk.database, NOON + timedelta(seconds=31))
    assert (await phones.order()).status == "sent"
    phones.now = NOON + timedelta(seconds=89)
    with pytest.raises(Conflict):
        await phones.call("olena")
    phones.now = NOON + timedelta(seconds=90)
    await phones.call("olena")  # also before any worker has looked
    assert [order.status for order in await phones.desk.rows(PhoneCommand)] == ["failed", "asked"]


async def test_a_refusal_of_the_pbx_is_kept_and_frees_the_client(phones: Phones, orders: Orders) -> None:
    await phones.call()
    (order,) = await orders.take("default")
    await orders.finish(Answer(order.id, done=False, code="action_refused", params={"why": "Permission denied"}))
    found = await phones.order()
    assert (found.status, found.error_code, found.error_params) == (
        "failed",
        "action_refused",
        {"why": "Permission denied"},
    )
    await phones.call("olena")


@pytest.mark.parametrize("state", ["unreachable", "refused", "silent"])
async def test_the_pbx_is_away(phones: Phones, state: str) -> None:
    await phones.connect(state)
    with pytest.raises(Unavailable, match="nothing was dialled"):
        await phones.call()
    assert not await phones.desk.rows(PhoneCommand)


async def test_own_numbers_colleagues_and_nonsense_are_refused(phones: Phones) -> None:
    async with phones.desk.database.write() as session:
        session.add(SpecialNumber(number=CLIENT, kind="own", added_at=NOON))
    with pytest.raises(Invalid, match="our own numbers"):
        await phones.call()
    with pytest.raises(Invalid, match="102 is the phone of Olena Hryhorenko"):
        await phones.call(number="102")
    with pytest.raises(Invalid):
        await phones.call(number="1\r\nAction: Command")
    with pytest.raises(NotAllowed):
        await phones.call("kira")
    with pytest.raises(Invalid, match="no extension"):
        await phones.call("admin", "+380501112233")


async def test_the_phone_chosen_once_is_the_one_next_time(phones: Phones) -> None:
    async with phones.desk.database.write() as session:
        session.add(Extension(number="115", user_id=phones.desk.office.id("ivan")))
    assert (await phones.call(number="+380501110001")).extension == "101"
    assert (await phones.call(number="+380501110002", extension="115")).extension == "115"
    assert (await phones.call(number="+380501110003")).extension == "115"


async def test_a_call_from_a_deal_is_the_deals_call_though_the_number_is_new(phones: Phones) -> None:
    await phones.desk.intake.apply(batch(FactStory("17.1").ring("101").answer("101").wait(9).end()))
    deal = await phones.desk.one(Deal)
    command = await phones.call(number="+380509990000", deal_id=deal.id)
    await phones.desk.intake.apply(batch(clicked(command).wait(5).end()))
    assert (await phones.desk.rows(Call))[-1].deal_id == deal.id
    with pytest.raises(NotFound):
        await phones.call("petro", number="+380509990001", deal_id=deal.id)


async def test_transfer_and_hang_up_act_on_ones_own_phone(phones: Phones, orders: Orders) -> None:
    await phones.desk.intake.apply(batch(FactStory("17.1").ring("101", "102").answer("101")))
    call = await phones.desk.one(Call)
    assert call.id
    ivan, olena = await phones.desk.viewer("ivan"), await phones.desk.viewer("olena")
    async with phones.desk.database.write() as session:
        await transfer(session, ivan, phones.settings, call.id, to="102", attended=True, now=NOON)
        await transfer(session, ivan, phones.settings, call.id, to="103", attended=False, now=NOON)
        await hang_up(session, ivan, call.id, now=NOON)
        with pytest.raises(Conflict, match="not on this call"):
            await hang_up(session, olena, call.id, now=NOON)
    assert [(order.kind, order.params) for order in await orders.take("default")] == [
        ("attended_transfer", {"channel": "17.1-101", "number": "102"}),
        ("transfer", {"channel": "17.1-101", "number": "103"}),
        ("hangup", {"channel": "17.1-101"}),
    ]


async def test_whose_phone_hung_up_late_is_not_on_the_call(phones: Phones) -> None:
    """The Hangup of the phone that handed the client over came when its leaving had been told: no other fact followed."""
    story = MessageStory(TRANSFERRED_TO_103)
    await phones.desk.intake.apply(Batch("default", tuple(story.facts), JournalPosition(0, 0)))
    call, ivan = await phones.desk.one(Call), await phones.desk.viewer("ivan")
    async with phones.desk.database.write() as session:
        order = await hang_up(session, ivan, call.id or 0, now=NOON)  # its channel is there
        story.tell("9.6 hangup p101")
        assert order.channel_id == story.facts[0].call.linkedid[:-1] + "2"
    await phones.desk.intake.apply(Batch("default", tuple(story.facts), JournalPosition(0, 0)))
    async with phones.desk.database.write() as session:
        with pytest.raises(Conflict, match="not on this call"):
            await hang_up(session, ivan, call.id or 0, now=NOON)


async def test_whose_phone_lost_the_call_to_a_colleague_is_not_on_it(phones: Phones) -> None:
    story = FactStory("18.1").ring("101", "102").answer("102")
    legs = tuple(replace(leg, ended_at=None) for leg in story.state.legs)  # the channels end a moment later
    story.facts[-1] = replace(story.facts[-1], call=replace(story.state, legs=legs))
    await phones.desk.intake.apply(batch(story))
    call = await phones.desk.one(Call)
    async with phones.desk.database.write() as session:
        await hang_up(session, await phones.desk.viewer("olena"), call.id or 0, now=NOON)
        with pytest.raises(Conflict, match="not on this call"):
            await hang_up(session, await phones.desk.viewer("ivan"), call.id or 0, now=NOON)


async def next_order(source: Orders) -> Order:
    async for order in source.requests("default"):
        return order
    raise AssertionError("it goes on for ever")


async def test_redis_wakes_the_listener_and_its_absence_only_delays(
    phones: Phones, database: Database, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Redis.from_url(redis_url) as redis:
        monkeypatch.setattr(order_source, "LOOK_SECONDS", 3600.0)  # nobody looks by himself
        monkeypatch.setattr(order_source, "PUBLISH_SECONDS", 30.0)
        waiting = asyncio.create_task(next_order(Orders(database, redis, lambda: phones.now)))
        while await redis.pubsub_numsub("pbxcrm:phone:default") != [(b"pbxcrm:phone:default", 1)]:
            await asyncio.sleep(0.01)
        command = await phones.call()
        await wake(redis, "default")
        assert (await asyncio.wait_for(waiting, 30)).id == command.key
    monkeypatch.undo()
    async with Redis.from_url("unix:///nowhere/redis.sock") as nobody:
        waiting = asyncio.create_task(next_order(Orders(database, nobody, lambda: phones.now)))
        command = await phones.call("olena", "+380501112233")
        await wake(nobody, "default")
        assert (await asyncio.wait_for(waiting, 30)).id == command.key


async def test_a_redis_that_hangs_holds_up_no_click(redis_url: str) -> None:
    async with Redis.from_url(redis_url) as redis:
        await redis.ping()
        with paused_redis(redis_url):
            await asyncio.wait_for(wake(redis, "default"), 60)  # the order is committed: its listener looks by itself
        assert await redis.ping()
