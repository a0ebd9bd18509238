"""The manager's page of escalations: each with reason and waiting time; call, reassign, accept with a reason, comment."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, Viewer, check, may
from pbxcrm.audit.actions import keep_unheard
from pbxcrm.automation.mass_changes import rules_hearing_gifts
from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.callbacks.queries import withheld_callbacks
from pbxcrm.checkpoints import escalation_actions
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.checkpoints.queries import (
    access_escalation,
    beside,
    escalation_count,
    list_control_tasks,
    list_decided,
    list_escalations,
)
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.reports.day_figures import load_day_figures
from pbxcrm.reports.lamp_rows import LampRow, load_lamp_rows
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.finish_actions import finish_task
from pbxcrm.tasks.queries import access_task_row
from web.answers import toast, with_toast
from web.due_dates import deadline_of
from web.formats import WORKING_DAY, day_time
from web.forms import Form, filled, read_form
from web.i18n import N_, ngettext
from web.i18n import gettext as _
from web.pages.common import LISTED, colleagues, page_query, period, query_number, show, today
from web.parts import now, parts, viewer
from web.untrusted import whole_number

#: Usual reasons for accepting an escalation, offered as buttons.
WHY_ACCEPTED = (N_("We agreed on another time"), N_("The client has been told"), N_("Not worth a call"))
LISTED_AT_MOST = 1000
OF_EACH = 8  # rows shown per seller at first
NOBODY, WITHHELD = "nobody", "withheld"
DECIDED = 50  # rows of the history
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class Group:
    """The escalations of one seller's work (``owner`` None: of work without an owner); ``more``: how many are not shown.

    ``withheld``: instead, those of callers without a number, whoever has them.
    """

    owner_id: int | None
    owner: User | None
    rows: list[LampRow]
    more: int
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class Taker:
    """A person to whom an escalation can be reassigned."""

    user_id: int
    name: str
    on_shift: bool
    is_owner: bool


async def page(request: Request) -> Response:
    """``GET /escalations?owner=&history=``: a few rows per seller; ``owner``: all rows of one; ``history``: the decided ones."""
    return await _page(request)


async def ask(request: Request) -> Response:
    """``GET /escalations/{id}/ask?what=reassign|accept|comment``: the inside of the dialog."""
    return await _ask(request, filled({}), request.query_params.get("what", "accept"))


async def reassign(request: Request) -> Response:
    """``POST /escalations/{id}/reassign``: give the callback or deal to somebody else."""
    form = await read_form(request)
    try:
        user_id = form.id("user_id")
        async with parts(request).db.write() as session:
            await escalation_actions.reassign(session, viewer(request), _id(request), user_id or 0, now=now(request))
            name = (await load_directory(session)).name(user_id)
    except Invalid as error:
        form.refuse(error)
        return await _ask(request, form, "reassign", UNPROCESSABLE)
    return with_toast(
        request,
        await _page(request),
        _("Given to {name}, with the open deal; their time starts over.").format(name=name),
        undo=f"/escalations/undo?ids={_id(request)}",
    )


async def reassign_chosen(request: Request) -> Response:
    """``POST /escalations/reassign``: ``ids``, ``user_id`` and ``heard`` (0: rules do not hear it, nor its undo): all of them in one transaction, or none."""
    form = await read_form(request)
    user_id, at, unheard = form.id("user_id"), now(request), form["heard"] == "0"
    chosen = form.ids("ids")[:LISTED_AT_MOST]
    async with parts(request).db.write() as session:
        keep_unheard(session, unheard)
        for escalation_id in dict.fromkeys(chosen):
            await escalation_actions.reassign(session, viewer(request), escalation_id, user_id or 0, now=at)
        name = (await load_directory(session)).name(user_id)
    said = ngettext(
        "%(num)d given to %(name)s, with its open deal; their time starts over.",
        "%(num)d given to %(name)s, with their open deals; their time starts over.",
        len(chosen),
    )
    undo = f"/escalations/undo?ids={','.join(str(each) for each in chosen)}" + "&heard=0" * unheard
    return with_toast(request, await _page(request), said % {"num": len(chosen), "name": name}, undo=undo)


async def undo_chosen(request: Request) -> Response:
    """``POST /escalations/undo?ids=1,2&heard=0``: take back that they were given to somebody else; one by one, the last first."""
    asked = [whole_number(each) for each in request.query_params.get("ids", "").split(",")]
    chosen = list(dict.fromkeys(each for each in asked if each is not None))[:LISTED_AT_MOST]
    refused: list[Conflict] = []
    for escalation_id in reversed(chosen):
        try:
            async with parts(request).db.write() as session:
                keep_unheard(session, request.query_params.get("heard") == "0")
                await escalation_actions.undo_reassign(session, viewer(request), escalation_id, now=now(request))
        except Conflict as error:
            if len(chosen) == 1:
                raise
            refused.append(error)
    if not refused:
        return toast(request, _("Taken back."))
    said = ngettext("%(num)d could not be taken back.", "%(num)d could not be taken back.", len(refused))
    why = _(refused[0].message).format(**refused[0].params)
    return toast(request, f"{said % {'num': len(refused)}} {why}", tone="red")


async def accept(request: Request) -> Response:
    """``POST /escalations/{id}/accept``: end the escalation, with a reason."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            until = None
            if form["until"]:
                until = await deadline_of(session, request, form["until"], None, field="until")
            lamp = await escalation_actions.accept(
                session, viewer(request), _id(request), form["why"], now=now(request), until=until
            )
            again = until if until is not None else lamp.look_again_at
            is_norm = until is None
    except Invalid as error:
        form.refuse(error)
        return await _ask(request, form, "accept", UNPROCESSABLE)
    said = _("Accepted. It comes back when something new happens and nobody reacts.")
    if again is not None:
        until_when = _("Accepted until {time}.").format(time=day_time(again))
        said = _("Accepted. The norm runs again from now on.") if is_norm and again <= now(request) else until_when
    return with_toast(request, await _page(request), said)


async def comment(request: Request) -> Response:
    """``POST /escalations/{id}/comment``: send ``text`` to the owner of the work, as an assignment."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            lamp = await escalation_actions.comment(
                session, viewer(request), _id(request), form["text"], now=now(request)
            )
            name = (await load_directory(session)).name(lamp.owner_id)
    except Invalid as error:
        form.refuse(error)
        return await _ask(request, form, "comment", UNPROCESSABLE)
    return with_toast(request, await _page(request), _("{name} gets it as an assignment.").format(name=name))


async def joint(request: Request) -> Response:
    """``POST /escalations/{id}/joint``: make it a joint task of the manager and the owner of the work."""
    async with parts(request).db.write() as session:
        lamp = await escalation_actions.make_joint(session, viewer(request), _id(request), now=now(request))
        name = (await load_directory(session)).name(lamp.owner_id)
    return with_toast(request, await _page(request), _("{name} has it too now.").format(name=name))


async def ask_task(request: Request) -> Response:
    """``GET /escalations/tasks/{id}/ask``: the dialog that asks for the result of a control task."""
    return await _ask_task(request, filled({}))


async def close_task(request: Request) -> Response:
    """Finish a control task (for example "whose extension is this?"); ``why`` is its result."""
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
    who, at, query = viewer(request), now(request), page_query(request)
    owner, is_history = _asked_owner(query), "history" in query
    async with parts(request).db.read() as session:
        people = await load_directory(session)
        calendars = await load_calendars(session, people)
        lamps = await list_escalations(session, who, limit=LISTED_AT_MOST)
        tasks = await list_control_tasks(session, who, limit=LISTED)
        shell = getattr(request.state, "shell", None) if request.method == "GET" else None  # it has counted them
        count = shell.counters["escalations"] if shell is not None else await escalation_count(session, who, at)
        groups = await _groups(session, who, lamps, people, owner)
        decided = await load_lamp_rows(session, await list_decided(session, who, limit=DECIDED)) if is_history else []
        picture = await load_day_figures(session, who, since or at, at)
        takers = await _takers(session, request)
        listening = await rules_hearing_gifts(session, at)
    return show(
        request,
        "escalations/list.html",
        fragment="escalations/_list.html",
        groups=groups,
        several=len(lamps) > 1,
        takers=takers,
        listening=listening,
        tasks=tasks if not owner else [],
        decided=decided,
        is_history=is_history,
        only=owner if groups and owner else "",
        picture=picture,
        waited=_waited([row for group in groups for row in group.rows], calendars, at),
        lain={task.id: calendars.of_user(task.assignee_id).minutes_between(task.created_at, at) for task in tasks},
        day=WORKING_DAY,
        today=today().isoformat(),
        left=max(0, count - len(lamps) - len(tasks)),
        path="/escalations" + (f"?owner={owner}" if groups and owner else "?history=1" if is_history else ""),
    )


async def _groups(
    session: AsyncSession, who: Viewer, lamps: Sequence[Lamp], people: Directory, only: str
) -> list[Group]:
    """Escalations by seller, the longest waiting first: a few of each, or all of ``only`` (a user id, ``nobody`` or ``withheld``).

    Whoever withheld the number cannot be called back, so these stand together at the end, as in the callback queue.
    """
    withheld = await withheld_callbacks(session, [lamp.callback_id for lamp in lamps if lamp.callback_id is not None])
    by_owner: dict[int | str | None, list[Lamp]] = {}
    for lamp in sorted(lamps, key=lambda lamp: lamp.callback_id in withheld):
        by_owner.setdefault(WITHHELD if lamp.callback_id in withheld else lamp.owner_id, []).append(lamp)
    if only:
        asked = {key: own for key, own in by_owner.items() if str(key or NOBODY) == only}
        by_owner = asked or by_owner
    most = LISTED_AT_MOST if only else OF_EACH if len(by_owner) > 1 else LISTED
    first = [lamp for own in by_owner.values() for lamp in own[:most]]
    also = await beside(session, who, first, escalations=True)
    shown = await load_lamp_rows(session, [*first, *(lamp for theirs in also.values() for lamp in theirs)])
    every = {row.lamp.id: row for row in shown}
    rows = {lamp.id: replace(every[lamp.id], others=tuple(every[each.id] for each in also[lamp.id])) for lamp in first}
    return [
        Group(
            None if key == WITHHELD else own[0].owner_id,
            None if key == WITHHELD else people.users.get(own[0].owner_id or 0),
            [rows[lamp.id] for lamp in own[:most]],
            max(0, len(own) - most),
            key == WITHHELD,
        )
        for key, own in by_owner.items()
    ]


def _waited(rows: Sequence[LampRow], calendars: Calendars, at: datetime) -> dict[int | None, float]:
    """Lamp id -> how long the client has waited, in working minutes of the owner, as the norm counts them."""
    return {row.lamp.id: calendars.of_user(row.lamp.owner_id).minutes_between(row.since, at) for row in rows}


def _asked_owner(query: dict[str, list[str]]) -> str:
    asked = query.get("owner", [""])[0]
    if asked in {NOBODY, WITHHELD}:
        return asked
    return str(query_number(query, "owner") or "")


async def _takers(session: AsyncSession, request: Request, owner_id: int | None = None) -> list[Taker]:
    """People to whom it can be reassigned: sellers on shift first, the current owner ``owner_id`` last."""
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
        lamp = await access_escalation(session, viewer(request), _id(request))
        row = (await load_lamp_rows(session, [lamp]))[0]
        takers = await _takers(session, request, lamp.owner_id)
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
