"""The arithmetic of a lamp as a reason: since when, the norm, the working time that was counted, when it lit.

Moments are ISO 8601, the counted time is ISO intervals with blanks between them; whoever shows a reason says them in the reader's words.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.checkpoints.deal_facts import DATES
from pbxcrm.checkpoints.models import Checkpoint, Lamp, TriggerKind
from pbxcrm.checkpoints.rules import Rest, date_of_entry, is_looked_again, pieces
from pbxcrm.shared.reasons import Reason, reason

ENDS_KEPT = 10  # spans of working time that a lamp keeps from each end of a longer wait
LONGEST_COUNT = 4000  # spans that are counted at most: about ten years
GAP = "…"  # in place of the stretches of a long wait that are not kept


def counted(lamp: Lamp, stage_name: str) -> Reason | None:
    """None for a lamp that has not lit, or that lit before the counted time was stored with it. ``stage_name``: empty without a stage."""
    if lamp.lit_at is None or not lamp.worked:
        return None
    code = "lamp.counted_later" if lamp.step else "lamp.counted_again" if is_looked_again(lamp) else "lamp.counted"
    if stage_name and lamp.reason.get("code") == "lamp.stage":
        code = "lamp.counted_stage"
    return reason(
        code,
        since_at=lamp.entered_at.isoformat(),
        lit_at=lamp.lit_at.isoformat(),
        working_minutes=lamp.minutes,
        stretches=" ".join("/".join(stretch) or GAP for stretch in lamp.worked),
        stage=stage_name,
    )


def waits(lamp: Lamp, checkpoint: Checkpoint | None, stage_name: str) -> Reason:
    """The same for an armed lamp: since when, the norm or the date, and when it will light. ``stage_name``: empty without a stage."""
    lights = {"lit_at": lamp.due_at.isoformat(), "working_minutes": str(lamp.minutes)}
    told = {**lights, "since_at": lamp.entered_at.isoformat(), "stage": stage_name}
    if is_looked_again(lamp):
        return Reason("lamp.waits_again", told)
    if lamp.step:
        return Reason("lamp.waits_later", told)
    date = date_of_entry(lamp.entry)
    if checkpoint is not None and checkpoint.trigger == TriggerKind.DATE and date is not None:
        code = "lamp.waits_date_norm" if lamp.minutes else "lamp.waits_date"
        return Reason(*date_said(checkpoint, date), (Reason(code, lights),))
    if checkpoint is not None and checkpoint.trigger == TriggerKind.SILENCE:
        return Reason("lamp.waits_silence", told)
    return Reason("lamp.waits_stage" if stage_name else "lamp.waits", told)


def date_said(checkpoint: Checkpoint, date: datetime) -> tuple[str, dict[str, str]]:
    """Which date the checkpoint watches, what it is, and how long before or after it the clock begins: a reason's code and parameters."""
    offset = checkpoint.offset_minutes
    code = "lamp.date_before" if offset < 0 else "lamp.date_after" if offset else "lamp.date_at"
    told = {
        "key": DATES.get(checkpoint.field, checkpoint.field),
        "date_at": date.isoformat(),
        "checkpoint": checkpoint.name,
    }
    return code, {**told, "working_minutes": str(abs(offset))} if offset else told


def with_arithmetic(lamp: Lamp, stage_name: str) -> Reason:
    """Why the lamp lit, with how its time was counted."""
    why, behind = Reason.load(lamp.reason), counted(lamp, stage_name)
    assert why is not None
    return replace(why, because=(*why.because, behind)) if behind is not None else why


def spans_to_store(
    working: WorkingTime, since: datetime, until: datetime, rests: Sequence[Rest] = ()
) -> list[list[str]]:
    """The counted spans of working time for ``Lamp.worked``, stored to explain the lamp even if the calendar changes later."""
    spans = islice(pieces(working, since, until, rests), LONGEST_COUNT)
    found = [[begins.isoformat(), ends.isoformat()] for begins, ends in spans]
    if len(found) <= 2 * ENDS_KEPT:
        return found
    return [*found[:ENDS_KEPT], [], *found[-ENDS_KEPT:]]


def stretches_of(text: str) -> list[str]:
    """The parameter ``stretches`` taken apart: ``from/until`` each, or ``GAP``."""
    return text.split()
