"""Tasks: lists, changes, checklists, assignments and threads."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import logins_of
from pbxcrm.tasks import actions, assignment_actions, checklist_rules, finish_actions, progress_actions
from pbxcrm.tasks.filters import TaskFilter
from pbxcrm.tasks.models import Repeat, Task, TaskAct, TaskComment, TaskKind, TaskStatus
from pbxcrm.tasks.queries import access_task, comments_of, list_tasks
from web.api import checked_cursors
from web.api.english import in_english
from web.api.fields import (
    NO_NUL,
    SOMETHING,
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

tasks = Resource("tasks", "Tasks, each with a due time and an assignee.")
TaskTitle = Annotated[str, needed_text(Task.title)]
TaskNote = Annotated[str, optional_text(Task.note)]
TaskInstruction = Annotated[str, optional_text(Task.instruction)]
Said = Annotated[str, needed_text(TaskComment.text)]


class ChecklistItem(ApiAnswer):
    """One item of a checklist."""

    text: str
    required: bool = Field(description="The task cannot be finished before this item is ticked.")
    done: bool


class NewItem(ApiRequest):
    """One item of a checklist."""

    text: str = Field(min_length=1, max_length=checklist_rules.LONGEST_ITEM, pattern=SOMETHING)
    required: bool = False
    done: bool = False


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
    reason: str = Field(
        description="Why the task exists and why it has this assignee, in English; empty if created by hand."
    )
    created_by: str | None = Field(description="A login; null: the product itself.")
    created_at: Moment
    done_by: str | None
    done_at: Moment | None
    instruction: str = Field(description="How to do it.")
    checklist: list[ChecklistItem]
    repeat: Repeat = Field(description="The next task is created when this one is done; empty: no repetition.")
    snoozed_until: Moment | None = Field(description="The time until which it was put off.")
    postponed: int = Field(description="How often people put it off.")
    given_by: str | None = Field(description="The login of the person who assigned it to somebody else.")
    accepted_at: Moment | None = Field(description="When the assignee accepted it.")
    checked_at: Moment | None = Field(description="When it was approved.")
    checked_by: str | None
    returned_at: Moment | None = Field(description="When it was returned for more work.")
    version: int = Field(description="Grows with each change.")


class CommentOut(ApiAnswer):
    """A comment on a task, or an action."""

    id: int
    task_id: int
    act: TaskAct = Field(description="The action; empty for a comment.")
    text: str
    author: str | None = Field(description="A login.")
    at: Moment


class CommentsOut(ApiAnswer):
    """The thread of a task, oldest first."""

    items: list[CommentOut]
    next: None = Field(description="Always null: they are one page.")


class TaskQuery(ListQuery):
    """Which tasks; all conditions must hold."""

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
    """A new task."""

    title: TaskTitle
    due_at: When
    kind: Literal["todo", "assignment"] = "todo"
    assignee: Login | None = Field(None, description="A login; default: the person of the token.")
    deal_id: Id | None = None
    contact_id: Id | None = None
    note: TaskNote = ""
    instruction: TaskInstruction = ""
    checklist: list[NewItem] = Field([], max_length=checklist_rules.MOST_ITEMS)
    repeat: Literal["", "daily", "workdays", "weekly", "monthly"] = ""


class TaskChange(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    title: TaskTitle | None = None
    due_at: When | None = None
    assignee: Login | None = None
    note: TaskNote | None = None
    instruction: TaskInstruction | None = None
    checklist: list[NewItem] | None = Field(None, max_length=checklist_rules.MOST_ITEMS)
    repeat: Literal["", "daily", "workdays", "weekly", "monthly"] | None = None


class ItemTick(ApiRequest):
    """An item of the checklist, by its position or its text."""

    item: int | None = Field(None, ge=0, le=checklist_rules.MOST_ITEMS, description="Its position, from 0.")
    text: str | None = Field(None, min_length=1, max_length=checklist_rules.LONGEST_ITEM, pattern=NO_NUL)
    done: bool = True
    version: Version | None = None


class Acceptance(ApiRequest):
    """The assignee accepts the assignment."""

    version: Version | None = None


class Judgement(ApiRequest):
    """The assignment is approved, with an optional comment."""

    text: Annotated[str, optional_text(TaskComment.text)] = ""
    version: Version | None = None


class Returned(ApiRequest):
    """The assignment is returned."""

    text: Said = Field(description="What is still to be done.")
    due_at: When | None = Field(None, description="A new due time; default: unchanged.")
    version: Version | None = None


class Snooze(ApiRequest):
    """A later due time, and the reason."""

    until: When
    reason: Said
    version: Version | None = None


class NewComment(ApiRequest):
    """A comment on a task."""

    text: Said


class TaskEnd(ApiRequest):
    """How a task ended."""

    result: Annotated[str, optional_text(Task.result)] = ""
    cancelled: bool = Field(False, description="The task was cancelled, not done.")
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
    after = checked_cursors.read_time(query.cursor)
    rows = await list_tasks(ask.session, ask.viewer, *asked.conditions(), after=after, limit=query.limit + 1)
    return Page[TaskOut].of(
        await tasks_out(ask, [row.task for row in rows]),
        query.limit,
        lambda task: checked_cursors.next_of_time(task.due_at, task.id),
    )


@tasks.get("/tasks/{task_id}", needs=Permission.TASKS_READ, summary="One task")
async def read_task(ask: Ask, task_id: int) -> TaskOut:
    return (await tasks_out(ask, [await access_task(ask.session, ask.viewer, task_id)]))[0]


@tasks.post("/tasks", needs=Permission.TASKS_EDIT, summary="Create a task", location=lambda task: f"/tasks/{task.id}")
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
        instruction=body.instruction,
        checklist=[each.model_dump() for each in body.checklist],
        repeat=Repeat(body.repeat),
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
        instruction=body.instruction,
        checklist=[each.model_dump() for each in body.checklist] if body.checklist is not None else None,
        repeat=Repeat(body.repeat) if body.repeat is not None else None,
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.post(
    "/tasks/{task_id}/check",
    needs=Permission.TASKS_EDIT,
    summary="Tick an item of the checklist",
    status=200,
    conflicts=True,
)
async def tick(ask: Ask, task_id: int, body: ItemTick) -> TaskOut:
    """`done: false` removes the tick."""
    task = await access_task(ask.session, ask.viewer, task_id)
    task = await progress_actions.tick_item(
        ask.session,
        ask.viewer,
        task_id,
        checklist_rules.position_of(task.checklist, body.item, body.text),
        done=body.done,
        now=ask.now,
        version=body.version,
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.post("/tasks/{task_id}/finish", needs=Permission.TASKS_EDIT, summary="Finish a task", status=200, conflicts=True)
async def end_task(ask: Ask, task_id: int, body: TaskEnd) -> TaskOut:
    """422 while a required item of the checklist is not ticked. The tasks of a callback, its lamp and its escalation are ended
    by the result of the callback instead: `POST /callbacks/{callback_id}/result`.
    """
    task = await finish_actions.finish_task(
        ask.session,
        ask.viewer,
        task_id,
        result=body.result,
        now=ask.now,
        version=body.version,
        cancelled=body.cancelled,
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.post(
    "/tasks/{task_id}/reopen", needs=Permission.TASKS_EDIT, summary="Open a task again", status=200, conflicts=True
)
async def reopen(ask: Ask, task_id: int) -> TaskOut:
    """The next task of a repeated one is deleted, unless somebody has changed it."""
    task = await finish_actions.reopen_task(ask.session, ask.viewer, task_id, now=ask.now)
    return (await tasks_out(ask, [task]))[0]


@tasks.post(
    "/tasks/{task_id}/accept", needs=Permission.TASKS_EDIT, summary="Accept an assignment", status=200, conflicts=True
)
async def accept(ask: Ask, task_id: int, body: Acceptance) -> TaskOut:
    """Only by the assignee."""
    task = await assignment_actions.accept_task(ask.session, ask.viewer, task_id, now=ask.now, version=body.version)
    return (await tasks_out(ask, [task]))[0]


@tasks.post(
    "/tasks/{task_id}/approve",
    needs=Permission.TASKS_EDIT,
    summary="Approve an assignment",
    status=200,
    conflicts=True,
)
async def approve(ask: Ask, task_id: int, body: Judgement) -> TaskOut:
    """By the person who gave the assignment, or a manager. Sets `checked_at`."""
    task = await assignment_actions.approve_task(
        ask.session, ask.viewer, task_id, now=ask.now, version=body.version, text=body.text
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.post(
    "/tasks/{task_id}/return", needs=Permission.TASKS_EDIT, summary="Return an assignment", status=200, conflicts=True
)
async def give_back(ask: Ask, task_id: int, body: Returned) -> TaskOut:
    """By the person who gave the assignment, or a manager. The task is open again."""
    task = await assignment_actions.return_task(
        ask.session, ask.viewer, task_id, text=body.text, now=ask.now, version=body.version, due_at=body.due_at
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.post(
    "/tasks/{task_id}/snooze", needs=Permission.TASKS_EDIT, summary="Put a task off", status=200, conflicts=True
)
async def snooze(ask: Ask, task_id: int, body: Snooze) -> TaskOut:
    """Sets `due_at` to `until`. After every third time the manager gets a task to look into it."""
    task = await progress_actions.snooze_task(
        ask.session, ask.viewer, task_id, until=body.until, why=body.reason, now=ask.now, version=body.version
    )
    return (await tasks_out(ask, [task]))[0]


@tasks.get("/tasks/{task_id}/comments", needs=Permission.TASKS_READ, summary="The thread of a task")
async def read_comments(ask: Ask, task_id: int) -> CommentsOut:
    """Oldest first."""
    await access_task(ask.session, ask.viewer, task_id)
    found = await comments_of(ask.session, task_id)
    return CommentsOut(next=None, items=[await _comment_out(ask, each) for each in found])


@tasks.post("/tasks/{task_id}/comments", needs=Permission.TASKS_EDIT, summary="Comment on a task")
async def add_comment(ask: Ask, task_id: int, body: NewComment) -> CommentOut:
    """Everybody who sees the task can read it."""
    return await _comment_out(
        ask, await progress_actions.comment_task(ask.session, ask.viewer, task_id, text=body.text, now=ask.now)
    )


async def _comment_out(ask: Ask, comment: TaskComment) -> CommentOut:
    people = await load_directory(ask.session)
    return CommentOut(
        id=comment.id or 0,
        task_id=comment.task_id,
        act=TaskAct(comment.act),
        text=comment.text,
        author=people.login(comment.author_id),
        at=comment.at,
    )


async def tasks_out(ask: Ask, rows: list[Task]) -> list[TaskOut]:
    """Tasks as answers of the API, in the same order. The directory of people is read once."""
    people = [
        user_id
        for task in rows
        for user_id in (task.assignee_id, task.created_by_id, task.done_by_id, task.given_by_id, task.checked_by_id)
    ]
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
            reason=in_english(task.reason, ask.now),
            created_by=logins.get(task.created_by_id),
            created_at=task.created_at,
            done_by=logins.get(task.done_by_id),
            done_at=task.done_at,
            instruction=task.instruction,
            checklist=[ChecklistItem(**each) for each in task.checklist],
            repeat=Repeat(task.repeat),
            snoozed_until=task.snoozed_until,
            postponed=task.postponed,
            given_by=logins.get(task.given_by_id),
            accepted_at=task.accepted_at,
            checked_at=task.checked_at,
            checked_by=logins.get(task.checked_by_id),
            returned_at=task.returned_at,
            version=task.version,
        )
        for task in rows
    ]
