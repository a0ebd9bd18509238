"""When a client who was not reached is tried again, and what comes after the last attempt: of a line, or of a pipeline."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any, Self

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import Stage
from pbxcrm.shared.errors import Invalid

MOST_ATTEMPTS = 20
MOST_MINUTES = 100_000  # more is a slip of the finger


class AfterLast(StrEnum):
    """What comes when the last planned attempt failed, too."""

    MORNINGS = "mornings"  # the next working morning, each time
    STAGE = "stage"  # the deal moves to a chosen stage
    MANAGER = "manager"  # the manager decides; until then each working morning


@dataclass(frozen=True, slots=True)
class AttemptSchedule:
    """``minutes``: working minutes after the first, the second… attempt that failed; 0: the next working morning."""

    minutes: tuple[int, ...]
    then: AfterLast = AfterLast.MORNINGS
    stage_id: int | None = None

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self | None:
        """Read the result of ``stored``; None for an empty object: no schedule of its own."""
        if not stored:
            return None
        return cls(tuple(stored["minutes"]), AfterLast(stored["then"]), stored["stage_id"])

    def stored(self) -> dict[str, Any]:
        """As JSON, for ``load``."""
        return {"minutes": list(self.minutes), "then": self.then.value, "stage_id": self.stage_id}

    def is_over(self, failed: int) -> bool:
        """Whether no attempt is planned after the ``failed``-th that failed."""
        return self.then is not AfterLast.MORNINGS and failed > len(self.minutes)


async def check_schedule(
    session: AsyncSession, minutes: Sequence[int], then: str, stage_id: int | None, pipeline_id: int | None = None
) -> AttemptSchedule:
    """The schedule, checked; ``pipeline_id``: the stage must be one of its. Raises Invalid at ``attempt_minutes``,
    ``attempts_then`` or ``attempts_stage_id``.
    """
    if not minutes or len(minutes) > MOST_ATTEMPTS or not all(0 <= each <= MOST_MINUTES for each in minutes):
        raise Invalid(
            "attempt_minutes", "options.schedule", "Write minutes with commas between them, for example 10, 120."
        )
    if then not in set(AfterLast):
        raise Invalid("attempts_then", "attempts.then", "Choose what comes after the last attempt.")
    if then != AfterLast.STAGE and stage_id is None:
        return AttemptSchedule(tuple(minutes), AfterLast(then))
    stage = await session.get(Stage, stage_id) if stage_id is not None else None
    if stage is None or stage.archived_at is not None:
        raise Invalid("attempts_stage_id", "attempts.stage", "Choose the stage that the deal goes to.")
    if pipeline_id is not None and stage.pipeline_id != pipeline_id:
        raise Invalid("attempts_stage_id", "deals.other_pipeline", "The stage belongs to another pipeline.")
    return AttemptSchedule(tuple(minutes), AfterLast(then), stage_id)


def without_stage(stored: Mapping[str, Any], stage_id: int, to: Stage | None) -> dict[str, Any]:
    """A stored schedule that does not name the stage, which is being archived: deals go to ``to`` then, or the manager decides."""
    schedule = AttemptSchedule.load(stored)
    if schedule is None or schedule.stage_id != stage_id:
        return dict(stored)
    if to is not None and to.archived_at is None:
        return replace(schedule, stage_id=to.id).stored()
    return replace(schedule, then=AfterLast.MANAGER, stage_id=None).stored()
