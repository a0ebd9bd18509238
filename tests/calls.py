"""Facts of calls for tests, built step by step: who called, which extensions rang, who answered."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pbxcrm.calls.facts import Batch, CallFact, CallState, Direction, FactKind, Leg, LegResult, MissedReason, Outcome
from pbxcrm.pbx.state import JournalPosition

NOON = datetime(2026, 11, 18, 12, 0, tzinfo=UTC)  # a Wednesday, 14:00 in Kyiv


@dataclass
class FactStory:
    """A call that proceeds with each method call; ``facts`` are what a tracker would report about it."""

    linkedid: str = "1700000000.1"
    client: str | None = "+380671112233"
    name: str | None = None
    direction: Direction = Direction.INBOUND
    did: str | None = "100"
    trunk: str = "trunk"
    queue: str | None = None
    made_by: str | None = None
    at: datetime = NOON
    facts: list[CallFact] = field(default_factory=list)
    ordinals: dict[tuple[FactKind, str], int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.state = CallState(
            pbx="default", linkedid=self.linkedid, direction=self.direction, outcome=Outcome.OPEN, missed_reason=None,
            client_heard=self.client, client_name=self.name, withheld=False, trunk=self.trunk, did=self.did, dialled=None, queue=self.queue,
            made_by=self.made_by, rang=(), answered_by=None, talked=(), transfers=(), legs=(), ringing=(), talking=(),
            started_at=self.at, answered_at=None, ended_at=None, click_to_call=False, channel_ids=(self.linkedid,),
        )  # fmt: skip
        self._say(FactKind.OPENED, "")

    def _say(self, kind: FactKind, party: str) -> "FactStory":
        ordinal = self.ordinals[kind, party] = self.ordinals.get((kind, party), 0) + 1
        self.facts.append(CallFact(kind, party, ordinal, self.at, self.state))
        return self

    def wait(self, seconds: float) -> "FactStory":
        self.at += timedelta(seconds=seconds)
        return self

    def ring(self, *extensions: str) -> "FactStory":
        for extension in extensions:
            leg = Leg(f"{self.linkedid}-{extension}", extension, self.at, self.at, None, None, LegResult.RINGING)
            self.state = replace(
                self.state,
                rang=(*self.state.rang, extension),
                ringing=(*self.state.ringing, extension),
                legs=(*self.state.legs, leg),
            )
            self._say(FactKind.RINGING, extension)
        return self

    def answer(self, extension: str) -> "FactStory":
        known = [leg.extension for leg in self.state.legs]
        legs = self.state.legs
        if extension not in known:
            legs = (*legs, Leg(f"{self.linkedid}-{extension}", extension, self.at, None, None, None, LegResult.DIALLED))
        self.state = replace(
            self.state,
            outcome=Outcome.OPEN,
            answered_by=self.state.answered_by or (extension if self.direction is Direction.INBOUND else None),
            talked=(*self.state.talked, extension),
            talking=(extension,),
            ringing=(),
            answered_at=self.state.answered_at or self.at,
            legs=tuple(
                replace(leg, answered_at=self.at, result=LegResult.TALKING)
                if leg.extension == extension
                else replace(leg, ended_at=self.at, result=LegResult.ELSEWHERE)
                for leg in legs
            ),
        )
        return self._say(FactKind.JOINED, extension)

    def end(self, outcome: Outcome | None = None, missed: MissedReason | None = None) -> "FactStory":
        if outcome is None:
            outcome = (
                Outcome.ANSWERED
                if self.state.talked
                else (Outcome.MISSED if self.direction is Direction.INBOUND else Outcome.NO_ANSWER)
            )
        if outcome is Outcome.MISSED and missed is None:
            missed = MissedReason.ABANDONED_RINGING
        legs = tuple(
            replace(leg, ended_at=self.at, result=LegResult.TALKED if leg.answered_at else LegResult.CANCELLED)
            if leg.ended_at is None
            else leg
            for leg in self.state.legs
        )
        self.state = replace(
            self.state, outcome=outcome, missed_reason=missed, ringing=(), talking=(), ended_at=self.at, legs=legs
        )
        return self._say(FactKind.ENDED, "")

    def absorbed_by(self, linkedid: str) -> "FactStory":
        return self._say(FactKind.ABSORBED, linkedid)


def outbound(linkedid: str, extension: str, client: str = "+380671112233", at: datetime = NOON) -> FactStory:
    return FactStory(linkedid=linkedid, client=client, direction=Direction.OUTBOUND, did=None, made_by=extension, at=at)


def batch(*stories: FactStory, position: int = 0) -> Batch:
    """The facts of all stories in one batch, sorted by time."""
    facts = sorted((fact for story in stories for fact in story.facts), key=lambda fact: fact.at)
    return Batch("default", tuple(facts), JournalPosition(position, position))
