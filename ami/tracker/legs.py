"""One leg of a call: the part of a phone or an outside line, and how it ended."""

from datetime import datetime

from pbxcrm.calls.facts import Leg, LegResult

#: ``DialStatus`` in the ``DialEnd`` of an unanswered leg. ``DialEnd`` may come twice (rule 2).
_DIAL_STATUS = {
    "BUSY": LegResult.BUSY,
    "NOANSWER": LegResult.NO_ANSWER,
    "CANCEL": LegResult.CANCELLED,
    "CHANUNAVAIL": LegResult.FAILED,
    "CONGESTION": LegResult.FAILED,
}

#: Q.850 causes: only hints, for legs that ended without a ``DialEnd``. Any other cause means that the caller gave up.
ANSWERED_ELSEWHERE = 26
USER_BUSY = 17
REJECTED = 21
_NO_ANSWER_CAUSES = frozenset({18, 19})
_FAILED_CAUSES = frozenset(
    {1, 2, 3, 6, 20, 22, 25, 27, 28, 29, 34, 38, 41, 42, 43, 44, 50, 57, 58, 65, 66, 69, 88, 102, 111}
)


class LegRecord:
    """A channel somebody dialled, or a phone that talked. ``extension`` is None for an outside line."""

    __slots__ = (
        "answered_at", "cause", "channel_id", "dialled_at", "dialled_name", "ended_at", "extension", "number", "picked_up",
        "ringing_at", "status", "talking",
    )  # fmt: skip

    def __init__(self, channel_id: str, extension: str | None, dialled_at: datetime) -> None:
        self.channel_id = channel_id
        self.extension = extension
        self.number: str | None = None  # of an outside line: what it was given to dial
        self.dialled_name = ""  # of an outside line that was given no number: its name in the settings
        self.dialled_at = dialled_at
        self.ringing_at: datetime | None = None
        self.picked_up = False  # the phone answered, which is not yet a talk (rule 1)
        self.answered_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.status: LegResult | None = None  # why it was not answered
        self.cause: int | None = None
        self.talking = False

    @property
    def is_ringing(self) -> bool:
        """Whether a phone is ringing now."""
        return self.ringing_at is not None and not self.picked_up and self.status is None and self.ended_at is None

    @property
    def is_waiting(self) -> bool:
        """Whether it has no result yet: dialled, perhaps ringing or picked up, but neither connected nor ended."""
        return self.answered_at is None and self.status is None and self.ended_at is None

    def dial_ended(self, status: str, *, forwarded: bool) -> None:
        """Take a ``DialEnd`` of this leg. A queue sends NOANSWER and CANCEL for one leg in any order: CANCEL is ignored then."""
        if self.status not in {None, LegResult.CANCELLED}:
            return
        if forwarded:
            self.status = LegResult.FORWARDED
        elif status == "ANSWER":
            self.picked_up = True
        elif not self.picked_up:
            self.status = _DIAL_STATUS.get(status, self.status)

    def hung_up(self, at: datetime, cause: int | None) -> None:
        """The leg's channel is gone (rule 2: that always ends its ringing)."""
        if self.ended_at is None:
            self.ended_at = at
            self.cause = cause
        self.talking = False

    @property
    def result(self) -> LegResult:
        """How the leg ended, or its present state."""
        if self.talking:
            return LegResult.TALKING
        if self.answered_at is not None:
            return LegResult.TALKED
        if self.cause == ANSWERED_ELSEWHERE and self.status in {None, LegResult.CANCELLED}:
            return LegResult.ELSEWHERE
        if self.status in {LegResult.FAILED, LegResult.NO_ANSWER} and self.cause is not None:
            return self._bettered_by_cause(self.status)
        if self.status is not None:
            return self.status
        if self.ended_at is None:
            return LegResult.DIALLED if self.ringing_at is None else LegResult.RINGING
        return LegResult.NO_ANSWER if self.picked_up else self._result_by_cause()

    def _was_refused(self) -> bool:
        """Whether somebody pressed "reject", which counts as busy. A line that rejects without ringing is out of order or barred."""
        return self.cause == USER_BUSY or (
            self.cause == REJECTED and (self.extension is not None or self.ringing_at is not None)
        )

    def _bettered_by_cause(self, status: LegResult) -> LegResult:
        """Refine a status by the cause: Asterisk also says NOANSWER for a phone that refused (603) or does not exist (404)."""
        if self._was_refused():
            return LegResult.BUSY
        failed = self.cause in _FAILED_CAUSES or self.cause == REJECTED
        return LegResult.FAILED if failed and self.ringing_at is None else status

    def _result_by_cause(self) -> LegResult:
        if self._was_refused():
            return LegResult.BUSY
        if self.cause in _NO_ANSWER_CAUSES:
            return LegResult.NO_ANSWER
        if self.cause in _FAILED_CAUSES or self.cause == REJECTED:
            return LegResult.FAILED
        return LegResult.CANCELLED

    def shown(self) -> Leg | None:
        """The leg of a phone as it goes into a fact; None for an outside line."""
        return None if self.extension is None else self._as_leg(self.extension)

    def shown_outside(self) -> Leg | None:
        """The leg of a dialled outside line, with its number (else its name) as the extension; None for a phone or without both."""
        name = self.number or self.dialled_name
        return None if self.extension is not None or not name else self._as_leg(name)

    def _as_leg(self, name: str) -> Leg:
        return Leg(
            channel_id=self.channel_id,
            extension=name,
            dialled_at=self.dialled_at,
            ringing_at=self.ringing_at,
            answered_at=self.answered_at,
            ended_at=self.ended_at,
            result=self.result,
            cause=self.cause,
            dialled_name=self.dialled_name,
        )
