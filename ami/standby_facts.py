"""Facts that a standby has heard and the database does not know yet.

A standby follows the PBX like the active listener, but keeps its facts. The same messages give facts with the same keys in
every listener, so the standby knows which facts the active one has applied, and applies the rest when it takes over.
"""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pbxcrm.calls.facts import CallFact, FactKind, Outcome, ToldCall
from pbxcrm.pbx.state import JournalPosition

Name = tuple[str, str, str]  # linkedid, kind, party

MOST = 20_000  # facts kept in memory; later ones stay in the journal until there is room
_LAST = {FactKind.ENDED, FactKind.ABSORBED}


@dataclass(frozen=True, slots=True)
class _Kept:
    fact: CallFact
    position: int  # of the message that gave the fact
    replay_from: int  # where reading must begin so that the message gives the same fact again
    heard_at: float  # seconds on the loop's clock


class Untold:
    """Facts in the order they were heard, until the database knows them. ``clock`` counts seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._kept: deque[_Kept] = deque()
        self._counted: dict[str, dict[Name, int]] = {}  # of calls in progress
        self._bettered: set[str] = set()  # calls whose outcome in the database is "unknown"

    def __len__(self) -> int:
        return len(self._kept)

    @property
    def is_full(self) -> bool:
        """Whether ``MOST`` facts are kept."""
        return len(self._kept) >= MOST

    @property
    def counted(self) -> Mapping[Name, int]:
        """The number of facts heard per call in progress, kind and party."""
        return {name: count for names in self._counted.values() for name, count in names.items()}

    @property
    def linkedids(self) -> set[str]:
        """Linkedids of the calls whose facts are kept here."""
        return {kept.fact.call.linkedid for kept in self._kept}

    def add(self, facts: Iterable[CallFact], position: int, horizon: int | None) -> None:
        """Keep facts. ``horizon``: journal position of the earliest call in progress before this message; None if none."""
        replay_from = position if horizon is None else min(position, horizon)
        for fact in facts:
            linkedid = fact.call.linkedid
            if fact.kind in _LAST:
                self._counted.pop(linkedid, None)
            else:
                self._counted.setdefault(linkedid, {})[linkedid, fact.kind.value, fact.party] = fact.ordinal
            self._kept.append(_Kept(fact, position, replay_from, self._clock()))

    def forget(self, told: Mapping[str, ToldCall]) -> None:
        """Drop facts that the database knows, and all facts of calls that are over there: nothing reopens them.

        The ending of a call whose outcome is *unknown* there is kept: the listener that stored it had not heard the end.
        """

        def is_needless(fact: CallFact) -> bool:
            call = told.get(fact.call.linkedid)
            if call is None:
                return False
            if call.is_unknown and fact.kind in _LAST:
                return fact.call.outcome is Outcome.UNKNOWN if fact.kind is FactKind.ENDED else fact.key in call.keys
            return call.is_over or fact.key in call.keys

        self._kept = deque(kept for kept in self._kept if not is_needless(kept.fact))
        unknown = {name for name, call in told.items() if call.is_unknown}
        self._bettered = ((self._bettered - told.keys()) | unknown) & self.linkedids

    def cursor(self, fed: int, horizon: int | None) -> JournalPosition:
        """How much of the journal the database knows, given that everything before ``fed`` was heard."""
        position = min((kept.position for kept in self._kept), default=fed)
        needed = [kept.replay_from for kept in self._kept]
        return JournalPosition(position, min([position, *needed, position if horizon is None else horizon]))

    def whole_calls(self, seconds: float) -> list[CallFact]:
        """Facts of calls that ended more than ``seconds`` ago and whose end the database still lacks.

        Calls that another listener ended as *unknown* are returned at once.
        """
        before = self._clock() - seconds
        ended = {
            kept.fact.call.linkedid
            for kept in self._kept
            if kept.fact.kind in _LAST and (kept.heard_at < before or kept.fact.call.linkedid in self._bettered)
        }
        return [kept.fact for kept in self._kept if kept.fact.call.linkedid in ended]

    def take(self) -> list[CallFact]:
        """Remove and return all kept facts, so that this listener applies them."""
        facts = [kept.fact for kept in self._kept]
        self._kept.clear()
        self._bettered.clear()
        return facts
