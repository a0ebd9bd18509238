"""The arithmetic of a lamp as a reason: since when, the norm, the working time that was counted, when it lit.

Moments are ISO 8601, the counted time is ISO intervals with blanks between them; whoever shows a reason says them in the reader's words.
"""

from dataclasses import replace

from pbxcrm.checkpoints.models import Lamp
from pbxcrm.checkpoints.rules import is_looked_again
from pbxcrm.shared.reasons import Reason, reason

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


def waits(lamp: Lamp, stage_name: str) -> Reason:
    """The same for an armed lamp: since when, the norm, and when it will light. ``stage_name``: empty without a stage."""
    code = "lamp.waits_later" if lamp.step else "lamp.waits_stage" if stage_name else "lamp.waits"
    if is_looked_again(lamp):
        code = "lamp.waits_again"
    return reason(
        code,
        since_at=lamp.entered_at.isoformat(),
        lit_at=lamp.due_at.isoformat(),
        working_minutes=lamp.minutes,
        stage=stage_name,
    )


def with_arithmetic(lamp: Lamp, stage_name: str) -> Reason:
    """Why the lamp lit, with how its time was counted."""
    why, behind = Reason.load(lamp.reason), counted(lamp, stage_name)
    assert why is not None
    return replace(why, because=(*why.because, behind)) if behind is not None else why


def stretches_of(text: str) -> list[str]:
    """The parameter ``stretches`` taken apart: ``from/until`` each, or ``GAP``."""
    return text.split()
