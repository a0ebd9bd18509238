"""Checkpoints in the settings, for a stage or a whole pipeline: trigger, steps, and a preview of their effect."""

from dataclasses import dataclass, replace
from datetime import timedelta
from http import HTTPStatus
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.checkpoints.actions import (
    access_checkpoint,
    change_checkpoint,
    create_checkpoint,
    delete_checkpoint,
    watch_pipeline,
)
from pbxcrm.checkpoints.deal_facts import DATES
from pbxcrm.checkpoints.drafts import MOST_ITEMS, MOST_STEPS
from pbxcrm.checkpoints.lighting import LATE, MOST_LATE
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, TriggerKind
from pbxcrm.checkpoints.preview_jobs import Look, access_trial, look_at_change, try_change
from pbxcrm.checkpoints.queries import steps_of
from pbxcrm.checkpoints.whom_queries import faults_of_steps
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.whom import takes_callbacks, works_for_others
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from web import checkpoint_form as forms
from web import whom_words
from web.answers import redirect
from web.forms import Form, as_stored, read_form
from web.i18n import gettext as _
from web.norms import unit_choices
from web.pages.common import show, version_of
from web.parts import now, parts, viewer


@dataclass(frozen=True, slots=True)
class CheckpointPlace:
    """The stage or pipeline of a checkpoint, and the addresses of its form and of the page it belongs to."""

    pipeline: Pipeline | None
    stage: Stage | None
    address: str
    checkpoint: Checkpoint | None = None
    steps: tuple[CheckpointStep, ...] = ()

    @property
    def back(self) -> str:
        """The address of the page that the checkpoint belongs to."""
        if self.stage is not None:
            return f"/settings/stages/{self.stage.id}"
        if self.is_of_callbacks:
            return "/settings/callbacks"
        return f"/settings/pipelines/{self.pipeline.id}" if self.pipeline is not None else "/settings/pipelines"

    @property
    def is_of_callbacks(self) -> bool:
        """Whether it is the one checkpoint of callbacks, of which only the name and the steps can be changed."""
        return self.checkpoint is not None and self.checkpoint.trigger == TriggerKind.CALLBACK

    @property
    def row_id(self) -> int | None:
        """The checkpoint's id; None for a new one."""
        return self.checkpoint.id if self.checkpoint is not None else None


async def form(request: Request) -> Response:
    """``GET``: the form of a new checkpoint of a stage or pipeline, or of an existing one."""
    async with parts(request).db.read() as session:
        place, people = await _place(session, request), await load_directory(session)
        stored = [(place.checkpoint, place.steps)] if place.checkpoint is not None else []
        faults = await faults_of_steps(session, people, stored)
    if place.checkpoint is not None:
        filled = forms.form_of(place.checkpoint, place.steps)
        forms.say_faults(filled, place.steps, faults)
    elif place.stage is not None:
        filled = forms.new_form(_(place.stage.name), TriggerKind.STAGE.value)
    else:
        filled = forms.new_form("", TriggerKind.SILENCE.value)
    return _page(request, filled, place, people)


async def save(request: Request) -> Response:
    """``POST``: add, remove or move a step, preview the effect, or save everything."""
    typed = await read_form(request)
    async with parts(request).db.read() as session:
        place, people = await _place(session, request), await load_directory(session)
    if place.checkpoint is not None and place.is_of_callbacks:  # its form asks for the name and the steps only
        typed.lists["work"] = list(place.checkpoint.work)
        typed.values["talked_seconds"] = str(place.checkpoint.talked_seconds)
    act = typed["act"]
    if act and act != "try":
        focus = forms.alter_steps(typed, act)
        return _page(request, typed, place, people, focus=focus)
    try:
        change = forms.change_of(
            typed,
            pipeline_id=place.pipeline.id if place.pipeline else None,
            stage_id=place.stage.id if place.stage else None,
        )
        if place.checkpoint is not None:
            change = replace(change, name=as_stored(typed["name"], place.checkpoint.name))
        async with parts(request).db.write() as session:
            if act == "try":
                job = await try_change(session, viewer(request), change, place.row_id, now=now(request))
                return show(request, "checkpoints/_trial.html", job=job)
            if not typed["begin"]:
                look = await look_at_change(session, viewer(request), change, place.row_id, now=now(request))
                if look.would_light != 0:
                    typed.errors["begin"] = _("Choose what happens to them, then save.")
                    return _page(request, typed, place, people, HTTPStatus.UNPROCESSABLE_ENTITY, look=look)
            if place.checkpoint is None:
                _made, work = await create_checkpoint(session, viewer(request), change, now=now(request))
            else:
                _made, work = await change_checkpoint(
                    session,
                    viewer(request),
                    place.checkpoint.id or 0,
                    change,
                    now=now(request),
                    version=version_of(typed),
                )
    except Invalid as error:
        forms.refuse(typed, error)
        return _page(request, typed, place, people, HTTPStatus.UNPROCESSABLE_ENTITY)
    except Conflict as error:
        if place.checkpoint is None or error.code != "checkpoints.stale":
            raise
        typed.errors[""] = _(
            "Somebody changed this checkpoint meanwhile. What you typed stands below and is not saved: look at theirs, then save yours over it or leave."
        )
        typed.values["version"] = str(place.checkpoint.version)
        return _page(request, typed, place, people, HTTPStatus.CONFLICT)
    return redirect(request, f"{place.back}?job={work.id}", done="saved")


async def remove(request: Request) -> Response:
    """``POST …/remove``: its burning lamps go out; the history keeps the lamps that lit."""
    async with parts(request).db.write() as session:
        place = await _place(session, request)
        work = await delete_checkpoint(session, viewer(request), place.row_id or 0, now=now(request))
    return redirect(request, f"{place.back}?job={work.id}", done="deleted")


async def watch(request: Request) -> Response:
    """``POST /settings/pipelines/2/watch``: put the default checkpoint on each key stage that has a norm and none yet."""
    form = await read_form(request)
    pipeline_id: int = request.path_params["pipeline_id"]
    async with parts(request).db.write() as session:
        _count, work = await watch_pipeline(
            session, viewer(request), pipeline_id, begin_now=form["begin"] != "facts", now=now(request)
        )
    return redirect(request, f"/settings/pipelines/{pipeline_id}?job={work.id}", done="saved")


async def trial(request: Request) -> Response:
    """``GET /settings/trials/12``: the progress of a trial, or its result."""
    async with parts(request).db.read() as session:
        job = await access_trial(session, viewer(request), request.path_params["job_id"])
    return show(request, "checkpoints/_trial.html", job=job)


async def _place(session: AsyncSession, request: Request) -> CheckpointPlace:
    """The place that the address names. Raises NotFound if it does not exist any more."""
    funnel, path = await load_funnel(session), request.path_params
    if "checkpoint_id" in path:
        row = await access_checkpoint(session, path["checkpoint_id"])
        steps = (await steps_of(session, [row.id])).get(row.id, [])
        pipeline, stage = funnel.pipelines.get(row.pipeline_id), funnel.stages.get(row.stage_id)
        return CheckpointPlace(pipeline, stage, f"/settings/checkpoints/{row.id}", row, tuple(steps))
    if "stage_id" in path:
        stage = funnel.stages.get(path["stage_id"])
        if stage is None or stage.archived_at is not None:
            raise NotFound("stages.not_found", "There is no such stage.")
        address = f"/settings/stages/{stage.id}/checkpoints/new"
        return CheckpointPlace(funnel.pipelines.get(stage.pipeline_id), stage, address)
    pipeline = funnel.pipelines.get(path["pipeline_id"])
    if pipeline is None or pipeline.archived_at is not None:
        raise NotFound("pipelines.not_found", "There is no such pipeline.")
    return CheckpointPlace(pipeline, None, f"/settings/pipelines/{pipeline.id}/checkpoints/new")


def _page(
    request: Request,
    form: Form,
    place: CheckpointPlace,
    people: Directory,
    status: int = 200,
    *,
    look: Look | None = None,
    focus: int | None = None,
) -> HTMLResponse:
    # The request came from the form (another step, an error): htmx replaces only the form, whatever target the button had.
    headers: dict[str, Any] = {}
    if request.method == "POST" and form["act"] == "try":
        headers = {"HX-Retarget": "#checkpoint-form", "HX-Reswap": "outerHTML"}
    if place.is_of_callbacks:
        form.values["trigger"] = TriggerKind.CALLBACK.value
    triggers = {
        name: word for name, word in forms.TRIGGERS.items() if place.stage is not None or name != TriggerKind.STAGE
    }
    response = show(
        request,
        "checkpoints/one.html",
        fragment="checkpoints/_form.html",
        status=status,
        form=form,
        place=place,
        rows=forms.rows_of(form),
        triggers=triggers,
        work=forms.WORK,
        dates=[(name, _(word)) for name, word in DATES.items()],
        sides=[("after", _("after the date")), ("before", _("before the date"))],
        fields=forms.field_choices(),
        most_late=MOST_LATE,
        late_minutes=LATE // timedelta(minutes=1),
        units=unit_choices(),
        whom=whom_words.choices(
            people, forms.whom_of(form), can_do=works_for_others if not place.is_of_callbacks else takes_callbacks
        ),
        what=[(name, _(word)) for name, word in forms.WHAT.items()],
        most_steps=MOST_STEPS,
        most_items=MOST_ITEMS,
        look=look,
        focus=focus,
    )
    response.headers.update(headers)
    return response
