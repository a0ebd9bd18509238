"""SMS, from the event to a real HTTP gateway that takes, refuses, hangs, or says neither."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.messages.gateway_actions import GatewayDraft, save_gateway, try_gateway
from pbxcrm.messages.gateway_queries import load_gateway
from pbxcrm.messages.option_actions import add_stop, change_message_options
from pbxcrm.messages.rules import LEASE
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.sms import SmsCarrier
from pbxcrm.privacy.erase_actions import erase_client
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.outgoing import Outgoing
from tests.http_server import HttpPeer, running_http
from tests.integration.messages.conftest import MessageDesk

HERE = parse_networks("127.0.0.0/8, ::1")
NUMBER = "+380671112233"
BODY = '{"to": "{digits}", "text": "{text}", "id": {id}}'
TAKEN = {"data": [{"id": "g-1"}]}


@pytest.fixture
async def peer() -> AsyncIterator[HttpPeer]:
    async with running_http(HttpPeer()) as found:
        answers(found, TAKEN)
        yield found


@pytest.fixture
async def desk(messages: MessageDesk, peer: HttpPeer) -> MessageDesk:
    """The desk, whose SMS go to the peer; quiet hours are off."""
    carrier = SmsCarrier(messages.rules.database, Outgoing(HERE))
    messages.sender = MessageSender(messages.rules.database, (*messages.sender.carriers, carrier))
    await describe(messages, peer)
    return messages


def answers(peer: HttpPeer, said: dict[str, Any], status: str = "200 OK") -> None:
    peer.says(status, "content-type: application/json", body=json.dumps(said).encode())


def draft(peer: HttpPeer, **more: Any) -> GatewayDraft:
    asked: dict[str, Any] = {
        "address": f"{peer.url}/send",
        "headers": "Authorization: Bearer {secret}",
        "body": BODY,
        "sender": "Dah",
        "secret": "top-secret",
        "taken_path": "data.0.id",
        "error_path": "error",
    }
    return GatewayDraft(**asked | more)


async def describe(desk: MessageDesk, peer: HttpPeer, **more: Any) -> None:
    async with desk.rules.database.write() as session:
        viewer = await desk.rules.office.viewer(session, "admin")
        await save_gateway(session, viewer, draft(peer, **more), desk.rules.now)


async def fire(desk: MessageDesk, *, phones: tuple[str, ...] = ("+380442001020", NUMBER), **more: Any) -> int:
    """A rule sends an SMS about a deal of a client; the id of the client."""
    template_id = await desk.template("Вітаємо, {client.name}!", name="SMS", channel="sms")
    when = {"kind": "stage_entered", "stage_id": desk.rules.stages["Invoice issued"]}
    await desk.rules.rule(when, {"kind": "message", "template_id": template_id}, **more)
    contact_id = await desk.client(phones=phones)
    await desk.rules.move(await desk.rules.deal(contact_id=contact_id), "Invoice issued")
    await desk.rules.work()
    return contact_id


async def test_a_rule_sends_an_sms_once_after_the_commit(desk: MessageDesk, peer: HttpPeer) -> None:
    await fire(desk)
    assert peer.calls == [], "nothing is sent within the transaction of the rule"
    assert await desk.send() == 1
    assert await desk.send() == 0
    (call,) = peer.calls
    (row,) = await desk.deliveries()
    assert call.line == "POST /send HTTP/1.1"
    assert call.headers["authorization"] == "Bearer top-secret"
    assert json.loads(call.body) == {"to": "380671112233", "text": "Вітаємо, Petro!", "id": row.id}
    assert (row.state, row.answer, row.address, row.subject) == ("sent", "200 g-1", NUMBER, "")
    (run,) = await desk.rules.runs()
    assert await desk.rules.steps(run.id) == [("message", "done", f"Message to {NUMBER}: Вітаємо, Petro!")]
    assert desk.taken.mails == []


async def test_what_the_gateway_refuses_is_told_and_what_it_puts_off_is_sent_later(
    desk: MessageDesk, peer: HttpPeer
) -> None:
    answers(peer, {}, "503 Busy")
    await fire(desk)
    await desk.send()
    assert (await desk.told())[0][0] == "queued"
    answers(peer, {"error": "No money, Bearer top-secret"})
    await desk.send(timedelta(seconds=10))
    assert await desk.told() == [("failed", "It could not be sent: 200 No money, Bearer •••")]
    assert len(await desk.rules.tasks()) == 1
    first, second = peer.calls
    assert json.loads(first.body)["id"] == json.loads(second.body)["id"]
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


@pytest.mark.parametrize("knows", [False, True])
async def test_a_killed_sender_sends_nothing_twice_without_saying_so(
    desk: MessageDesk, peer: HttpPeer, *, knows: bool
) -> None:
    """The request has left, the mark is not committed. Only a gateway that knows the message gets it again."""
    await describe(desk, peer, knows_repeats=knows)
    await fire(desk)
    peer.holds = asyncio.Event()
    killed = asyncio.create_task(desk.send())
    async with asyncio.timeout(60):
        while not peer.calls:
            await asyncio.sleep(0.01)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    peer.holds.set()
    peer.holds = None
    assert await desk.send() == 0, "its lease is not over"
    assert await desk.send(LEASE + timedelta(seconds=1)) == int(knows)
    assert (await desk.told())[0][0] == ("sent" if knows else "unknown")
    assert len({call.headers["idempotency-key"] for call in peer.calls}) == 1
    assert len(peer.calls) == 1 + int(knows)
    assert len(await desk.rules.tasks()) == int(not knows)


async def test_an_answer_that_says_neither_leaves_it_unknown(desk: MessageDesk, peer: HttpPeer) -> None:
    peer.says("502 Bad Gateway")
    await fire(desk)
    await desk.send()
    assert await desk.told() == [("unknown", "The other side did not say whether it took the message: 502")]
    assert await desk.send(timedelta(days=1)) == 0
    assert len(peer.calls) == 1


async def test_guards_hold_an_sms_back_as_they_do_an_e_mail(desk: MessageDesk, peer: HttpPeer) -> None:
    async with desk.rules.database.write() as session:
        viewer = await desk.rules.office.viewer(session, "admin")
        # Whoever said no at an address gets no SMS either.
        await add_stop(session, viewer, "petro@client.example", "", "UA", desk.rules.now)
    await fire(desk)
    await desk.send()
    assert await desk.told() == [("refused", "petro@client.example is on the stop list.")]
    await fire_again(desk, phones=("+380442001020",), name="Oleh")  # a number of a fixed network
    await fire_again(desk, phones=("+380501112233",), name="Ira", email="ira@client.example")
    async with desk.rules.database.write() as session:
        viewer = await desk.rules.office.viewer(session, "admin")
        night = {"message_quiet": "00:00-23:59"}
        await change_message_options(session, viewer, night, "UA", desk.rules.now)
    await desk.send()
    told = await desk.told()
    assert told[1] == ("refused", "The client has no number that takes SMS.")
    assert told[2][0] == "queued"
    assert told[2][1].startswith("It waits for the end of quiet hours")
    assert peer.calls == []


async def fire_again(desk: MessageDesk, *, phones: tuple[str, ...], name: str, email: str = "o@client.example") -> None:
    contact_id = await desk.client(email, name=name, phones=phones)
    await desk.rules.move(await desk.rules.deal(contact_id=contact_id), "Invoice issued")
    await desk.rules.work()


async def test_a_client_gets_one_message_of_rules_a_day_by_any_channel(desk: MessageDesk, peer: HttpPeer) -> None:
    when = {"kind": "stage_entered", "stage_id": desk.rules.stages["Invoice issued"]}
    await desk.rules.rule(when, {"kind": "message", "template_id": await desk.template()}, name="First")
    await fire(desk, name="Second")
    await desk.send()
    assert sorted(state for state, _ in await desk.told()) == ["refused", "sent"]
    assert len(desk.taken.mails) + len(peer.calls) == 1


async def test_a_rule_that_watches_and_a_text_that_is_too_long(desk: MessageDesk, peer: HttpPeer) -> None:
    async with desk.rules.database.write() as session:
        viewer = await desk.rules.office.viewer(session, "admin")
        await change_message_options(session, viewer, {"message_test_number": "0509998877"}, "UA", desk.rules.now)
    await fire(desk, state="watch")
    long = await desk.template("ї" * 671, name="Long", channel="sms")
    when = {"kind": "stage_entered", "stage_id": desk.rules.stages["Invoice issued"]}
    await desk.rules.rule(when, {"kind": "message", "template_id": long}, name="Long")
    await fire_again(desk, phones=("+380501112233",), name="Ira")
    await desk.send()
    assert {json.loads(call.body)["to"] for call in peer.calls} == {"380509998877"}
    assert ("refused", "The text is 11 SMS long; at most 10 are sent as one message.") in await desk.told()


async def test_without_a_gateway_it_is_said_and_a_test_is_sent_at_once(messages: MessageDesk, peer: HttpPeer) -> None:
    carrier = SmsCarrier(messages.rules.database, Outgoing(HERE))
    messages.sender = MessageSender(messages.rules.database, (carrier,))
    await fire(messages)
    await messages.send()
    ((state, told),) = await messages.told()
    assert state == "failed"
    assert "No gateway of SMS is set" in told
    now = messages.rules.now
    async with messages.rules.database.write() as session:
        viewer = await messages.rules.office.viewer(session, "admin")
        with pytest.raises(Conflict):
            await try_gateway(session, viewer, NUMBER, "Test", "UA", now)
    await describe(messages, peer)
    async with messages.rules.database.write() as session:
        viewer = await messages.rules.office.viewer(session, "admin")
        with pytest.raises(Invalid):
            await try_gateway(session, viewer, "101", "Test", "UA", now)
        await try_gateway(session, viewer, "067 111 22 33", "Test", "UA", now)
        await change_message_options(session, viewer, {"message_quiet": "00:00-23:59"}, "UA", now)
    tasks = len(await messages.rules.tasks())
    answers(peer, {"error": "No such sender"})
    await messages.send()
    assert (await messages.told())[-1] == ("failed", "It could not be sent: 200 No such sender")
    assert len(await messages.rules.tasks()) == tasks, "who tests looks at it"


async def test_a_client_who_is_erased_is_in_no_sms_and_in_no_test(desk: MessageDesk) -> None:
    contact_id = await fire(desk)
    async with desk.rules.database.write() as session:
        admin = await desk.rules.office.viewer(session, "admin")
        for number in (NUMBER, "+380509998877"):
            await try_gateway(session, admin, number, "Test", "UA", desk.rules.now)
    assert len(await desk.deliveries()) == 3
    await desk.rules.move((await desk.deliveries())[0].deal_id or 0, "Received")
    async with desk.rules.database.write() as session:
        admin = await desk.rules.office.viewer(session, "admin")
        await erase_client(session, admin, contact_id, "Petro", lambda _pbx: None, now=desk.rules.now)
    assert [each.address for each in await desk.deliveries()] == ["+380509998877"]


async def test_the_form_is_checked_where_it_is_wrong_and_keeps_its_secret(desk: MessageDesk, peer: HttpPeer) -> None:
    wrong: tuple[tuple[dict[str, Any], str], ...] = (
        ({"address": "file:///etc/passwd"}, "address"),
        ({"address": "https://{text}.example/"}, "address"),
        ({"address": "https://{digits}/"}, "address"),
        ({"address": "https://sms.example/{phone}"}, "address"),
        ({"method": "PUT"}, "method"),
        ({"body_format": "yaml"}, "body_format"),
        ({"body": '{"to": "{digits}"}'}, "body"),
        ({"body": '{"text": "{text}"}'}, "body"),
        ({"body": BODY + "}"}, "body"),
        ({"body": '{"to": "{digits}", "text": "{text}", "x": "{signature}"}'}, "body"),
        ({"method": "GET"}, "body"),
        ({"headers": "Authorization"}, "headers"),
        ({"headers": "X: {text}"}, "headers"),
        ({"headers": "X: Привіт"}, "headers"),
        ({"headers": "X Y: 1"}, "headers"),
        ({"sender": "Дах"}, "sender"),
        ({"secret": "a\nb"}, "secret"),
        ({"secret": ""}, "secret"),
        ({"taken_path": "x" * 101}, "taken_path"),
    )
    now = desk.rules.now
    async with desk.rules.database.write() as session:
        viewer = await desk.rules.office.viewer(session, "admin")
        for more, place in wrong:
            with pytest.raises(Invalid) as error:
                await save_gateway(session, viewer, draft(peer, **more), now)
            assert error.value.field == place, more
        with pytest.raises(Conflict):
            await save_gateway(session, viewer, draft(peer), now, version=0)
        kept = await save_gateway(session, viewer, draft(peer, secret=None, sender="Other"), now, version=1)
        assert (kept.secret, kept.sender, kept.version) == ("top-secret", "Other", 2)
        await save_gateway(session, viewer, draft(peer, secret="new-secret", sender="Other"), now)
        seller = await desk.rules.office.viewer(session, "olena")
        for refused in (
            save_gateway(session, seller, draft(peer), now),
            try_gateway(session, seller, NUMBER, "x", "UA", now),
        ):
            with pytest.raises(NotAllowed):
                await refused
    async with desk.rules.database.read() as session:
        log = (await session.exec(select(AuditEntry).where(AuditEntry.entity == "sms_gateway"))).all()
        assert [(each.action, each.data["new_secret"]) for each in log] == [
            ("sms_gateway.created", True), ("sms_gateway.changed", False), ("sms_gateway.changed", True),
        ]  # fmt: skip
        assert "-secret" not in str([each.data for each in log]) + repr(await load_gateway(session))
