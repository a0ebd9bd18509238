"""Recomputes lamps in batches from the facts after a change of rules (a norm, a step, a calendar, a leave)."""

from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.lamps import OPEN
from pbxcrm.checkpoints.models import Checkpoint, Lamp, Subject, TriggerKind
from pbxcrm.deals.models import Deal
from pbxcrm.shared.background_jobs import BackgroundJob, Batch, JobState, start

RECOMPUTE = "checkpoints.recompute"
BATCH = 500

#: Recomputes all its lamps at this time; with the second time, clocks that would be late only now begin then.
Settler = Callable[[AsyncSession, datetime, datetime | None], Awaitable[None]]
_settlers: dict[str, Settler] = {}


def register_settler(trigger: TriggerKind, settler: Settler) -> None:
    """Register the function that recomputes all lamps of a trigger that does not watch deals; ``pbxcrm.composition`` calls this."""
    _settlers[trigger.value] = settler


async def recompute(
    session: AsyncSession,
    now: datetime,
    *,
    stage_id: int | None = None,
    pipeline_id: int | None = None,
    checkpoint_id: int | None = None,
    owner_id: int | None = None,
    begin_now: bool = False,
) -> BackgroundJob:
    """Recompute the open deals of a stage, of a pipeline, or all of them, and all deals with an open lamp of the checkpoint.

    ``begin_now``: lamps that would be late only because of the change are counted from now.

    If all fit into one batch, it is done now in this transaction, else the worker does it.
    """
    await session.flush()
    checkpoint = await session.get(Checkpoint, checkpoint_id) if checkpoint_id is not None else None
    for trigger, settler in _settlers.items():
        is_everything = stage_id is None and pipeline_id is None and checkpoint is None
        if is_everything or (checkpoint is not None and checkpoint.trigger == trigger):
            await settler(session, now, now if begin_now else None)
    if checkpoint is not None and checkpoint.trigger in _settlers:
        return await _done(session, now, owner_id)
    payload = {"stage": stage_id, "pipeline": pipeline_id, "checkpoint": checkpoint_id, "begin_now": begin_now}
    total = (await session.exec(select(func.count()).select_from(Deal).where(_touched(payload)))).one()
    job = await start(session, RECOMPUTE, payload, now, total=total, owner_id=owner_id)
    if total <= BATCH and await recompute_batch(session, job, now):
        job.state, job.finished_at = JobState.DONE.value, now
    return job


async def _done(session: AsyncSession, now: datetime, owner_id: int | None) -> BackgroundJob:
    job = await start(session, RECOMPUTE, {}, now, total=0, owner_id=owner_id)
    job.state, job.finished_at = JobState.DONE.value, now
    return job


async def recompute_all(session: AsyncSession, now: datetime, begin_now: bool) -> None:
    """Handler of ``calendar_changed``: recompute everything because working hours or leaves changed."""
    await recompute(session, now, begin_now=begin_now)


async def recompute_batch(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Recompute the next batch of deals, by id."""
    after = int(job.cursor.get("after", 0))
    rows = await session.exec(
        select(Deal.id).where(_touched(job.payload), col(Deal.id) > after).order_by(col(Deal.id)).limit(BATCH)
    )
    ids = [deal_id for deal_id in rows.all() if deal_id is not None]
    await settle_deals(session, ids, now, begin_at=job.created_at if job.payload.get("begin_now") else None)
    job.done += len(ids)
    if len(ids) < BATCH:
        job.total = job.done
        return True
    job.cursor = {"after": ids[-1]}
    return False


def _touched(payload: dict[str, Any]) -> ColumnElement[bool]:
    stage_id, pipeline_id, checkpoint_id = payload["stage"], payload["pipeline"], payload["checkpoint"]
    found: ColumnElement[bool] = col(Deal.closed_at).is_(None)
    if stage_id is not None:
        found = found & (col(Deal.stage_id) == stage_id)
    elif pipeline_id is not None:
        found = found & (col(Deal.pipeline_id) == pipeline_id)
    if checkpoint_id is None:
        return found
    lit = select(Lamp.deal_id).where(
        Lamp.subject == Subject.DEAL.value, Lamp.checkpoint_id == checkpoint_id, col(Lamp.state).in_(OPEN)
    )
    return or_(found, col(Deal.id).in_(lit))


WORK: dict[str, Batch] = {RECOMPUTE: recompute_batch}
