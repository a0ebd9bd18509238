"""Pure: who would have got the calls of a past week by given rules, one after the other, as it would have been then."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from zoneinfo import ZoneInfo

from pbxcrm.calendars.queries import Calendars
from pbxcrm.distribution.cases import DealCase
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.queries import ReadyRule
from pbxcrm.distribution.rules import Counts, Otherwise, Pick, pick, standings, who_acts
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason


@dataclass(frozen=True, slots=True)
class TriedCall:
    """A call that made a deal which nobody had answered for. ``got_id``: who got it then. ``own_id``: who knew the client."""

    call_id: int
    deal_id: int
    at: datetime
    case: DealCase
    got_id: int | None
    own_id: int | None = None


@dataclass(frozen=True, slots=True)
class TrialRow:
    """What the rules would have done with a call. ``rule`` None: none speaks for it, so it would have gone as it did."""

    call: TriedCall
    user_id: int | None
    rule: DistributionRule | None
    why: Reason | None

    @property
    def differs(self) -> bool:
        """Whether somebody else would have got it."""
        return self.user_id != self.call.got_id


@dataclass(frozen=True, slots=True)
class Opening:
    """An open deal came to somebody (``by`` 1) or was closed (-1), other than by a call that is tried."""

    at: datetime
    user_id: int
    by: int


@dataclass(slots=True)
class Past:
    """What was counted at the beginning of the week, and what changed in it. ``closed_at``: of the tried deals, by id."""

    deals: Mapping[int, int]
    tasks: Mapping[int, int]
    openings: Sequence[Opening] = ()
    closed_at: Mapping[int, datetime] = field(default_factory=dict)


def try_rules(
    rules: Sequence[ReadyRule], calls: Iterable[TriedCall], past: Past, people: Directory, calendars: Calendars
) -> list[TrialRow]:
    """What the rules would have done with these calls, in order of time. Turns and limits begin with the first call."""
    state = _State(Counter(past.deals), past, sorted(past.openings, key=lambda each: each.at))
    found = []
    for call in sorted(calls, key=lambda each: each.at):
        state.go_on_to(call.at)
        row = _try_one(rules, call, state, people, calendars)
        if row.user_id is not None:
            state.deals[row.user_id] += 1
            if (closed := past.closed_at.get(call.deal_id)) is not None:
                state.add(Opening(closed, row.user_id, -1))
        found.append(row)
    return found


class _State:
    def __init__(self, deals: Counter[int], past: Past, openings: list[Opening]) -> None:
        self.deals, self.tasks, self.openings = deals, past.tasks, openings
        self.turns: dict[int | None, dict[int, int]] = {}
        self.today: dict[tuple[int | None, str], Counter[int]] = {}

    def add(self, opening: Opening) -> None:
        self.openings.append(opening)
        self.openings.sort(key=lambda each: each.at)

    def go_on_to(self, at: datetime) -> None:
        while self.openings and self.openings[0].at <= at:
            change = self.openings.pop(0)
            self.deals[change.user_id] += change.by


def _try_one(
    rules: Sequence[ReadyRule], call: TriedCall, state: _State, people: Directory, calendars: Calendars
) -> TrialRow:
    speaking = [each.rule for each in rules if each.speaks_for(call.case, call.at)]
    passed: list[Reason] = []
    for rule in speaking:
        turns = state.turns.setdefault(rule.id, {})
        today = state.today.setdefault((rule.id, _day(call.at, calendars.default.timezone)), Counter())
        counts = Counts(turns, state.deals, state.tasks, today)
        acting = who_acts(rule, people, calendars, call.at)
        standing = standings(rule, acting, people, calendars, call.at, counts, call.case.amount)
        found: Pick = pick(rule, standing, people, counts)
        if found.user_id is not None and found.turn_of is not None:
            turns[found.turn_of] = max(turns.values(), default=0) + 1
            today[found.user_id] += 1
            return TrialRow(call, found.user_id, rule, replace(found.why, because=(*found.why.because, *passed)))
        passed.append(found.why)
        if rule.otherwise != Otherwise.NEXT:
            break
    if not passed:
        return TrialRow(call, call.got_id, None, None)
    return TrialRow(call, call.own_id, rule, reason("distribution.nobody", *passed, rule=rule.name))


def _day(at: datetime, zone: ZoneInfo) -> str:
    return at.astimezone(zone).date().isoformat()
