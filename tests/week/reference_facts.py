"""What the slow reference of lamps (``reference``) knows of the office: hours, people, rules, deals, callbacks, lamps.

A minute is a number since the beginning of the week.
"""

from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

MINUTE = timedelta(minutes=1)
LONG_AGO = -10 * 1440  # minutes before the week that are known too
AFTERWARDS = 14 * 1440
Week = list[list[tuple[int, int]]]  # minutes after local midnight, Monday first
Subject = tuple[Literal["deal", "callback"], int]


@dataclass(slots=True)
class Hours:
    """Which minutes are working minutes, looked up one by one."""

    open: bytearray

    @classmethod
    def of(
        cls, begin: datetime, minutes: int, zone: str, week: Week, days: dict[date, list[tuple[int, int]]]
    ) -> "Hours":
        open_ = bytearray(minutes + AFTERWARDS - LONG_AGO)
        for number in range(LONG_AGO, minutes + AFTERWARDS):
            local = (begin + number * MINUTE).astimezone(ZoneInfo(zone))
            today = local.date()
            yesterday, clock = today - timedelta(days=1), local.hour * 60 + local.minute
            spans = days.get(today, week[today.weekday()])
            late = days.get(yesterday, week[yesterday.weekday()])
            open_[number - LONG_AGO] = any(since <= clock < until for since, until in spans) or any(
                since <= clock + 1440 < until for since, until in late
            )
        return cls(open_)

    def at(self, minute: int) -> int:
        return self.open[minute - LONG_AGO]

    def between(self, since: int, until: int) -> int:
        return sum(self.open[since - LONG_AGO : max(since, until) - LONG_AGO])

    def add(self, minute: int, minutes: int) -> int:
        """Working minutes later, or earlier if negative, a step at a time."""
        while minutes > 0:
            minutes -= self.at(minute)
            minute += 1
        while minutes < 0:
            minute -= 1
            minutes += self.at(minute)
        return minute


@dataclass(slots=True)
class ReferencePerson:
    id: int
    login: str
    role: str
    team: int | None
    is_active: bool = True
    calendar: int | None = None


@dataclass(slots=True)
class Away:
    user_id: int
    since: int
    until: int
    deputy_id: int | None


@dataclass(slots=True)
class ReferenceRule:
    """A checkpoint. ``steps``: working minutes (None: the norm of the stage) and whom."""

    id: int
    trigger: str
    steps: list[tuple[int | None, str]]
    works: set[str] = field(default_factory=set)
    pipeline_id: int | None = None
    stage_id: int | None = None
    field: str = ""
    offset: int = 0
    talked_seconds: int = 0
    begins_at: int | None = None
    is_active: bool = True


@dataclass(slots=True)
class Planned:
    made_at: int
    first_due: int
    due: int
    done_at: int | None = None
    cancelled: bool = False

    @property
    def plans(self) -> bool:
        """A task for now or for the past plans nothing."""
        return self.first_due - self.made_at >= 5

    @property
    def is_closed_early(self) -> bool:
        return self.done_at is not None and self.done_at < self.first_due


@dataclass(slots=True)
class ReferenceDeal:
    id: int
    pipeline_id: int
    stage_id: int
    owner_id: int | None
    made_at: int
    entered_at: int
    move: int
    is_closed: bool = False
    talks: list[tuple[int, int]] = field(default_factory=list)  # when over, seconds
    tasks: dict[int, Planned] = field(default_factory=dict)
    filled: list[tuple[int, str]] = field(default_factory=list)
    rests: list[list[int]] = field(default_factory=list)  # since, until
    accepted: dict[int, tuple[int, int, bool]] = field(
        default_factory=dict
    )  # by rule: when a manager last accepted the delay, since when the clock runs again, and whether the first lamp lights then
    given: dict[int, list[int]] = field(
        default_factory=dict
    )  # rule -> when a manager gave what was asked of them first


@dataclass(slots=True)
class Callback:
    id: int
    owner_id: int | None
    clock_from: int | None
    is_planned: bool = False
    is_open: bool = True


@dataclass(slots=True)
class ReferenceLamp:
    subject: Subject
    rule_id: int
    step: int
    entry: tuple[object, ...]
    lit_at: int
    asked_at: int
    owner_id: int | None
    addressee_id: int | None
    out_at: int | None = None
    why: str = ""
    instead: bool = False  # whom it asks stands in for somebody who is away


@dataclass(frozen=True, slots=True)
class ReferenceAct:
    """What a person did with a deal or callback. ``lamp``: the rule and step of the lamp that they commented on or made joint."""

    subject: Subject
    who: int
    at: int
    lamp: tuple[int, int] | None = None


@dataclass(slots=True)
class RunningClock:
    """What is counted for the next lamp of a clock."""

    subject: Subject
    rule: ReferenceRule
    entry: tuple[object, ...]
    step: int
    since: int
    needed: int
    hours: Hours
    rests: list[list[int]]
    passed: int = 0

    def counts(self, minute: int) -> bool:
        return bool(self.hours.at(minute)) and not any(since <= minute < until for since, until in self.rests)
