"""Each trap of panoramisk and of the network, over real TCP against a PBX that behaves badly."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from ami.connection import AmiConnection, Frame, Link, Timing
from ami.errors import ActionRefused, ActionTimeout, LinkDown, LoginRefused, UnsafeValue
from ami.messages import parse
from ami.url import AmiUrl
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import PbxState
from tests.fakes.ami_server import FakeAmiServer, error, listing, message, success

QUICK = Timing(connect=2, answer=0.3, ping_after=0.2, ping_answer=0.2, retry_first=0.05, retry_most=0.2)
PATIENT = Timing(retry_first=0.05, retry_most=0.2)


class LinkStates:
    """Hears the states, and can be waited on."""

    def __init__(self) -> None:
        self.states: list[tuple[PbxState, str]] = []
        self.params: dict[str, dict[str, str]] = {}
        self._changed = asyncio.Event()

    def __call__(self, state: PbxState, code: str, params: dict[str, str]) -> None:
        assert "s3cret" not in REPORTS[code].format_map(params)  # every report has its sentence and its figures
        self.states.append((state, code))
        self.params[code] = params
        self._changed.set()

    async def heard(self, code: str, times: int = 1) -> dict[str, str]:
        async with asyncio.timeout(30):
            while [known for _, known in self.states].count(code) < times:
                self._changed.clear()
                await self._changed.wait()
        return self.params[code]


class RunningConnection:
    """A connection with a task that takes its frames."""

    def __init__(self, url: str, timing: Timing) -> None:
        self.told = LinkStates()
        self.connection = AmiConnection(
            AmiUrl.parse(url), self.told, lambda: datetime.now(UTC), timing=timing, dice=random.Random(3)
        )
        self.frames: list[Frame] = []
        self.links: list[Link] = []
        self._changed = asyncio.Condition()
        self.task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        async for link in self.connection.links():
            self.links.append(link)
            async with self._changed:
                self._changed.notify_all()
            async for frames in link.frames():
                self.frames += frames
                async with self._changed:
                    self._changed.notify_all()

    async def until(self, links: int = 1, frames: int = 0) -> None:
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(self.links) >= links and len(self.frames) >= frames)

    def names(self) -> list[str]:
        return [parse(raw).get("Uniqueid", "") for _, raw in self.frames]


@pytest.fixture
async def pbx() -> AsyncIterator[FakeAmiServer]:
    async with FakeAmiServer() as server:
        yield server


@pytest.fixture
async def clients() -> AsyncIterator[list[RunningConnection]]:
    made: list[RunningConnection] = []
    yield made
    for client in made:
        client.connection.close()
    for client in made:
        await asyncio.gather(client.task, return_exceptions=True)


def hangup(number: int, name: str = "x") -> bytes:
    return message(Event="Hangup", Uniqueid=str(number), CallerIDName=name)


async def test_hears_every_event_in_order_once(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    stream = b"".join(hangup(n) for n in range(3000))
    for at in range(0, len(stream), 7919):
        await pbx.send(stream[at : at + 7919])
    await client.until(frames=3000)
    assert client.names() == [str(n) for n in range(3000)]
    assert client.told.states == [(PbxState.CONNECTING, "connecting")]


async def test_a_name_torn_at_any_byte_is_whole(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    for byte in hangup(1, "Олена Їжак 🙂"):
        await pbx.send(bytes([byte]))
    await client.until(frames=1)
    assert parse(client.frames[0][1])["CallerIDName"] == "Олена Їжак 🙂"


async def test_a_torn_banner_is_a_banner(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    pbx.banner = b"Asteri"
    pbx.responders["login"] = lambda action: b"sk Call Manager/11.0.0\r\n" + success(action)
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    assert len(client.links) == 1


@pytest.mark.parametrize(
    "garbage", [b"\xff\xfe\x00" * 1000 + b"\r\n\r\n", b"\r\n\r\n" * 50, b"Event\r\n\r\n: \r\n\r\n"]
)
async def test_garbage_between_events_harms_nothing(
    pbx: FakeAmiServer, clients: list[RunningConnection], garbage: bytes
) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    await pbx.send(garbage + hangup(1) + garbage + hangup(2))
    await client.until(frames=2)
    assert client.names() == ["1", "2"]
    assert not client.links[0].broken.done()


async def test_a_wrong_secret_is_tried_once_and_said(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    clients.append(client := RunningConnection(pbx.url.replace("s3cret", "wrong%40"), QUICK))
    with pytest.raises(LoginRefused):
        await asyncio.wait_for(client.task, 30)
    assert client.told.states[-1] == (PbxState.REFUSED, "login_refused")
    assert client.told.params["login_refused"]["why"] == "Authentication failed"
    assert pbx.names() == ["Login"]
    assert "wrong" not in str(client.told.params)


async def test_a_pbx_that_is_about_to_end_is_tried_again(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    """It refuses every login, also with the right secret."""
    accepts, pbx.responders["login"] = (
        pbx.responders["login"],
        lambda action: error(action, "Asterisk is shutting down"),
    )
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.told.heard("unreachable", 2)
    assert client.told.params["unreachable"]["why"] == "Asterisk is shutting down"
    pbx.responders["login"] = accepts
    await client.until(links=1)


async def test_nobody_there_is_tried_again_with_growing_pauses(
    pbx: FakeAmiServer, clients: list[RunningConnection]
) -> None:
    await pbx.stop()
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.told.heard("unreachable", 3)
    assert (PbxState.UNREACHABLE, "unreachable") in client.told.states
    await pbx.start()
    await client.until(links=1)


async def test_something_else_at_the_port(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    pbx.banner = b"SSH-2.0-OpenSSH_9.2\r\n"
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.told.heard("not_asterisk")
    assert not client.links


async def test_a_login_nobody_answers(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    pbx.mute = True
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.told.heard("login_silent")
    assert (PbxState.SILENT, "login_silent") in client.told.states
    pbx.mute = False
    await client.until(links=1)


async def test_a_half_open_link_is_noticed_and_made_anew(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.until(links=1)
    pbx.mute = True  # TCP lives, the PBX does not
    await client.told.heard("silent")
    pbx.mute = False
    await client.until(links=2)
    await pbx.send(hangup(5))
    await client.until(frames=1)


async def test_a_quiet_pbx_that_answers_pings_is_left_alone(
    pbx: FakeAmiServer, clients: list[RunningConnection]
) -> None:
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await asyncio.wait_for(pbx.asked("Ping", 2), 30)
    before = client.connection.last_contact_at
    await asyncio.wait_for(pbx.asked("Ping", 4), 30)
    assert len(client.links) == 1
    assert not client.links[0].broken.done()
    assert client.links[0].last_event_at is None
    assert before is not None
    assert before < (client.connection.last_contact_at or before)  # an answer is a contact, without any event


async def test_when_the_pbx_was_last_heard_is_known_after_it_is_gone(
    pbx: FakeAmiServer, clients: list[RunningConnection]
) -> None:
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.until(links=1)
    pbx.mute = True
    await client.told.heard("silent")
    heard = client.connection.last_contact_at
    assert heard is not None
    await client.told.heard("login_silent")
    assert client.connection.last_contact_at == heard


async def test_an_unanswered_originate_is_not_sent_again(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    pbx.responders["originate"] = lambda action: None
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    call = asyncio.create_task(client.connection.send({"Action": "Originate", "Channel": "PJSIP/101"}))
    await pbx.asked("Originate")
    pbx.drop()
    with pytest.raises(LinkDown):
        await call
    await client.until(links=2)
    await pbx.send(message(Event="FullyBooted") + hangup(1))  # panoramisk would send it again now
    await client.connection.send({"Action": "Ping"})
    assert pbx.names().count("Originate") == 1


async def test_originate_is_always_asynchronous(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    pbx.responders["originate"] = lambda action: success(action, Message="Originate successfully queued")
    await client.connection.send({"Action": "Originate", "Channel": "PJSIP/101", "Async": "false"})
    assert (await pbx.asked("Originate"))["Async"] == "true"
    action_id = pbx.actions[-1]["ActionID"]
    # The late answer of the phone is an event like any other: the tracker wants it.
    await pbx.send(message(Event="OriginateResponse", ActionID=action_id, Response="Failure", Uniqueid="77"))
    await client.until(frames=1)
    assert client.names() == ["77"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("Exten", "1\r\nAction: Command"),
        ("CallerID", "a\nb"),
        ("CallerID", "a\rb"),
        ("Channel", "PJSIP/1\0"),
        ("Variable", "A=1,B=2"),
        ("CallerID", "\ud800"),
    ],
)
async def test_no_action_can_be_smuggled_in(
    pbx: FakeAmiServer, clients: list[RunningConnection], field: str, value: str
) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    with pytest.raises(UnsafeValue):
        await client.connection.send({"Action": "Originate", field: value})
    await client.connection.send({"Action": "Ping"})
    assert pbx.names() == ["Login", "Ping"]


async def test_an_action_refused_not_answered_or_without_a_link(
    pbx: FakeAmiServer, clients: list[RunningConnection]
) -> None:
    pbx.responders["hangup"] = lambda action: error(action, "No such channel")
    pbx.responders["atxfer"] = lambda action: None
    clients.append(client := RunningConnection(pbx.url, Timing(answer=0.2, retry_first=5)))
    with pytest.raises(LinkDown):
        await client.connection.send({"Action": "Ping"})
    await client.until(links=1)
    with pytest.raises(ActionRefused) as refused:
        await client.connection.send({"Action": "Hangup", "Channel": "PJSIP/101-1"})
    assert refused.value.params["why"] == "No such channel"
    with pytest.raises(ActionTimeout):
        await client.connection.send({"Action": "Atxfer"})
    protocol = client.links[0]._protocol
    assert protocol is not None
    assert not protocol.responses  # an unanswered action leaves nothing behind
    pbx.drop()
    await client.told.heard("link_lost")
    with pytest.raises(LinkDown):
        await client.connection.send({"Action": "Ping"})


async def test_lists_come_whole_while_events_go_on(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    rows = [{"Uniqueid": f"1.{n}", "Channel": f"PJSIP/10{n}-1", "CallerIDName": ""} for n in range(5)]
    answer = listing("CoreShowChannel", "CoreShowChannelsComplete", rows)
    pbx.responders["coreshowchannels"] = lambda action: hangup(1) + (answer(action) or b"") + hangup(2)
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    messages = await client.connection.send({"Action": "CoreShowChannels"}, as_list=True)
    assert [m["Uniqueid"] for m in messages if m.get("Event") == "CoreShowChannel"] == [row["Uniqueid"] for row in rows]
    assert messages[1]["CallerIDName"] == ""
    await client.until(frames=2)
    assert client.names() == ["1", "2"]


async def test_a_listener_that_does_not_read_is_bounded_in_memory(pbx: FakeAmiServer) -> None:
    told = LinkStates()
    timing = Timing(backlog=100_000)
    connection = AmiConnection(AmiUrl.parse(pbx.url), told, lambda: datetime.now(UTC), timing=timing)
    async for link in connection.links():
        flood = asyncio.create_task(pbx.send(b"".join(hangup(n) for n in range(20_000))))
        why = await asyncio.wait_for(link.broken, 30)
        await asyncio.gather(flood, return_exceptions=True)
        assert why.params["code"] == "overrun"
        break
    connection.close()


async def test_a_lost_link_keeps_what_had_come(pbx: FakeAmiServer, clients: list[RunningConnection]) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    for writer in pbx.writers:
        writer.write(hangup(1) + hangup(2))
        writer.close()
    await client.until(links=2, frames=2)
    assert client.names() == ["1", "2"]


async def test_a_pbx_that_says_goodbye_is_told_from_a_broken_link(
    pbx: FakeAmiServer, clients: list[RunningConnection]
) -> None:
    clients.append(client := RunningConnection(pbx.url, PATIENT))
    await client.until(links=1)
    await pbx.send(message(Event="Shutdown", Shutdown="Cleanly", Restart="True"))
    await client.until(frames=1)
    pbx.drop()
    await client.told.heard("pbx_stopped")
    await client.until(links=2)
    pbx.drop()
    await client.told.heard("link_lost")


async def test_closing_leaves_no_timer_and_no_reconnect(pbx: FakeAmiServer) -> None:
    client = RunningConnection(pbx.url, QUICK)
    await client.until(links=1)
    client.connection.close()
    await asyncio.wait_for(client.task, 30)
    assert pbx.connections == 1
    names = {task.get_coro().__qualname__ for task in asyncio.all_tasks() if task.get_coro() is not None}  # type: ignore[union-attr]
    assert not {name for name in names if "Link" in name or "AmiConnection" in name}


async def test_the_secret_is_never_logged(
    pbx: FakeAmiServer, clients: list[RunningConnection], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    clients.append(client := RunningConnection(pbx.url, QUICK))
    await client.until(links=1)
    assert "s3cret" not in caplog.text
    assert "s3cret" not in repr(client.connection.url) + str(client.connection.url)
