"""Lamps, pauses of deals, and background jobs."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.access.jobs import access_job
from pbxcrm.checkpoints.models import Decision, Lamp, LampState, Pause, Subject
from pbxcrm.checkpoints.parked_actions import retry_lamp
from pbxcrm.checkpoints.pause_actions import approve_pause, end_pause, look_at_end, pause_deal
from pbxcrm.checkpoints.queries import LampFilter, access_lamp, page_of_lamps
from pbxcrm.deals.actions import access_deal_for_change
from pbxcrm.people.queries import logins_of
from pbxcrm.reports.lamp_rows import LampRow, load_lamp_rows
from pbxcrm.shared import reasons
from pbxcrm.shared.background_jobs import BackgroundJob, JobState, begin_undo, can_undo
from pbxcrm.shared.errors import Conflict
from web.api import checked_cursors
from web.api.english import in_english
from web.api.fields import ApiAnswer, ApiRequest, IdText, ListQuery, Moment, When, Why, Word
from web.api.resource import Ask, Page, Resource
from web.formats import NBSP
from web.i18n import Here, Language, speaking
from web.lamp_words import explained

lamps = Resource(
    "lamps", "Lamps that are armed, burn, or are out: one per step of a checkpoint for a deal or callback."
)
jobs = Resource("jobs", "Background jobs, with their progress.")


class LampOut(ApiAnswer):
    """A clock that runs for a deal or callback: armed, burning or out."""

    id: int
    checkpoint_id: int
    step: int = Field(description="Counted from 0.")
    subject: Subject
    deal_id: int | None
    callback_id: int | None
    contact_id: int | None
    client_number: str | None
    owner: str | None = Field(description="The login of whose work is watched.")
    addressee: str | None = Field(description="The login of the person who was asked; null while the lamp is armed.")
    state: LampState
    entered_at: Moment = Field(description="When the clock started.")
    minutes: int = Field(description="Working minutes from `entered_at` until it lights.")
    due_at: Moment
    lit_at: Moment | None
    out_at: Moment | None
    out_by: str | None = Field(description="The login of the person whose work put it out.")
    out_reason: str
    task_id: int | None
    reason: str = Field(
        description="Why it burns, in English, with the working time that was counted, in UTC; or when an armed one will light."
    )
    waiting_since: Moment = Field(
        description="Since when the client has waited, including the time before the first step."
    )
    is_escalation: bool = Field(description="Whether it asks a manager; it is then also an escalation.")
    look_again_at: Moment | None = Field(
        description="A manager accepted the delay: it is watched again from then. If this is later than `out_at`, the next lamp lights then."
    )
    decision: Decision = Field(
        description="`accepted`: the manager lets it be; `reassigned`: gave it to somebody else."
    )
    note: str = Field(description="What the manager said.")
    parked: bool = Field(description="It could not be lit and waits for an administrator.")
    error: str = Field(description="Why it could not be lit, in English; empty unless it is parked.")
    version: int


class LampQuery(ListQuery):
    """Which lamps; all conditions must hold."""

    state: Literal["armed", "burning", "out"] | None = None
    deal_id: IdText | None = None
    callback_id: IdText | None = None
    checkpoint_id: IdText | None = None
    owner: Word | None = Field(None, description="A login.")
    addressee: Word | None = Field(None, description="A login.")
    parked: Literal["true", "false"] | None = Field(
        None, description="Only those that could not be lit, or only the others."
    )


class PauseBody(ApiRequest):
    """Until when a deal is not watched, and why."""

    until: When
    reason: Why


class PauseOut(ApiAnswer):
    """A pause of a deal, approved or not yet."""

    deal_id: int
    since: Moment
    until: Moment
    reason: str
    by: str | None
    approved_by: str | None
    waits_for_approval: bool = Field(description="Longer than two weeks: it takes effect when a manager approves it.")


class PausePreviewBody(ApiRequest):
    """A pause to look at."""

    until: When | None = None


class PausePreviewOut(ApiAnswer):
    """When the next lamp of a deal lights; null: none waits."""

    lights_at_now: Moment | None = Field(description="As it is.")
    lights_at_then: Moment | None = Field(description="With the pause.")


class EndQuery(ApiRequest):
    """How the clocks go on."""

    begin_now: Literal["true", "false"] = Field(
        "false", description="`true`: a lamp that would light at once is counted from now."
    )


class Refused(ApiAnswer):
    """A deal that the job left unchanged, and why."""

    id: int | None
    missing: list[dict[str, Any]]


class JobOut(ApiAnswer):
    """How far a background job is."""

    id: int
    kind: str
    state: JobState
    done: int
    total: int
    refused: list[Refused]
    result: dict[str, Any]
    error: str
    created_at: Moment
    finished_at: Moment | None


@lamps.get("/lamps", needs=Permission.DEALS_READ, summary="Lamps, newest first")
async def read_lamps(ask: Ask, query: LampQuery) -> Page[LampOut]:
    asked = LampFilter(
        state=query.state or "",
        deal_id=query.deal_id,
        callback_id=query.callback_id,
        checkpoint_id=query.checkpoint_id,
        owner=query.owner or "",
        addressee=query.addressee or "",
        parked=query.parked == "true" if query.parked is not None else None,
    )
    before = checked_cursors.read_id(query.cursor)
    rows = await page_of_lamps(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    return Page[LampOut].of(await lamps_out(ask, rows), query.limit, lambda lamp: checked_cursors.next_of_id(lamp.id))


@lamps.get("/lamps/{lamp_id}", needs=Permission.DEALS_READ, summary="One lamp")
async def read_lamp(ask: Ask, lamp_id: int) -> LampOut:
    return (await lamps_out(ask, [await access_lamp(ask.session, ask.viewer, lamp_id)]))[0]


@lamps.post(
    "/lamps/{lamp_id}/retry",
    needs=Permission.SETTINGS_EDIT,
    summary="Try a lamp again that could not be lit",
    status=200,
    conflicts=True,
)
async def post_retry(ask: Ask, lamp_id: int) -> LampOut:
    """It lights within a second, or is parked again. 409 for a lamp that is not parked."""
    return (await lamps_out(ask, [await retry_lamp(ask.session, ask.viewer, lamp_id, now=ask.now)]))[0]


@lamps.post("/deals/{deal_id}/pause", needs=Permission.DEALS_EDIT, summary="Pause a deal", status=200, conflicts=True)
async def post_pause(ask: Ask, deal_id: int, body: PauseBody) -> PauseOut:
    """Working time does not count during the pause."""
    return await _pause(ask, await pause_deal(ask.session, ask.viewer, deal_id, body.until, body.reason, now=ask.now))


@lamps.post(
    "/deals/{deal_id}/pause/preview",
    needs=Permission.DEALS_EDIT,
    summary="When the next lamp would light with a pause",
    status=200,
)
async def preview_pause(ask: Ask, deal_id: int, body: PausePreviewBody) -> PausePreviewOut:
    """Nothing is stored. Without `until`, or with one that is past, as if no pause went on."""
    await access_deal_for_change(ask.session, ask.viewer, deal_id, None)
    look = await look_at_end(ask.session, deal_id, body.until or ask.now, now=ask.now)
    return PausePreviewOut(lights_at_now=look.now_at, lights_at_then=look.then_at)


@lamps.post(
    "/deals/{deal_id}/pause/approve", needs=Permission.ESCALATIONS_WORK, summary="Approve a long pause", status=200
)
async def post_approve_pause(ask: Ask, deal_id: int) -> PauseOut:
    return await _pause(ask, await approve_pause(ask.session, ask.viewer, deal_id, now=ask.now))


@lamps.delete("/deals/{deal_id}/pause", needs=Permission.DEALS_EDIT, summary="End the pause of a deal")
async def remove_pause(ask: Ask, deal_id: int, query: EndQuery) -> None:
    await end_pause(ask.session, ask.viewer, deal_id, now=ask.now, begin_now=query.begin_now == "true")


@jobs.get("/jobs/{job_id}", needs=Permission.DEALS_READ, summary="One job with its progress")
async def read_job(ask: Ask, job_id: int) -> JobOut:
    """Only jobs of your own; an administrator sees all."""
    return job_out(await access_job(ask.session, ask.viewer, job_id))


@jobs.post("/jobs/{job_id}/undo", needs=Permission.DEALS_EDIT, summary="Undo a job", status=200, conflicts=True)
async def undo_job(ask: Ask, job_id: int) -> JobOut:
    job = await access_job(ask.session, ask.viewer, job_id)
    if not can_undo(job):
        raise Conflict("jobs.no_undo", "This cannot be taken back.")
    begin_undo(job)
    return job_out(job)


def job_out(job: BackgroundJob) -> JobOut:
    """A background job as an answer of the API."""
    return JobOut(
        id=job.id or 0,
        kind=job.kind,
        state=JobState(job.state),
        done=job.done,
        total=job.total,
        refused=[Refused(id=each.get("id"), missing=each.get("missing", [])) for each in job.refused],
        result=_told(job.result, job.created_at),
        error=job.error,
        created_at=job.created_at,
        finished_at=job.finished_at,
    )


def _told(result: dict[str, Any], at: datetime) -> dict[str, Any]:
    """Reasons in the rows of a dry run as sentences."""
    if "rows" not in result:
        return result
    rows = [{**row, "would": [in_english(each, at) for each in row["would"]]} for row in result["rows"]]
    return {**result, "rows": rows}


async def _pause(ask: Ask, pause: Pause) -> PauseOut:
    logins = await logins_of(ask.session, [pause.by_id, pause.approved_by_id])
    return PauseOut(
        deal_id=pause.deal_id,
        since=pause.from_at,
        until=pause.until_at,
        reason=pause.why,
        by=logins.get(pause.by_id),
        approved_by=logins.get(pause.approved_by_id),
        waits_for_approval=pause.waits_for_approval,
    )


async def lamps_out(ask: Ask, lamps: Sequence[Lamp]) -> list[LampOut]:
    """Lamps as answers of the API, for any subject and any viewer."""
    people = [user_id for row in lamps for user_id in (row.owner_id, row.addressee_id, row.out_by_id)]
    logins = await logins_of(ask.session, people)
    with speaking(Here(Language.EN, ZoneInfo("UTC"), ask.now)):
        return [_lamp(row, logins) for row in await load_lamp_rows(ask.session, lamps)]


def _lamp(row: LampRow, logins: Mapping[int | None, str]) -> LampOut:
    lamp = row.lamp
    return LampOut(
        id=lamp.id or 0,
        checkpoint_id=lamp.checkpoint_id,
        step=lamp.step,
        subject=Subject(lamp.subject),
        deal_id=lamp.deal_id,
        callback_id=lamp.callback_id,
        contact_id=row.contact_id,
        client_number=row.number,
        owner=logins.get(lamp.owner_id),
        addressee=logins.get(lamp.addressee_id),
        state=LampState(lamp.state),
        entered_at=lamp.entered_at,
        minutes=lamp.minutes,
        due_at=lamp.due_at,
        lit_at=lamp.lit_at,
        out_at=lamp.out_at,
        out_by=logins.get(lamp.out_by_id),
        out_reason=reasons.text(lamp.out_reason),
        task_id=lamp.task_id,
        reason=" ".join(explained(lamp, row.checkpoint, row.stage)).replace(NBSP, " "),
        waiting_since=row.since,
        is_escalation=lamp.is_escalation,
        look_again_at=lamp.look_again_at,
        decision=Decision(lamp.decision),
        note=lamp.note,
        parked=lamp.parked_at is not None,
        error=lamp.error if lamp.parked_at is not None else "",
        version=lamp.version,
    )
