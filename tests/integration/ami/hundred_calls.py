"""A hundred recorded calls laid over each other, and a PBX that says them and knows what is going on at any point."""

import random
from datetime import UTC, datetime
from pathlib import Path

from ami.journal import Journal
from ami.messages import parse
from ami.simulated_calls import SimulatedCall
from ami.snapshot import is_record
from ami.stories import Cast, Crowd, Serial, choose_phones, load
from ami.tracker import Tracker
from pbxcrm.calls.facts import FactKind
from tests.fakes.ami_server import Action, FakeAmiServer, listing

STORIES = (
    *("ring_group_answered", "ring_group_abandoned", "queue_answered", "queue_local_members_answered", "pickup"),
    *("blind_transfer", "attended_transfer", "outbound_answered", "outbound_unanswered", "ivr_abandoned"),
)
Said = tuple[int, bytes]  # number of the call, what was said of it


def a_hundred_calls(dice: random.Random, begin: float, *, again: float = 0.35) -> list[Said]:
    """Recorded calls, laid over each other by chance, in the order of their times; ``again``: how often a client calls once more."""
    serial, crowd = Serial(), Crowd(dice, again)
    said: list[tuple[float, Said]] = []
    for number in range(100):
        story = load(dice.choice(STORIES))
        start = begin + dice.uniform(0, 60)
        cast = Cast(crowd.somebody(), choose_phones(dice, ["101", "102", "103", "104"]), serial, start)
        for line in story.lines:
            at = start + line.offset
            said.append((at, (number, cast.speak(line, at))))
    said.sort(key=lambda one: one[0])
    return [one for _, one in said]


class HundredCallsPbx:
    """Says the calls, and can be asked at any point what is going on then."""

    def __init__(self, server: FakeAmiServer, calls: list[Said]) -> None:
        self.server = server
        self.calls = calls
        self.said = 0
        self._state: tuple[int, SimulatedCall] | None = None
        show = {
            "coreshowchannels": ("CoreShowChannel", "CoreShowChannelsComplete"),
            "bridgelist": ("BridgeListItem", "BridgeListComplete"),
            "bridgeinfo": ("BridgeInfoChannel", "BridgeInfoComplete"),
        }
        for name, (item, last) in show.items():
            server.responders[name] = lambda a, n=name, i=item, e=last: listing(i, e, self.rows(n, a))(a)  # type: ignore[misc]

    def rows(self, name: str, action: Action) -> list[dict[str, str]]:
        state = self.state()
        if name == "coreshowchannels":
            return list(state.channels.values())
        if name == "bridgelist":
            kind = {"BridgeType": "basic", "BridgeTechnology": "simple_bridge"}
            return [{"BridgeUniqueid": bridge, **kind} for bridge in state.bridges]
        return [state.channels[member] for member in state.bridges.get(action["BridgeUniqueid"], [])]

    def state(self) -> SimulatedCall:
        if self._state is None or self._state[0] != self.said:
            self._state = (self.said, self._state_now())
        return self._state[1]

    def _state_now(self) -> SimulatedCall:
        cast = Cast(Crowd(random.Random(0)).somebody(), {}, Serial(), 0)
        state = SimulatedCall(cast, [], [], "", 0)
        for _, raw in self.calls[: self.said]:
            state.hear(raw)
        return state

    async def say(self, count: int) -> None:
        part = self.calls[self.said : self.said + count]
        self.said += len(part)
        await self.server.send(b"".join(raw for _, raw in part))


def heard(journal_folder: Path) -> int:
    """How many messages are safe in the journal; snapshots are ours."""
    journal = Journal(journal_folder)
    count = sum(not is_record(record.raw) for record in journal.read())
    assert journal.damaged == 0
    journal.close()
    return count


def as_if_nothing_had_happened(calls: list[Said]) -> dict[str, list[object]]:
    tracker = Tracker()
    facts = []
    for _, raw in calls:
        message = parse(raw)
        facts += tracker.feed(message, datetime.fromtimestamp(float(message["Timestamp"]), UTC))
    facts += tracker.close()
    return {
        fact.call.linkedid: [
            str(fact.call.outcome),
            fact.call.missed_reason,
            fact.call.answered_by,
            list(fact.call.talked),
            list(fact.call.rang),
            len(fact.call.transfers),
        ]
        for fact in facts
        if fact.kind is FactKind.ENDED
    }
