"""Tasks."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.people.queries import logins_of
from pbxcrm.shared import reasons
from pbxcrm.tasks import actions
from pbxcrm.tasks.filters import TaskFilter
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.queries import access_task, list_tasks
from web.api import cursors
from web.api.fields import (
    ApiAnswer,
    ApiRequest,
    Id,
    IdText,
    ListQuery,
    Login,
    Moment,
    Number,
    Version,
    When,
    Word,
    needed_text,
    optional_text,
)
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource
from web.api.text import number_filter

tasks = Resource("tasks", "Things to do, each with a day and a person.")
TaskTitle = Annotated[str, needed_text(Task.title)]
TaskNote = Annotated[str, optional_text(Task.note)]


class TaskOut(ApiAnswer):
    """A task."""

    id: int
    kind: TaskKind
    title: str
    note: str
    due_at: Moment
    assignee: str | None = Field(description="A login.")
    deal_id: int | None
    contact_id: int | None
    call_id: int | None
    part_of_id: int | None = Field(
        description="The task it is a part of: a lamp and an escalation are parts of their callback."
    )
    status: TaskStatus
    result: str
    reason: str = Field(description="Why it exists and whose it is, in English; empty when made by hand.")
    created_by: str | None = Field(description="A login; null: the product itself.")
    created_at: Moment
    done_by: str | None
    done_at: Moment | None
    version: int = Field(description="Grows with each change.")


class TaskQuery(ListQuery):
    """Which tasks; conditions are combined with *and*."""

    status: Literal["open", "done", "cancelled"] | None = None
    kind: Literal["callback", "lamp", "control", "todo", "assignment"] | None = None
    assignee: Word | None = Field(None, description="A login.")
    responsible: Word | None = Field(None, description="The same as `assignee`.")
    deal_id: IdText | None = None
    contact_id: IdText | None = None
    client_number: Number | None = None
    since: When | None = Field(None, description="Due at this time or later.")
    until: When | None = Field(None, description="Due before this time.")
    q: Word | None = Field(None, description="A part of the title.")


class NewTask(ApiRequest):
    """A task to be made by hand."""

    title: TaskTitle
    due_at: When
    kind: Literal["todo", "assignment"] = "todo"
    assignee: Login | None = Field(None, description="A login; else whose token it is.")
    deal_id: Id | None = None
    contact_id: Id | None = None
    note: TaskNote = ""


class TaskChange(ApiRequest):
    """What is left away stays as it is."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    title: TaskTitle | None = None
    due_at: When | None = None
    assignee: Login | None = None
    note: TaskNote | None = None


class TaskEnd(ApiRequest):
    """How a task ended."""

    result: Annotated[str, optional_text(Task.result)] = ""
    cancelled: bool = Field(False, description="Not done, and no longer to be.")
    version: Version | None = None


@tasks.get("/tasks", needs=Permission.TASKS_READ, summary="Tasks, earliest due first")
async def read_tasks(ask: Ask, query: TaskQuery) -> Page[TaskOut]:
    asked = TaskFilter(
        status=query.status or "",
        kind=query.kind or "",
        assignee=query.assignee or query.responsible or "",
        deal_id=query.deal_id,
        contact_id=query.contact_id,
        client_number=number_filter(query.client_number, ask.settings),
        since=query.since,
        until=query.until,
        text=query.q or "",
    )
    after = cursors.read_time(query.cursor)
    rows = await list_tasks(ask.session, ask.viewer, *asked.conditions(), after=after, limit=query.limit + 1)
    return Page[TaskOut].of(
        await tasks_out(ask, [row.task for row in rows]),
        query.limit,
        lambda task: cursors.next_of_time(task.due_at, task.id),
    )


@tasks.get("/tasks/{task_id}", needs=Permission.TASKS_READ, summary="One task")
async def read_task(ask: Ask, task_id: int) -> TaskOut:
    return (await tasks_out(ask, [await access_task(ask.session, ask.viewer, task_id)]))[0]


@tasks.post("/tasks", needs=Permission.TASKS_EDIT, summary="Make a task", location=lambda task: f"/tasks/{task.id}")
async def add_task(ask: Ask, body: NewTask) -> TaskOut:
    task = await actions.create_task(
        ask.session,
        ask.viewer,
        title=body.title,
        due_at=body.due_at,
        now=ask.now,
        assignee_id=await user_id_of(ask.session, body.assignee, "assignee"),
        deal_id=body.deal_id,
        contact_id=body.contact_id,
        note=body.note,
        kind=TaskKind(body.kind),
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.patch("/tasks/{task_id}", needs=Permission.TASKS_EDIT, summary="Change a task")
async def change_task(ask: Ask, task_id: int, body: TaskChange) -> TaskOut:
    task = await actions.edit_task(
        ask.session,
        ask.viewer,
        task_id,
        version=body.version,
        now=ask.now,
        title=body.title,
        due_at=body.due_at,
        assignee_id=await user_id_of(ask.session, body.assignee, "assignee"),
        note=body.note,
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.post("/tasks/{task_id}/finish", needs=Permission.TASKS_EDIT, summary="Finish a task", status=200, conflicts=True)
async def end_task(ask: Ask, task_id: int, body: TaskEnd) -> TaskOut:
    """A callback, its lamp and its escalation are ended by work instead: `POST /callbacks/{callback_id}/result`."""
    task = await actions.finish_task(
        ask.session,
        ask.viewer,
        task_id,
        result=body.result,
        now=ask.now,
        version=body.version,
        cancelled=body.cancelled,
    )
    return (await tasks_out(ask, [task]))[0]


async def tasks_out(ask: Ask, rows: list[Task]) -> list[TaskOut]:
    """Tasks as the API says them, in the same order; people are read once for all."""
    people = [user_id for task in rows for user_id in (task.assignee_id, task.created_by_id, task.done_by_id)]
    logins = await logins_of(ask.session, people)
    return [
        TaskOut(
            id=task.id or 0,
            kind=TaskKind(task.kind),
            title=task.title,
            note=task.note,
            due_at=task.due_at,
            assignee=logins.get(task.assignee_id),
            deal_id=task.deal_id,
            contact_id=task.contact_id,
            call_id=task.call_id,
            part_of_id=task.part_of_id,
            status=TaskStatus(task.status),
            result=task.result,
            reason=reasons.text(task.reason),
            created_by=logins.get(task.created_by_id),
            created_at=task.created_at,
            done_by=logins.get(task.done_by_id),
            done_at=task.done_at,
            version=task.version,
        )
        for task in rows
    ]
