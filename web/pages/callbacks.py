"""The callback queue: worked from top to bottom with single keys."""

from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.callbacks import claims, results, undo_actions
from pbxcrm.callbacks.attempts import call_behind
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import (
    access_episode,
    access_episode_row,
    attempts_of,
    client_of,
    lamps_of_callback,
    load_context,
    missed_calls_of,
)
from pbxcrm.callbacks.rules import was_not_reached
from pbxcrm.callbacks.worklist_queries import AT_ONCE, ORDER_AT_MOST, Worklist, WorklistFilter, load_worklist
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.access import edits_deal
from pbxcrm.people.access import sees_user
from pbxcrm.people.directory import load_directory
from pbxcrm.phone.queries import last_extension, latest_call_of
from pbxcrm.phone.rules import choose_extension
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.tasks.actions import create_task
from pbxcrm.upkeep.pbx_silence import load_silence
from web import gate_dialog
from web.answers import toast, with_toast
from web.due_dates import QUICK, due_of
from web.formats import day_time
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import page_query, period, query_number, show
from web.parts import now, parts, viewer
from web.phone_orders import is_trouble, order_call, said_of
from web.words import WHY_NOT

SAID: dict[AttemptResult, str] = {
    AttemptResult.REACHED: N_("{client}: reached."),
    AttemptResult.WRONG_NUMBER: N_("{client}: wrong number."),
    AttemptResult.NOT_INTERESTED: N_("{client}: not interested."),
    AttemptResult.SPAM: N_("{client}: on the list of those that are not clients."),
    AttemptResult.NO_NUMBER: N_("Noted: the number is withheld."),
}
ATTEMPTS: dict[str, str] = {
    AttemptResult.REACHED.value: N_("Reached"),
    AttemptResult.DIDNT_REACH.value: N_("Not reached"),
    AttemptResult.WRONG_NUMBER.value: N_("Wrong number"),
    AttemptResult.NOT_INTERESTED.value: N_("Not interested"),
    AttemptResult.SPAM.value: N_("Not a client"),
    AttemptResult.NO_NUMBER.value: N_("Number withheld"),
}
PASSED_ON = N_("{client}: left open and passed on to {who}.")
DEAL_PASSED_ON = N_("{client}: noted. The deal is another's: passed on to {who}.")
RESULTS = frozenset(result.value for result in AttemptResult) - {AttemptResult.NO_NUMBER.value}
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def queue(request: Request) -> Response:
    """``GET /callbacks?show=mine&line=&rows=``."""
    return await _queue(request)


async def claim(request: Request) -> Response:
    """``POST /callbacks/{id}/claim``: the viewer takes the callback; others see that."""
    async with parts(request).db.write() as session:
        await claims.claim(session, viewer(request), _id(request), now=now(request))
    return await _queue(request)


async def release(request: Request) -> Response:
    """``POST /callbacks/{id}/release``: give it back to everybody."""
    async with parts(request).db.write() as session:
        await claims.release(session, viewer(request), _id(request), now=now(request))
    return await _queue(request)


async def call(request: Request) -> Response:
    """``POST /callbacks/{id}/call``: claim the callback and call the client from the phone chosen on the page."""
    form = await read_form(request)
    check(viewer(request), Permission.PHONE_USE)
    async with parts(request).db.read() as session:
        episode = await access_episode(session, viewer(request), _id(request))
    if episode.client_number is None:
        raise Invalid("number", "callbacks.withheld", "The number is withheld, so it cannot be called.")
    form.values["number"], form.values["episode_id"] = episode.client_number, str(episode.id)
    command = await order_call(request, form)
    return with_toast(request, await _queue(request), said_of(command), tone="")


async def result(request: Request) -> Response:
    """``POST /callbacks/{id}/result``: ``result``, ``version``, ``why``, ``without_call``. The dialog asks for what is missing."""
    form = await read_form(request)
    try:
        said = AttemptResult(form["result"])
    except ValueError:
        raise NotFound("callbacks.no_result", "There is no such result.") from None
    async with parts(request).db.read() as session:
        deal_id = (await access_episode(session, viewer(request), _id(request))).deal_id
    try:
        async with parts(request).db.write() as session:
            if deal_id is not None:
                await gate_dialog.fill_in(session, request, form, deal_id)
            recorded = await results.record_result(
                session,
                viewer(request),
                _id(request),
                said,
                now=now(request),
                region=parts(request).settings.region,
                version=form.number("version"),
                why=form["why"],
                without_call=form["without_call"],
                note=form["note"],
            )
            client = await client_of(session, recorded.episode, _("Withheld number"))
            passed_to = await _passed_to(session, recorded)
    except Invalid as error:
        if deal_id is not None and gate_dialog.asks(form, error):
            return await gate_dialog.ask_missing(request, form, error, deal_id, target="#queue")
        if error.field not in {"why", "without_call"}:
            raise
        form.refuse(error)
        return await _ask(request, form, UNPROCESSABLE)
    undo = f"/callbacks/undo/{recorded.attempt.id}" if recorded.attempt and recorded.attempt.before else ""
    page = with_toast(request, await _queue(request), _said(said, recorded, client, passed_to), undo=undo)
    if recorded.ask_task_for is not None:
        return await _and_ask_next(request, page, recorded.episode)
    return page


async def undo(request: Request) -> Response:
    """``POST /callbacks/undo/{attempt_id}``: take a result back."""
    async with parts(request).db.write() as session:
        await undo_actions.undo_result(session, viewer(request), request.path_params["attempt_id"], now=now(request))
    return toast(request, _("Taken back."))


async def ask(request: Request) -> Response:
    """``GET /callbacks/{id}/ask?what=not_interested|spam|dismiss|next``: the inside of the dialog."""
    what = request.query_params.get("what", "")
    form = filled({"result": what, "version": request.query_params.get("version", "")})
    return await _ask(request, form)


async def dismiss(request: Request) -> Response:
    """``POST /callbacks/{id}/dismiss``: close without a call, with the reason ``why``."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            recorded = await results.dismiss(session, viewer(request), _id(request), form["why"], now=now(request))
            client = await client_of(session, recorded.episode, _("Withheld number"))
            passed_to = await _passed_to(session, recorded)
    except Invalid as error:
        form.refuse(error)
        form.values["result"] = "dismiss"
        return await _ask(request, form, UNPROCESSABLE)
    text = PASSED_ON if recorded.passed is not None else N_("The callback is closed.")
    return with_toast(request, await _queue(request), _(text).format(client=client, who=passed_to))


async def set_next(request: Request) -> Response:
    """``POST /callbacks/{id}/next``: the next task on the deal of a reached client: ``title``, and ``quick`` or ``due_at``."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        episode = await access_episode(session, viewer(request), _id(request))
    try:
        async with parts(request).db.write() as session:
            due_at = await due_of(session, request, form, None)
            await create_task(
                session,
                viewer(request),
                title=form["title"],
                due_at=due_at,
                deal_id=episode.deal_id,
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        form.values["result"] = "next"
        return await _ask(request, form, UNPROCESSABLE)
    return with_toast(
        request, await _queue(request), _("The next task is set for {time}.").format(time=day_time(due_at))
    )


async def one(request: Request) -> Response:
    """``GET /callbacks/{id}``: one callback with its missed calls, attempts and lamps, newest first."""
    async with parts(request).db.read() as session:
        row = await access_episode_row(session, viewer(request), _id(request))
        tries = await attempts_of(session, _id(request))
        missed = await missed_calls_of(session, _id(request))
        lamps = await lamps_of_callback(session, _id(request))
        people = await load_directory(session)
    events: list[tuple[datetime, str, Attempt | Call | Lamp]] = [
        (call.ended_at or call.started_at, "miss", call) for call in missed
    ]
    events += [(attempt.at, "attempt", attempt) for attempt in tries]
    events += [(lamp.lit_at, "lamp", lamp) for lamp in lamps if lamp.lit_at is not None]
    events += [(lamp.out_at, "out", lamp) for lamp in lamps if lamp.out_at is not None]
    events.sort(key=lambda event: event[0], reverse=True)
    return show(
        request,
        "callbacks/one.html",
        row=row,
        events=events,
        people=people,
        attempt_word=_attempt_word,
        not_reached=was_not_reached(row.episode),
    )


async def _queue(request: Request) -> HTMLResponse:
    wanted = _wanted(request)
    async with parts(request).db.read() as session:
        found: Worklist = await load_worklist(session, viewer(request), wanted, now(request))
        command = await latest_call_of(session, viewer(request).user_id)
        used = await last_extension(session, viewer(request).user_id)
        configured = [pbx.name for pbx in parts(request).settings.pbxs]
        silence = await load_silence(session, configured, now(request))
        whose = await _name_of_owner(session, viewer(request), wanted)
    own = viewer(request).extensions
    fresh = command is not None and now(request) - (command.finished_at or now(request)) < timedelta(minutes=2)
    trouble = command if command is not None and fresh and is_trouble(command) else None
    return show(
        request,
        "callbacks/list.html",
        fragment="callbacks/_queue.html",
        queue=found,
        silence=silence,
        wanted=wanted,
        whose=whose,
        trouble=trouble,
        trouble_said=said_of(trouble) if trouble is not None else "",
        calling=command if command is not None and command.finished_at is None else None,
        extension=choose_extension(own, "", used) if own else "",
        path=_path(wanted),
        more=_path(replace(wanted, limit=wanted.limit + AT_ONCE))
        if found.more and wanted.limit < ORDER_AT_MOST
        else "",
    )


async def _ask(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        row = await access_episode_row(session, viewer(request), _id(request))
        client = await client_of(session, row.episode, _("Withheld number"))
        people = await load_directory(session)
        what, is_open = form["result"], row.episode.status == EpisodeStatus.OPEN
        called = await call_behind(session, viewer(request), row.episode) is not None
        open_deal = row.deal if row.deal is not None and row.deal.closed_at is None else None
        decider = None
        if is_open and (what in RESULTS or what == "dismiss"):
            decider = await results.decider_of(
                session,
                viewer(request),
                row.episode,
                AttemptResult(what) if what in RESULTS else None,
                open_deal,
                await load_context(session),
                called=called and what != "dismiss",
            )
    foreign = open_deal is not None and not edits_deal(viewer(request), open_deal, people)
    response = show(
        request,
        "callbacks/_ask.html",
        status=status,
        asks_call=what in RESULTS and is_open and not called,
        decider=decider,
        decides=people.name(decider.user_id) or _("nobody") if decider is not None else "",
        deals_owner=people.name(row.deal.responsible_id) if row.deal is not None and foreign else "",
        form=form,
        row=row,
        client=client,
        what=what,
        why_not=WHY_NOT,
        quick=QUICK,
    )
    response.headers.update({"HX-Retarget": "#ask-body", "HX-Reswap": "innerHTML"})
    return response


async def _and_ask_next(request: Request, page: HTMLResponse, episode: Episode) -> HTMLResponse:
    """``page``, and the dialog that asks for the next task of the deal."""
    async with parts(request).db.read() as session:
        row = await access_episode_row(session, viewer(request), episode.id or 0)
        client = await client_of(session, episode, _("Withheld number"))
    html = parts(request).templates.text(
        "callbacks/_ask.html",
        request=request,
        viewer=viewer(request),
        form=filled({"result": "next", "title": ""}),
        row=row,
        client=client,
        asks_call=False,
        decider=None,
        deals_owner="",
        what="next",
        why_not=WHY_NOT,
        quick=QUICK,
    )
    partial = f'<hx-partial hx-target="#ask-body" hx-swap="innerHTML">{html}</hx-partial>'
    headers = {key: value for key, value in page.headers.items() if key != "content-length"}
    return HTMLResponse(bytes(page.body) + partial.encode(), page.status_code, headers)


async def _passed_to(session: AsyncSession, recorded: results.Recorded) -> str:
    if recorded.passed is None:
        return ""
    return (await load_directory(session)).name(recorded.passed.assignee_id) or _("nobody")


def _said(said: AttemptResult, recorded: results.Recorded, client: str, passed_to: str) -> str:
    """The text of the toast after a result."""
    if recorded.passed is not None:
        text = PASSED_ON if recorded.attempt is None else DEAL_PASSED_ON
        return _(text).format(client=client, who=passed_to)
    return _(SAID[said]).format(client=client) if said in SAID else _planned(recorded.episode, client)


def _planned(episode: Episode, client: str) -> str:
    if episode.next_attempt_at is None:
        return _("{client}: not reached.").format(client=client)
    time = day_time(episode.next_attempt_at)
    return _("{client}: not reached, next attempt {time}.").format(client=client, time=time)


async def _name_of_owner(session: AsyncSession, who: Viewer, wanted: WorklistFilter) -> str:
    """The name of the person whose callbacks are asked for, if the viewer sees them."""
    people = await load_directory(session)
    return people.name(wanted.owner_id) or "" if wanted.owner_id and sees_user(who, wanted.owner_id, people) else ""


def _wanted(request: Request) -> WorklistFilter:
    asked = page_query(request)
    return WorklistFilter(
        mine=(asked.get("show") or [""])[0] == "mine",
        line_id=query_number(asked, "line"),
        limit=min(max(AT_ONCE, query_number(asked, "rows") or 0), ORDER_AT_MOST),
        since=period("today")[0] if (asked.get("since") or [""])[0] == "today" else None,
        owner_id=query_number(asked, "who"),
    )


def _path(wanted: WorklistFilter) -> str:
    rows = wanted.limit if wanted.limit != AT_ONCE else ""
    today = "today" if wanted.since is not None else ""
    asked = {
        "show": "mine" if wanted.mine else "",
        "since": today,
        "line": wanted.line_id or "",
        "who": wanted.owner_id or "",
        "rows": rows,
    }
    kept = urlencode({name: value for name, value in asked.items() if value})
    return f"/callbacks?{kept}" if kept else "/callbacks"


def _id(request: Request) -> int:
    found: int = request.path_params["episode_id"]
    return found


def _attempt_word(result: str) -> str:
    return _(ATTEMPTS.get(result, result))
