"""Pure rules for when a lamp is due: computed from the entry, the work since, the pauses and a calendar, never by shifting a stored
date.

``due(first step) = add(calendar, base, norm)`` and ``due(later step) = add(calendar, previous lamp, pause)``. Working minutes in pauses
do not count. The base is the entry or the last work that counts, whichever is later.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.models import Lamp, LampState, Subject, WorkKind
from pbxcrm.tasks.rules import ABOUT_CALLBACK_LAMP, ABOUT_LAMP

ACCEPTED = "accepted:"  # begins the key of a clock that runs since a manager accepted the delay
JOINT_SUFFIX = ":joint"  # ends the key of the task that somebody has beside the manager's
DEFAULT_GRACE = 8 * 60  # working minutes of a lamp without a norm, of a date, whose clock is made to begin
SHORTEST_PLAN = timedelta(minutes=5)  # a next task that is due sooner plans nothing


def about_of(lamp: Lamp) -> str:
    """The key (``Task.about``) of the task of a lamp, so that there is only one."""
    return f"{ABOUT_LAMP if lamp.subject == Subject.DEAL else ABOUT_CALLBACK_LAMP}{lamp.id}"


@dataclass(frozen=True, slots=True)
class Rest:
    """A pause of a deal from ``since`` to ``until`` (exclusive)."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Work:
    """Something that counts as work. ``clock_from``: when the clock restarts, for a dated next task at its due time."""

    at: datetime
    kind: WorkKind
    key: str  # names the work: "call:17"
    clock_from: datetime
    by_id: int | None = None


@dataclass(slots=True)
class Talk:
    """A conversation with the client of a deal, that ended ``at``."""

    at: datetime
    seconds: float
    call_id: int
    by_id: int | None


@dataclass(frozen=True, slots=True)
class PlannedTask:
    """A next task that somebody has set for a deal. This is the one rule for when it counts as work.

    It stops the clock from ``made_at`` until its time, ``until``, and the norm runs from then. It is no work if it is due within
    ``SHORTEST_PLAN``, in the past too. One that is closed before its time, done or cancelled, is work only if it is done and the client
    was talked to meanwhile: the norm runs from then. Otherwise the clock goes on where it stood, so that two clicks silence nobody.
    """

    task_id: int
    made_at: datetime
    until: datetime
    by_id: int | None = None
    closed_at: datetime | None = None  # None: still open
    is_cancelled: bool = False

    @property
    def is_closed_early(self) -> bool:
        """Whether it was done or cancelled before its time."""
        return self.closed_at is not None and self.closed_at < self.until

    def work(self, talks: Iterable[Talk], least_seconds: float) -> Work | None:
        """The plan as work; None if it does not count as work. ``least_seconds``: of a conversation that counts."""
        if self.until - self.made_at < SHORTEST_PLAN:
            return None
        runs_from = self.until
        if self.closed_at is not None and self.closed_at < self.until:
            if self.is_cancelled or not self._talked(talks, self.closed_at, least_seconds):
                return None
            runs_from = self.closed_at
        return Work(self.made_at, WorkKind.NEXT_TASK, f"task:{self.task_id}", runs_from, self.by_id)

    def rest(self, talks: Iterable[Talk], least_seconds: float) -> Rest | None:
        """The time in which it stopped the clock, if it turned out to be no work."""
        if self.closed_at is None or self.until - self.made_at < SHORTEST_PLAN or self.work(talks, least_seconds):
            return None
        return Rest(self.made_at, self.closed_at)

    def _talked(self, talks: Iterable[Talk], closed_at: datetime, least_seconds: float) -> bool:
        """Whether a conversation was going on or ended between its making and its end."""
        return any(
            talk.seconds >= least_seconds
            and talk.at >= self.made_at
            and talk.at - timedelta(seconds=talk.seconds) <= closed_at
            for talk in talks
        )


@dataclass(frozen=True, slots=True)
class Base:
    """The start of the clock and its key, which is part of a lamp's ``entry``."""

    at: datetime
    key: str


def base_of(entered_at: datetime, works: Iterable[Work]) -> Base:
    """The entry, or the work since then with the latest ``clock_from``."""
    base = Base(entered_at, "")
    for work in works:
        if work.at >= entered_at and work.clock_from > base.at:
            base = Base(work.clock_from, work.key)
    return base


def due_of(working: WorkingTime, since: datetime, minutes: float, rests: Sequence[Rest] = ()) -> datetime:
    """The time ``minutes`` working minutes after ``since``, without those in pauses."""
    due = working.add_minutes(since, minutes)
    for begins, ends in _joined(rests):
        if ends <= since:
            continue
        if begins >= due:
            break
        if minutes:
            if paused := working.minutes_between(max(begins, since), ends):  # no minutes would lead to the next opening
                due = working.add_minutes(due, paused)
        elif ends > due:  # no minutes to count: the first working time that is not paused
            due = working.add_minutes(ends, 0)
    # If a pause ends outside working time, the lamp is due only when work begins again.
    return due


def worked_between(working: WorkingTime, since: datetime, until: datetime, rests: Sequence[Rest] = ()) -> float:
    """Working minutes from ``since`` to ``until``, without those in pauses."""
    minutes = working.minutes_between(since, until)
    for begins, ends in _joined(rests):
        minutes -= working.minutes_between(max(begins, since), min(ends, until))
    return minutes


def pieces(
    working: WorkingTime, since: datetime, until: datetime, rests: Sequence[Rest] = ()
) -> Iterator[tuple[datetime, datetime]]:
    """The spans of working time that ``worked_between`` adds up, to explain a lamp."""
    pauses = list(_joined(rests))
    for begins, ends in working.pieces(since, until):
        reached = begins
        for rests_from, rests_until in pauses:
            if rests_until <= reached or rests_from >= ends:
                continue
            if rests_from > reached:
                yield reached, rests_from
            reached = max(reached, rests_until)
        if reached < ends:
            yield reached, ends


def _joined(rests: Sequence[Rest]) -> Iterator[tuple[datetime, datetime]]:
    """The pauses as (since, until), sorted; overlapping and adjacent ones are merged."""
    begins: datetime | None = None
    ends: datetime | None = None
    for rest in sorted(rests, key=lambda each: each.since):
        if begins is None or ends is None or rest.since > ends:
            if begins is not None and ends is not None:
                yield begins, ends
            begins, ends = rest.since, rest.until
        else:
            ends = max(ends, rest.until)
    if begins is not None and ends is not None:
        yield begins, ends


@dataclass(frozen=True, slots=True)
class NewLamp:
    """A lamp to arm. ``minutes``: working minutes from ``since`` until ``due_at``, without pauses. ``begins_at``: its clock was made to
    begin then, when hours or rules were changed.
    """

    step: int
    entry: str
    since: datetime
    minutes: float
    due_at: datetime
    begins_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a subject. ``since`` is its start and ``entry`` its key: lamps with another entry are outdated.

    ``minutes``: working minutes of each step. ``due(at, minutes)``: the time that many working minutes after ``at``.
    ``begins_at``: no step is counted from earlier, because its checkpoint began then. ``first_due``: the first step lights then, because
    a manager has accepted the delay until that time.
    """

    entry: str
    since: datetime
    minutes: tuple[float, ...]
    due: Callable[[datetime, float], datetime]
    owner_id: int | None = None
    begins_at: datetime | None = None
    first_due: datetime | None = None

    @property
    def first(self) -> NewLamp:
        """The lamp of the first step."""
        due_at = self.first_due or self.due(self.since, self.minutes[0])
        return NewLamp(0, self.entry, self.since, self.minutes[0], due_at)


@dataclass(slots=True)
class Changes:
    """How the open lamps of one subject and checkpoint must change."""

    arm: NewLamp | None = None
    move: list[tuple[Lamp, NewLamp]] = field(default_factory=list)  # armed lamps with another due time
    forget: list[Lamp] = field(default_factory=list)  # armed lamps to delete
    put_out: list[Lamp] = field(default_factory=list)


def settle(clock: Clock | None, lamps: Sequence[Lamp], begin_at: datetime | None = None) -> Changes:
    """What to change. ``lamps``: all armed and burning ones. ``clock`` None: the subject is no longer watched.

    ``begin_at``: if the next lamp would be late by then and was not late before, its clock begins at that time.
    """
    changes = Changes()
    current: list[Lamp] = []
    for lamp in lamps:
        if clock is not None and entry_of(lamp) == clock.entry:
            current.append(lamp)
        elif lamp.state == LampState.ARMED:
            changes.forget.append(lamp)
        else:
            changes.put_out.append(lamp)
    if clock is None:
        return changes
    burning = [lamp for lamp in current if lamp.state == LampState.BURNING]
    wanted = _next(clock, burning)
    if wanted is not None:
        wanted = _begun(clock, wanted, current, begin_at)
    for lamp in current:
        if lamp.state != LampState.ARMED:
            continue
        if wanted is None or (lamp.step, lamp.entry) != (wanted.step, wanted.entry):
            changes.forget.append(lamp)
            continue
        stored = lamp.due_at, lamp.minutes, lamp.entered_at, lamp.begins_at
        if stored != (wanted.due_at, wanted.minutes, wanted.since, wanted.begins_at):
            changes.move.append((lamp, wanted))
        wanted = None
    changes.arm = wanted
    return changes


def entry_of(lamp: Lamp) -> str:
    """The key of the clock of a lamp. Later steps append the time when somebody was asked; that part is removed."""
    return clock_key(lamp.entry)


def entry_of_date(deal_id: int, date: datetime) -> str:
    """The key of the clock of a date of a deal."""
    return f"d{deal_id}:{int(date.timestamp())}"


def date_of_entry(entry: str) -> datetime | None:
    """The date in a key of ``entry_of_date``; None for another key."""
    found = re.match(r"d\d+:(\d+)", entry)
    return datetime.fromtimestamp(int(found[1]), UTC) if found else None


def is_looked_again(lamp: Lamp) -> bool:
    """Whether it is the first lamp after a manager accepted the delay."""
    return lamp.step == 0 and f":{ACCEPTED}" in lamp.entry


def clock_key(entry: str) -> str:
    """The same for the ``entry`` of a lamp."""
    return entry.split("/", 1)[0]


def _next(clock: Clock, burning: Sequence[Lamp]) -> NewLamp | None:
    """The lamp to arm: the first step, or the one after the last burning step; None after the last step."""
    if not burning:
        return clock.first
    last = max(burning, key=lambda lamp: lamp.step)
    step = last.step + 1
    if step >= len(clock.minutes):
        return None
    asked_at = last.asked_at or last.lit_at or clock.since
    entry = f"{clock.entry}/{int(asked_at.timestamp())}"
    since = max(asked_at, clock.begins_at) if clock.begins_at is not None else asked_at
    return NewLamp(step, entry, since, clock.minutes[step], clock.due(since, clock.minutes[step]))


def _begun(clock: Clock, wanted: NewLamp, current: Sequence[Lamp], begin_at: datetime | None) -> NewLamp:
    """``wanted``, counted from the time when the clock of its lamp was made to begin, or is made to begin now."""
    armed = next(
        (
            lamp
            for lamp in current
            if lamp.state == LampState.ARMED and (lamp.step, lamp.entry) == (wanted.step, wanted.entry)
        ),
        None,
    )
    begins_at = armed.begins_at if armed is not None else None
    was_late = armed is not None and begin_at is not None and armed.due_at <= begin_at
    if begin_at is not None and not was_late and _counted_from(clock, wanted, begins_at).due_at <= begin_at:
        begins_at = begin_at
    return _counted_from(clock, wanted, begins_at)


def _counted_from(clock: Clock, wanted: NewLamp, begins_at: datetime | None) -> NewLamp:
    if begins_at is None or begins_at <= wanted.since:
        return wanted
    minutes = wanted.minutes or DEFAULT_GRACE
    return replace(wanted, since=begins_at, minutes=minutes, due_at=clock.due(begins_at, minutes), begins_at=begins_at)


def late_now(clock: Clock | None, lamps: Sequence[Lamp], known: Collection[tuple[int, str]], now: datetime) -> bool:
    """Whether the clock would light a lamp at ``now`` that was not late before. ``known``: step and entry of lamps that are out."""
    changes = settle(clock, lamps)
    wanted = changes.arm or (changes.move[0][1] if changes.move else None)
    if wanted is None or wanted.due_at > now or (wanted.step, wanted.entry) in known:
        return False
    return all(lamp.due_at > now for lamp, _ in changes.move)


MOST_LAMPS = 200  # of one stay, because a norm of a minute over years would give too many


@dataclass(frozen=True, slots=True)
class Stay:
    """A stay of a deal in a stage, until it left or until now. ``works`` are sorted by time."""

    entered_at: datetime
    left_at: datetime
    works: Sequence[Work] = ()
    rests: Sequence[Rest] = ()


@dataclass(frozen=True, slots=True)
class WouldLight:
    """A lamp of ``step`` that would have burnt during a stay."""

    step: int
    lit_at: datetime
    out_at: datetime | None  # None: it still burns at the end of the stay


def would_light(stay: Stay, working: WorkingTime, minutes: Sequence[float]) -> list[WouldLight]:
    """Every lamp of a stay, in order. ``minutes``: the norm of the first step and the pause before each later one."""
    lamps: list[WouldLight] = []
    clock_from, works = stay.entered_at, [work for work in stay.works if work.at >= stay.entered_at]
    while len(lamps) < MOST_LAMPS:
        due = due_of(working, clock_from, minutes[0], stay.rests)
        earlier = [work for work in works if work.at <= due]
        works = works[len(earlier) :]
        later = max((work.clock_from for work in earlier), default=clock_from)
        if later > clock_from:
            clock_from = later
            continue
        if due >= stay.left_at:
            break
        out_at = works[0].at if works and works[0].at < stay.left_at else None
        ends = out_at or stay.left_at
        for step, pause in enumerate(minutes):
            due = due if step == 0 else due_of(working, due, pause, stay.rests)
            if due >= ends:
                break
            lamps.append(WouldLight(step, due, out_at))
        if out_at is None:
            break
        clock_from = max(works[0].clock_from, out_at)
        works = works[1:]
    return lamps
