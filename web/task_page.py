"""The page of a task. Its form and its actions answer with it."""

from starlette.requests import Request
from starlette.responses import HTMLResponse

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.checkpoints.burning_queries import rows_of_task
from pbxcrm.deals.queries import access_deal
from pbxcrm.files.actions import On
from pbxcrm.files.queries import list_files
from pbxcrm.people.directory import load_directory
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.queries import TaskRow, access_task_row, comments_of, edits_task
from pbxcrm.tasks.rules import Workplace, may_reopen
from web.due_dates import QUICK, deadline_text
from web.forms import Form, filled
from web.pages.common import choices, colleagues, show
from web.parts import parts, viewer

LAMPS_SHOWN = 200  # of a task of many lamps


async def task_page(
    request: Request, task_id: int, status: int = 200, done_error: str = "", **typed: str
) -> HTMLResponse:
    """The page of a task. ``done_error`` says why it could not be finished; ``typed`` are the other typed fields."""
    async with parts(request).db.read() as session:
        row = await access_task_row(session, viewer(request), task_id)
    form = filled(
        {
            "title": row.task.title,
            "due_at": deadline_text(row.task.due_at),
            "assignee_id": row.task.assignee_id,
            "note": row.task.note,
            "instruction": row.task.instruction,
            "checklist": checklist_rules.as_lines(row.task.checklist),
            "repeat": row.task.repeat,
            "version": row.task.version,
            **typed,
        }
    )
    return await form_page(request, form, row, status, done_error)


async def form_page(
    request: Request, form: Form, row: TaskRow | None, status: int = 200, done_error: str = ""
) -> HTMLResponse:
    """The form of a new task (``row`` is None), or the whole page of the task ``row``."""
    who: Viewer = viewer(request)
    async with parts(request).db.read() as session:
        everybody = await load_directory(session)
        thread = await comments_of(session, row.task.id or 0) if row is not None else []
        own = await list_files(session, who, task_id=row.task.id) if row is not None else []
        people = await colleagues(session, who)
        edits = row is None or await edits_task(session, who, row.task.id or 0)
        deal_id = form.id("deal_id") if row is None else None
        deal = await access_deal(session, who, deal_id) if deal_id is not None else row.deal if row else None
        is_of_many = row is not None and row.workplace is Workplace.BURNING
        lamps = await rows_of_task(session, who, row.task.id or 0, limit=LAMPS_SHOWN + 1) if row and is_of_many else []
    return show(
        request,
        "tasks/task.html",
        fragment=None if done_error else "tasks/_form.html",
        status=status,
        form=form,
        row=row,
        lamps=lamps[:LAMPS_SHOWN],
        more_lamps=len(lamps) > LAMPS_SHOWN,
        lamp_people=everybody,
        thread=[(each, everybody.name(each.author_id)) for each in thread],
        given_by=everybody.name(row.task.given_by_id) if row is not None else "",
        done_error=done_error,
        deal=deal,
        people=choices(people),
        quick=QUICK,
        may_reopen=row is None or may_reopen(who, row.task),
        may_edit=can(who, Permission.TASKS_EDIT) and edits,
        may_comment=can(who, Permission.TASKS_EDIT),
        files=own,
        files_on=On(task_id=row.task.id if row is not None else None),
        files_people=everybody,
        files_error="",
        may_attach=can(who, Permission.TASKS_EDIT),
        most_mb=parts(request).settings.files_max_mb,
    )
