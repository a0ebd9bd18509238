"""Pure rules of distribution: who of a rule could get a deal now, and who gets it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, Self

from pbxcrm.access.permissions import Permission, Role, may
from pbxcrm.calendars.queries import Calendars
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason

MOST_NAMED = 8  # people of one kind whom a reason names


class Method(StrEnum):
    """How one of those who could get a deal is chosen. Equal ones are served by turns."""

    TURNS = "turns"
    LEAST_DEALS = "least_deals"
    LEAST_TASKS = "least_tasks"
    VALUE = "value"  # the bigger deals to those who take them from a larger amount on


class Otherwise(StrEnum):
    """What happens when nobody of a rule can get the deal."""

    NOBODY = "nobody"  # it stays unassigned and the manager is told
    NEXT = "next"  # the next rule is asked; after the last one it stays unassigned, too


class Kind(StrEnum):
    """What a member of a rule is."""

    USER = "user"
    TEAM = "team"  # the sellers who are in it at that moment


@dataclass(frozen=True, slots=True)
class Member:
    """A person or a team in a rule. ``since``: the amount from which on they take deals, for ``Method.VALUE``; None: any."""

    kind: Kind
    id: int
    since: Decimal | None = None

    def stored(self) -> dict[str, Any]:
        """As JSON, for ``load``."""
        return {"kind": self.kind.value, "id": self.id, "since": None if self.since is None else str(self.since)}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """Read the result of ``stored()``."""
        since = stored.get("since")
        return cls(Kind(stored["kind"]), stored["id"], None if since is None else Decimal(since))


@dataclass(frozen=True, slots=True)
class Counts:
    """What was counted for the people of a rule, by user id; whoever is not in it has 0. What a rule does not ask for is empty."""

    turns: Mapping[int, int] = field(default_factory=dict)  # number of the last turn
    deals: Mapping[int, int] = field(default_factory=dict)  # open ones
    tasks: Mapping[int, int] = field(default_factory=dict)  # open ones
    today: Mapping[int, int] = field(default_factory=dict)  # got by this rule on this day


@dataclass(frozen=True, slots=True)
class MemberWork:
    """How somebody of a rule stands at a moment. ``gets_id``: they themselves, or the deputy who stands in; ``why_not``: the code of
    the reason why neither can get a deal, empty if they can.
    """

    user_id: int
    gets_id: int
    why_not: str
    since: Decimal | None
    turn: int
    place: int  # in the rule, for those who have had no turn


@dataclass(frozen=True, slots=True)
class Pick:
    """Who gets the deal by one rule, and whose turn it was; both None: nobody can."""

    user_id: int | None
    turn_of: int | None
    why: Reason


def members_of(rule: DistributionRule) -> list[Member]:
    """The members of a rule in their order."""
    return [Member.load(each) for each in rule.members]


def people_of(rule: DistributionRule, people: Directory) -> dict[int, Decimal | None]:
    """The people of a rule in order, each once, with the amount from which on they take deals. Who is named counts before their team."""
    members = members_of(rule)
    named = {each.id: each.since for each in members if each.kind is Kind.USER and each.id in people.users}
    found: dict[int, Decimal | None] = {}
    for each in members:
        if each.kind is Kind.USER:
            if each.id in named:
                found.setdefault(each.id, each.since)
            continue
        for user_id, user in sorted(people.users.items()):
            # Of a team its sellers; whoever else is to get deals is named.
            if user.team_id == each.id and user.is_active and user.role == Role.SELLER:
                found.setdefault(user_id, named.get(user_id, each.since))
    return found


@dataclass(frozen=True, slots=True)
class Acting:
    """Who would get a deal in somebody's turn: themselves, a deputy who is not in the rule already, or None if they are away.
    ``since``: the amount from which on they take deals.
    """

    user_id: int | None
    since: Decimal | None


def who_acts(rule: DistributionRule, people: Directory, calendars: Calendars, at: datetime) -> dict[int, Acting]:
    """Who acts for each of a rule at that moment, in its order."""
    everybody = people_of(rule, people)
    found: dict[int, Acting] = {}
    for user_id, since in everybody.items():
        acting = calendars.acting(user_id, at)
        # A deputy with a turn of their own would get twice as many.
        found[user_id] = Acting(acting if acting == user_id or acting not in everybody else None, since)
    return found


@dataclass(frozen=True, slots=True)
class _Limits:
    """What a rule asks of a person. Read once: each attribute of a row costs as much as a look-up in a dict of five."""

    on_shift: bool
    by_value: bool
    most_open: int | None
    most_per_day: int | None


def standings(
    rule: DistributionRule,
    acting: Mapping[int, Acting],
    people: Directory,
    calendars: Calendars,
    at: datetime,
    counts: Counts,
    amount: Decimal | None,
) -> list[MemberWork]:
    """How each of a rule stands, in its order. ``acting``: the answer of ``who_acts`` at that moment."""
    limits = _Limits(rule.on_shift, rule.method == Method.VALUE, rule.most_open, rule.most_per_day)
    return [
        MemberWork(
            user_id,
            acts.user_id or user_id,
            _why_not(limits, user_id, acts, people, calendars, at, counts, amount),
            acts.since,
            counts.turns.get(user_id, 0),
            place,
        )
        for place, (user_id, acts) in enumerate(acting.items())
    ]


def _why_not(
    limits: _Limits,
    user_id: int,
    acts: Acting,
    people: Directory,
    calendars: Calendars,
    at: datetime,
    counts: Counts,
    amount: Decimal | None,
) -> str:
    member, acting = people.active(user_id), acts.user_id
    if member is None:
        return "left"
    gets = member if acting == user_id else people.active(acting)
    if acting is None or gets is None:
        return "away"
    if not may(gets.role, Permission.DEALS_EDIT):
        return "no_deals"
    if limits.on_shift and not calendars.on_shift(acting, at):
        return "off_shift"
    if limits.by_value and acts.since is not None and (amount or 0) < acts.since:
        return "too_small"
    if limits.most_open is not None and counts.deals.get(acting, 0) >= limits.most_open:
        return "full"
    if limits.most_per_day is not None and counts.today.get(acting, 0) >= limits.most_per_day:
        return "full_today"
    return ""


def pick(rule: DistributionRule, standing: Sequence[MemberWork], people: Directory, counts: Counts) -> Pick:
    """Who of a rule gets the next deal, with the reason, including who was passed over and why."""
    could = [each for each in standing if not each.why_not]
    over = _passed_over(rule, standing, people)
    if not could:
        code = "distribution.passed" if rule.otherwise == Otherwise.NEXT else "distribution.nobody"
        return Pick(None, None, Reason(code, {"rule": rule.name}, tuple(over)))
    chosen = min(could, key=_orders(counts)[Method(rule.method)])
    return Pick(chosen.gets_id, chosen.user_id, _why(rule, chosen, people, counts, over))


def _orders(counts: Counts) -> Mapping[Method, Callable[[MemberWork], tuple[Any, ...]]]:
    """The sort key of each method: the first one gets it."""
    return {
        Method.TURNS: lambda each: (each.turn, each.place),
        Method.LEAST_DEALS: lambda each: (counts.deals.get(each.gets_id, 0), each.turn, each.place),
        Method.LEAST_TASKS: lambda each: (counts.tasks.get(each.gets_id, 0), each.turn, each.place),
        Method.VALUE: lambda each: (-(each.since or Decimal(0)), each.turn, each.place),
    }


def _why(
    rule: DistributionRule, chosen: MemberWork, people: Directory, counts: Counts, over: Sequence[Reason]
) -> Reason:
    deputy = None
    if chosen.gets_id != chosen.user_id:
        deputy = reason("distribution.deputy", who=people.name(chosen.user_id), deputy=people.name(chosen.gets_id))
    facts: dict[str, object] = {"rule": rule.name, "who": people.name(chosen.gets_id)}
    match Method(rule.method):
        case Method.TURNS:
            code = "distribution.turn"
        case Method.LEAST_DEALS:
            code, facts["count"] = "distribution.least_deals", counts.deals.get(chosen.gets_id, 0)
        case Method.LEAST_TASKS:
            code, facts["count"] = "distribution.least_tasks", counts.tasks.get(chosen.gets_id, 0)
        case Method.VALUE if chosen.since:
            code, facts["amount"] = "distribution.value", chosen.since
        case Method.VALUE:
            code = "distribution.value_any"
    return reason(code, deputy, *over, **facts)


def _passed_over(rule: DistributionRule, standing: Sequence[MemberWork], people: Directory) -> list[Reason]:
    """Who could not get it, gathered by why: with fifty people a sentence for each would be no answer."""
    by_code: dict[str, list[str]] = {}
    for each in standing:
        if each.why_not:
            by_code.setdefault(each.why_not, []).append(people.name(each.user_id))
    most = {"full": rule.most_open, "full_today": rule.most_per_day}
    said = [reason(f"distribution.{code}", who=named(names), most=most.get(code)) for code, names in by_code.items()]
    return said if standing else [reason("distribution.empty")]


def named(names: Iterable[str]) -> str:
    """Some names, and how many more there are."""
    known = list(names)
    more = len(known) - MOST_NAMED
    return ", ".join(known[:MOST_NAMED]) + (f" +{more}" if more > 0 else "")
