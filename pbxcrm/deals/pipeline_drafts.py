"""What people change of a pipeline and of a stage."""

from collections.abc import Sequence
from dataclasses import dataclass

from pbxcrm.deals.attempt_schedule import AttemptSchedule
from pbxcrm.deals.pipeline_rules import Requirements


@dataclass(frozen=True, slots=True)
class PipelineChange:
    """Changes of a pipeline. None leaves a value as it is; ``unset`` names values to clear (``next_pipeline_id``).

    ``unheard``: rules of automation do not hear that amounts become the sums of lines.
    """

    name: str | None = None
    next_pipeline_id: int | None = None
    carries: Sequence[str] | None = None
    asks_why_lost: bool | None = None
    is_default: bool | None = None
    attempts: AttemptSchedule | None = None  # when clients of its deals are tried again
    longest_plan_days: int | None = None  # for how long a next task counts as work
    amount_by_lines: bool | None = None
    unheard: bool = False
    unset: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class StageChange:
    """Changes of a stage. None leaves a value as it is; ``unset`` names values to clear (``norm_minutes``). ``position`` is 0-based."""

    name: str | None = None
    kind: str | None = None
    position: int | None = None
    norm_minutes: int | None = None
    probability: int | None = None
    instruction: str | None = None
    colour: str | None = None
    waits_for_client: bool | None = None
    extra_control: bool | None = None
    requires: Requirements | None = None
    unset: frozenset[str] = frozenset()
