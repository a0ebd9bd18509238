"""Pipelines with their stages. Everybody may read them; changing them needs the permission for settings."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.attempt_schedule import MOST_ATTEMPTS, MOST_MINUTES, AfterLast, AttemptSchedule
from pbxcrm.deals.models import Carried, Colour, Pipeline, Stage, StageKind
from pbxcrm.deals.pipeline_actions import (
    archive_pipeline,
    archive_stage,
    change_pipeline,
    change_stage,
    create_pipeline,
    create_stage,
    restore_stage,
    split_stage,
)
from pbxcrm.deals.pipeline_drafts import PipelineChange, StageChange
from pbxcrm.deals.pipeline_rules import LONGEST_NORM, LONGEST_PLAN, Requirements
from pbxcrm.deals.queries import list_pipelines, stages_of
from pbxcrm.shared.errors import Invalid, NotFound
from web.api.fields import ApiAnswer, ApiRequest, Id, ShortListQuery, Version, Word, needed_text, optional_text
from web.api.resource import Ask, Page, Resource

pipelines = Resource("pipelines", "Pipelines with their stages.")

PipelineName = Annotated[str, needed_text(Pipeline.name)]
StageName = Annotated[str, needed_text(Stage.name)]
Instruction = Annotated[str, optional_text(Stage.instruction)]
MOST_FIELDS = 50  # fields that a stage may require
Norm = Annotated[int, Field(ge=1, le=LONGEST_NORM)]
Percent = Annotated[int, Field(ge=0, le=100)]
PlanDays = Annotated[int, Field(ge=1, le=LONGEST_PLAN)]
Position = Annotated[int, Field(ge=0, le=1000)]


class RequiresOut(ApiAnswer):
    """What a deal must have before it enters the stage."""

    fields: list[str]
    files: int
    lost_reason: bool
    next_task: bool


class RequiresBody(ApiRequest):
    """What a deal must have before it enters the stage. A lost stage always requires a reason."""

    fields: list[Word] = Field(default_factory=list, max_length=MOST_FIELDS)
    files: Annotated[int, Field(ge=0, le=20)] = 0
    lost_reason: bool = False
    next_task: bool = False


class StageOut(ApiAnswer):
    """A stage of a pipeline."""

    id: int
    pipeline_id: int
    name: str
    kind: StageKind
    position: int = Field(
        description="From 0 among the stages that are not archived; of an archived one: where it would come back."
    )
    probability: int = Field(description="Percent of winning.")
    norm_minutes: int | None = Field(description="Working minutes; null: no norm.")
    instruction: str
    colour: Colour
    waits_for_client: bool = Field(description="A key stage: here the client waits for us, or we wait for the client.")
    extra_control: bool = Field(description="Quality control looks at these deals.")
    requires: RequiresOut
    archived: bool = Field(description="Archived: no deal can enter it.")
    version: int


class AttemptsOut(ApiAnswer):
    """When a client of a deal here is tried again after we did not reach them."""

    minutes: list[int] = Field(
        description="Working minutes after the first, the second… attempt that failed; 0: the next working morning."
    )
    then: AfterLast = Field(description="What comes when the last of them failed, too.")
    stage_id: int | None = Field(description="Where the deal moves then.")


class AttemptsBody(ApiRequest):
    """When a client of a deal here is tried again after we did not reach them."""

    minutes: list[Annotated[int, Field(ge=0, le=MOST_MINUTES)]] = Field(
        min_length=1,
        max_length=MOST_ATTEMPTS,
        description="Working minutes after the first, the second… attempt that failed; 0: the next working morning.",
    )
    then: Literal["mornings", "stage", "manager"] = Field(
        "mornings", description="What comes when the last of them failed, too."
    )
    stage_id: Id | None = Field(None, description="Where the deal moves then; needed for `stage`.")


class PipelineOut(ApiAnswer):
    """A pipeline with its stages."""

    id: int
    name: str
    position: int
    is_default: bool = Field(description="New deals enter this pipeline.")
    next_pipeline_id: int | None = Field(description="The pipeline in which a won deal continues as a new deal.")
    carries: list[Carried] = Field(description="What the next deal copies.")
    asks_why_lost: bool = Field(description="Whether a lost deal makes a task to find out why.")
    attempts: AttemptsOut | None = Field(description="null: the general schedule.")
    longest_plan_days: int = Field(
        description="For at most so many days after it was set a next task counts as work; then the clocks of its deal run again."
    )
    amount_by_lines: bool = Field(description="Whether the amount of a deal with lines is their sum.")
    stages: list[StageOut] = Field(description="Those that are not archived, in order.")
    version: int


class NewPipeline(ApiRequest):
    """A new pipeline, from a template or with the minimum of stages."""

    name: PipelineName | None = Field(None, description="Required without a template.")
    template: Literal["b2b", "leads", "cold", "repeat", "six", "complaint", "event"] | None = None
    next_pipeline_id: Id | None = None
    carries: list[Carried] | None = Field(None, max_length=len(Carried), strict=False)
    asks_why_lost: bool | None = None
    attempts: AttemptsBody | None = Field(
        None, description="null: the general schedule. Its stages have no ids yet, so set `then: stage` afterwards."
    )
    is_default: bool | None = None
    longest_plan_days: PlanDays | None = None
    amount_by_lines: bool | None = None


class PipelinePatch(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    name: PipelineName | None = None
    next_pipeline_id: Id | None = Field(None, description="null: won deals end here.")
    carries: list[Carried] | None = Field(None, max_length=len(Carried), strict=False)
    asks_why_lost: bool | None = None
    attempts: AttemptsBody | None = Field(None, description="null: the general schedule. A line may have its own.")
    is_default: bool | None = None
    longest_plan_days: PlanDays | None = Field(None, description="For how long a next task counts as work.")
    amount_by_lines: bool | None = None
    unheard: bool = Field(False, description="Rules of automation do not hear that amounts become the sums of lines.")
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class NewStage(ApiRequest):
    """A new stage."""

    name: StageName
    kind: Literal["unsorted", "didnt_reach", "open", "won", "lost"] = "open"
    position: Position | None = Field(None, description="From 0; null: before the first closing stage.")
    norm_minutes: Norm | None = Field(None, description="Working minutes; null: no norm.")
    probability: Percent = 0
    instruction: Instruction = ""
    colour: Literal["", "blue", "violet", "teal", "pink", "brown", "grey"] = ""
    waits_for_client: bool = False
    extra_control: bool = False
    requires: RequiresBody | None = None


class StagePatch(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    name: StageName | None = None
    kind: Literal["unsorted", "didnt_reach", "open", "won", "lost"] | None = Field(
        None, description="Only while there is no deal in the stage."
    )
    position: Position | None = None
    norm_minutes: Norm | None = Field(None, description="null: no norm.")
    probability: Percent | None = None
    instruction: Instruction | None = None
    colour: Literal["", "blue", "violet", "teal", "pink", "brown", "grey"] | None = None
    waits_for_client: bool | None = None
    extra_control: bool | None = None
    requires: RequiresBody | None = None
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class ArchiveStage(ApiRequest):
    """Where the deals of the stage go."""

    move_to: Id | None = Field(
        None, description="The stage of the same pipeline that its deals move to; required unless the stage is empty."
    )
    unheard: bool = Field(False, description="Rules of automation do not hear these moves.")


class Archived(ApiAnswer):
    """The archived stage and the deals that leave it."""

    stage: StageOut
    deals: int = Field(description="How many deals move to the other stage; many are moved in the background.")


class SplitStage(ApiRequest):
    """A new stage after this one, with the same settings."""

    name: StageName = Field(description="The name of the new stage.")


@pipelines.get("/pipelines", needs=Permission.DEALS_READ, summary="All pipelines, in order")
async def read_pipelines(ask: Ask, query: ShortListQuery) -> Page[PipelineOut]:
    """All pipelines, on one page unless you ask for less. Archived ones are left out."""
    items = [_pipeline(pipeline, stages) for pipeline, stages in await list_pipelines(ask.session)]
    return Page[PipelineOut].part_of(items, query)


@pipelines.get("/pipelines/{pipeline_id}", needs=Permission.DEALS_READ, summary="One pipeline")
async def read_pipeline(ask: Ask, pipeline_id: int) -> PipelineOut:
    return await _one(ask, pipeline_id)


@pipelines.post(
    "/pipelines",
    needs=Permission.SETTINGS_EDIT,
    summary="Create a pipeline",
    location=lambda made: f"/pipelines/{made.id}",
)
async def post_pipeline(ask: Ask, body: NewPipeline) -> PipelineOut:
    """With the stages of `template`, or with the minimum of stages."""
    given = body.model_dump(exclude={"template", "attempts"}, exclude_unset=True)
    change = PipelineChange(**given, attempts=_schedule(body.attempts))
    with _attempts_named():
        made = await create_pipeline(ask.session, ask.viewer, change, template=body.template or "", now=ask.now)
    await ask.session.flush()
    return _pipeline(made, await stages_of(ask.session, made.id or 0))


@pipelines.patch("/pipelines/{pipeline_id}", needs=Permission.SETTINGS_EDIT, summary="Change a pipeline")
async def patch_pipeline(ask: Ask, pipeline_id: int, body: PipelinePatch) -> PipelineOut:
    given = body.model_dump(exclude={"version", "attempts"}, exclude_unset=True)
    unset = {name for name in body.model_fields_set if getattr(body, name) is None}
    change = PipelineChange(**given, attempts=_schedule(body.attempts), unset=frozenset(unset))
    with _attempts_named():
        changed = await change_pipeline(ask.session, ask.viewer, pipeline_id, change, now=ask.now, version=body.version)
    return _pipeline(changed, await stages_of(ask.session, pipeline_id))


@pipelines.post(
    "/pipelines/{pipeline_id}/archive",
    needs=Permission.SETTINGS_EDIT,
    summary="Archive a pipeline without open deals",
    status=204,
    conflicts=True,
)
async def post_archive_pipeline(ask: Ask, pipeline_id: int) -> None:
    await archive_pipeline(ask.session, ask.viewer, pipeline_id, now=ask.now)


@pipelines.post("/pipelines/{pipeline_id}/stages", needs=Permission.SETTINGS_EDIT, summary="Add a stage")
async def post_stage(ask: Ask, pipeline_id: int, body: NewStage) -> StageOut:
    made = await create_stage(ask.session, ask.viewer, pipeline_id, _change(body), now=ask.now)
    return await _placed(ask, made)


@pipelines.patch("/stages/{stage_id}", needs=Permission.SETTINGS_EDIT, summary="Change a stage")
async def patch_stage(ask: Ask, stage_id: int, body: StagePatch) -> StageOut:
    changed = await change_stage(ask.session, ask.viewer, stage_id, _change(body), now=ask.now, version=body.version)
    return await _placed(ask, changed)


@pipelines.post(
    "/stages/{stage_id}/archive", needs=Permission.SETTINGS_EDIT, summary="Remove a stage", status=200, conflicts=True
)
async def post_archive_stage(ask: Ask, stage_id: int, body: ArchiveStage) -> Archived:
    """The history of the stage is kept. Its deals move to `move_to`, each with an entry in its history."""
    count = await archive_stage(ask.session, ask.viewer, stage_id, body.move_to, now=ask.now, unheard=body.unheard)
    stage = await ask.session.get_one(Stage, stage_id)
    return Archived(stage=await _placed(ask, stage), deals=count)


@pipelines.post(
    "/stages/{stage_id}/restore",
    needs=Permission.SETTINGS_EDIT,
    summary="Take an archived stage back",
    status=200,
    conflicts=True,
)
async def post_restore_stage(ask: Ask, stage_id: int) -> StageOut:
    """It returns to its old place. Deals that have left it stay where they are."""
    return await _placed(ask, await restore_stage(ask.session, ask.viewer, stage_id, now=ask.now))


@pipelines.post("/stages/{stage_id}/split", needs=Permission.SETTINGS_EDIT, summary="Split a stage")
async def post_split_stage(ask: Ask, stage_id: int, body: SplitStage) -> StageOut:
    return await _placed(ask, await split_stage(ask.session, ask.viewer, stage_id, body.name, now=ask.now))


@contextmanager
def _attempts_named() -> Iterator[None]:
    """An error names the member of the body: ``attempts.stage_id``, not the field of the form."""
    try:
        yield
    except Invalid as error:
        error.field = _MEMBERS.get(error.field, error.field)
        raise


_MEMBERS = {
    "attempt_minutes": "attempts.minutes",
    "attempts_then": "attempts.then",
    "attempts_stage_id": "attempts.stage_id",
}


def _schedule(asked: AttemptsBody | None) -> AttemptSchedule | None:
    return AttemptSchedule(tuple(asked.minutes), AfterLast(asked.then), asked.stage_id) if asked is not None else None


def _change(body: NewStage | StagePatch) -> StageChange:
    given = body.model_dump(exclude={"version", "requires"}, exclude_unset=True)
    requires = None
    if body.requires is not None:
        asked = body.requires
        requires = Requirements(tuple(asked.fields), asked.files, asked.lost_reason, asked.next_task)
    unset = frozenset(name for name, value in given.items() if value is None)
    return StageChange(
        **{name: value for name, value in given.items() if value is not None}, requires=requires, unset=unset
    )


async def _one(ask: Ask, pipeline_id: int) -> PipelineOut:
    for pipeline, stages in await list_pipelines(ask.session):
        if pipeline.id == pipeline_id:
            return _pipeline(pipeline, stages)
    raise NotFound("pipelines.not_found", "There is no such pipeline.")


def _pipeline(pipeline: Pipeline, stages: list[Stage]) -> PipelineOut:
    return PipelineOut(
        id=pipeline.id or 0,
        name=pipeline.name,
        position=pipeline.position,
        is_default=pipeline.is_default,
        next_pipeline_id=pipeline.next_pipeline_id,
        carries=[Carried(each) for each in pipeline.carries],
        attempts=AttemptsOut.model_validate(pipeline.attempt_schedule) if pipeline.attempt_schedule else None,
        asks_why_lost=pipeline.asks_why_lost,
        longest_plan_days=pipeline.longest_plan_days,
        amount_by_lines=pipeline.amount_by_lines,
        stages=[_stage(stage, number) for number, stage in enumerate(stages)],
        version=pipeline.version,
    )


async def _placed(ask: Ask, stage: Stage) -> StageOut:
    stages = await stages_of(ask.session, stage.pipeline_id)
    return _stage(stage, sum(each.position < stage.position for each in stages))


def _stage(stage: Stage, number: int) -> StageOut:
    requires = Requirements.load(stage.requires)
    return StageOut(
        id=stage.id or 0,
        pipeline_id=stage.pipeline_id,
        name=stage.name,
        kind=StageKind(stage.kind),
        position=number,
        probability=stage.probability,
        norm_minutes=stage.norm_minutes,
        instruction=stage.instruction,
        colour=Colour(stage.colour),
        waits_for_client=stage.waits_for_client,
        extra_control=stage.extra_control,
        requires=RequiresOut(**requires.stored()),
        archived=stage.archived_at is not None,
        version=stage.version,
    )
