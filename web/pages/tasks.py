"""Tasks: the own list by day, the list of the team, and creating, changing and finishing a task."""

from collections.abc import Iterable
from datetime import datetime, time, timedelta
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, can, sees_others, sees_team
from pbxcrm.access.owners import does_work_of
from pbxcrm.contacts.queries import access_contact
from pbxcrm.deals.queries import access_deal
from pbxcrm.people.queries import access_user
from pbxcrm.screenpop.deal_access import about_call
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks import actions, checklist_rules, finish_actions
from pbxcrm.tasks.list_queries import (
    OpenCounts,
    TaskChoice,
    count_open,
    list_closed,
    overdue_by_person,
    reached_count,
    to_check,
    to_check_count,
)
from pbxcrm.tasks.models import Repeat, TaskKind
from pbxcrm.tasks.queries import TaskRow, access_task, access_task_row, editable_among, list_tasks
from web.answers import redirect, toast, with_toast
from web.auth import local_path
from web.cursors import next_of_time
from web.due_dates import deadline_text, due_of
from web.forms import Form, filled, read_form
from web.i18n import N_, here
from web.i18n import gettext as _
from web.pages.common import (
    LISTED,
    asked_cursor,
    asked_id,
    asked_number,
    asked_text,
    ends_of_day_and_week,
    show,
    version_of,
    whose_rows,
)
from web.parts import now, parts, viewer, wants_fragment
from web.task_page import form_page, task_page

GROUPS = (("overdue", N_("Overdue")), ("today", N_("Today")), ("tomorrow", N_("Tomorrow")), ("later", N_("Later")))
LISTED_OPEN = 100  # one's own; more are told by their number: each row costs half a millisecond
MOST_CHIPS = 7  # more colleagues are chosen from a list
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def tasks(request: Request) -> Response:
    """``GET /tasks?who=&state=&kind=&q=``: ``who``: empty for one's own, ``team`` for everybody's, or a user id."""
    viewing, whose = viewer(request), request.query_params.get("who", "")
    may_see_team, may_see_others = sees_team(viewing), sees_others(viewing)
    person, kind = asked_number(request, "who") if may_see_others else None, asked_text(request, "kind")
    everybody = person is not None or (may_see_team and whose in {"team", "nobody"})
    due_from, due_before = _bounds(request)
    chosen = TaskChoice(
        assignee_id=person if everybody else viewing.user_id,
        nobodys=everybody and whose == "nobody",
        kind=kind if kind in set(TaskKind) else "",
        text=asked_text(request),
        due_from=due_from,
        due_before=due_before,
    )
    done, judging = (request.query_params.get("state") == word for word in ("done", "check"))
    counts: OpenCounts | None = None
    size = LISTED if done or (everybody and person is None) else LISTED_OPEN
    async with parts(request).db.read() as session:
        if done:
            rows = await list_closed(session, viewing, chosen, before=asked_cursor(request), limit=size + 1)
        else:
            after = asked_cursor(request)
            wanted = to_check(viewing) if judging else chosen.open(viewing)
            rows = await list_tasks(session, viewing, *wanted, after=after, limit=size + 1)
            if len(rows) > size and not judging:
                counts = await count_open(session, viewing, *wanted, after=after, bounds=_days())
        editable = await editable_among(session, viewing, (row.task for row in rows))
        people = await whose_rows(session, viewing)
        shown = [each.id or 0 for each in people]
        late = await overdue_by_person(session, viewing, now(request), among=shown) if may_see_others else {}
        waiting = await to_check_count(session, viewing)
        is_own_day = not (whose or done or judging or chosen.kind or chosen.text)
        decides = is_own_day and can(viewing, Permission.ESCALATIONS_READ)
        reached = await reached_count(session, viewing) if decides else 0
    people = [each for each in people if each.id != viewing.user_id]
    people.sort(key=lambda person: -late.get(person.id, 0))
    last = rows[size - 1].task if len(rows) > size else None
    return show(
        request,
        "tasks/list.html",
        groups=_groups(rows[:size], done=done, judging=judging),
        counts=counts,
        left=counts.all - size if counts is not None else 0,
        more=next_of_time(last.done_at if done and last.done_at else last.due_at, last.id) if last is not None else "",
        editable=editable,
        chosen=chosen,
        whose=whose if everybody else "",
        done=done,
        judging=judging,
        to_check=waiting,
        reached=reached,
        people=people,
        chips_for_people=len(people) <= MOST_CHIPS,
        may_see_team=may_see_team,
        late=late,
    )


def _bounds(request: Request) -> tuple[datetime | None, datetime | None]:
    """The bounds of ``due_at`` behind a figure of the team's load: overdue, today, or this week."""
    state = request.query_params.get("state")
    day_ends, week_ends = ends_of_day_and_week()
    moment = timedelta(microseconds=1)
    if state == "overdue":
        return None, now(request)
    if state == "today":
        return now(request), day_ends - moment
    return (day_ends - moment, week_ends - moment) if state == "week" else (None, None)


def _days() -> tuple[datetime, datetime, datetime]:
    """The reader's now, and the ends of their today and tomorrow."""
    zone, moment = here().timezone, here().now
    ends = [datetime.combine(moment.astimezone(zone).date() + timedelta(days=n), time(), zone) for n in (1, 2)]
    return moment, ends[0], ends[1]


def _groups(rows: Iterable[TaskRow], *, done: bool, judging: bool) -> list[tuple[str, str, list[TaskRow]]]:
    """Key, heading and rows of each non-empty group; days are those of the reader."""
    rows = list(rows)
    if done:
        return [("done", _("Done"), rows)] if rows else []
    if judging:
        return [("check", _("To check"), rows)] if rows else []
    zone, moment = here().timezone, here().now
    today = moment.astimezone(zone).date()

    def group(due_at: datetime) -> str:
        day = due_at.astimezone(zone).date()
        if due_at <= moment:
            return "overdue"
        return "today" if day == today else "tomorrow" if day == today + timedelta(days=1) else "later"

    found: dict[str, list[TaskRow]] = {}
    for row in rows:
        found.setdefault(group(row.task.due_at), []).append(row)
    return [(key, _(word), found[key]) for key, word in GROUPS if key in found]


async def new(request: Request) -> Response:
    """``GET /tasks/new?deal=&contact=&call=&for=``: the form of a new task, about a deal, client or call, and for a person."""
    deal_id, contact_id, call_id = (asked_id(request, name) for name in ("deal", "contact", "call"))
    async with parts(request).db.read() as session:
        if call_id is not None:
            deal_id, contact_id = await about_call(session, viewer(request), call_id)
        deal = await access_deal(session, viewer(request), deal_id) if deal_id is not None else None
        if contact_id is not None:
            contact_id = (await access_contact(session, viewer(request), contact_id)).id
        asked_for = asked_id(request, "for")
        owner = (await access_user(session, viewer(request), asked_for)).id if asked_for is not None else None
    if owner is None and deal is not None:
        owner = does_work_of(viewer(request), deal.responsible_id)
    form = filled(
        {
            "deal_id": deal_id,
            "contact_id": contact_id,
            "assignee_id": owner or viewer(request).user_id,
            "back": local_path(request.query_params.get("back", "")),
        }
    )
    return await form_page(request, form, None)


async def create(request: Request) -> Response:
    """``POST /tasks/new``: create a task, due at ``due_at`` or by the pressed button ``quick``."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            made = await actions.create_task(
                session,
                viewer(request),
                title=form["title"],
                due_at=await due_of(session, request, form, form.id("assignee_id")),
                assignee_id=form.id("assignee_id"),
                deal_id=form.id("deal_id"),
                contact_id=form.id("contact_id"),
                note=form["note"],
                now=now(request),
                kind=TaskKind.TODO
                if form.id("assignee_id") in {None, viewer(request).user_id}
                else TaskKind.ASSIGNMENT,
                instruction=form["instruction"],
                checklist=checklist_rules.parse_lines(form["checklist"]),
                repeat=asked_repeat(form),
            )
    except Invalid as error:
        if error.field == "contact_id":  # a hidden field: the error is shown above the form
            error.field = ""
        form.refuse(error)
        return await form_page(request, form, None, UNPROCESSABLE)
    if made.deal_id is not None:
        return redirect(request, f"/deals/{made.deal_id}", done="added")
    back = local_path(form["back"])
    return redirect(request, "/tasks" if back == "/" else back, done="added")


async def task(request: Request) -> Response:
    """``GET /tasks/{id}``: the task as a form, or as text for people who may not change it."""
    return await task_page(request, request.path_params["task_id"])


async def save(request: Request) -> Response:
    """``POST /tasks/{id}``: save the task."""
    form = await read_form(request)
    task_id = request.path_params["task_id"]
    try:
        async with parts(request).db.write() as session:
            was = await access_task(session, viewer(request), task_id)
            same = form["due_at"] == deadline_text(
                was.due_at
            )  # the field has no seconds: an unchanged value keeps those of the stored one
            await actions.edit_task(
                session,
                viewer(request),
                task_id,
                version=version_of(form),
                title=form["title"] if "title" in form.values else None,
                due_at=None if same else await due_of(session, request, form, form.id("assignee_id")),
                assignee_id=form.id("assignee_id"),
                note=form["note"],
                instruction=form["instruction"] if "instruction" in form.values else None,
                checklist=checklist_rules.parse_lines(form["checklist"], was.checklist)
                if "checklist" in form.values
                else None,
                repeat=asked_repeat(form) if "repeat" in form.values else None,
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        async with parts(request).db.read() as session:
            row = await access_task_row(session, viewer(request), task_id)
        return await form_page(request, form, row, UNPROCESSABLE)
    return redirect(request, "/tasks", done="saved")


async def done(request: Request) -> Response:
    """``POST /tasks/{id}/done`` with ``result``: finish the task; its row disappears and a toast offers undo."""
    form = await read_form(request)
    task_id = request.path_params["task_id"]
    cancelled = "cancelled" in form.values
    try:
        async with parts(request).db.write() as session:
            found = await finish_actions.finish_task(
                session, viewer(request), task_id, result=form["result"], now=now(request), cancelled=cancelled
            )
    except Invalid as error:
        if wants_fragment(request):
            raise
        return await task_page(request, task_id, UNPROCESSABLE, _(error.message).format(**error.params))
    if not wants_fragment(request):
        return redirect(request, f"/deals/{found.deal_id}" if found.deal_id is not None else "/tasks", done="saved")
    word = _("Cancelled.") if cancelled else _("Done.")
    return with_toast(request, HTMLResponse(""), word, undo=f"/tasks/{task_id}/reopen")


async def reopen(request: Request) -> Response:
    """``POST /tasks/{id}/reopen``: undo ``done``."""
    async with parts(request).db.write() as session:
        await finish_actions.reopen_task(session, viewer(request), request.path_params["task_id"], now=now(request))
    if wants_fragment(request):
        return toast(request, _("The task is open again."))
    return redirect(request, "/tasks", done="saved")


def asked_repeat(form: Form) -> Repeat:
    """The repetition of a task in a form. Raises Invalid."""
    try:
        return Repeat(form["repeat"])
    except ValueError:
        raise Invalid("repeat", "tasks.repeat_how", "Choose how often it comes again.") from None
