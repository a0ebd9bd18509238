"""Checkpoints: trigger and steps; what another norm would do."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.checkpoints.actions import (
    access_checkpoint,
    change_checkpoint,
    create_checkpoint,
    delete_checkpoint,
)
from pbxcrm.checkpoints.drafts import (
    LONGEST_ITEM,
    LONGEST_MINUTES,
    LONGEST_OFFSET,
    MOST_ITEMS,
    MOST_STEPS,
    CheckpointChange,
    StepChange,
)
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, StepKind, TriggerKind, WorkKind
from pbxcrm.checkpoints.preview import preview_norm, what_if
from pbxcrm.checkpoints.queries import list_checkpoints, steps_of
from pbxcrm.deals.queries import load_funnel
from pbxcrm.shared.errors import Invalid
from web.api.fields import (
    NO_NUL,
    ApiAnswer,
    ApiRequest,
    CountText,
    Id,
    IdText,
    ShortListQuery,
    Version,
    needed_text,
    optional_text,
)
from web.api.resource import Ask, Page, Resource

checkpoints = Resource("checkpoints", "Checkpoints: how long a deal may wait, and who is asked then.")

Name = Annotated[str, needed_text(Checkpoint.name)]
Minutes = Annotated[int, Field(ge=0, le=LONGEST_MINUTES)]
Item = Annotated[str, Field(max_length=LONGEST_ITEM, pattern=NO_NUL)]


DEFAULT_WORK = (WorkKind.STAGE_MOVED.value, WorkKind.TALKED.value, WorkKind.NEXT_TASK.value)


class TriggerBody(ApiRequest):
    """`field`: the watched date, or the field that counts as work when filled in. `offset_minutes`: after the date; negative: before it.

    `callback`: there is one such checkpoint. Its name and steps can be changed; it is neither made nor removed.
    """

    kind: Literal["stage", "date", "silence", "callback"] = "stage"
    field: Annotated[str, optional_text(Checkpoint.field)] | None = None
    offset_minutes: Annotated[int, Field(ge=-LONGEST_OFFSET, le=LONGEST_OFFSET)] | None = None


class StepBody(ApiRequest):
    """A step: who is asked, for what, and when."""

    after_minutes: Minutes | None = Field(
        None,
        description="Working minutes; null on the first: the stage's norm. 0: together with the step before, or at the date.",
    )
    whom: Annotated[str, optional_text(CheckpointStep.whom)] = Field(
        "responsible", description="`responsible`, `manager`, `joint`, `role:ROLE` or `user:LOGIN`."
    )
    what: Literal["task", "control"] = "task"
    text: Annotated[str, optional_text(CheckpointStep.text)] = ""
    checklist: list[Item] = Field(default_factory=list, max_length=MOST_ITEMS)


Steps = Annotated[list[StepBody], Field(min_length=1, max_length=MOST_STEPS)]
Work = Annotated[list[Literal["stage_moved", "talked", "next_task", "field_filled"]], Field(max_length=len(WorkKind))]


class NewCheckpoint(ApiRequest):
    """A new checkpoint of a stage or of a whole pipeline."""

    name: Name | None = Field(None, description="Default: the name of the stage.")
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    trigger: TriggerBody = Field(default_factory=TriggerBody)
    work: Work | None = Field(None, description="Default: `stage_moved`, `talked` and `next_task`.")
    talked_seconds: Annotated[int, Field(ge=0, le=86400)] = 30
    steps: Steps
    active: bool = True
    begin_now: bool = Field(False, description="The clock of the deals that stand there begins now.")


class CheckpointPatch(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    name: Name | None = None
    pipeline_id: Id | None = None
    stage_id: Id | None = None
    trigger: TriggerBody | None = None
    work: Work | None = None
    talked_seconds: Annotated[int, Field(ge=0, le=86400)] | None = None
    steps: Steps | None = None
    active: bool | None = None
    begin_now: bool = Field(False, description="The clock of the deals that stand there begins now.")
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class TriggerOut(ApiAnswer):
    """What the checkpoint watches."""

    kind: TriggerKind
    field: str | None
    offset_minutes: int | None


class StepOut(ApiAnswer):
    """A step: who is asked, for what, and when."""

    after_minutes: int | None = Field(description="Working minutes; null on the first: the stage's norm.")
    whom: str
    what: StepKind
    text: str
    checklist: list[str]


class CheckpointOut(ApiAnswer):
    """A checkpoint with its steps in order."""

    id: int
    name: str
    pipeline_id: int | None
    pipeline: str | None
    stage_id: int | None
    stage: str | None
    norm_minutes: int | None = Field(description="The norm of the stage in working minutes.")
    trigger: TriggerOut
    work: list[WorkKind] = Field(description="What puts its lamps out.")
    talked_seconds: int = Field(description="How long a conversation must be to count.")
    steps: list[StepOut]
    active: bool
    version: int


class CheckpointQuery(ShortListQuery):
    """Which checkpoints; all conditions must hold."""

    stage_id: IdText | None = None
    pipeline_id: IdText | None = None


class PreviewQuery(ApiRequest):
    """A norm to try for a stage, in working minutes."""

    stage_id: IdText
    norm_minutes: CountText


class PreviewOut(ApiAnswer):
    """What the norm would do to current deals."""

    deals: int = Field(description="Open deals in the stage.")
    would_light_now: int = Field(description="How many of them would have a lamp at once.")


class LitOut(ApiAnswer):
    """How many lamps would have lit, and how many of them for managers."""

    lamps: int
    at_managers: int


class WhatIfOut(ApiAnswer):
    """What would have happened in the last days with this norm."""

    days: int
    stays: int = Field(description="Stays of deals in the stage that were looked at.")
    is_all: bool = Field(description="Whether these are all stays; else only the newest.")
    now: LitOut = Field(description="With the current norm.")
    then: LitOut = Field(description="With the norm of the request.")


@checkpoints.get("/checkpoints", needs=Permission.DEALS_READ, summary="All checkpoints")
async def read_checkpoints(ask: Ask, query: CheckpointQuery) -> Page[CheckpointOut]:
    """All checkpoints, on one page unless you ask for less."""
    rows = await list_checkpoints(ask.session, stage_id=query.stage_id, pipeline_id=query.pipeline_id)
    return Page[CheckpointOut].part_of([await _out(ask, row, steps) for row, steps in rows], query)


@checkpoints.get("/checkpoints/preview", needs=Permission.SETTINGS_EDIT, summary="What a norm would light at once")
async def read_preview(ask: Ask, query: PreviewQuery) -> PreviewOut:
    found = await preview_norm(ask.session, ask.viewer, query.stage_id, query.norm_minutes, now=ask.now)
    return PreviewOut(deals=found.deals, would_light_now=found.would_light_now)


@checkpoints.get(
    "/checkpoints/what-if", needs=Permission.SETTINGS_EDIT, summary="What a norm would have done in the last 30 days"
)
async def read_what_if(ask: Ask, query: PreviewQuery) -> WhatIfOut:
    found = await what_if(ask.session, ask.viewer, query.stage_id, query.norm_minutes, now=ask.now)
    return WhatIfOut(
        days=found.days,
        stays=found.stays,
        is_all=found.is_all,
        now=LitOut(lamps=found.now.lamps, at_managers=found.now.at_managers),
        then=LitOut(lamps=found.then.lamps, at_managers=found.then.at_managers),
    )


@checkpoints.get("/checkpoints/{checkpoint_id}", needs=Permission.DEALS_READ, summary="One checkpoint")
async def read_checkpoint(ask: Ask, checkpoint_id: int) -> CheckpointOut:
    return await _one(ask, await access_checkpoint(ask.session, checkpoint_id))


@checkpoints.post(
    "/checkpoints",
    needs=Permission.SETTINGS_EDIT,
    summary="Create a checkpoint",
    location=lambda made: f"/checkpoints/{made.id}",
)
async def post_checkpoint(ask: Ask, body: NewCheckpoint) -> CheckpointOut:
    """For existing deals the clock starts at their entry into the stage, unless `begin_now`. Many deals are done in the background."""
    name = body.name or await _name_of(ask, body.stage_id)
    trigger = body.trigger
    change = CheckpointChange(
        name=name,
        trigger=trigger.kind,
        steps=_steps(body.steps),
        work=body.work if body.work is not None else DEFAULT_WORK,
        pipeline_id=body.pipeline_id,
        stage_id=body.stage_id,
        field=trigger.field or "",
        offset_minutes=trigger.offset_minutes or 0,
        talked_seconds=body.talked_seconds,
        is_active=body.active,
        begin_now=body.begin_now,
    )
    with _fields_named():
        made, _ = await create_checkpoint(ask.session, ask.viewer, change, now=ask.now)
    return await _one(ask, made)


@checkpoints.patch("/checkpoints/{checkpoint_id}", needs=Permission.SETTINGS_EDIT, summary="Change a checkpoint")
async def patch_checkpoint(ask: Ask, checkpoint_id: int, body: CheckpointPatch) -> CheckpointOut:
    """Pending lamps are calculated again; lamps that lit stay unchanged."""
    row = await access_checkpoint(ask.session, checkpoint_id)
    given = body.model_fields_set
    trigger = body.trigger or TriggerBody.model_construct(
        kind=row.trigger, field=row.field, offset_minutes=row.offset_minutes
    )
    known = (await steps_of(ask.session, [row.id])).get(row.id, [])
    change = CheckpointChange(
        name=body.name or row.name,
        trigger=trigger.kind,
        steps=_steps(body.steps) if body.steps is not None else [_kept(step) for step in known],
        work=body.work if body.work is not None else row.work,
        pipeline_id=body.pipeline_id if "pipeline_id" in given else (None if "stage_id" in given else row.pipeline_id),
        stage_id=body.stage_id if "stage_id" in given else row.stage_id,
        field=trigger.field or "",
        offset_minutes=trigger.offset_minutes or 0,
        talked_seconds=body.talked_seconds if body.talked_seconds is not None else row.talked_seconds,
        is_active=body.active if body.active is not None else row.is_active,
        begin_now=body.begin_now,
    )
    with _fields_named():
        changed, _ = await change_checkpoint(
            ask.session, ask.viewer, checkpoint_id, change, now=ask.now, version=body.version
        )
    return await _one(ask, changed)


@checkpoints.delete(
    "/checkpoints/{checkpoint_id}", needs=Permission.SETTINGS_EDIT, summary="Delete a checkpoint", conflicts=True
)
async def remove_checkpoint(ask: Ask, checkpoint_id: int) -> None:
    """Its burning lamps go out; the history keeps the lamps that lit."""
    await delete_checkpoint(ask.session, ask.viewer, checkpoint_id, now=ask.now)


@contextmanager
def _fields_named() -> Iterator[None]:
    """An error names the member of the body: ``steps.1.whom``, ``trigger.field``."""
    try:
        yield
    except Invalid as error:
        if error.field == "steps" and "part" in error.params:
            part = str(error.params["part"])
            error.field = f"steps.{error.params['position']}.{'after_minutes' if part == 'after' else part}"
        else:
            error.field = {
                "date_field": "trigger.field",
                "field": "trigger.field",
                "offset": "trigger.offset_minutes",
                "is_active": "active",
            }.get(error.field, error.field)
        raise


def _steps(steps: list[StepBody]) -> list[StepChange]:
    return [StepChange(step.after_minutes, step.whom, step.what, step.text, tuple(step.checklist)) for step in steps]


def _kept(step: CheckpointStep) -> StepChange:
    return StepChange(step.after_minutes, step.whom, step.what, step.text, tuple(step.checklist))


async def _name_of(ask: Ask, stage_id: int | None) -> str:
    stage = (await load_funnel(ask.session)).stages.get(stage_id)
    return stage.name if stage is not None else ""  # which is refused like any missing name


async def _one(ask: Ask, row: Checkpoint) -> CheckpointOut:
    return await _out(ask, row, (await steps_of(ask.session, [row.id])).get(row.id, []))


async def _out(ask: Ask, row: Checkpoint, steps: list[CheckpointStep]) -> CheckpointOut:
    funnel = await load_funnel(ask.session)
    stage, pipeline = funnel.stages.get(row.stage_id), funnel.pipelines.get(row.pipeline_id)
    is_date = row.trigger == TriggerKind.DATE
    return CheckpointOut(
        id=row.id or 0,
        name=row.name,
        pipeline_id=row.pipeline_id,
        pipeline=pipeline.name if pipeline else None,
        stage_id=row.stage_id,
        stage=stage.name if stage else None,
        norm_minutes=stage.norm_minutes if stage else None,
        trigger=TriggerOut(
            kind=TriggerKind(row.trigger),
            field=row.field or None,
            offset_minutes=row.offset_minutes if is_date else None,
        ),
        work=[WorkKind(kind) for kind in row.work],
        talked_seconds=row.talked_seconds,
        steps=[
            StepOut(
                after_minutes=step.after_minutes,
                whom=step.whom,
                what=StepKind(step.what),
                text=step.text,
                checklist=step.checklist,
            )
            for step in steps
        ],
        active=row.is_active,
        version=row.version,
    )
