"""Pipelines with their stages, and the checkpoints on them."""

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.models import Pipeline, Stage, StageKind
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.shared.errors import NotFound
from web.api.fields import ApiAnswer
from web.api.resource import Ask, Page, Resource

pipelines = Resource("pipelines", "Pipelines with their stages.")
checkpoints = Resource("checkpoints", "The norms that are watched: how long a deal may stay in a stage.")


class StageOut(ApiAnswer):
    id: int
    name: str
    kind: StageKind
    position: int
    probability: int = Field(description="Percent of winning.")
    norm_minutes: int | None = Field(description="Working minutes; null: no norm.")
    instruction: str


class PipelineOut(ApiAnswer):
    id: int
    name: str
    position: int
    is_default: bool
    stages: list[StageOut]


class CheckpointOut(ApiAnswer):
    """A stage's norm. The id is the stage's."""

    id: int
    name: str
    pipeline_id: int
    pipeline: str
    stage_id: int
    stage: str
    norm_minutes: int = Field(description="Working minutes of the responsible person's calendar.")


@pipelines.get("/pipelines", needs=Permission.DEALS_READ, summary="All pipelines, in order")
async def read_pipelines(ask: Ask) -> Page[PipelineOut]:
    """All of them at once: `next` is always null."""
    return Page[PipelineOut](items=await _pipelines(ask), next=None)


@pipelines.get("/pipelines/{pipeline_id}", needs=Permission.DEALS_READ, summary="One pipeline")
async def read_pipeline(ask: Ask, pipeline_id: int) -> PipelineOut:
    found = next((pipeline for pipeline in await _pipelines(ask) if pipeline.id == pipeline_id), None)
    if found is None:
        raise NotFound("pipelines.not_found", "There is no such pipeline.")
    return found


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


async def _pipelines(ask: Ask) -> list[PipelineOut]:
    return [_pipeline_out(pipeline, stages) for pipeline, stages in await list_pipelines(ask.session)]


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


def _pipeline_out(pipeline: Pipeline, stages: list[Stage]) -> PipelineOut:
    return PipelineOut(
        id=pipeline.id or 0,
        name=pipeline.name,
        position=pipeline.position,
        is_default=pipeline.is_default,
        stages=[
            StageOut(
                id=stage.id or 0,
                name=stage.name,
                kind=StageKind(stage.kind),
                position=stage.position,
                probability=stage.probability,
                norm_minutes=stage.norm_minutes,
                instruction=stage.instruction,
            )
            for stage in stages
        ],
    )
