"""What a pipeline and its stages may look like: pure checks of what an administrator enters."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pbxcrm.deals.models import Carried, Colour, Stage, StageKind
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line, check_optional_text

MOST_STAGES = 60  # not archived, in one pipeline
LONGEST_NORM = 5 * 366 * 9 * 60  # working minutes: five years of days of nine hours
CARRIED_BY_DEFAULT = (Carried.CLIENT, Carried.RESPONSIBLE, Carried.AMOUNT, Carried.SOURCE)


@dataclass(frozen=True, slots=True)
class Requirements:
    """What a deal must have before it enters the stage: ``fields`` by key, ``files`` at least so many."""

    fields: tuple[str, ...] = ()
    files: int = 0
    lost_reason: bool = False
    next_task: bool = False

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> Self:
        """From the JSON column ``Stage.requires``; keys that are missing there ask for nothing."""
        return cls(
            tuple(stored.get("fields", ())),
            int(stored.get("files", 0)),
            bool(stored.get("lost_reason", False)),
            bool(stored.get("next_task", False)),
        )

    def stored(self) -> dict[str, Any]:
        """As the JSON column ``Stage.requires`` keeps it."""
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
    """Raises Invalid at ``name``; ``others`` are the other stages of the pipeline that are not archived."""
    name = _name(name)
    if any(other.name == name for other in others):
        raise Invalid("name", "stages.name_taken", "There is a stage of this name already.")
    return name


def check_norm(minutes: int | None) -> int | None:
    """Working minutes, None for no norm; raises Invalid at ``norm_minutes``."""
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
    """The text without blanks around it; may be empty. Raises Invalid at ``instruction``."""
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
    """The same, if deals have these fields. Raises Invalid at ``requires``."""
    unknown = next((key for key in asked.fields if key not in known_fields), None)
    if unknown is not None:
        raise Invalid("requires", "stages.no_field", "There is no field “{key}”.", key=unknown[:LONGEST_REPEATED])
    if asked.files:
        raise Invalid("requires", "stages.files", "Deals carry no files yet, so a stage cannot ask for any.")
    return asked


def check_kinds(stages: Sequence[Stage]) -> None:
    """Whether the stages left in a pipeline let it work: a way in, a way to win and one to lose. Raises Invalid at ``kind``."""
    kinds = {stage.kind for stage in stages}
    for kind, message in (
        (StageKind.OPEN, "A pipeline needs at least one open stage."),
        (StageKind.WON, "A pipeline needs a stage for deals that are won."),
        (StageKind.LOST, "A pipeline needs a stage for deals that are lost."),
    ):
        if kind not in kinds:
            raise Invalid("kind", "stages.kinds", message)
    if len(stages) > MOST_STAGES:
        raise Invalid("name", "stages.too_many", "A pipeline can have at most {most} stages.", most=MOST_STAGES)


def check_next(pipeline_id: int, following: Mapping[int, int | None]) -> None:
    """A pipeline that goes on to itself in a circle is fine for repeat sales, but only to itself. Raises Invalid."""
    seen = [pipeline_id]
    upcoming = following.get(pipeline_id)
    while upcoming is not None and upcoming not in seen:
        seen.append(upcoming)
        upcoming = following.get(upcoming)
    if upcoming is not None and upcoming != seen[-1]:
        raise Invalid(
            "next_pipeline_id",
            "pipelines.circle",
            "These pipelines would hand deals on in a circle. Only a pipeline that follows itself may repeat.",
        )


def _name(name: str) -> str:
    return check_line(name, Stage.name, "name", "pipelines.name", "Write a name of up to {most} characters.")
