"""Counts in the background what a checkpoint would do: the deals, the lamps that would light at once and in the last days."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.context import Watched, load_engine
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange, check_change
from pbxcrm.checkpoints.lamps import OPEN
from pbxcrm.checkpoints.models import Lamp, LampState, Subject, TriggerKind
from pbxcrm.checkpoints.preview import (
    DAYS,
    MOST_STAYS,
    Lit,
    count_deals,
    count_late,
    count_lit,
    next_deals,
    past_deals,
    past_stays,
    preview,
    watched_stage,
    with_norm,
)
from pbxcrm.shared.background_jobs import BackgroundJob, Batch, JobState, start
from pbxcrm.shared.errors import Invalid, NotFound

TRIAL = "checkpoints.trial"
BATCH = 250
MOST_AT_ONCE = 2000  # deals that are checked during a request


@dataclass(frozen=True, slots=True)
class Look:
    """The number of watched deals, how many lamps would light at once (None: too many to count during a request), and the number of
    callbacks.
    """

    deals: int
    would_light: int | None
    callbacks: int = 0


async def try_change(
    session: AsyncSession, viewer: Viewer, change: CheckpointChange, checkpoint_id: int | None, *, now: datetime
) -> BackgroundJob:
    """Start counting what the change would do compared with the present checkpoint (None: a new one). Raises Invalid at the field."""
    check(viewer, Permission.SETTINGS_EDIT)
    await check_change(session, change, checkpoint_id)
    if change.trigger == TriggerKind.CALLBACK:
        raise Invalid("trigger", "checkpoints.no_trial", "This is possible for deals only.")
    return await _begin(session, viewer, {"change": asdict(change), "checkpoint": checkpoint_id}, now)


async def try_norm(
    session: AsyncSession, viewer: Viewer, stage_id: int, norm_minutes: int, *, now: datetime
) -> BackgroundJob:
    """The same as ``try_change`` for another norm of a stage. Raises NotFound."""
    check(viewer, Permission.SETTINGS_EDIT)
    return await _begin(session, viewer, {"stage": stage_id, "norm": norm_minutes}, now)


async def look_at_change(
    session: AsyncSession, viewer: Viewer, change: CheckpointChange, checkpoint_id: int | None, *, now: datetime
) -> Look:
    """What saving the change would light at once. Raises Invalid at the field."""
    check(viewer, Permission.SETTINGS_EDIT)
    draft = await check_change(session, change, checkpoint_id)
    then = draft.watched(checkpoint_id)
    if change.trigger == TriggerKind.CALLBACK:
        return await look_at_callbacks(session, then.minutes or (), now)
    return await _look(session, then, now) if change.is_active else Look(0, 0)


async def look_at_callbacks(session: AsyncSession, minutes: Sequence[float], now: datetime) -> Look:
    """What other working minutes of the steps for callbacks would do. ``minutes``: of each step, from the one before."""
    context = await load_engine(session)
    watched = context.watching.of_callbacks
    if watched is None or watched.minutes == tuple(minutes):
        return Look(0, 0)
    rows = await session.exec(
        select(Lamp).where(Lamp.subject == Subject.CALLBACK.value, col(Lamp.state).in_(OPEN)).order_by(col(Lamp.step))
    )
    last: dict[int | None, Lamp] = {
        lamp.callback_id: lamp for lamp in rows.all()
    }  # the armed one, else the last that burns
    late = 0
    for lamp in last.values():
        is_armed = lamp.state == LampState.ARMED
        step = lamp.step if is_armed else lamp.step + 1
        if step >= len(minutes) or (is_armed and lamp.due_at <= now):
            continue
        since = lamp.entered_at if is_armed else lamp.asked_at or lamp.lit_at or lamp.entered_at
        late += context.calendars.of_user(lamp.owner_id).add_minutes(since, minutes[step]) <= now
    return Look(0, late, len(last))


async def look_at_norm(
    session: AsyncSession, viewer: Viewer, stage_id: int, norm_minutes: int, *, now: datetime
) -> Look:
    """The same as ``look_at_change`` for another norm of a stage; zeros if no checkpoint uses it. Raises NotFound."""
    check(viewer, Permission.SETTINGS_EDIT)
    today = await watched_stage(session, stage_id)
    if today.id not in (await load_engine(session)).watching.by_id or today.steps[0].after_minutes is not None:
        return Look(0, 0)
    return await _look(session, with_norm(today, norm_minutes), now)


async def _look(session: AsyncSession, then: Watched, now: datetime) -> Look:
    deals = await count_deals(session, then)
    if deals > MOST_AT_ONCE:
        return Look(deals, None)
    return Look(deals, (await preview(session, then, now)).would_light_now)


async def trial_batch(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Count the next batch: first the current deals, then the stays of the last days, newest deals first."""
    then, today = await _compared(session, job.payload)
    context, result = await load_engine(session), dict(job.result)
    if "before" not in job.cursor:
        deals = await next_deals(session, then, int(job.cursor.get("after", 0)), BATCH)
        if then.checkpoint.is_active:
            result["would_light_now"] += await count_late(session, context, then, deals, now)
        job.done, job.result = job.done + len(deals), result
        job.cursor = {"after": deals[-1].id} if len(deals) == BATCH else {"before": None}
        return False
    since = job.created_at - timedelta(days=DAYS)
    ids = await past_deals(session, then, since, BATCH, job.cursor["before"])
    stays = await past_stays(session, then, ids, since, job.created_at)
    lit = Lit(**result["then"])
    if then.checkpoint.is_active:
        lit += await count_lit(session, context, then, stays, since)
    before = Lit(**result["now"])
    if today is not None:
        before += await count_lit(session, context, today, stays, since)
    result |= {"now": asdict(before), "then": asdict(lit), "stays": result["stays"] + len(stays), "has_past": True}
    job.done, job.result = job.done + len(ids), result
    is_over = len(ids) < BATCH or job.done - result["deals"] >= MOST_STAYS
    job.cursor = {"before": ids[-1] if ids else 0}
    if is_over:
        job.total = job.done
    return is_over


async def _begin(session: AsyncSession, viewer: Viewer, payload: dict[str, Any], now: datetime) -> BackgroundJob:
    """Start the job. If it fits into one batch, it is done now, else by the worker."""
    then, _today = await _compared(session, payload)
    deals = await count_deals(session, then)
    past = len(await past_deals(session, then, now - timedelta(days=DAYS), MOST_STAYS))
    job = await start(session, TRIAL, payload, now, total=deals + past, owner_id=viewer.user_id)
    job.result = {
        "deals": deals,
        "would_light_now": 0,
        "would_go_out": 0 if then.checkpoint.is_active else await _burning(session, then.id),
        "days": DAYS,
        "stays": 0,
        "now": asdict(Lit()),
        "then": asdict(Lit()),
        "has_past": False,
        "of_stage": then.checkpoint.stage_id is not None,
    }
    if job.total < BATCH:
        while not await trial_batch(session, job, now):
            pass
        job.state, job.finished_at = JobState.DONE.value, now
    return job


async def _burning(session: AsyncSession, checkpoint_id: int) -> int:
    """How many lamps of the checkpoint burn."""
    query = select(func.count()).select_from(Lamp).where(Lamp.checkpoint_id == checkpoint_id, is_burning())
    return (await session.exec(query)).one()


async def _compared(session: AsyncSession, payload: dict[str, Any]) -> tuple[Watched, Watched | None]:
    """The checkpoint as it would be and as it is (None: a new one)."""
    watching = (await load_engine(session)).watching.by_id
    if "norm" in payload:
        today = await watched_stage(session, payload["stage"])
        return with_norm(today, payload["norm"]), today if today.id in watching else None
    stored = payload["change"]
    steps = [StepChange(**{**step, "checklist": tuple(step["checklist"])}) for step in stored["steps"]]
    draft = await check_change(session, CheckpointChange(**{**stored, "steps": steps}), payload["checkpoint"])
    return draft.watched(payload["checkpoint"]), watching.get(payload["checkpoint"])


async def access_trial(session: AsyncSession, viewer: Viewer, job_id: int) -> BackgroundJob:
    """A job of the viewer. Raises NotFound."""
    job = await session.get(BackgroundJob, job_id)
    if job is None or job.kind != TRIAL or job.owner_id != viewer.user_id:
        raise NotFound("jobs.not_found", "There is no such work.")
    return job


WORK: dict[str, Batch] = {TRIAL: trial_batch}
