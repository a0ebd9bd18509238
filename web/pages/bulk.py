"""One act on many deals of the board or the table: starting it, its progress, and its undo."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access.jobs import access_job
from pbxcrm.deals.board_queries import all_open, selected
from pbxcrm.deals.bulk_jobs import BULK, MOST, Act, BulkAct, Chosen, start_bulk, undo_bulk
from pbxcrm.deals.list_queries import all_matching
from pbxcrm.deals.queries import load_funnel, visible_among
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.background_jobs import BackgroundJob, can_undo
from pbxcrm.shared.errors import Invalid, NotFound
from web import words
from web.deal_filters import filter_of, matching
from web.due_dates import deadline_of
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer
from web.untrusted import rows_seen

SHOWN = 100  # deals that were refused, shown by name


async def start(request: Request) -> Response:
    """``POST /board/bulk``: ``bulk_act``, what it needs, ``heard`` (0: rules do not hear it), and ``chosen`` (``12:3,14:1``: deals with the versions that were seen), or ``all`` for
    all open deals that match the ``query`` of the board of ``pipeline_id``, or without one for all that match that of the list.
    """
    form = await read_form(request)
    async with parts(request).db.write() as session:
        asked = await _act(session, request, form)
        job = await start_bulk(session, viewer(request), asked, await _chosen(session, request, form), now(request))
    return await _shown(request, job.id or 0)


async def progress(request: Request) -> Response:
    """``GET /board/bulk/{job_id}``: how far the act is, and what was refused."""
    return await _shown(request, request.path_params["job_id"])


async def undo(request: Request) -> Response:
    """``POST /board/bulk/{job_id}/undo``: take the act back for every deal that nobody has changed since."""
    async with parts(request).db.write() as session:
        job = await _job(session, request, request.path_params["job_id"], lock=True)
        await undo_bulk(session, job, now(request))
    return await _shown(request, job.id or 0)


async def _act(session: AsyncSession, request: Request, form: Form) -> BulkAct:
    if form["bulk_act"] not in set(Act):
        raise Invalid("bulk_act", "deals.no_act", "Choose what is to be done with them.")
    act = Act(form["bulk_act"])
    due_at: datetime | None = await deadline_of(session, request, form["due_at"], None) if act is Act.TASK else None
    text = {Act.TAG: "tag", Act.TASK: "title"}.get(act, "lost_reason")
    is_unheard = form["heard"] == "0"  # without the question, rules hear it
    return BulkAct(act, form.id("stage_id"), form.id("responsible_id"), form[text], due_at, is_unheard)


async def _chosen(session: AsyncSession, request: Request, form: Form) -> list[Chosen]:
    if not form.ticked("all"):
        found = rows_seen(form["chosen"], MOST)
        if found is None:
            raise Invalid("chosen", "deals.none_chosen", "Choose at least one deal.")
        return list(found)
    if not form["pipeline_id"]:
        return list(await all_matching(session, await matching(session, request, form["query"]), limit=MOST + 1))
    pipeline_id = form.id("pipeline_id")
    funnel = await load_funnel(session)
    if pipeline_id not in funnel.pipelines:
        raise NotFound("deals.no_pipeline", "There is no such pipeline any more.")
    stages = funnel.stages_of(pipeline_id)
    asked = await filter_of(session, request, form["query"])
    selection = await selected(session, viewer(request), pipeline_id or 0, stages, asked)
    return list(await all_open(session, viewer(request), stages, selection, limit=MOST + 1))


async def _shown(request: Request, job_id: int) -> HTMLResponse:
    who = viewer(request)
    async with parts(request).db.read() as session:
        job = await _job(session, request, job_id)
        named = [*job.refused, *job.result.get("not_undone", ())][:SHOWN]
        ids = [each["id"] for each in named]
        deals = await visible_among(session, who, ids)
        people = await load_directory(session)
        asked = BulkAct.load(job.payload["act"])
        stage = (await load_funnel(session)).stages.get(asked.stage_id)
    return show(
        request,
        "deals/_bulk.html",
        job=job,
        act=asked,
        stage=stage,
        whom=people.name(asked.user_id),
        deals={deal.id: deal for deal in deals},
        refused=job.refused[:SHOWN],
        said={each["id"]: _said(each) for each in named},
        not_undone=job.result.get("not_undone", [])[:SHOWN],
        can_undo=can_undo(job),
    )


def _said(refusal: Mapping[str, Any]) -> str:
    """Why a deal was left as it was, in the reader's language."""
    if refusal["why"]:
        return " ".join(sentence for why in refusal["why"] for sentence in words.because(why))
    message: str = refusal["message"]
    return _(message).format(**refusal["params"])


async def _job(session: AsyncSession, request: Request, job_id: int, *, lock: bool = False) -> BackgroundJob:
    job = await access_job(session, viewer(request), job_id)
    if job.kind != BULK:
        raise NotFound("jobs.not_found", "There is no such work.")
    if lock:
        await session.refresh(job, with_for_update=True)
    return job
