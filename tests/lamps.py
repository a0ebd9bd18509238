"""Creates lamps as rows, for tests that begin with burning lamps, and runs everything that is due."""

from datetime import datetime
from itertools import count

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.models import Episode
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp, LampState, Subject, TriggerKind
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.shared import timers
from pbxcrm.shared.db import Database

_number = count(1)


async def sweep_all(database: Database, at: datetime) -> int:
    """What a worker does each second. Returns how many timers fired plus how many lamps lit."""
    return await timers.sweep(database, at) + await sweep_lamps(database, at)


async def callbacks_checkpoint(session: AsyncSession) -> Checkpoint:
    return (await session.exec(select(Checkpoint).where(Checkpoint.trigger == TriggerKind.CALLBACK.value))).one()


async def set_norm(session: AsyncSession, norm: int, pause: int) -> None:
    """Set the working minutes of both steps for callbacks. Lamps that are already armed do not change."""
    checkpoint = await callbacks_checkpoint(session)
    rows = await session.exec(select(CheckpointStep).where(CheckpointStep.checkpoint_id == checkpoint.id))
    for step in rows.all():
        step.after_minutes = (norm, pause)[step.position]


async def lamp_of_callback(
    session: AsyncSession,
    episode: Episode,
    at: datetime,
    *,
    step: int = 1,
    state: LampState = LampState.BURNING,
    addressee_id: int | None = None,
    task_id: int | None = None,
    reason: dict[str, object] | None = None,
) -> Lamp:
    """A lamp that has lit. ``step`` 1 is the escalation to the manager."""
    checkpoint = await callbacks_checkpoint(session)
    lamp = Lamp(
        checkpoint_id=checkpoint.id or 0,
        step=step,
        subject=Subject.CALLBACK.value,
        callback_id=episode.id,
        deal_id=episode.deal_id,
        entry=f"test {next(_number)}",
        owner_id=episode.owner_id,
        addressee_id=addressee_id,
        state=state.value,
        entered_at=at,
        minutes=20,
        due_at=at,
        lit_at=at,
        asked_at=at,
        out_at=at if state is LampState.OUT else None,
        task_id=task_id,
        reason=reason or {},
        is_escalation=step > 0,
    )
    session.add(lamp)
    await session.flush()
    return lamp
