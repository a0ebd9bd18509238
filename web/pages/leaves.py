"""Leaves: who is away when, and who their deputy is."""

from datetime import date
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, can
from pbxcrm.calendars.leave_actions import NewLeave, create_leave, delete_leave
from pbxcrm.calendars.queries import list_leaves, load_calendars
from pbxcrm.checkpoints.hours_queries import watched_of
from pbxcrm.checkpoints.leave_queries import asked_during, who_is_asked
from pbxcrm.people.directory import load_directory
from pbxcrm.people.queries import access_user, list_users
from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.forms import Form, filled, read_form
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


async def _page(request: Request, form: Form, status: int = 200) -> Response:
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
        look=None,
    )
