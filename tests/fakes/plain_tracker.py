"""A tracker that knows only that calls begin and end: enough to see that the listener brings everything, once, in order."""

from datetime import datetime

from ami.messages import Message
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact, CallState, Direction, FactKind, Outcome


class PlainTracker:
    """A call is a channel whose Uniqueid is its Linkedid; it ends with that channel's Hangup."""

    def __init__(self) -> None:
        self.open: dict[str, tuple[datetime, int]] = {}  # began, position of the first message
        self.booted_at: datetime | None = None

    def remember(self, *, booted_at: datetime | None, hears_hangup_requests: bool) -> None:
        self.booted_at = booted_at

    def feed(
        self, message: Message, received_at: datetime | None = None, *, position: int | None = None
    ) -> list[CallFact]:
        assert received_at is not None
        assert position is not None
        if message["Uniqueid"] == "bomb":
            raise RuntimeError("cannot digest this")
        call = message["Uniqueid"]
        if message["Event"] == "Newchannel" and call not in self.open:
            self.open[call] = (received_at, position)
            return [self._fact(FactKind.OPENED, call, received_at, Outcome.OPEN)]
        if message["Event"] == "Hangup" and call in self.open:
            return [self._end(call, received_at, Outcome.MISSED)]
        return []

    def tick(self, now: datetime) -> list[CallFact]:
        return []

    def reconcile(self, snapshot: Snapshot, now: datetime, heard_until: datetime | None = None) -> list[CallFact]:
        there = {channel["Uniqueid"] for channel in snapshot.channels}
        gone = [self._end(call, now, Outcome.UNKNOWN) for call in list(self.open) if call not in there]
        new = [call for call in sorted(there) if call not in self.open]
        assert snapshot.position is not None
        self.open |= dict.fromkeys(new, (now, snapshot.position))
        return gone + [self._fact(FactKind.OPENED, call, now, Outcome.OPEN) for call in new]

    def horizon(self) -> int | None:
        return min((position for _, position in self.open.values()), default=None)

    def open_calls(self) -> list[CallState]:
        return [make_state(call, began, Outcome.OPEN) for call, (began, _) in self.open.items()]

    def _end(self, call: str, at: datetime, outcome: Outcome) -> CallFact:
        fact = self._fact(FactKind.ENDED, call, at, outcome)
        del self.open[call]
        return fact

    def _fact(self, kind: FactKind, call: str, at: datetime, outcome: Outcome) -> CallFact:
        return CallFact(kind, "", 1, at, make_state(call, self.open[call][0] if call in self.open else at, outcome))


def make_state(linkedid: str, started_at: datetime, outcome: Outcome, *, ended_at: datetime | None = None) -> CallState:
    """A call about which nothing else is known."""
    return CallState(
        pbx="main",
        linkedid=linkedid,
        direction=Direction.INBOUND,
        outcome=outcome,
        missed_reason=None,
        client_heard=None,
        client_name=None,
        withheld=False,
        trunk=None,
        did=None,
        dialled=None,
        queue=None,
        made_by=None,
        rang=(),
        answered_by=None,
        talked=(),
        transfers=(),
        legs=(),
        ringing=(),
        talking=(),
        started_at=started_at,
        answered_at=None,
        ended_at=ended_at,
        click_to_call=False,
        channel_ids=(linkedid,),
    )
