"""Pure comparison of the lamps of one subject and checkpoint with what they should be now; the result is what to change.

It is the same after every event (a move, a conversation, another norm, a lamp that is due), and it uses only facts. So it is
idempotent, and the order of events does not matter.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pbxcrm.checkpoints.models import Lamp, LampState


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a subject. ``since`` is its start and ``entry`` its key: lamps with another entry are outdated.

    ``minutes``: working minutes of each step. ``due(at, minutes)``: the time that many working minutes after ``at``.
    """

    entry: str
    since: datetime
    minutes: tuple[float, ...]
    due: Callable[[datetime, float], datetime]
    owner_id: int | None = None


@dataclass(frozen=True, slots=True)
class NewLamp:
    step: int
    entry: str
    since: datetime
    minutes: float
    due_at: datetime


@dataclass(slots=True)
class Changes:
    arm: NewLamp | None = None
    move: list[tuple[Lamp, NewLamp]] = field(default_factory=list)  # armed lamps with another due time
    forget: list[Lamp] = field(default_factory=list)  # armed lamps to delete
    put_out: list[Lamp] = field(default_factory=list)


def settle(clock: Clock | None, lamps: Sequence[Lamp]) -> Changes:
    """What to change. ``lamps``: all armed and burning ones. ``clock`` None: the subject is no longer watched."""
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
    for lamp in current:
        if lamp.state != LampState.ARMED:
            continue
        if wanted is None or (lamp.step, lamp.entry) != (wanted.step, wanted.entry):
            changes.forget.append(lamp)
            continue
        if (lamp.due_at, lamp.minutes, lamp.entered_at) != (wanted.due_at, wanted.minutes, wanted.since):
            changes.move.append((lamp, wanted))
        wanted = None
    changes.arm = wanted
    return changes


def entry_of(lamp: Lamp) -> str:
    """The key of the clock of a lamp. Later steps append the time when somebody was asked; that part is removed."""
    return lamp.entry.split("/", 1)[0]


def _next(clock: Clock, burning: Sequence[Lamp]) -> NewLamp | None:
    """The lamp to arm: the first step, or the one after the last burning step; None after the last step."""
    if not burning:
        minutes = clock.minutes[0]
        return NewLamp(0, clock.entry, clock.since, minutes, clock.due(clock.since, minutes))
    last = max(burning, key=lambda lamp: lamp.step)
    step = last.step + 1
    if step >= len(clock.minutes):
        return None
    asked_at = last.asked_at or last.lit_at or clock.since
    entry = f"{clock.entry}/{int(asked_at.timestamp())}"
    return NewLamp(step, entry, asked_at, clock.minutes[step], clock.due(asked_at, clock.minutes[step]))
