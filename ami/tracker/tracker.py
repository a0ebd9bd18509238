"""The tracker: AMI messages in, facts about calls out. It has no clock and does no input or output."""

from datetime import datetime

from ami.messages import Message
from ami.snapshot import Snapshot
from ami.tracker import lost_hangups, reconciling
from ami.tracker.clock import DAWN, event_time
from ami.tracker.desk import Desk
from ami.tracker.events import HANDLERS
from ami.tracker.settings import TrackerSettings
from ami.tracker.state import state_of
from pbxcrm.calls.facts import CallFact, CallState


class Tracker:
    """Follows the calls of one PBX.

    The same messages (with the same ``received_at``) always give the same facts with the same keys, even when they are
    fed again starting at ``horizon``.
    """

    def __init__(self, settings: TrackerSettings | None = None) -> None:
        self._desk = Desk(settings or TrackerSettings())
        self._last = DAWN

    def feed(
        self, message: Message, received_at: datetime | None = None, *, position: int | None = None
    ) -> list[CallFact]:
        """Take one message; return its facts in order. Never raises, whatever the message.

        ``received_at``: when it was read from the socket (aware UTC). ``position``: its place in the journal.
        """
        desk = self._desk
        at = self._last = event_time(message, received_at, self._last)
        now = received_at or at
        facts = desk.release(now)
        handler = HANDLERS.get(message.get("Event", ""))
        if handler is not None:
            desk.board.position = position
            desk.at = at
            handler(desk, message, at)
            facts += desk.settle(at, now)
        return facts

    @property
    def booted_at(self) -> datetime | None:
        """``Snapshot.booted_at`` from the last snapshot; None if not known."""
        return self._desk.booted_at

    def remember(self, *, booted_at: datetime | None, hears_hangup_requests: bool) -> None:
        """Restore what was known before the first message: when the PBX started, and whether it reports who hangs up."""
        self._desk.booted_at, self._desk.hears_hangup_requests = booted_at, hears_hangup_requests

    def tick(self, now: datetime) -> list[CallFact]:
        """Time has passed without a message: tell the delayed facts that are due, end calls without an event for a day."""
        return self._desk.release(now) + lost_hangups.forgotten(self._desk, now)

    def reconcile(self, snapshot: Snapshot, now: datetime, heard_until: datetime | None = None) -> list[CallFact]:
        """Compare with a snapshot of the PBX after a gap (rule 7). What cannot be known is "unknown", never "missed".

        ``heard_until``: when the PBX was last heard before the gap; if it was restarted, no talk lasted longer.
        """
        return reconciling.reconcile(self._desk, snapshot, now, heard_until)

    def close(self) -> list[CallFact]:
        """The stream has ended: give every held verdict. Calls in progress stay open."""
        return lost_hangups.release_all(self._desk)

    def open_calls(self) -> list[CallState]:
        """The calls that are not over, in the order they began."""
        calls = sorted(self._desk.open_calls(), key=lambda call: (call.started_at, call.name))
        return [state_of(call) for call in calls]

    def horizon(self) -> int | None:
        """The journal position to read from in order to rebuild all live calls; None if there are none."""
        positions = [call.position for call in self._desk.board.calls if call.position is not None]
        return min(positions, default=None)
