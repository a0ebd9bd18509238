"""What has reached the manager: what, who, how long, why; call, give to somebody, or accept with a reason."""

from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, check, may
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.callbacks import escalations
from pbxcrm.callbacks.day_figures import load_day_figures
from pbxcrm.callbacks.decision_context import DecisionContext, load_context, working_of
from pbxcrm.callbacks.escalations import (
    EscalationRow,
    access_row,
    escalation_count,
    list_control_tasks,
    list_escalations,
)
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.why import check_why
from pbxcrm.tasks.finishing import finish_task
from pbxcrm.tasks.queries import access_task_row
from web.answers import with_toast
from web.forms import Form, filled, read_form
from web.i18n import N_, ngettext
from web.i18n import gettext as _
from web.pages.common import LISTED, colleagues, page_query, period, query_number, show, today
from web.parts import now, parts, viewer
from web.words import WORKING_DAY

#: Why a manager lets it be, offered as buttons.
WHY_ACCEPTED = (N_("We agreed on another time"), N_("The client has been told"), N_("Not worth a call"))
LISTED_AT_MOST = 1000
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Taker:
    """Somebody a callback may be given to."""

    user_id: int
    name: str
    on_shift: bool
    is_owner: bool


async def page(request: Request) -> Response:
    """``GET /escalations?rows=``: how many rows at most, callbacks before other things."""
    return await _page(request)


async def ask(request: Request) -> Response:
    """``GET /escalations/{id}/ask?what=reassign|accept``: the inside of the dialog."""
    return await _ask(request, filled({}), request.query_params.get("what", "accept"))


async def reassign(request: Request) -> Response:
    """``POST /escalations/{id}/reassign``: give the callback to somebody else."""
    form = await read_form(request)
    try:
        user_id = form.id("user_id")
        async with parts(request).db.write() as session:
            await escalations.reassign(session, viewer(request), _id(request), user_id or 0, now=now(request))
            name = (await load_directory(session)).name(user_id)
    except Invalid as error:
        form.refuse(error)
        return await _ask(request, form, "reassign", UNPROCESSABLE)
    return with_toast(request, await _page(request), _("Given to {name}; the norm begins anew.").format(name=name))


async def reassign_chosen(request: Request) -> Response:
    """``POST /escalations/reassign``: ``ids`` and ``user_id``: all of them in one transaction, or none."""
    form = await read_form(request)
    user_id, at = form.id("user_id"), now(request)
    chosen = form.ids("ids")[:LISTED_AT_MOST]
    async with parts(request).db.write() as session:
        for escalation_id in dict.fromkeys(chosen):
            await escalations.reassign(session, viewer(request), escalation_id, user_id or 0, now=at)
        name = (await load_directory(session)).name(user_id)
    said = ngettext(
        "%(num)d callback given to %(name)s; the norm begins anew.",
        "%(num)d callbacks given to %(name)s; the norm begins anew.",
        len(chosen),
    )
    return with_toast(request, await _page(request), said % {"num": len(chosen), "name": name})


async def accept(request: Request) -> Response:
    """``POST /escalations/{id}/accept``: take it off control, with a reason."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            await escalations.accept(session, viewer(request), _id(request), form["why"], now=now(request))
    except Invalid as error:
        form.refuse(error)
        return await _ask(request, form, "accept", UNPROCESSABLE)
    return with_toast(request, await _page(request), _("Accepted. It comes back when the client calls again."))


async def ask_task(request: Request) -> Response:
    """``GET /escalations/tasks/{id}/ask``: what became of a control task."""
    return await _ask_task(request, filled({}))


async def close_task(request: Request) -> Response:
    """A control task (whose extension is this?) is dealt with: ``why`` says how."""
    form = await read_form(request)
    check(viewer(request), Permission.ESCALATIONS_WORK)
    task_id: int = request.path_params["task_id"]
    try:
        result = check_why(form["why"])
    except Invalid as error:
        form.refuse(error)
        return await _ask_task(request, form, UNPROCESSABLE)
    async with parts(request).db.write() as session:
        await finish_task(session, viewer(request), task_id, result=result, now=now(request))
    return with_toast(request, await _page(request), _("Done."), undo=f"/tasks/{task_id}/reopen")


async def _page(request: Request) -> HTMLResponse:
    since, _until = period("today")
    who, at = viewer(request), now(request)
    limit = min(max(LISTED, query_number(page_query(request), "rows") or 0), LISTED_AT_MOST)
    async with parts(request).db.read() as session:
        rows = await list_escalations(session, who, limit=limit)
        tasks = await list_control_tasks(session, who, limit=limit - len(rows))
        left = max(0, await escalation_count(session, who, at) - len(rows) - len(tasks))
        picture = await load_day_figures(session, who, since or at, at)
        context = await load_context(session)
        takers = await _takers(session, request)
    return show(
        request,
        "escalations/list.html",
        fragment="escalations/_list.html",
        rows=rows,
        takers=takers,
        tasks=tasks,
        picture=picture,
        waited=_waited(rows, context, at),
        lain={
            task.id: context.calendars.of_user(task.assignee_id).minutes_between(task.created_at, at) for task in tasks
        },
        day=WORKING_DAY,
        today=today().isoformat(),
        left=left,
        path=_path(limit),
        more=_path(limit + LISTED) if left and limit < LISTED_AT_MOST else "",
    )


def _waited(rows: list[EscalationRow], context: DecisionContext, at: datetime) -> dict[int, float]:
    """Working minutes of the owner since the client was missed first, by escalation: as the queue and the norm count."""
    episodes = {row.escalation.id or 0: row.episode.episode for row in rows}
    return {id_: working_of(context, e).minutes_between(e.first_missed_at, at) for id_, e in episodes.items()}


def _path(rows: int) -> str:
    return f"/escalations?rows={rows}" if rows != LISTED else "/escalations"


async def _takers(session: AsyncSession, request: Request, owner_id: int | None = None) -> list[Taker]:
    """Whom a callback may be given to: sellers on shift first, ``owner_id``, who has it, last."""
    people = await colleagues(session, viewer(request))
    calendars = await load_calendars(session, await load_directory(session))
    takers = [
        Taker(user.id, user.name, calendars.on_shift(user.id, now(request)), user.id == owner_id)
        for user in sorted(people, key=lambda user: (may(user.role, Permission.ESCALATIONS_WORK), user.name))
        if user.id is not None
    ]
    return sorted(takers, key=lambda taker: (taker.is_owner, not taker.on_shift))


async def _ask(request: Request, form: Form, what: str, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        row = await access_row(session, viewer(request), _id(request))
        takers = await _takers(session, request, row.escalation.owner_id)
    return _in_dialog(
        show(
            request,
            "escalations/_ask.html",
            status=status,
            form=form,
            row=row,
            what=what,
            takers=takers,
            why_accepted=WHY_ACCEPTED,
        )
    )


async def _ask_task(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        row = await access_task_row(session, viewer(request), request.path_params["task_id"])
    return _in_dialog(show(request, "escalations/_ask_task.html", status=status, form=form, row=row))


def _in_dialog(response: HTMLResponse) -> HTMLResponse:
    response.headers.update({"HX-Retarget": "#ask-body", "HX-Reswap": "innerHTML"})
    return response


def _id(request: Request) -> int:
    found: int = request.path_params["escalation_id"]
    return found
