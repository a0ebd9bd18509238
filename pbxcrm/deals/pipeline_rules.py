"""Pure checks of what an administrator enters for pipelines and stages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pbxcrm.deals.models import Carried, Colour, Stage, StageKind
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line, check_optional_text
from pbxcrm.shared.reasons import N_

MOST_FILES = 20  # that a stage may require
MOST_STAGES = 60  # of one pipeline, without archived ones
LONGEST_NORM = 5 * 366 * 9 * 60  # working minutes: five years of nine hours per day
CARRIED_BY_DEFAULT = (Carried.CLIENT, Carried.RESPONSIBLE, Carried.AMOUNT, Carried.SOURCE)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a deal must have to enter the stage. ``fields``: keys of required fields. ``files``: the least number of files."""

    fields: tuple[str, ...] = ()
    files: int = 0
    lost_reason: bool = False
    next_task: bool = False

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """From the JSON column ``Stage.requires``; missing keys require nothing."""
        return cls(
            tuple(stored.get("fields", ())),
            int(stored.get("files", 0)),
            bool(stored.get("lost_reason", False)),
            bool(stored.get("next_task", False)),
        )

    def stored(self) -> dict[str, Any]:
        """The JSON object for the column ``Stage.requires``."""
        return {
            "fields": list(self.fields),
            "files": self.files,
            "lost_reason": self.lost_reason,
            "next_task": self.next_task,
        }


def check_pipeline_name(name: str) -> str:
    """The name in one line. Raises Invalid at ``name``."""
    return _name(name)


def check_stage_name(name: str, others: Sequence[Stage]) -> str:
    """The name in one line. ``others``: the other active stages of the pipeline. Raises Invalid at ``name``."""
    name = _name(name)
    if any(other.name == name for other in others):
        raise Invalid("name", "stages.name_taken", "There is a stage of this name already.")
    return name


def check_norm(minutes: int | None) -> int | None:
    """The norm in working minutes, None for no norm. Raises Invalid at ``norm_minutes``."""
    if minutes is not None and not 1 <= minutes <= LONGEST_NORM:
        raise Invalid(
            "norm_minutes",
            "stages.norm",
            "A norm is at least a minute and at most five years; leave it empty for none.",
        )
    return minutes


def check_probability(percent: int) -> int:
    """Percent from 0 to 100. Raises Invalid at ``probability``."""
    if not 0 <= percent <= 100:
        raise Invalid("probability", "stages.probability", "Write a percentage from 0 to 100.")
    return percent


def check_instruction(text: str) -> str:
    """The stripped text, which may be empty. Raises Invalid at ``instruction``."""
    return check_optional_text(text, Stage.instruction, "instruction")


def check_colour(colour: str) -> str:
    """One of ``Colour``. Raises Invalid at ``colour``."""
    if colour not in set(Colour):
        raise Invalid("colour", "stages.colour", "Choose a colour.")
    return colour


def check_carries(carries: Sequence[str]) -> list[str]:
    """Values of ``Carried`` in their order, each once. Raises Invalid at ``carries``."""
    if not set(carries) <= set(Carried):
        raise Invalid("carries", "pipelines.carries", "Choose what the next deal takes over.")
    return [each.value for each in Carried if each in carries]


def check_requirements(asked: Requirements, known_fields: Sequence[str]) -> Requirements:
    """``asked`` unchanged, if deals have these fields. Raises Invalid at ``requires``."""
    unknown = next((key for key in asked.fields if key not in known_fields), None)
    if unknown is not None:
        said, key = N_("There is no field “{key}”."), unknown[:LONGEST_REPEATED]
        raise Invalid("requires", "stages.no_field", said, key=key).among(known_fields)
    if not 0 <= asked.files <= MOST_FILES:
        raise Invalid("files", "stages.files", "A stage can ask for at most {most} files.", most=MOST_FILES)
    return asked


def check_kinds(stages: Sequence[Stage], *, takes_calls: bool = False) -> None:
    """Check that the active stages of a pipeline include an open, a won and a lost one. ``takes_calls``: of the default pipeline, which
    also needs those for the calls of new clients. Raises Invalid at ``kind`` or ``name``.
    """
    kinds = {stage.kind for stage in stages}
    for kind, message in (
        (StageKind.OPEN, N_("A pipeline needs at least one open stage.")),
        (StageKind.WON, N_("A pipeline needs a stage for deals that are won.")),
        (StageKind.LOST, N_("A pipeline needs a stage for deals that are lost.")),
    ):
        if kind not in kinds:
            raise Invalid("kind", "stages.kinds", message)
    if takes_calls:
        check_takes_calls(stages, "kind")
    if len(stages) > MOST_STAGES:
        raise Invalid("name", "stages.too_many", "A pipeline can have at most {most} stages.", most=MOST_STAGES)


def check_takes_calls(stages: Sequence[Stage], field: str) -> None:
    """Check that there are stages for new clients who were talked to and who were missed. Raises Invalid at ``field``."""
    kinds = {stage.kind for stage in stages}
    for kind, message in (
        (
            StageKind.UNSORTED,
            N_("Calls of new clients come into the default pipeline, so it needs an unsorted stage."),
        ),
        (
            StageKind.DIDNT_REACH,
            N_(
                "Missed calls of new clients come into the default pipeline, so it needs a stage for clients who were not reached."
            ),
        ),
    ):
        if kind not in kinds:
            raise Invalid(field, "stages.for_calls", message)


def check_next(pipeline_id: int, following: Mapping[int, int | None]) -> None:
    """Check that next pipelines form no circle. A pipeline may follow itself (repeat sales). Raises Invalid at
    ``next_pipeline_id``.
    """
    seen = [pipeline_id]
    upcoming = following.get(pipeline_id)
    while upcoming is not None and upcoming not in seen:
        seen.append(upcoming)
        upcoming = following.get(upcoming)
    if upcoming is not None and upcoming != seen[-1]:
        raise Invalid(
            "next_pipeline_id",
            "pipelines.circle",
            "These pipelines would pass deals on in a circle. Only a pipeline that follows itself may repeat.",
        )


def _name(name: str) -> str:
    return check_line(name, Stage.name, "name", "pipelines.name", "Write a name of up to {most} characters.")


LONGEST_PLAN = 5 * 366  # days


def check_longest_plan(days: int) -> int:
    """For how many days a next task counts as work. Raises Invalid at ``longest_plan_days``."""
    if not 1 <= days <= LONGEST_PLAN:
        raise Invalid("longest_plan_days", "pipelines.longest_plan", "Write 1 to {most} days.", most=LONGEST_PLAN)
    return days
