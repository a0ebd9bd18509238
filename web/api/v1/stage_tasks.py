"""The automatic tasks of a stage, replaced as one list."""

from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.queries import load_funnel
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.models import StageTask
from pbxcrm.tasks.stage_tasks import (
    LONGEST_AFTER,
    MOST_TASKS,
    StageTaskChange,
    list_stage_tasks,
    save_stage_tasks,
    seen_of,
)
from web.api.fields import ApiAnswer, ApiRequest, needed_text, optional_text
from web.api.resource import Ask, Resource
from web.api.v1.tasks import ChecklistItem, NewItem

stage_tasks = Resource("stage-tasks", "Automatic tasks: every deal that enters a stage gets them.")

WHOM = "`responsible`, `manager`, `joint` (both, whoever does it does it for both), `role:ROLE` or `user:LOGIN`."


class StageTaskOut(ApiAnswer):
    """An automatic task of a stage."""

    id: int
    title: str
    whom: str = Field(description=WHOM)
    after_minutes: int = Field(description="Working minutes after the entry until it is due.")
    instruction: str
    checklist: list[ChecklistItem]
    keep: bool = Field(description="Whether it stays open when the deal leaves the stage; else it is cancelled.")


class StageTasksOut(ApiAnswer):
    """All automatic tasks of a stage, in order."""

    items: list[StageTaskOut]
    next: None = Field(description="Always null: they are one page.")
    seen: str = Field(description="Send it with a change, so that you do not overwrite somebody else's.")


class StageTaskBody(ApiRequest):
    """An automatic task."""

    title: Annotated[str, needed_text(StageTask.title)]
    whom: Annotated[str, optional_text(StageTask.whom)] = Field("responsible", description=WHOM)
    after_minutes: int = Field(0, ge=0, le=LONGEST_AFTER, description="Working minutes after the entry; 0: at once.")
    instruction: Annotated[str, optional_text(StageTask.instruction)] = ""
    checklist: list[NewItem] = Field(default_factory=list, max_length=checklist_rules.MOST_ITEMS)
    keep: bool = False


LONGEST_SEEN = 1000  # characters of the text that says which list was read


class StageTasksBody(ApiRequest):
    """All automatic tasks of the stage, in order. Those that are missing here are taken away."""

    items: list[StageTaskBody] = Field(max_length=MOST_TASKS)
    seen: Annotated[str, Field(max_length=LONGEST_SEEN)] | None = Field(
        None, description="What you read: a newer list is not overwritten (409)."
    )


@stage_tasks.get("/stages/{stage_id}/tasks", needs=Permission.DEALS_READ, summary="The automatic tasks of a stage")
async def read_stage_tasks(ask: Ask, stage_id: int) -> StageTasksOut:
    await _check_stage(ask, stage_id)
    return await _answer(ask, stage_id)


@stage_tasks.put(
    "/stages/{stage_id}/tasks", needs=Permission.SETTINGS_EDIT, summary="Replace the automatic tasks of a stage"
)
async def put_stage_tasks(ask: Ask, stage_id: int, body: StageTasksBody) -> StageTasksOut:
    """Tasks that deals have already got do not change."""
    await _check_stage(ask, stage_id)
    changes = [
        StageTaskChange(
            each.title,
            each.whom,
            each.after_minutes,
            each.instruction,
            [item.model_dump() for item in each.checklist],
            each.keep,
        )
        for each in body.items
    ]
    try:
        await save_stage_tasks(ask.session, ask.viewer, stage_id, changes, seen=body.seen, now=ask.now)
    except Invalid as error:
        if "position" in error.params:
            error.field = f"items.{error.params['position']}.{error.field}"
        raise
    await ask.session.flush()
    return await _answer(ask, stage_id)


async def _check_stage(ask: Ask, stage_id: int) -> None:
    stage = (await load_funnel(ask.session)).stages.get(stage_id)
    if stage is None or stage.archived_at is not None:
        raise NotFound("stages.not_found", "There is no such stage any more.")


async def _answer(ask: Ask, stage_id: int) -> StageTasksOut:
    rows = await list_stage_tasks(ask.session, stage_id)
    items = [
        StageTaskOut(
            id=row.id or 0,
            title=row.title,
            whom=row.whom,
            after_minutes=row.after_minutes,
            instruction=row.instruction,
            checklist=[ChecklistItem(**item) for item in row.checklist],
            keep=row.keep,
        )
        for row in rows
    ]
    return StageTasksOut(items=items, next=None, seen=seen_of(rows))
