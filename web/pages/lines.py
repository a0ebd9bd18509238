"""Lines: the numbers, trunks and queues that clients call, and the rules for their calls."""

from collections.abc import Callable, Sequence
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.calls.lines import LineRules, delete_line, get_line, move_line, save_line
from pbxcrm.calls.models import Line
from pbxcrm.calls.queries import list_lines
from pbxcrm.checkpoints.context import load_watching
from pbxcrm.deals.attempt_schedule import AfterLast, AttemptSchedule
from pbxcrm.deals.models import CLOSED_KINDS, Pipeline, Stage, StageKind
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotFound
from web import words
from web.answers import redirect
from web.attempt_schedules import as_fields, schedule_typed, schedule_words, then_choices
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import choices, colleagues, show
from web.parts import now, parts, viewer
from web.two_tabs import check_unchanged, drawn

PATH = "/settings/lines"
UNSORTED = N_("Unsorted")
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
Pipelines = Sequence[tuple[Pipeline, list[Stage]]]


async def lines(request: Request) -> Response:
    """``GET /settings/lines``: all lines in order, each with its rules in words."""
    async with parts(request).db.read() as session:
        found = await list_lines(session)
        pipelines = await list_pipelines(session)
        people = await load_directory(session)
    rows = [(line, preview_of(line, pipelines, people.name(line.owner_id))) for line in found]
    return show(request, "lines/list.html", rows=rows)


async def new(request: Request) -> Response:
    """``GET /settings/lines/new``: an empty form."""
    form = filled({"makes_deals": True, "makes_callbacks": True, "anonymous_makes_deals": True, "short_seconds": 0})
    return await _form_page(request, form, None)


async def line(request: Request) -> Response:
    """``GET /settings/lines/{id}``: the form of a line."""
    async with parts(request).db.read() as session:
        found = await get_line(session, request.path_params["line_id"])
    if found is None:
        raise NotFound("lines.not_found", "There is no such line any more.")
    return await _form_page(request, _form_of(found), found.id)


def _form_of(found: Line) -> Form:
    values = {name: getattr(found, name) for name in LineRules.__dataclass_fields__ if hasattr(found, name)}
    values |= as_fields(found.attempt_schedule)
    for glob in ("pbx", "trunk", "did", "queue"):
        values[glob] = "" if values[glob] == "*" else values[glob]
    return drawn(values)


async def save(request: Request) -> Response:
    """``POST /settings/lines/new`` and ``/settings/lines/{id}``: save a line."""
    form, line_id = await read_form(request), request.path_params.get("line_id")
    try:
        async with parts(request).db.write() as session:
            found = await get_line(session, line_id) if line_id is not None else None
            if found is not None:
                check_unchanged(form, _form_of(found))
            await save_line(session, viewer(request), line_id, _rules(form), now(request))
    except Invalid as error:
        form.refuse(error)
        return await _form_page(request, form, line_id, UNPROCESSABLE)
    return redirect(request, PATH, done="saved")


async def preview(request: Request) -> Response:
    """``POST /settings/lines/preview``: the effect of the typed rules, in words."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        pipelines = await list_pipelines(session)
        people = await load_directory(session)
    return show(request, "lines/_preview.html", sentences=_preview_of_form(form, pipelines, people.name))


async def move(request: Request) -> Response:
    """``POST /settings/lines/{id}/move`` with ``up`` or ``down``."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        await move_line(
            session, viewer(request), request.path_params["line_id"], up=form["to"] == "up", now=now(request)
        )
    return redirect(request, PATH)


async def delete(request: Request) -> Response:
    """``POST /settings/lines/{id}/delete``; its calls stay, without a line."""
    async with parts(request).db.write() as session:
        await delete_line(session, viewer(request), request.path_params["line_id"], now(request))
    return redirect(request, PATH, done="deleted")


def preview_of(found: Line, pipelines: Pipelines, owner: str) -> list[str]:
    """The effect of a line on a call, as sentences."""
    own = AttemptSchedule.load(found.attempt_schedule)
    goal = next((s for _p, stages in pipelines for s in stages if own is not None and s.id == own.stage_id), None)
    said = words.line_preview(found, stage_name=_stage_name(found, pipelines), owner_name=owner)
    return [*said, *schedule_words(own, _(goal.name) if goal is not None else "—")]


def _preview_of_form(form: Form, pipelines: Pipelines, name_of: Callable[[int | None], str]) -> list[str]:
    try:
        rules = _rules(form)
    except Invalid as error:
        return [_(error.message).format(**error.params)]
    typed = Line(**{name: getattr(rules, name) for name in LineRules.__dataclass_fields__ if name in Line.model_fields})
    own = schedule_typed(form)
    typed.attempt_schedule = own.stored() if own is not None else {}
    return preview_of(typed, pipelines, name_of(typed.owner_id))


def _stage_name(found: Line, pipelines: Pipelines) -> str:
    """The stage of deals from answered calls: the chosen one, else Unsorted of the chosen or default pipeline."""
    stages = [stage for _pipeline, own in pipelines for stage in own]
    chosen = next((stage for stage in stages if stage.id == found.stage_id), None)
    if chosen is not None:
        return _(chosen.name)
    wanted = found.pipeline_id or next((p.id for p, _own in pipelines if p.is_default), None)
    unsorted = next((s for s in stages if s.pipeline_id == wanted and s.kind == StageKind.UNSORTED), None)
    return _(unsorted.name) if unsorted is not None else _(UNSORTED)


def _rules(form: Form) -> LineRules:
    """The rules that were typed. Raises Invalid for a malformed number."""
    own = schedule_typed(form)
    return LineRules(
        name=form["name"],
        pbx=form["pbx"] or "*",
        trunk=form["trunk"] or "*",
        did=form["did"] or "*",
        queue=form["queue"] or "*",
        region=form["region"],
        makes_deals=form.ticked("makes_deals"),
        makes_callbacks=form.ticked("makes_callbacks"),
        anonymous_makes_deals=form.ticked("anonymous_makes_deals"),
        pipeline_id=form.id("pipeline_id"),
        stage_id=form.id("stage_id"),
        source=form["source"],
        owner_id=form.id("owner_id"),
        short_seconds=form.number("short_seconds") or 0,
        attempt_minutes=own.minutes if own is not None else (),
        attempts_then=(own.then if own is not None else AfterLast.MORNINGS).value,
        attempts_stage_id=own.stage_id if own is not None else None,
    )


async def _form_page(request: Request, form: Form, line_id: int | None, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        pipelines = await list_pipelines(session)
        people = await colleagues(session, viewer(request))
        directory = await load_directory(session)
        unwatched = (await load_watching(session)).unwatched(stage for _each, own in pipelines for stage in own)
    stages = words.stage_choices(pipelines, set(StageKind) - set(CLOSED_KINDS))
    goals = words.stage_choices(pipelines, set(StageKind), unwatched)
    return show(
        request,
        "lines/line.html",
        fragment="lines/_form.html",
        status=status,
        form=form,
        line_id=line_id,
        stages=[("", _(UNSORTED)), *stages],
        thens=then_choices(),
        goals=[("", "—"), *goals],
        people=choices(people, _("nobody")),
        pbxs=[("", _("any")), *((pbx.name, pbx.name) for pbx in parts(request).settings.pbxs)],
        sentences=_preview_of_form(form, pipelines, directory.name),
    )
