"""Changing checkpoints. Open lamps are recomputed from the facts; lamps that have lit keep their reason."""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.default_checkpoints import key_stages, watch_key_stages
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange, check_change
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind
from pbxcrm.checkpoints.recompute_jobs import recompute
from pbxcrm.deals.models import Pipeline
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.locking import lock_row


async def create_checkpoint(
    session: AsyncSession, viewer: Viewer, change: CheckpointChange, *, now: datetime
) -> tuple[Checkpoint, BackgroundJob]:
    """Create a checkpoint, and a job that arms its lamps for existing deals. Raises Invalid at the wrong field."""
    check(viewer, Permission.SETTINGS_EDIT)
    if change.trigger == TriggerKind.CALLBACK:
        raise Invalid("trigger", "checkpoints.callback", "Callbacks have their checkpoint: change it there.")
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
    """Replace a checkpoint, and start a job that recomputes its lamps. Raises Invalid at the wrong field, NotFound, and Conflict for
    an old ``version``. The checkpoint of callbacks changes its name and its steps only.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    await access_checkpoint(session, checkpoint_id)
    checkpoint = await lock_row(session, Checkpoint, checkpoint_id)
    if version is not None and checkpoint.version != version:
        raise Conflict("checkpoints.stale", "Somebody changed this checkpoint meanwhile. Look at it again first.")
    if TriggerKind.CALLBACK in {checkpoint.trigger, change.trigger}:
        _check_callbacks(checkpoint, change)
    await _set(session, checkpoint, change, now)
    checkpoint.version += 1
    record(session, now, "checkpoint.changed", "checkpoint", checkpoint_id, actor=viewer, name=checkpoint.name)
    begin_now = change.begin_now and checkpoint.trigger == TriggerKind.CALLBACK
    return checkpoint, await _recompute(session, viewer, checkpoint, now, begin_now=begin_now)


def _check_callbacks(checkpoint: Checkpoint, change: CheckpointChange) -> None:
    """Raises Invalid at the first value that callbacks do not have."""
    if checkpoint.trigger != change.trigger:
        raise Invalid(
            "trigger", "checkpoints.callback_only", "Callbacks have one checkpoint, which watches nothing else."
        )
    if change.stage_id is not None or change.pipeline_id is not None:
        raise Invalid(
            "stage_id", "checkpoints.callback_everywhere", "Callbacks are watched whatever stage the deal is in."
        )
    if sorted(change.work) != sorted(checkpoint.work):
        raise Invalid("work", "checkpoints.callback_work", "Only calls put out the lamps of callbacks.")
    if not change.is_active:
        raise Invalid("is_active", "checkpoints.callback_on", "Callbacks always have their norm.")


async def delete_checkpoint(
    session: AsyncSession, viewer: Viewer, checkpoint_id: int, *, now: datetime
) -> BackgroundJob:
    """Archive a checkpoint: armed lamps are deleted, burning ones are put out, the history stays. Raises NotFound, Conflict."""
    check(viewer, Permission.SETTINGS_EDIT)
    checkpoint = await access_checkpoint(session, checkpoint_id)
    if checkpoint.trigger == TriggerKind.CALLBACK:
        raise Conflict("checkpoints.callback", "Callbacks always have their norm.")
    checkpoint.is_active, checkpoint.archived_at = False, now
    checkpoint.version += 1
    record(session, now, "checkpoint.deleted", "checkpoint", checkpoint_id, actor=viewer, name=checkpoint.name)
    return await _recompute(session, viewer, checkpoint, now)


async def watch_pipeline(
    session: AsyncSession, viewer: Viewer, pipeline_id: int, *, begin_now: bool, now: datetime
) -> tuple[int, BackgroundJob]:
    """Create the default checkpoint (two steps: the responsible, then the manager) for each unwatched key stage of a pipeline; returns how many.

    ``begin_now``: the clocks of deals that are in these stages start now. Raises NotFound, and Conflict if all are watched.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    if await session.get(Pipeline, pipeline_id) is None:
        raise NotFound("pipelines.not_found", "There is no such pipeline.")
    stages = await key_stages(session, pipeline_id)
    if not stages:
        raise Conflict("checkpoints.watched", "Every key stage with a norm is watched already.")
    await watch_key_stages(session, pipeline_id, begins_at=now if begin_now else None)
    for stage in stages:
        record(session, now, "checkpoint.created", "stage", stage.id, actor=viewer, name=stage.name)
    return len(stages), await recompute(session, now, pipeline_id=pipeline_id, owner_id=viewer.user_id)


async def begin_anew(session: AsyncSession, viewer: Viewer, stage_id: int, *, now: datetime) -> None:
    """Start the clocks of all deals in the stage now, so that a new norm does not light all their lamps at once.

    Call it before changing the norm, which recomputes the lamps.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    rows = await session.exec(
        select(Checkpoint).where(
            Checkpoint.stage_id == stage_id,
            Checkpoint.trigger == TriggerKind.STAGE.value,
            col(Checkpoint.archived_at).is_(None),
        )
    )
    for row in rows.all():
        row.begins_at = now
        row.version += 1
        session.add(row)
    await session.flush()


async def access_checkpoint(session: AsyncSession, checkpoint_id: int) -> Checkpoint:
    """A checkpoint that is not archived; everybody may see it. Raises NotFound."""
    found = await session.get(Checkpoint, checkpoint_id)
    if found is None or found.archived_at is not None:
        raise NotFound("checkpoints.not_found", "There is no such checkpoint.")
    return found


async def _set(session: AsyncSession, checkpoint: Checkpoint, change: CheckpointChange, now: datetime) -> None:
    draft = await check_change(session, change, checkpoint.id)
    for name, value in draft.values.items():
        setattr(checkpoint, name, value)
    if change.begin_now and checkpoint.trigger != TriggerKind.CALLBACK:  # their clocks begin one by one, by recomputing
        checkpoint.begins_at = now
    session.add(checkpoint)
    await session.flush()
    await _set_steps(session, checkpoint, draft.steps)


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


async def _recompute(
    session: AsyncSession, viewer: Viewer, checkpoint: Checkpoint, now: datetime, *, begin_now: bool = False
) -> BackgroundJob:
    return await recompute(
        session,
        now,
        stage_id=checkpoint.stage_id,
        pipeline_id=checkpoint.pipeline_id,
        checkpoint_id=checkpoint.id,
        owner_id=viewer.user_id,
        begin_now=begin_now,
    )
