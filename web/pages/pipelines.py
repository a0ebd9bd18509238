"""Pipelines and their stages: made from templates, reordered, split, removed with a move of their deals."""

from dataclasses import dataclass
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access.jobs import get_job
from pbxcrm.automation.mass_changes import rules_hearing_amounts, rules_hearing_moves
from pbxcrm.checkpoints.actions import begin_anew
from pbxcrm.checkpoints.context import load_watching
from pbxcrm.checkpoints.default_checkpoints import key_stages
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep
from pbxcrm.checkpoints.preview_jobs import Look, look_at_norm, try_norm
from pbxcrm.checkpoints.queries import MOST_ARMED, lamps_in_stage, list_checkpoints
from pbxcrm.checkpoints.whom_queries import WhomFault, faults_of_steps
from pbxcrm.deals import pipeline_actions as actions
from pbxcrm.deals.field_queries import REQUIRABLE
from pbxcrm.deals.fields import name_of_field
from pbxcrm.deals.funnel_templates import TEMPLATES
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.models import Pipeline, Stage, StageKind
from pbxcrm.deals.pipeline_drafts import PipelineChange, StageChange
from pbxcrm.deals.pipeline_rules import Requirements, check_norm
from pbxcrm.deals.queries import MOST_COUNTED, archived_stages_of, deals_in_stages, list_pipelines, load_funnel
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from web import words
from web.answers import redirect
from web.attempt_schedules import as_fields, schedule_typed, then_choices
from web.checkpoint_words import sayer
from web.forms import Form, as_stored, filled, read_form
from web.i18n import gettext as _
from web.norms import as_typed, minutes_typed, unit_choices
from web.pages.common import show
from web.parts import now, parts, viewer
from web.pipeline_words import CARRIED, COLOURS, KINDS
from web.two_tabs import keep_typed
from web.untrusted import whole_number

PATH = "/settings/pipelines"


@dataclass(frozen=True, slots=True)
class PipelineView:
    """A pipeline with its stages and the number of deals in each."""

    pipeline: Pipeline
    stages: list[Stage]
    deals: dict[int, int]
    checkpoints: list[tuple[Checkpoint, list[CheckpointStep]]]
    faults: dict[int | None, WhomFault]  # of steps that ask somebody who cannot do it, by step id
    unwatched: int  # number of key stages with a norm but without a checkpoint
    people: Directory
    removed: list[Stage]  # the archived ones
    forgotten: frozenset[int]  # ids of stages in which no checkpoint watches open deals
    custom: dict[str, str]  # names of custom fields by key
    job: BackgroundJob | None = None

    @property
    def most_counted(self) -> int:
        """More deals of a stage are not counted."""
        return MOST_COUNTED

    def watching(self, stage_id: int | None) -> list[tuple[Checkpoint, list[CheckpointStep]]]:
        """The checkpoints of a stage; for None those of the whole pipeline."""
        return [each for each in self.checkpoints if each[0].stage_id == stage_id]

    @property
    def watched(self) -> frozenset[int | None]:
        """The ids of stages whose norm lights a lamp."""
        return frozenset(row.stage_id for row, _steps in self.checkpoints if row.is_active)


async def listed(request: Request) -> Response:
    """``GET /settings/pipelines``: all pipelines with their stages."""
    async with parts(request).db.read() as session:
        rows = await list_pipelines(session)
    names = {pipeline.id: pipeline.name for pipeline, _stages in rows}
    return show(request, "pipelines/list.html", rows=rows, names=names)


async def new(request: Request) -> Response:
    """``GET /settings/pipelines/new``: the form of a new pipeline."""
    return _new_page(request, filled({"template": "b2b"}))


async def create(request: Request) -> Response:
    """``POST /settings/pipelines/new``: create one from a template; an empty name becomes that of the template."""
    form = await read_form(request)
    template = form["template"]
    name = form["name"] or (_(TEMPLATES[template].name) if template in TEMPLATES else "")
    try:
        async with parts(request).db.write() as session:
            made = await actions.create_pipeline(
                session, viewer(request), PipelineChange(name=name), template=template, now=now(request)
            )
    except Invalid as error:
        form.refuse(error)
        return _new_page(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"{PATH}/{made.id}", done="added")


async def one(request: Request) -> Response:
    """``GET /settings/pipelines/2``: its settings and its stages in order."""
    async with parts(request).db.read() as session:
        shown = await _shown(session, request.path_params["pipeline_id"], request)
        others = await list_pipelines(session)
        hear = await rules_hearing_amounts(session, shown.pipeline, now(request))
    pipeline = shown.pipeline
    form = filled(
        {
            "name": _(pipeline.name),
            "next_pipeline_id": pipeline.next_pipeline_id,
            "carries": pipeline.carries,
            "asks_why_lost": pipeline.asks_why_lost,
            "is_default": pipeline.is_default,
            "longest_plan_days": pipeline.longest_plan_days,
            "amount_by_lines": pipeline.amount_by_lines,
            "version": pipeline.version,
            **as_fields(pipeline.attempt_schedule),
        }
    )
    return _pipeline_page(request, form, shown, others, hear)


async def save(request: Request) -> Response:
    """``POST /settings/pipelines/{id}``: save its settings."""
    form = await read_form(request)
    pipeline_id: int = request.path_params["pipeline_id"]
    async with parts(request).db.read() as session:
        shown = await _shown(session, pipeline_id)
        others = await list_pipelines(session)
        hear = await rules_hearing_amounts(session, shown.pipeline, now(request))
    try:
        _check_answered(form, hear)
        upcoming, attempts = form.number("next_pipeline_id"), schedule_typed(form)
        given = {"next_pipeline_id": upcoming, "attempts": attempts}
        change = PipelineChange(
            name=as_stored(form["name"], shown.pipeline.name),
            next_pipeline_id=upcoming,
            carries=form.all("carries"),
            asks_why_lost=form.ticked("asks_why_lost"),
            is_default=form.ticked("is_default"),
            attempts=attempts,
            longest_plan_days=form.number("longest_plan_days"),
            amount_by_lines=form.ticked("amount_by_lines"),
            unheard=form["heard"] == "0",
            unset=frozenset(name for name, value in given.items() if not value),
        )
        async with parts(request).db.write() as session:
            seen, at = form.number("version"), now(request)
            await actions.change_pipeline(session, viewer(request), pipeline_id, change, now=at, version=seen)
    except Invalid as error:
        form.refuse(error)
        return _pipeline_page(request, form, shown, others, hear, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        status = keep_typed(form, error, shown.pipeline.version)
        return _pipeline_page(request, form, shown, others, hear, status)
    return redirect(request, f"{PATH}/{pipeline_id}", done="saved")


def _check_answered(form: Form, hear: int) -> None:
    if hear and form.ticked("amount_by_lines") and not form["heard"]:
        raise Invalid("heard", "pipelines.heard", "Say whether rules shall hear that amounts change.")


async def archive(request: Request) -> Response:
    """``POST /settings/pipelines/{id}/archive``. Refused while deals are in it."""
    async with parts(request).db.write() as session:
        await actions.archive_pipeline(session, viewer(request), request.path_params["pipeline_id"], now=now(request))
    return redirect(request, PATH, done="deleted")


async def new_stage(request: Request) -> Response:
    """``GET /settings/pipelines/{id}/stages/new``: the form of a new stage."""
    async with parts(request).db.read() as session:
        shown = await _shown(session, request.path_params["pipeline_id"])
    return _stage_page(request, filled({"kind": StageKind.OPEN.value, "norm_unit": "h", "probability": 0}), shown, None)


async def create_stage(request: Request) -> Response:
    """``POST /settings/pipelines/{id}/stages/new``: add a stage."""
    form = await read_form(request)
    pipeline_id: int = request.path_params["pipeline_id"]
    try:
        change = _change(form)
        async with parts(request).db.write() as session:
            await actions.create_stage(session, viewer(request), pipeline_id, change, now=now(request))
    except Invalid as error:
        _refuse(form, error)
        async with parts(request).db.read() as session:
            shown = await _shown(session, pipeline_id)
        return _stage_page(request, form, shown, None, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"{PATH}/{pipeline_id}", done="added")


async def stage(request: Request) -> Response:
    """``GET /settings/stages/7``: the form of a stage with its checkpoints and tasks."""
    async with parts(request).db.read() as session:
        found, shown = await _stage(session, request)
    requires = Requirements.load(found.requires)
    amount, unit = as_typed(found.norm_minutes)
    form = filled(
        {
            "name": _(found.name),
            "kind": found.kind,
            "norm": amount,
            "norm_unit": unit,
            "probability": found.probability,
            "instruction": found.instruction,
            "colour": found.colour,
            "waits_for_client": found.waits_for_client,
            "extra_control": found.extra_control,
            "fields": list(requires.fields),
            "files": requires.files or "",
            "next_task": requires.next_task,
            "lost_reason": requires.lost_reason,
            "version": found.version,
        }
    )
    return _stage_page(request, form, shown, found)


async def save_stage(request: Request) -> Response:
    """``POST /settings/stages/{id}``: save a stage."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        found, shown = await _stage(session, request, also_removed=True)
    if found.archived_at is not None:
        form.errors[""] = _(
            "Somebody has removed this stage meanwhile. What you typed stands below and is not saved: bring the stage back on the page of its pipeline, then save."
        )
        return _stage_page(request, form, shown, found, HTTPStatus.CONFLICT)
    try:
        change, version, who = _change(form, found.name), form.number("version"), viewer(request)
        async with parts(request).db.write() as session:
            if form["act"] == "try":
                job = await try_norm(session, who, found.id or 0, _norm_to_try(change), now=now(request))
                return show(request, "checkpoints/_trial.html", job=job)
            if change.norm_minutes not in {None, found.norm_minutes} and not form["begin"]:
                look = await look_at_norm(session, who, found.id or 0, change.norm_minutes or 0, now=now(request))
                if look.would_light != 0:
                    form.errors["begin"] = _("Choose what happens to them, then save.")
                    return _stage_page(request, form, shown, found, HTTPStatus.UNPROCESSABLE_ENTITY, look)
            if form["begin"] == "now":
                await begin_anew(session, who, found.id or 0, now=now(request))
            await actions.change_stage(session, who, found.id or 0, change, now=now(request), version=version)
    except Invalid as error:
        _refuse(form, error)
        return _stage_page(request, form, shown, found, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        return _stage_page(request, form, shown, found, keep_typed(form, error, found.version))
    return redirect(request, f"{PATH}/{found.pipeline_id}", done="saved")


def _norm_to_try(change: StageChange) -> int:
    if change.norm_minutes is None:
        raise Invalid("norm", "stages.norm_to_try", "Write the norm that is to be tried.")
    return check_norm(change.norm_minutes) or change.norm_minutes


async def move_stage(request: Request) -> Response:
    """``POST …/position``: move the stage to the position it was dragged to, or one up or down by a button."""
    form = await read_form(request)
    stage_id: int = request.path_params["stage_id"]
    async with parts(request).db.write() as session:
        position, found = form.number("position"), (await load_funnel(session)).stages.get(stage_id)
        before = found.position if found is not None else 0
        moved = await actions.change_stage(
            session, viewer(request), stage_id, StageChange(position=max(0, position or 0)), now=now(request)
        )
        await session.flush()
        is_down = moved.position > before
        shown = await _shown(session, moved.pipeline_id)
    return show(request, "pipelines/_stages.html", shown=shown, kinds=KINDS, focus=stage_id, is_down=is_down)


async def ask_split(request: Request) -> Response:
    """``GET /settings/stages/{id}/split``: the form that splits a stage."""
    async with parts(request).db.read() as session:
        found, shown = await _stage(session, request)
    return show(request, "pipelines/split.html", form=filled({}), stage=found, shown=shown)


async def split(request: Request) -> Response:
    """``POST /settings/stages/{id}/split``: add a stage after this one, with the same rules."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        found, shown = await _stage(session, request)
    try:
        async with parts(request).db.write() as session:
            await actions.split_stage(session, viewer(request), found.id or 0, form["name"], now=now(request))
    except Invalid as error:
        form.refuse(error)
        return show(
            request, "pipelines/split.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, form=form, stage=found, shown=shown
        )
    return redirect(request, f"{PATH}/{found.pipeline_id}", done="added")


async def ask_remove(request: Request) -> Response:
    """``GET …/remove``: the form that removes a stage: how many deals move where, how many lamps go out."""
    async with parts(request).db.read() as session:
        found, shown = await _stage(session, request)
        lamps = await lamps_in_stage(session, found.id or 0)
        hear = await rules_hearing_moves(session, found, shown.stages, now(request))
    return _remove_page(request, filled({}), found, shown, lamps, hear)


async def remove(request: Request) -> Response:
    """``POST /settings/stages/{id}/remove``: move its deals and archive it; an error says what a deal lacks for the new stage."""
    form = await read_form(request)
    async with parts(request).db.read() as session:
        found, shown = await _stage(session, request)
        lamps = await lamps_in_stage(session, found.id or 0)
        hear = await rules_hearing_moves(session, found, shown.stages, now(request))
    try:
        move_to = form.number("move_to")
        async with parts(request).db.write() as session:
            await actions.archive_stage(
                session, viewer(request), found.id or 0, move_to, now=now(request), unheard=form["heard"] == "0"
            )
    except GateRefused as refused:
        form.errors["move_to"] = " ".join(_(each.message).format(key=each.key) for each in refused.missing)
        return _remove_page(request, form, found, shown, lamps, hear, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Invalid as error:
        form.refuse(error)
        return _remove_page(request, form, found, shown, lamps, hear, HTTPStatus.UNPROCESSABLE_ENTITY)
    return redirect(request, f"{PATH}/{found.pipeline_id}", done="stage_removed")


async def restore(request: Request) -> Response:
    """``POST /settings/stages/{id}/restore``: take an archived stage back into its pipeline."""
    async with parts(request).db.write() as session:
        found = await actions.restore_stage(session, viewer(request), request.path_params["stage_id"], now=now(request))
        pipeline_id = found.pipeline_id
    return redirect(request, f"{PATH}/{pipeline_id}", done="stage_restored")


async def _shown(session: AsyncSession, of: int, request: Request | None = None, only: int = 0) -> PipelineView:
    found = next((each for each in await list_pipelines(session) if each[0].id == of), None)
    if found is None:
        raise NotFound("pipelines.not_found", "There is no such pipeline.")
    rows = await list_checkpoints(session, pipeline_id=of)
    unwatched = len(await key_stages(session, of))
    people = await load_directory(session)
    asked = whole_number(request.query_params.get("job", ""), LARGEST_ID) if request is not None else None
    job = await get_job(session, viewer(request), asked) if request is not None and asked else None
    custom = {key: each.name for key, each in (await load_fields(session)).by_key(FieldEntity.DEAL, typed=True).items()}
    removed = await archived_stages_of(session, of)
    deals, faults = await deals_in_stages(session, of, only), await faults_of_steps(session, people, rows)
    forgotten = (await load_watching(session)).unwatched(found[1])
    return PipelineView(*found, deals, rows, faults, unwatched, people, removed, forgotten, custom, job)


async def _stage(session: AsyncSession, request: Request, *, also_removed: bool = False) -> tuple[Stage, PipelineView]:
    found = (await load_funnel(session)).stages.get(request.path_params["stage_id"])
    if found is None or (found.archived_at is not None and not also_removed):
        raise NotFound("stages.not_found", "There is no such stage.")
    return found, await _shown(session, found.pipeline_id, request, found.id or 0)


def _change(form: Form, stored_name: str = "") -> StageChange:
    norm, unset = _norm(form), set()
    if norm is None:
        unset.add("norm_minutes")
    return StageChange(
        name=as_stored(form["name"], stored_name),
        kind=form["kind"],
        norm_minutes=norm,
        probability=form.number("probability") or 0,
        instruction=form["instruction"],
        colour=form["colour"],
        waits_for_client=form.ticked("waits_for_client"),
        extra_control=form.ticked("extra_control"),
        requires=Requirements(
            tuple(form.all("fields")),
            form.number("files") or 0,
            form.ticked("lost_reason"),
            form.ticked("next_task"),
        ),
        unset=frozenset(unset),
    )


def _refuse(form: Form, error: Invalid) -> None:
    """Store the error of an action at its field, which the form names differently where it asks in another unit."""
    if error.field == "norm_minutes":
        error.field = "norm"
    form.refuse(error)


def _norm(form: Form) -> int | None:
    """Working minutes; None for no norm. Raises Invalid at ``norm``."""
    norm = minutes_typed("norm", form["norm"], form["norm_unit"])
    if norm is not None and norm < 1:
        raise Invalid("norm", "stages.norm_positive", "A norm is more than nothing; leave it empty for none.")
    return norm


def _new_page(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    return show(request, "pipelines/new.html", status=status, form=form, templates=TEMPLATES)


def _pipeline_page(
    request: Request,
    form: Form,
    shown: PipelineView,
    others: list[tuple[Pipeline, list[Stage]]],
    hear: int,
    status: int = 200,
) -> HTMLResponse:
    following = [("", _("nothing: a won deal ends here"))]
    following += [
        (
            str(each.id),
            _("this one again: {name}").format(name=_(each.name)) if each.id == shown.pipeline.id else _(each.name),
        )
        for each, _stages in others
    ]
    return show(
        request,
        "pipelines/one.html",
        status=status,
        form=form,
        shown=shown,
        following=following,
        listening=hear,
        thens=then_choices(),
        goals=[("", "—"), *_goals(shown)],
        say=sayer(shown.people, None, shown.faults),
        carried=CARRIED,
        kinds=KINDS,
        focus=None,
    )


def _goals(shown: PipelineView) -> list[tuple[str, str]]:
    return words.stage_choices([(shown.pipeline, shown.stages)], set(StageKind), shown.forgotten)


def _stage_page(
    request: Request, form: Form, shown: PipelineView, stage: Stage | None, status: int = 200, look: Look | None = None
) -> HTMLResponse:
    response = show(
        request,
        "pipelines/stage.html",
        fragment="pipelines/_stage_form.html",
        look=look,
        say=sayer(shown.people, stage.norm_minutes if stage else None, shown.faults),
        status=status,
        form=form,
        shown=shown,
        stage=stage,
        kinds=[(name, _(text)) for name, text in KINDS.items()],
        colours=[(name, _(text)) for name, text in COLOURS.items()],
        units=unit_choices(),
        fields={key: _(name_of_field(key)) for key in REQUIRABLE} | shown.custom,
    )
    if request.method == "POST" and form["act"] == "try":  # htmx aimed at the element of the preview
        response.headers.update({"HX-Retarget": "#stage-form", "HX-Reswap": "outerHTML"})
    return response


def _remove_page(
    request: Request,
    form: Form,
    stage: Stage,
    shown: PipelineView,
    lamps: tuple[int, int],
    hear: int,
    status: int = 200,
) -> HTMLResponse:
    return show(
        request,
        "pipelines/remove.html",
        status=status,
        form=form,
        stage=stage,
        shown=shown,
        count=shown.deals.get(stage.id or 0, 0),
        armed=lamps[0],
        MOST_ARMED=MOST_ARMED,
        listening=hear,
        burning=lamps[1],
        targets=[("", "—"), *(goal for goal in _goals(shown) if goal[0] != str(stage.id))],
    )
