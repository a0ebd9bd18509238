"""The automatic tasks of a stage, made for every deal that enters it, edited as one list."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, may
from pbxcrm.deals.models import Stage
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.models import StageTask
from pbxcrm.tasks.stage_tasks import (
    MANAGER,
    MOST_TASKS,
    RESPONSIBLE,
    USER,
    StageTaskChange,
    list_stage_tasks,
    save_stage_tasks,
    seen_of,
)
from web.answers import redirect
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.norms import as_typed, minutes_typed, unit_choices
from web.pages.common import show
from web.parts import now, parts, viewer

EMPTY_ROWS = 1
Row = dict[str, str]


async def page(request: Request) -> Response:
    """``GET /settings/stages/7/tasks``: the form with all tasks of the stage."""
    stage, rows = await _read(request)
    return await _page(request, stage, [_row(each) for each in rows], Form(), seen_of(rows))


async def save(request: Request) -> Response:
    """``POST /settings/stages/7/tasks``: save all tasks. Each field comes once per task; a task without a title is removed."""
    form = await read_form(request)
    stage, stored = await _read(request)
    names = ("title", "whom", "after", "unit", "keep", "instruction", "checklist")
    columns = {name: form.all(f"auto_{name}") for name in names}
    rows = [
        {name: column[number] if number < len(column) else "" for name, column in columns.items()}
        for number in range(min(len(columns["title"]), 2 * MOST_TASKS))
    ]
    try:
        changes = [_change(row) for row in rows]
        async with parts(request).db.write() as session:
            who = viewer(request)
            await save_stage_tasks(session, who, stage.id or 0, changes, seen=form["seen"], now=now(request))
    except Invalid as error:
        form.refuse(error)
        return await _page(request, stage, rows, form, form["seen"], HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        form.errors[""] = _(error.message)
        return await _page(request, stage, rows, form, seen_of(stored), HTTPStatus.CONFLICT)
    return redirect(request, f"/settings/stages/{stage.id}/tasks", done="saved")


def _change(row: Row) -> StageTaskChange:
    return StageTaskChange(
        title=row["title"],
        whom=row["whom"] or RESPONSIBLE,
        after_minutes=minutes_typed("auto_after", row["after"], row["unit"]) or 0,
        instruction=row["instruction"],
        checklist=checklist_rules.parse_lines(row["checklist"], field="auto_checklist"),
        keep=row["keep"] == "keep",
    )


def _row(task: StageTask) -> Row:
    amount, unit = as_typed(task.after_minutes)
    return {
        "title": task.title,
        "whom": task.whom,
        "after": amount,
        "unit": unit,
        "keep": "keep" if task.keep else "cancel",
        "instruction": task.instruction,
        "checklist": checklist_rules.as_lines(task.checklist),
    }


async def _read(request: Request) -> tuple[Stage, list[StageTask]]:
    async with parts(request).db.read() as session:
        stage = (await load_funnel(session)).stages.get(request.path_params["stage_id"])
        if stage is None or stage.archived_at is not None:
            raise NotFound("stages.not_found", "There is no such stage.")
        return stage, await list_stage_tasks(session, stage.id or 0)


async def _page(
    request: Request, stage: Stage, rows: list[Row], form: Form, seen: str, status: int = 200
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        people = (await load_directory(session)).users.values()
    named = [
        (f"{USER}{user.login}", user.name)
        for user in sorted(people, key=lambda user: user.name)
        if user.is_active and may(user.role, Permission.TASKS_EDIT)
    ]
    whom = [(RESPONSIBLE, _("the responsible")), (MANAGER, _("their manager")), *named]
    empty = {"title": "", "whom": RESPONSIBLE, "after": "", "unit": "h", "keep": "", "instruction": "", "checklist": ""}
    filled_rows = [row for row in rows if any(row[name] for name in ("title", "instruction", "checklist"))]
    return show(
        request,
        "pipelines/tasks.html",
        status=status,
        stage=stage,
        rows=[*filled_rows, *[empty] * EMPTY_ROWS],
        whom=whom,
        units=unit_choices(),
        form=form,
        seen=seen,
    )
