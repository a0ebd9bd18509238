"""Actions on a task besides its form: tick items, accept, judge, put off, move to another day, comment; and undo."""

from datetime import datetime, timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.assignment_actions import accept_task, approve_task, return_task
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.progress_actions import comment_task, plan_task, snooze_task, tick_item, undo_act
from pbxcrm.tasks.queries import access_task, access_task_row, edits_task
from web.answers import redirect, toast
from web.due_dates import deadline_of
from web.formats import day_time
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.i18n import here
from web.pages.common import asked_number, show
from web.parts import now, parts, viewer, wants_fragment
from web.task_page import task_page

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def tick(request: Request) -> Response:
    """``POST /tasks/{id}/check`` with ``position`` and ``done``: answers with the checklist."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        position = form.number("position")
        await tick_item(
            session,
            viewer(request),
            _id(request),
            -1 if position is None else position,
            done=bool(form["done"]),
            now=now(request),
        )
    if not wants_fragment(request):
        return redirect(request, f"/tasks/{_id(request)}")
    async with parts(request).db.read() as session:
        row = await access_task_row(session, viewer(request), _id(request))
        edits = await edits_task(session, viewer(request), _id(request))
    return show(request, "tasks/_checklist.html", row=row, may_edit=edits)


async def accept(request: Request) -> Response:
    """``POST /tasks/{id}/accept``: the assignee accepts the assignment."""
    async with parts(request).db.write() as session:
        task = await accept_task(session, viewer(request), _id(request), now=now(request))
    return _told(request, task, _("The assignment is accepted."))


async def judge(request: Request) -> Response:
    """``POST /tasks/{id}/judge`` with ``verdict`` (``good`` or ``return``) and ``text``."""
    form = await read_form(request)
    act = return_task if form["verdict"] == "return" else approve_task
    try:
        async with parts(request).db.write() as session:
            task = await act(session, viewer(request), _id(request), text=form["text"], now=now(request))
    except Invalid as error:
        return await task_page(
            request, _id(request), UNPROCESSABLE, _(error.message).format(**error.params), text=form["text"]
        )
    return _told(request, task, _("Saved."))


async def ask_snooze(request: Request) -> Response:
    """``GET /tasks/{id}/ask``: the dialog that puts a task off."""
    return await _ask(request, Form())


async def snooze(request: Request) -> Response:
    """``POST /tasks/{id}/snooze`` with ``until`` and ``reason``."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            task = await access_task(session, viewer(request), _id(request))
            until = await deadline_of(session, request, form["until"], task.assignee_id, "until")
            task = await snooze_task(
                session, viewer(request), _id(request), until=until, why=form["reason"], now=now(request)
            )
    except Invalid as error:
        form.refuse(error)
        return await _ask(request, form, UNPROCESSABLE)
    return _told(request, task, _("Put off until {time}.").format(time=day_time(task.due_at)))


async def plan(request: Request) -> Response:
    """``POST /tasks/{id}/plan`` with ``day`` (ISO) or ``by`` (days): move the task to another day at the same time of day.

    A later day is answered with the dialog that puts the task off until then: it asks why.
    """
    form = await read_form(request)
    at = now(request)
    async with parts(request).db.read() as session:
        moved = _on_another_day(form, (await access_task(session, viewer(request), _id(request))).due_at, at)
    try:
        async with parts(request).db.write() as session:
            task = await plan_task(session, viewer(request), _id(request), due_at=moved, now=at)
    except Invalid as error:
        if error.field != "reason":
            raise
        return await _ask(request, Form({"until": f"{moved:%Y-%m-%d %H:%M}"}))
    return _told(request, task, _("Moved to {time}.").format(time=day_time(task.due_at)))


def _on_another_day(form: Form, due_at: datetime, at: datetime) -> datetime:
    """The chosen day at the time of ``due_at``; if that is past today: in an hour."""
    local = due_at.astimezone(here().timezone)
    if form["day"]:
        try:
            day = datetime.fromisoformat(form["day"]).date()
        except ValueError:
            raise Invalid("day", "tasks.day", "Choose a day.") from None
    else:
        by = form.number("by") or 0
        if abs(by) > 366:
            raise Invalid("by", "tasks.day", "Choose a day.")
        day = local.date() + timedelta(days=by)
    moved = datetime.combine(day, local.time(), local.tzinfo)
    soon = at.astimezone(here().timezone) + timedelta(hours=1)
    return soon.replace(second=0, microsecond=0) if moved <= at and day == soon.date() else moved


async def comment(request: Request) -> Response:
    """``POST /tasks/{id}/comment`` with ``text``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await comment_task(session, viewer(request), _id(request), text=form["text"], now=now(request))
    return redirect(request, f"/tasks/{_id(request)}#thread")


async def undo(request: Request) -> Response:
    """``POST /tasks/{id}/undo?version=``: take back the viewer's own last action."""
    async with parts(request).db.write() as session:
        version = asked_number(request, "version") or 0
        await undo_act(session, viewer(request), _id(request), version, now=now(request))
    return toast(request, _("Taken back."))


async def _ask(request: Request, form: Form, status: int = 200) -> Response:
    async with parts(request).db.read() as session:
        row = await access_task_row(session, viewer(request), _id(request))
    return show(request, "tasks/_ask.html", status=status, row=row, form=form)


def _told(request: Request, task: Task, word: str) -> Response:
    if not wants_fragment(request):
        return redirect(request, f"/tasks/{task.id}", done="saved")
    return toast(request, word, undo=f"/tasks/{task.id}/undo?version={task.version}")


def _id(request: Request) -> int:
    found: int = request.path_params["task_id"]
    return found
