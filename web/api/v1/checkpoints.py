"""Checkpoints: the norms that are watched."""

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.shared.errors import NotFound
from web.api.fields import ApiAnswer
from web.api.resource import Ask, Page, Resource

checkpoints = Resource("checkpoints", "The norms that are watched: how long a deal may stay in a stage.")


class CheckpointOut(ApiAnswer):
    """A stage's norm. The id is the stage's."""

    id: int
    name: str
    pipeline_id: int
    pipeline: str
    stage_id: int
    stage: str
    norm_minutes: int = Field(description="Working minutes of the responsible person's calendar.")


@checkpoints.get("/checkpoints", needs=Permission.DEALS_READ, summary="All checkpoints")
async def read_checkpoints(ask: Ask) -> Page[CheckpointOut]:
    """All of them at once: `next` is always null."""
    return Page[CheckpointOut](items=await _checkpoints(ask), next=None)


@checkpoints.get("/checkpoints/{checkpoint_id}", needs=Permission.DEALS_READ, summary="One checkpoint")
async def read_checkpoint(ask: Ask, checkpoint_id: int) -> CheckpointOut:
    found = next((checkpoint for checkpoint in await _checkpoints(ask) if checkpoint.id == checkpoint_id), None)
    if found is None:
        raise NotFound("checkpoints.not_found", "There is no such checkpoint.")
    return found


async def _checkpoints(ask: Ask) -> list[CheckpointOut]:
    return [
        CheckpointOut(
            id=stage.id or 0,
            name=stage.name,
            pipeline_id=stage.pipeline_id,
            pipeline=pipeline.name,
            stage_id=stage.id or 0,
            stage=stage.name,
            norm_minutes=stage.norm_minutes,
        )
        for pipeline, stages in await list_pipelines(ask.session)
        for stage in stages
        if stage.norm_minutes is not None
    ]
