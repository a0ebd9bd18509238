"""Pure simulation of the lamps of one past stay of a deal in a stage, with other steps or another norm."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.rules import Rest, Work, due_of

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
