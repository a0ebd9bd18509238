"""Outgoing webhooks, from the event to a real HTTP server that refuses, hangs, redirects, or has a wrong certificate."""

import asyncio
import json
import ssl
import subprocess
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from pbxcrm.automation.queries import rules_calling
from pbxcrm.messages.models import Webhook
from pbxcrm.messages.rules import LEASE
from pbxcrm.messages.sender import MessageSender
from pbxcrm.messages.webhook_actions import change_webhook, create_webhook, delete_webhook, renew_secret, send_again
from pbxcrm.messages.webhook_queries import deliveries_of_webhook, list_webhooks
from pbxcrm.messages.webhook_rules import signature
from pbxcrm.messages.webhooks import WebhookCarrier
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.outgoing import MOST_ANSWER, Outgoing
from pbxcrm.shared.refusals import NotSent
from tests.http_server import HttpPeer, TakenCall, running_http
from tests.integration.messages.conftest import CLIENT, MessageDesk

HERE = parse_networks("127.0.0.0/8, ::1")


@pytest.fixture
async def peer() -> AsyncIterator[HttpPeer]:
    async with running_http(HttpPeer()) as found:
        yield found


@pytest.fixture
def calls(messages: MessageDesk) -> MessageDesk:
    """The desk, whose sender calls webhooks, also on this machine."""
    carrier = WebhookCarrier(messages.rules.database, Outgoing(HERE))
    messages.sender = MessageSender(messages.rules.database, (carrier,))
    return messages


async def make(desk: MessageDesk, address: str, name: str = "Stock") -> tuple[int, str]:
    async with desk.rules.database.write() as session:
        viewer = await desk.rules.office.viewer(session, "admin")
        made, secret = await create_webhook(session, viewer, name=name, address=address, now=desk.rules.now)
    return made.id or 0, secret


async def fire(desk: MessageDesk, webhook_id: int, **step: Any) -> int:
    """A rule calls the webhook for a deal of a client."""
    when = {"kind": "stage_entered", "stage_id": desk.rules.stages["Invoice issued"]}
    await desk.rules.rule(when, {"kind": "webhook", "webhook_id": webhook_id, **step})
    deal_id = await desk.rules.deal(contact_id=await desk.client())
    await desk.rules.move(deal_id, "Invoice issued")
    await desk.rules.work()
    return deal_id


def check(secret: str, call: TakenCall) -> None:
    """As the other program does."""
    made = signature(secret, call.headers["webhook-id"], call.headers["webhook-timestamp"], call.body)
    assert call.headers["webhook-signature"] == made


async def test_a_rule_calls_once_after_the_commit_with_a_signature(calls: MessageDesk, peer: HttpPeer) -> None:
    webhook_id, secret = await make(calls, f"{peer.url}/in")
    deal_id = await fire(calls, webhook_id, fields=["amount", "title"])
    assert peer.calls == [], "nothing is sent within the transaction of the rule"
    assert await calls.send() == 1
    assert await calls.send() == 0
    (call,) = peer.calls
    assert call.line == "POST /in HTTP/1.1"
    check(secret, call)
    body = json.loads(call.body)
    assert body["id"] == call.headers["webhook-id"] == call.headers["idempotency-key"]
    assert (body["deal"]["id"], body["deal"]["title"], body["deal"]["stage"]) == (deal_id, "Roof", "Invoice issued")
    assert (body["contact"]["name"], body["contact"]["emails"]) == ("Petro", [CLIENT])
    assert body["event"]["when"] == "stage_entered"
    assert body["fields"] == {"amount": None, "title": "Roof"}
    assert await calls.told() == [("sent", "")]
    assert (await calls.deliveries())[0].answer == "200 ok"


async def test_a_refusal_is_tried_again_and_one_for_good_is_a_task(calls: MessageDesk, peer: HttpPeer) -> None:
    webhook_id, secret = await make(calls, peer.url)
    await fire(calls, webhook_id)
    peer.says("503 Busy", body=b"later")
    await calls.send()
    assert (await calls.told())[0][0] == "queued"
    assert await calls.send() == 0, "it waits"
    peer.says("404 Not Found", body=b"nobody here")
    await calls.send(timedelta(seconds=10))
    assert await calls.told() == [("failed", "It could not be sent: 404 nobody here")]
    first, second = peer.calls
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    check(secret, second)
    peer.says("200 OK")
    async with calls.rules.database.write() as session:
        viewer = await calls.rules.office.viewer(session, "admin")
        (row,) = await deliveries_of_webhook(session, viewer, webhook_id)
        await send_again(session, viewer, webhook_id, row.id or 0, calls.rules.now)
        with pytest.raises(Conflict):
            await send_again(session, viewer, webhook_id, row.id or 0, calls.rules.now)
    await calls.send()
    assert (await calls.told())[0][0] == "sent"
    assert peer.calls[-1].headers["webhook-id"] == first.headers["webhook-id"]


async def test_after_a_killed_sender_the_same_key_comes_again(calls: MessageDesk, peer: HttpPeer) -> None:
    webhook_id, _secret = await make(calls, peer.url)
    await fire(calls, webhook_id)
    peer.holds = asyncio.Event()
    killed = asyncio.create_task(calls.send())
    async with asyncio.timeout(60):
        while not peer.calls:
            await asyncio.sleep(0.01)
    killed.cancel()
    await asyncio.gather(killed, return_exceptions=True)
    peer.holds.set()
    peer.holds = None
    assert await calls.send() == 0, "its lease is not over"
    assert await calls.send(LEASE + timedelta(seconds=1)) == 1
    assert await calls.told() == [("sent", "")]
    assert len({call.headers["webhook-id"] for call in peer.calls}) == 1


async def test_one_that_hangs_is_given_up_and_one_that_talks_without_end_is_cut(peer: HttpPeer) -> None:
    peer.holds = asyncio.Event()
    with pytest.raises(NotSent, match="did not answer in time") as hung:
        await Outgoing(HERE, seconds=0.3).exchange("POST", peer.url, {}, b"{}")
    assert hung.value.is_unsure
    peer.holds.set()
    peer.holds = None
    peer.says("200 OK", body=b"x" * (MOST_ANSWER * 3))
    assert len((await Outgoing(HERE).exchange("POST", peer.url, {}, b"{}")).text) == MOST_ANSWER
    peer.answer = b"What?\r\n\r\n"
    with pytest.raises(NotSent, match="broke before the answer"):
        await Outgoing(HERE).exchange("POST", peer.url, {}, b"{}")
    peer.answer *= 2
    peer.says("200 OK", body=b"ok")
    peer.answer *= 2  # it answers twice
    assert (await Outgoing(HERE).exchange("POST", peer.url, {}, b"{}")).text == "ok"


async def test_one_that_trickles_has_no_more_time_than_any_other(peer: HttpPeer) -> None:
    """Each byte comes in time, the whole does not: in the head and in the body of an answer."""
    peer.pace = 0.02
    for length in (100_000, 2):
        peer.says("200 OK", *([] if length > 2 else ["x-filler: " + "x" * 100_000]), body=b"x" * length)
        began = asyncio.get_running_loop().time()
        with pytest.raises(NotSent, match="did not answer in time") as slow:
            await Outgoing(HERE, seconds=0.5).exchange("POST", peer.url, {}, b"{}")
        assert slow.value.is_unsure
        assert asyncio.get_running_loop().time() - began < 20, "it would take half an hour"


async def test_this_machine_is_refused_by_any_name_and_redirects_are_not_followed(
    calls: MessageDesk, peer: HttpPeer
) -> None:
    port = peer.url.rpartition(":")[2]
    for name in ("localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "2130706433", "0x7f.1", "0.0.0.0"):
        with pytest.raises(NotSent) as refused:
            await Outgoing().exchange("POST", f"http://{name}:{port}/", {}, b"{}")
        assert "private network" in str(refused.value), name
        assert refused.value.is_final
    assert peer.calls == [], "nothing was even connected"
    webhook_id, _secret = await make(calls, peer.url)
    await fire(calls, webhook_id)
    peer.says("307 Temporary Redirect", "location: http://169.254.169.254/latest")
    await calls.send()
    ((state, told),) = await calls.told()
    assert state == "failed"
    assert "redirects are not followed. Set the address itself: http://169.254.169.254/latest" in told
    assert len(peer.calls) == 1


async def test_a_name_that_changes_where_it_leads_gains_nothing(
    peer: HttpPeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second answer of the name is this machine: the check and the connection are of one answer."""
    asked: list[str] = []
    port = int(peer.url.rpartition(":")[2])

    async def getaddrinfo(_self: Any, host: str, *_args: Any, **_more: Any) -> list[Any]:
        asked.append(host)
        return [(2, 1, 6, "", ("127.0.0.1" if len(asked) == 1 else "127.0.0.2", port))]

    monkeypatch.setattr(type(asyncio.get_running_loop()), "getaddrinfo", getaddrinfo)
    allowed = parse_networks("127.0.0.1")
    assert (await Outgoing(allowed).exchange("POST", f"http://name.example:{port}/", {}, b"{}")).status == 200
    assert asked == ["name.example"], "it is resolved once"
    with pytest.raises(NotSent, match="private network"):
        await Outgoing(allowed).exchange("POST", f"http://name.example:{port}/", {}, b"{}")


async def test_a_wrong_certificate_is_refused_in_plain_words(tmp_path: Path) -> None:
    key, cert = tmp_path / "key.pem", tmp_path / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", "/CN=other.example", "-addext", "subjectAltName=DNS:other.example", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(cert, key)
    async with running_http(HttpPeer(), tls) as peer:
        with pytest.raises(NotSent, match="certificate of the server is wrong: self-signed") as unknown:
            await Outgoing(HERE).exchange("POST", peer.url, {}, b"{}")
        assert not unknown.value.is_unsure
        trust = ssl.create_default_context(cafile=str(cert))
        with pytest.raises(NotSent, match="certificate of the server is wrong: Hostname mismatch"):
            await Outgoing(HERE, trust).exchange("POST", peer.url, {}, b"{}")
        assert peer.calls == []


async def test_a_deleted_webhook_gets_nothing_and_keeps_its_history(calls: MessageDesk, peer: HttpPeer) -> None:
    webhook_id, _secret = await make(calls, peer.url)
    await fire(calls, webhook_id)
    now = calls.rules.now
    async with calls.rules.database.write() as session:
        viewer = await calls.rules.office.viewer(session, "admin")
        assert await rules_calling(session, webhook_id) == 1
        gone = await delete_webhook(session, viewer, webhook_id, now)
        assert (gone.name, gone.secret, gone.is_on) == (f"Stock (#{webhook_id})", "", False)
        for refused in (
            delete_webhook(session, viewer, webhook_id, now),
            renew_secret(session, viewer, webhook_id, now),
            change_webhook(session, viewer, webhook_id, name="Stock", address=peer.url, is_on=True, now=now),
        ):
            with pytest.raises(Conflict):
                await refused
        await create_webhook(session, viewer, name="Stock", address=peer.url, now=now)  # the name is free
    await calls.send()
    assert await calls.told() == [("failed", "It could not be sent: The webhook is switched off.")]
    async with calls.rules.database.write() as session:
        viewer = await calls.rules.office.viewer(session, "admin")
        (row,) = await deliveries_of_webhook(session, viewer, webhook_id)
        with pytest.raises(Conflict):
            await send_again(session, viewer, webhook_id, row.id or 0, now)
        assert [each.deleted_at is not None for each in await list_webhooks(session, viewer)] == [False, True]
    assert peer.calls == []


async def test_an_administrator_makes_changes_and_switches_off(calls: MessageDesk, peer: HttpPeer) -> None:
    webhook_id, secret = await make(calls, peer.url)
    await fire(calls, webhook_id)
    now = calls.rules.now
    async with calls.rules.database.write() as session:
        viewer = await calls.rules.office.viewer(session, "admin")
        for name, address, place in (
            ("Stock", peer.url, "name"),
            ("", peer.url, "name"),
            ("Other", "file:///etc/passwd", "address"),
        ):
            with pytest.raises(Invalid) as wrong:
                await create_webhook(session, viewer, name=name, address=address, now=now)
            assert wrong.value.field == place
        seller = await calls.rules.office.viewer(session, "olena")
        with pytest.raises(NotAllowed):
            await create_webhook(session, seller, name="Other", address=peer.url, now=now)
        _renewed, new = await renew_secret(session, viewer, webhook_id, now)
        assert new != secret
    await calls.send()
    check(new, peer.calls[-1])
    async with calls.rules.database.write() as session:
        viewer = await calls.rules.office.viewer(session, "admin")
        (row,) = await deliveries_of_webhook(session, viewer, webhook_id)
        await send_again(session, viewer, webhook_id, row.id or 0, now)
        await change_webhook(session, viewer, webhook_id, name="Stock", address=peer.url, is_on=False, now=now)
        assert secret not in repr(await session.get(Webhook, webhook_id))
        assert new not in repr(await session.get(Webhook, webhook_id))
    await calls.send()
    assert (await calls.told())[0] == ("failed", "It could not be sent: The webhook is switched off.")
    assert len(peer.calls) == 1
