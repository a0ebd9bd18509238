"""Overviews of tasks: the week of one person by day, and the load of the team by person."""

from datetime import datetime, timedelta

from starlette.requests import Request
from starlette.responses import Response

from pbxcrm.access import Permission, can, sees_others, sees_team
from pbxcrm.people.directory import load_directory
from pbxcrm.tasks.list_queries import TaskChoice, load_by_person
from pbxcrm.tasks.queries import TaskRow, editable_among, list_tasks
from web.answers import redirect
from web.i18n import here
from web.pages.common import asked_number, ends_of_day_and_week, show
from web.parts import now, parts, viewer

MOST = 300  # tasks shown for a week


async def week(request: Request) -> Response:
    """``GET /tasks/week?who=&week=``: open tasks by day; ``week``: offset in weeks from the current one."""
    viewing = viewer(request)
    person = asked_number(request, "who") if sees_others(viewing) else None
    ahead = max(-52, min(52, _weeks(request)))
    zone = here().timezone
    local = here().now.astimezone(zone)
    monday = (local - timedelta(days=local.weekday())).date() + timedelta(days=7 * ahead)
    days = [monday + timedelta(days=number) for number in range(7)]
    starts = datetime.combine(monday, datetime.min.time(), zone)
    chosen = TaskChoice(
        assignee_id=person or viewing.user_id,
        due_from=starts - timedelta(microseconds=1),
        due_before=starts + timedelta(days=7) - timedelta(microseconds=1),
    )
    async with parts(request).db.read() as session:
        rows = await list_tasks(session, viewing, *chosen.open(viewing), limit=MOST)
        editable = await editable_among(session, viewing, (row.task for row in rows))
        name = (await load_directory(session)).name(person) if person is not None else ""
    by_day: dict[object, list[TaskRow]] = {day: [] for day in days}
    for row in rows:
        by_day.setdefault(row.task.due_at.astimezone(zone).date(), []).append(row)
    return show(
        request,
        "tasks/week.html",
        days=[(day, by_day[day]) for day in days],
        today=local.date(),
        ahead=ahead,
        whose=name,
        editable=editable,
        may_edit=can(viewing, Permission.TASKS_EDIT),
    )


async def team(request: Request) -> Response:
    """``GET /tasks/team``: overdue, today and this week by person, for people who see the tasks of a team."""
    viewing = viewer(request)
    if not sees_team(viewing):
        return redirect(request, "/tasks")  # without a team there is only one's own list
    day_ends, week_ends = ends_of_day_and_week()
    async with parts(request).db.read() as session:
        loads = await load_by_person(session, viewing, now(request), day_ends, week_ends)
        people = await load_directory(session)
    return show(request, "tasks/team.html", loads=[(each, people.name(each.user_id)) for each in loads])


def _weeks(request: Request) -> int:
    text = request.query_params.get("week", "0")
    return int(text) if text.removeprefix("-").isascii() and text.removeprefix("-").isdigit() and len(text) <= 3 else 0
