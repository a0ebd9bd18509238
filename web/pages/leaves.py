"""Leaves: who is away when, and who their deputy is; entering, changing and taking them back."""

from datetime import date, datetime
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, can
from pbxcrm.calendars.leave_actions import NewLeave, access_leave, change_leave, create_leave, delete_leave
from pbxcrm.calendars.models import Leave
from pbxcrm.calendars.queries import list_leaves, load_calendars
from pbxcrm.checkpoints.hours_queries import watched_of
from pbxcrm.checkpoints.leave_queries import asked_during, who_is_asked
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import access_user, list_users
from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.forms import Form, filled, local_text, read_form
from web.pages.common import asked_id, show, today
from web.parts import now, parts, viewer

PATH = "/people/leaves"


async def listed(request: Request) -> Response:
    """``GET /people/leaves``: leaves of the people one may see, without past ones."""
    day = today().isoformat()
    return await _page(request, filled({"from": day, "until": day}))


async def create(request: Request) -> Response:
    """``POST /people/leaves``: enter a leave."""
    form = await read_form(request)
    try:
        new = NewLeave(form.id("person") or 0, _date(form, "from"), _date(form, "until"), form.id("deputy"))
        async with parts(request).db.write() as session:
            await create_leave(session, viewer(request), new, now=now(request))
    except Invalid as error:
        form.refuse(error)
        return await _page(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, PATH, done="added")


async def one(request: Request) -> Response:
    """``GET /people/leaves/{id}``: a leave, to give it other days or another deputy."""
    async with parts(request).db.read() as session:
        leave = await access_leave(session, viewer(request), request.path_params["leave_id"])
        zone = (await load_calendars(session, await load_directory(session))).of_user(leave.user_id).timezone
    first, last = leave.days(zone)
    times = (first, last) if leave.whole_days else (local_text(leave.starts_at), local_text(leave.ends_at))
    written = {"person": leave.user_id, "from": times[0], "until": times[1], "deputy": leave.deputy_id}
    return await _page(request, filled({**written, "seen": _seen(leave)}), leave=leave)


async def save(request: Request) -> Response:
    """``POST /people/leaves/{id}``: change a leave. What somebody else has changed meanwhile is told before it is written over."""
    form = await read_form(request)
    who, leave_id = viewer(request), request.path_params["leave_id"]
    async with parts(request).db.read() as session:
        leave = await access_leave(session, who, leave_id)
    form.values["person"] = str(leave.user_id)
    try:
        read = _date if leave.whole_days else _moment
        new = NewLeave(leave.user_id, read(form, "from"), read(form, "until"), form.id("deputy"))
        async with parts(request).db.write() as session:
            leave = await access_leave(session, who, leave_id)
            _check_seen(form, leave)
            await change_leave(session, who, leave, new, now=now(request))
    except Invalid as error:
        form.refuse(error)
        return await _page(request, form, HTTPStatus.UNPROCESSABLE_ENTITY, leave)
    return redirect(request, PATH, done="saved")


async def look(request: Request) -> Response:
    """``GET /people/leaves/look?person=``: how much of their work is watched, and who is asked meanwhile."""
    person, deputy = asked_id(request, "person"), asked_id(request, "deputy")
    async with parts(request).db.read() as session:
        user = await access_user(session, viewer(request), person) if person is not None else None
        if deputy is not None:
            await access_user(session, viewer(request), deputy)
        found = await watched_of(session, user.id or 0) if user is not None else None
        people = await load_directory(session)
        asked = await who_is_asked(session, person, deputy, now(request)) if person is not None else None
    return show(request, "leaves/_look.html", look=found, user=user, asked=asked, people=people)


async def delete(request: Request) -> Response:
    """``POST /people/leaves/{id}/delete``: delete a leave."""
    async with parts(request).db.write() as session:
        await delete_leave(session, viewer(request), request.path_params["leave_id"], now=now(request))
    return redirect(request, PATH, done="deleted")


def _date(form: Form, name: str) -> date:
    try:
        found = date.fromisoformat(form[name])
    except ValueError:
        raise Invalid(name, "leaves.date", "Choose a date.") from None
    if not 1970 <= found.year < 2200:  # other years are typing errors
        raise Invalid(name, "leaves.date", "Choose a date.")
    return found


def _moment(form: Form, name: str) -> datetime:
    found = form.utc_time(name)
    if found is None:
        raise Invalid(name, "form.moment", "Choose a date and a time.")
    return found


def _check_seen(form: Form, leave: Leave) -> None:
    """Raises Invalid if somebody else has changed the leave since the form was filled in; saved again, the form is written over it."""
    if form["seen"] and form["seen"] != _seen(leave):
        form.values["seen"] = _seen(leave)
        raise Invalid(
            "",
            "leaves.changed",
            "Somebody else has changed this leave meanwhile: it stands above. Save again to write over it.",
        )


def _seen(leave: Leave) -> str:
    """What a form was filled in from, to notice a change by somebody else."""
    return f"{leave.starts_at.isoformat()} {leave.ends_at.isoformat()} {leave.deputy_id}"


async def _page(request: Request, form: Form, status: int = 200, leave: Leave | None = None) -> Response:
    """The leaves, and the form of a new one, or of ``leave``."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        calendars = await load_calendars(session, people)
        users = [user for user in await list_users(session, who) if user.is_active]
        seen = {user.id for user in users}
        rows = [row for row in await list_leaves(session, since=now(request)) if row.user_id in seen]
        asked = {row.id: await asked_during(session, row, now(request)) for row in rows}
    return show(
        request,
        "leaves/list.html",
        status=status,
        form=form,
        rows=[(row, *row.days(calendars.of_user(row.user_id).timezone)) for row in rows],
        people=people,
        asked=asked,
        edits=can(who, Permission.LEAVES_EDIT),
        users=[("", ""), *((user.id, user.name) for user in users)],
        deputies=[("", ""), *((user.id, user.name) for user in users)],
        at=now(request),
        leave=leave,
        look=None,
    )
