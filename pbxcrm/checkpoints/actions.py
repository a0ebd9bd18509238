"""Changing checkpoints. What is pending moves with them, from facts; lamps that fired keep their reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.checkpoints import checks
from pbxcrm.checkpoints.checks import StepChange
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind
from pbxcrm.checkpoints.recompute import recompute
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.background import BackgroundJob
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.locking import lock_row


@dataclass(frozen=True, slots=True)
class CheckpointChange:
    """The whole of a checkpoint as it should be. ``begin_now``: for the deals that stand there already, too, its clock begins now."""

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


async def create_checkpoint(
    session: AsyncSession, viewer: Viewer, change: CheckpointChange, *, now: datetime
) -> tuple[Checkpoint, BackgroundJob]:
    """With the work that arms it for the deals that are there. Raises Invalid at the field that is wrong."""
    check(viewer, Permission.SETTINGS_EDIT)
    checkpoint = Checkpoint(name="", trigger=change.trigger)
    await _set(session, checkpoint, change, now)
    record(session, now, "checkpoint.created", "checkpoint", checkpoint.id, actor=viewer, name=checkpoint.name)
    return checkpoint, await _recompute(session, viewer, checkpoint, now)


async def change_checkpoint(
    session: AsyncSession,
    viewer: Viewer,
    checkpoint_id: int,
    change: CheckpointChange,
    *,
    now: datetime,
    version: int | None = None,
) -> tuple[Checkpoint, BackgroundJob]:
    """Raises Conflict where ``version`` is no longer true."""
    check(viewer, Permission.SETTINGS_EDIT)
    await access_checkpoint(session, checkpoint_id)
    checkpoint = await lock_row(session, Checkpoint, checkpoint_id)
    if version is not None and checkpoint.version != version:
        raise Conflict("checkpoints.stale", "Somebody changed this checkpoint meanwhile. Look at it again first.")
    if checkpoint.trigger == TriggerKind.CALLBACK:
        raise Conflict("checkpoints.callback", "The norm of callbacks is changed among their settings.")
    await _set(session, checkpoint, change, now)
    checkpoint.version += 1
    record(session, now, "checkpoint.changed", "checkpoint", checkpoint_id, actor=viewer, name=checkpoint.name)
    return checkpoint, await _recompute(session, viewer, checkpoint, now)


async def delete_checkpoint(
    session: AsyncSession, viewer: Viewer, checkpoint_id: int, *, now: datetime
) -> BackgroundJob:
    """Watch it no longer: what is armed is forgotten, what burns goes out, what fired stands."""
    check(viewer, Permission.SETTINGS_EDIT)
    checkpoint = await access_checkpoint(session, checkpoint_id)
    if checkpoint.trigger == TriggerKind.CALLBACK:
        raise Conflict("checkpoints.callback", "Callbacks always have their norm.")
    checkpoint.is_active, checkpoint.archived_at = False, now
    checkpoint.version += 1
    record(session, now, "checkpoint.deleted", "checkpoint", checkpoint_id, actor=viewer, name=checkpoint.name)
    return await _recompute(session, viewer, checkpoint, now)


async def access_checkpoint(session: AsyncSession, checkpoint_id: int) -> Checkpoint:
    """One that was not taken away; what is watched is nobody's secret. Raises NotFound."""
    found = await session.get(Checkpoint, checkpoint_id)
    if found is None or found.archived_at is not None:
        raise NotFound("checkpoints.not_found", "There is no such checkpoint.")
    return found


async def _set(session: AsyncSession, checkpoint: Checkpoint, change: CheckpointChange, now: datetime) -> None:
    people = await load_directory(session)
    checks.check_trigger(change.trigger, change.field, change.offset_minutes)
    work = checks.check_work(change.work, change.talked_seconds)
    stage = await _place(session, change)
    steps = checks.check_steps(
        change.steps,
        people,
        needs_minutes=change.trigger == TriggerKind.SILENCE or (change.trigger == TriggerKind.STAGE and stage is None),
    )
    checkpoint.name = checks.check_name(change.name)
    checkpoint.field = checks.check_field(work, change.trigger, change.field, BY_KEY)
    checkpoint.trigger, checkpoint.work, checkpoint.talked_seconds = change.trigger, work, change.talked_seconds
    checkpoint.pipeline_id, checkpoint.stage_id = (stage.pipeline_id if stage else change.pipeline_id), change.stage_id
    checkpoint.offset_minutes, checkpoint.is_active = change.offset_minutes, change.is_active
    if change.begin_now:
        checkpoint.begins_at = now
    session.add(checkpoint)
    await session.flush()
    await _set_steps(session, checkpoint, steps)


async def _set_steps(session: AsyncSession, checkpoint: Checkpoint, steps: Sequence[StepChange]) -> None:
    rows = await session.exec(
        select(CheckpointStep)
        .where(CheckpointStep.checkpoint_id == checkpoint.id)
        .order_by(col(CheckpointStep.position))
    )
    known = list(rows.all())
    for position, step in enumerate(steps):
        if position < len(known):
            row = known[position]
        else:
            row = CheckpointStep(checkpoint_id=checkpoint.id or 0, position=position, whom="", what="")
        row.after_minutes, row.whom, row.what = step.after_minutes, step.whom, step.what
        row.text, row.checklist = step.text, list(step.checklist)
        session.add(row)
    for row in known[len(steps) :]:
        await session.delete(row)
    await session.flush()


async def _place(session: AsyncSession, change: CheckpointChange) -> Stage | None:
    """Its stage; raises Invalid at what there is not."""
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


async def _recompute(session: AsyncSession, viewer: Viewer, checkpoint: Checkpoint, now: datetime) -> BackgroundJob:
    return await recompute(
        session,
        now,
        stage_id=checkpoint.stage_id,
        pipeline_id=checkpoint.pipeline_id,
        checkpoint_id=checkpoint.id,
        owner_id=viewer.user_id,
    )
