"""The automatic tasks of a stage, made for every deal that enters it, edited as one list."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.models import Stage
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.people.whom import RESPONSIBLE, takes_tasks
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.tasks import checklist_rules
from pbxcrm.tasks.models import StageTask
from pbxcrm.tasks.stage_tasks import (
    MOST_TASKS,
    StageTaskChange,
    list_stage_tasks,
    save_stage_tasks,
    seen_of,
)
from web import whom_words
from web.answers import redirect
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.norms import as_typed, minutes_typed, unit_choices
from web.pages.common import show
from web.parts import now, parts, viewer

EMPTY_ROWS = 1
FIELDS = {"after_minutes": "after"}  # the name of a value -> its field, without ``auto_``
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
    rows = [row for row in rows if any(row[name] for name in ("title", "instruction", "checklist"))]
    kept = [number for number, row in enumerate(rows) if row["title"].strip()]
    try:
        changes = [_change(rows[number], number) for number in kept]
        async with parts(request).db.write() as session:
            who = viewer(request)
            await save_stage_tasks(session, who, stage.id or 0, changes, seen=form["seen"], now=now(request))
    except Invalid as error:
        position = error.params.get("position")
        if isinstance(position, int):
            error.field = f"auto_{FIELDS.get(error.field, error.field)}_{kept[position]}"
        form.refuse(error)
        return await _page(request, stage, rows, form, form["seen"], HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        form.errors[""] = _(error.message)
        return await _page(request, stage, rows, form, seen_of(stored), HTTPStatus.CONFLICT)
    return redirect(request, f"/settings/stages/{stage.id}/tasks", done="saved")


def _change(row: Row, number: int) -> StageTaskChange:
    return StageTaskChange(
        title=row["title"],
        whom=row["whom"] or RESPONSIBLE,
        after_minutes=minutes_typed(f"auto_after_{number}", row["after"], row["unit"]) or 0,
        instruction=row["instruction"],
        checklist=checklist_rules.parse_lines(row["checklist"], field=f"auto_checklist_{number}"),
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
        people = await load_directory(session)
    empty = {"title": "", "whom": RESPONSIBLE, "after": "", "unit": "h", "keep": "", "instruction": "", "checklist": ""}
    return show(
        request,
        "pipelines/tasks.html",
        status=status,
        stage=stage,
        rows=[*rows, *[empty] * EMPTY_ROWS],
        whom=whom_words.choices(people, {row["whom"] for row in rows}, can_do=takes_tasks),
        units=unit_choices(),
        form=form,
        seen=seen,
    )
