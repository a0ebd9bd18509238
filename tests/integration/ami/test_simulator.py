"""The simulated PBX behaves to our link as a real one does."""

import asyncio
import json
import random
import re
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ami import commands
from ami.connection import AmiConnection, Link
from ami.errors import ActionRefused
from ami.messages import Message, parse
from ami.simulator import PROGRAMME, Simulator
from ami.stories import Crowd, StoryCaller
from ami.take_snapshot import take_snapshot
from ami.tracker import Tracker
from ami.url import AmiUrl
from pbxcrm.calls.facts import FactKind

OLENA = StoryCaller("+380671230001", "Оленка")
CALL_ID = "0b0f9d1e-3b50-4a1f-9d3c-0123456789ab"
HOW = commands.Dialling()
SCENARIOS = Path(__file__).parents[2] / "scenarios" / "shared-22"


class PbxEar:
    """Hears a simulated PBX."""

    def __init__(self, link: Link) -> None:
        self.link = link
        self.heard: list[Message] = []
        self._changed = asyncio.Condition()

    async def listen(self) -> None:
        async for frames in self.link.frames():
            self.heard += [parse(raw) for _, raw in frames]
            async with self._changed:
                self._changed.notify_all()

    async def until(self, event: str, times: int = 1, **headers: str) -> Message:
        def found() -> list[Message]:
            return [m for m in self.heard if m["Event"] == event and headers.items() <= m.items()]

        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: len(found()) >= times)
        return found()[-1]

    async def silence(self, simulator: Simulator) -> None:
        """Until all calls are over and heard."""
        async with asyncio.timeout(30), self._changed:
            await self._changed.wait_for(lambda: not simulator.going_on and bool(self.heard) and not self.living())

    def living(self) -> set[str]:
        """Uniqueids of channels that have not hung up."""
        made = {m["Uniqueid"] for m in self.heard if m["Event"] == "Newchannel"}
        return made - {m["Uniqueid"] for m in self.heard if m["Event"] == "Hangup"}


@asynccontextmanager
async def listening(simulator: Simulator) -> AsyncIterator[PbxEar]:
    connection = AmiConnection(AmiUrl.parse(simulator.url), lambda *_: None, lambda: datetime.now(UTC))
    async for link in connection.links():
        ear = PbxEar(link)
        task = asyncio.create_task(ear.listen())
        try:
            yield ear
        finally:
            connection.close()
            link.close()
            await task


@pytest.mark.parametrize("story", sorted(PROGRAMME))
async def test_plays_each_story_with_other_people(story: str) -> None:
    async with Simulator(seed=5, speed=50, stretch=1) as simulator, listening(simulator) as ear:
        simulator.begin(story, OLENA)
        await ear.silence(simulator)
        text = repr(ear.heard)
        assert not ear.living()
        assert not re.search(r"380671112233|380509998877|Olena|1795279\d{3}", text)
        if story not in {"anonymous_missed", "internal_answered"}:
            assert OLENA.number in text


@pytest.mark.parametrize("story", sorted(PROGRAMME))
async def test_the_tracker_judges_a_played_call_as_the_recorded_one(story: str) -> None:
    (truth,) = json.loads((SCENARIOS / f"{story}.json").read_text())
    async with Simulator(seed=5, speed=20, stretch=1) as simulator, listening(simulator) as ear:
        simulator.begin(story, OLENA)
        await ear.silence(simulator)
    tracker = Tracker()
    facts = [fact for message in ear.heard for fact in tracker.feed(message)] + tracker.close()
    (ended,) = [fact.call for fact in facts if fact.kind is FactKind.ENDED]
    assert (ended.direction, ended.outcome) == (truth["direction"], truth["outcome"])
    assert len(ended.talked) == len(truth["talked"])
    assert set(ended.talked) <= {"101", "102", "103", "104"}
    assert len(ended.transfers) == len(truth.get("transfers", []))
    if ended.client_heard is not None:
        assert ended.client_heard == OLENA.number


async def test_names_are_never_used_twice() -> None:
    async with Simulator(seed=1, speed=100, stretch=1) as simulator, listening(simulator) as ear:
        numbers = [simulator.begin() for _ in range(60)]
        await ear.silence(simulator)
        unique = Counter(m["Uniqueid"] for m in ear.heard if m["Event"] == "Newchannel")
        names = Counter(m["Channel"] for m in ear.heard if m["Event"] == "Newchannel")
        assert unique.most_common(1)[0][1] == 1
        assert names.most_common(1)[0][1] == 1
        assert len(set(numbers)) < len(numbers)  # clients call again


async def test_whom_it_knows_from_the_beginning_calls_too() -> None:
    regular = StoryCaller("+380671112233", "Andrii Koval")
    crowd = Crowd(random.Random(1), known=[regular])
    callers = [crowd.somebody() for _ in range(60)]
    assert regular in callers
    assert len(set(callers)) > 10


async def test_the_same_seed_gives_the_same_calls() -> None:
    first, second = Simulator(seed=9), Simulator(seed=9)
    assert [first.begin() for _ in range(20)] == [second.begin() for _ in range(20)]


async def test_tells_what_is_going_on() -> None:
    async with Simulator(seed=2, speed=20, stretch=1) as simulator, listening(simulator) as ear:
        simulator.begin("ring_group_answered", OLENA)
        await ear.until("BridgeEnter", 2)
        seen = await take_snapshot(ear.link.send)
        assert {channel["Uniqueid"] for channel in seen.channels} == ear.living()
        assert {channel["ChannelStateDesc"] for channel in seen.channels} == {"Up"}
        (bridge,) = seen.bridges
        assert set(bridge.channel_ids) == ear.living()
        assert seen.booted_at is not None


async def test_calls_out_by_click_with_the_given_id() -> None:
    action = commands.originate(HOW, extension="103", number="+380501112200"[:-1] + "1", call_id=CALL_ID)
    async with Simulator(seed=2, speed=20, stretch=1) as simulator, listening(simulator) as ear:
        await ear.link.send(action)
        answer = await ear.until("OriginateResponse")
        assert (answer["Response"], answer["Uniqueid"]) == ("Success", f"crm-{CALL_ID}")
        first = next(m for m in ear.heard if m["Event"] == "Newchannel")
        assert (first["Linkedid"], first["Channel"].partition("-")[0]) == (f"crm-{CALL_ID}", "PJSIP/103")
        dialled = await ear.until("DialBegin", 2)
        assert dialled["DialString"].startswith("+380501112201")


async def test_a_seller_who_does_not_pick_up_and_a_phone_that_is_not_there() -> None:
    async with Simulator(seed=2, speed=20, stretch=1) as simulator, listening(simulator) as ear:
        await ear.link.send(commands.originate(HOW, extension="101", number="0501112200", call_id=CALL_ID))
        assert (await ear.until("OriginateResponse"))["Response"] == "Failure"
        with pytest.raises(ActionRefused):
            await ear.link.send(commands.originate(HOW, extension="999", number="0501112200", call_id=CALL_ID))


async def test_says_exactly_the_commands_that_it_does() -> None:
    async with Simulator(seed=2) as simulator, listening(simulator) as ear:
        (said,) = await ear.link.send({"Action": "ListCommands"})
    does = {name.removeprefix("_do_") for name in dir(Simulator) if name.startswith("_do_")} | {"login"}
    assert {name.lower() for name in said} - {"response", "actionid"} == does


async def test_hangs_up() -> None:
    async with Simulator(seed=2, stretch=1) as simulator, listening(simulator) as ear:
        simulator.begin("ring_group_answered", OLENA)
        await ear.until("Newstate", ChannelStateDesc="Ringing")
        channel = next(iter(ear.living()))
        await ear.link.send(commands.hangup(HOW, channel=channel))
        await ear.until("Hangup", 3)
        assert not ear.living()
        assert not simulator.going_on
        with pytest.raises(ActionRefused):
            await ear.link.send(commands.hangup(HOW, channel=channel))


@pytest.mark.parametrize("story", ["ring_group_answered", "outbound_answered"])
async def test_transfers(story: str) -> None:
    async with Simulator(seed=2, speed=10, stretch=1) as simulator, listening(simulator) as ear:
        simulator.begin(story, OLENA)
        second = await ear.until("BridgeEnter", 2)
        pair = [m for m in ear.heard if m["Event"] == "BridgeEnter" and m["BridgeUniqueid"] == second["BridgeUniqueid"]]
        giver = next(m for m in pair if "trunk" not in m["Channel"])
        client = next(m for m in pair if "trunk" in m["Channel"])
        phone = giver["Channel"].partition("/")[2].partition("-")[0]
        target = "104" if phone != "104" else "103"
        await ear.link.send(commands.transfer(HOW, channel=giver["Channel"], number=target))
        told = await ear.until("BlindTransfer")
        assert told["TransfererUniqueid"] == giver["Uniqueid"]
        assert told["TransfereeChannel"] == client["Channel"]
        assert told["Extension"] == target
        await ear.until("BridgeEnter", 2, Uniqueid=client["Uniqueid"])
        joined = await ear.until("BridgeEnter", 3)
        assert {m["Linkedid"] for m in ear.heard if "Linkedid" in m} == {client["Linkedid"]}
        assert joined["BridgeUniqueid"] != second["BridgeUniqueid"]
        await ear.until("Hangup", Uniqueid=client["Uniqueid"])
        await ear.until("Hangup", CallerIDNum=target)
        assert not ear.living()


async def test_refuses_a_wrong_secret_and_strangers() -> None:
    async with Simulator() as simulator:
        reader, writer = await asyncio.open_connection("127.0.0.1", simulator.port)
        writer.write(b"Action: Ping\r\nActionID: 1\r\n\r\nAction: Login\r\nUsername: demo\r\nSecret: no\r\n\r\n")
        answer = await reader.readuntil(b"Authentication failed\r\n\r\n")
        assert b"Permission denied" in answer
        writer.close()


async def test_keeps_a_hundred_calls_a_second() -> None:
    async with Simulator(seed=3, stretch=1) as simulator, listening(simulator) as ear:
        rate = asyncio.create_task(simulator.run(6000))
        await ear.until("Newchannel", 400)
        begun = [m for m in ear.heard if m["Event"] == "Newchannel" and m["Uniqueid"] == m["Linkedid"]]
        rate.cancel()
        spread = float(begun[-1]["Timestamp"]) - float(begun[0]["Timestamp"])
        assert 50 < len(begun) / spread < 200
