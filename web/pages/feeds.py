"""The calendar feed of a person's tasks (iCalendar), and its address in the profile."""

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.tasks.calendar_feeds import end_feed, feed_tasks, make_feed
from pbxcrm.tasks.icalendar import CalendarEntry, calendar
from web import words
from web.answers import redirect
from web.i18n import gettext as _
from web.parts import now, parts, viewer
from web.profile_page import profile_page


async def feed(request: Request) -> Response:
    """``GET /feeds/{token}.ics``: the open tasks of the person to whom this secret address belongs."""
    async with parts(request).db.read() as session:
        who, rows = await feed_tasks(session, request.path_params["token"])
    at = str(request.base_url).rstrip("/")
    entries = [
        CalendarEntry(
            uid=f"task-{row.task.id}@pbxcrm",
            title=words.task_title(row.task),
            text="\n".join(
                part for part in (row.contact.name if row.contact else "", row.task.note, row.task.instruction) if part
            ),
            due_at=row.task.due_at,
            changed_at=row.task.created_at,
            sequence=row.task.version - 1,
            url=f"{at}/tasks/{row.task.id}",
        )
        for row in rows
    ]
    body = calendar(_("Tasks of {name}").format(name=who.name), entries)
    headers = {"cache-control": "private, no-store", "content-disposition": 'inline; filename="tasks.ics"'}
    return Response(body, headers=headers, media_type="text/calendar; charset=utf-8")


async def make(request: Request) -> Response:
    """``POST /profile/feed``: make a new address, which is shown only once."""
    async with parts(request).db.write() as session:
        secret = await make_feed(session, viewer(request), now=now(request))
    return await profile_page(request, feed_secret=secret)


async def end(request: Request) -> Response:
    """``POST /profile/feed/end``: make the address invalid."""
    async with parts(request).db.write() as session:
        await end_feed(session, viewer(request), now=now(request))
    return redirect(request, "/profile", done="deleted")
