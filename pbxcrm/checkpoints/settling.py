"""What the lamps of one subject under one checkpoint should be now, pure: compared with what they are, it says what to change.

The same question is asked whatever happened (a move, a conversation, another norm, a lamp that is due), and always answered from the
facts, so asking twice changes nothing and no order of events matters.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pbxcrm.checkpoints.models import Lamp, LampState


@dataclass(frozen=True, slots=True)
class Clock:
    """What the clock of a subject runs from. ``entry`` names it: a lamp of another entry is of the past.

    ``due`` says when so many working minutes after a moment are over; ``minutes`` has those of each step.
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
    move: list[tuple[Lamp, NewLamp]] = field(default_factory=list)  # armed ones that are due at another time
    forget: list[Lamp] = field(default_factory=list)  # armed for what is over
    put_out: list[Lamp] = field(default_factory=list)


def settle(clock: Clock | None, lamps: Sequence[Lamp]) -> Changes:
    """``lamps``: those that are armed or burn. None as the clock: nothing is watched any more."""
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
    """What the clock of a lamp's first step ran from; later steps add since when somebody was asked."""
    return lamp.entry.split("/", 1)[0]


def _next(clock: Clock, burning: Sequence[Lamp]) -> NewLamp | None:
    """The one step that waits: the first, or the one after the last that burns."""
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
