"""A new or changed checkpoint that is checked but not stored yet."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints import checks
from pbxcrm.checkpoints.checks import StepChange
from pbxcrm.checkpoints.config import Watched
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid


@dataclass(frozen=True, slots=True)
class CheckpointChange:
    """All values of a new or changed checkpoint. ``begin_now``: its clocks start now, also for deals that are already in the stage."""

    name: str
    trigger: str
    steps: Sequence[StepChange]
    work: Sequence[str] = ()
    pipeline_id: int | None = None
    stage_id: int | None = None
    field: str = ""
    offset_minutes: int = 0
    talked_seconds: int = 0
    is_active: bool = True
    begin_now: bool = False


@dataclass(frozen=True, slots=True)
class Draft:
    """A checked change: ``values`` are columns of ``Checkpoint``."""

    values: dict[str, Any]  # columns are of any type
    steps: list[StepChange]
    stage: Stage | None

    def watched(self, checkpoint_id: int | None = None) -> Watched:
        """The draft as the engine would load it, with the id of an existing checkpoint or as a new one. Belongs to no session."""
        steps = tuple(
            CheckpointStep(
                checkpoint_id=0,
                position=position,
                after_minutes=step.after_minutes,
                whom=step.whom,
                what=step.what,
                text=step.text,
            )
            for position, step in enumerate(self.steps)
        )
        return Watched(
            Checkpoint(id=checkpoint_id, **self.values), steps, self.stage.norm_minutes if self.stage else None
        )


async def check_change(session: AsyncSession, change: CheckpointChange) -> Draft:
    """Check a change. Raises Invalid at the wrong field."""
    people = await load_directory(session)
    name = checks.check_name(change.name)
    checks.check_trigger(change.trigger, change.field, change.offset_minutes)
    work = checks.check_work(change.work, change.talked_seconds)
    stage = await _place(session, change)
    steps = checks.check_steps(
        change.steps,
        people,
        needs_minutes=change.trigger == TriggerKind.SILENCE or (change.trigger == TriggerKind.STAGE and stage is None),
    )
    values: dict[str, Any] = {
        "name": name,
        "field": checks.check_field(work, change.trigger, change.field, BY_KEY),
        "trigger": change.trigger,
        "work": work,
        "talked_seconds": change.talked_seconds,
        "pipeline_id": stage.pipeline_id if stage else change.pipeline_id,
        "stage_id": change.stage_id,
        "offset_minutes": change.offset_minutes,
        "is_active": change.is_active,
    }
    return Draft(values, steps, stage)


async def _place(session: AsyncSession, change: CheckpointChange) -> Stage | None:
    """The stage of the change, None without one. Raises Invalid at ``stage_id`` or ``pipeline_id``."""
    if change.stage_id is not None:
        stage = await session.get(Stage, change.stage_id)
        if stage is None or stage.archived_at is not None:
            raise Invalid("stage_id", "deals.no_stage", "There is no such stage any more.")
        if change.pipeline_id not in {None, stage.pipeline_id}:
            raise Invalid("pipeline_id", "deals.other_pipeline", "The stage belongs to another pipeline.")
        return stage
    if change.trigger == TriggerKind.STAGE:
        raise Invalid("stage_id", "checkpoints.stage", "Choose the stage that is watched.")
    if change.pipeline_id is not None and await session.get(Pipeline, change.pipeline_id) is None:
        raise Invalid("pipeline_id", "pipelines.not_found", "There is no such pipeline.")
    return None
