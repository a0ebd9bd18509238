"""The interface of the tracker that a listener feeds."""

from datetime import datetime
from typing import Protocol

from ami.messages import Message
from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact, CallState


class CallTracker(Protocol):
    """The interface of ``ami.tracker.Tracker``."""

    @property
    def booted_at(self) -> datetime | None:
        """When the PBX started, from the last snapshot; None if unknown."""

    def remember(self, *, booted_at: datetime | None, hears_hangup_requests: bool) -> None:
        """Restore what was known before the first message."""

    def feed(
        self, message: Message, received_at: datetime | None = None, *, position: int | None = None
    ) -> list[CallFact]:
        """Take one message, in order; return its facts."""

    def tick(self, now: datetime) -> list[CallFact]:
        """The facts that are due because time has passed."""

    def reconcile(self, snapshot: Snapshot, now: datetime, heard_until: datetime | None = None) -> list[CallFact]:
        """The facts from a snapshot after a gap that began at ``heard_until``."""

    def horizon(self) -> int | None:
        """The journal position to read from in order to rebuild every live call; None if there is none."""

    def open_calls(self) -> list[CallState]:
        """The calls that are not over."""
