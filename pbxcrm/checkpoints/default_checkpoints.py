"""The default checkpoints: one for each stage where one side waits for the other.

After the norm of the stage the responsible person gets a task; after a reaction pause the manager gets a control task. A conversation
with the client, a dated next task or a move counts as work.
"""

from collections.abc import Sequence
from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, StepKind, TriggerKind, WorkKind
from pbxcrm.deals.models import Stage
from pbxcrm.people.whom import MANAGER, RESPONSIBLE

REACTION_MINUTES = 60
TALKED_SECONDS = 30


async def key_stages(session: AsyncSession, pipeline_id: int | None = None) -> Sequence[Stage]:
    """Key stages (``waits_for_client``) with a norm and without a checkpoint, in order."""
    watched = select(Checkpoint.stage_id).where(
        col(Checkpoint.stage_id).is_not(None), col(Checkpoint.archived_at).is_(None)
    )
    query = select(Stage).where(
        col(Stage.waits_for_client),
        col(Stage.norm_minutes).is_not(None),
        col(Stage.archived_at).is_(None),
        col(Stage.id).not_in(watched),
    )
    if pipeline_id is not None:
        query = query.where(Stage.pipeline_id == pipeline_id)
    return (await session.exec(query.order_by(col(Stage.position), col(Stage.id)))).all()


async def watch_key_stages(
    session: AsyncSession, pipeline_id: int | None = None, *, begins_at: datetime | None = None
) -> int:
    """Create the default checkpoint for each of ``key_stages``. Returns how many there were.

    ``begins_at``: no clock starts earlier, so that the lamps of deals already there do not all light at once.
    """
    stages = await key_stages(session, pipeline_id)
    for stage in stages:
        checkpoint = Checkpoint(
            name=stage.name,
            trigger=TriggerKind.STAGE.value,
            pipeline_id=stage.pipeline_id,
            stage_id=stage.id,
            work=[WorkKind.STAGE_MOVED.value, WorkKind.TALKED.value, WorkKind.NEXT_TASK.value],
            talked_seconds=TALKED_SECONDS,
            begins_at=begins_at,
        )
        session.add(checkpoint)
        await session.flush()
        assert checkpoint.id is not None
        for position, (after, whom, what) in enumerate(
            ((None, RESPONSIBLE, StepKind.TASK), (REACTION_MINUTES, MANAGER, StepKind.CONTROL))
        ):
            session.add(
                CheckpointStep(
                    checkpoint_id=checkpoint.id, position=position, after_minutes=after, whom=whom, what=what.value
                )
            )
    await session.flush()
    return len(stages)
