"""Firings of rules: what each heard, saw and did, and taking one back."""

from datetime import datetime
from typing import Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.automation.explanations import SeenTest
from pbxcrm.automation.models import RunStatus, StepStatus
from pbxcrm.automation.run_queries import RunFilter, RunRow, access_run, as_rows, list_runs
from pbxcrm.automation.triggers import changed_fields
from pbxcrm.automation.undo_actions import undo_run
from pbxcrm.people.directory import Directory, load_directory
from web.api import checked_cursors
from web.api.english import in_english
from web.api.fields import ApiAnswer, IdText, ListQuery, Moment
from web.api.resource import Ask, Page, Resource

runs = Resource("runs", "Firings of rules: what each heard, the values that its conditions saw, and what it did.")


class SeenOut(ApiAnswer):
    """A comparison with the value that it saw, in words of that moment."""

    field: str
    title: str
    op: str
    value: str = Field(description="What was asked; empty for `empty` and `filled`.")
    saw: str
    held: bool


class RunStepOut(ApiAnswer):
    """A step that was taken."""

    kind: str
    status: StepStatus
    result: str
    at: Moment


class StaysOut(ApiAnswer):
    """A step that was not taken back, and why."""

    kind: str
    why: str


class RunOut(ApiAnswer):
    """A firing."""

    id: int
    rule_id: int
    rule: str
    rule_version: int
    deal_id: int | None
    contact_id: int | None
    status: RunStatus = Field(
        description="`held`: its steps were taken, but a message to the client was held back, or waits for a guard."
    )
    reason: str
    heard: str = Field(description="The act that it heard, as in the audit log, for example `deal.moved`; `call.over`.")
    changed: list[str] = Field(description="The fields that the act changed.")
    by: str | None = Field(description="The login of whose act it was; null: nobody's.")
    caused_by: list[int] = Field(description="The rules that led to it, the first one first.")
    seen: list[SeenOut]
    steps: list[RunStepOut]
    at: Moment
    due_at: Moment | None = Field(description="When a waiting one goes on.")
    ended_at: Moment | None
    undone_at: Moment | None


class UndoneOut(ApiAnswer):
    """The firing after it was taken back."""

    run: RunOut
    stays: list[StaysOut] = Field(description="What was not taken back: somebody has changed it since.")


class RunsQuery(ListQuery):
    """Which firings; all conditions must hold."""

    rule_id: IdText | None = None
    deal_id: IdText | None = None
    contact_id: IdText | None = None
    status: Literal["done", "held", "skipped", "failed", "waiting", "unknown", "watch"] | None = None


@runs.get("/runs", needs=Permission.DEALS_READ, summary="Firings on what you see, the newest first")
async def read_runs(ask: Ask, query: RunsQuery) -> Page[RunOut]:
    asked = RunFilter(query.rule_id, query.deal_id, query.contact_id, query.status or "")
    before = checked_cursors.read_id(query.cursor)
    found = await list_runs(ask.session, ask.viewer, asked, before=before, limit=query.limit + 1)
    people = await load_directory(ask.session)
    rows = [_out(row, people, ask.now) for row in found]
    return Page[RunOut].of(rows, query.limit, lambda row: checked_cursors.next_of_id(row.id))


@runs.get("/runs/{run_id}", needs=Permission.DEALS_READ, summary="One firing")
async def read_run(ask: Ask, run_id: int) -> RunOut:
    return await _one(ask, run_id)


@runs.post("/runs/{run_id}/undo", needs=Permission.DEALS_EDIT, summary="Take a firing back", status=200, conflicts=True)
async def post_undo_run(ask: Ask, run_id: int) -> UndoneOut:
    """Step by step from the last one, as far as nobody has changed it since. One that waits does not go on. No rule hears it."""
    stay = await undo_run(ask.session, ask.viewer, run_id, ask.now)
    stays = [StaysOut(kind=step.kind, why=in_english(why.stored(), ask.now)) for step, why in stay]
    await ask.session.flush()
    return UndoneOut(run=await _one(ask, run_id), stays=stays)


async def _one(ask: Ask, run_id: int) -> RunOut:
    row = (await as_rows(ask.session, [await access_run(ask.session, ask.viewer, run_id)]))[0]
    return _out(row, await load_directory(ask.session), ask.now)


def _out(row: RunRow, people: Directory, now: datetime) -> RunOut:
    run = row.run
    return RunOut(
        id=run.id or 0,
        rule_id=run.rule_id,
        rule=row.rule.name,
        rule_version=run.rule_version,
        deal_id=run.deal_id,
        contact_id=run.contact_id,
        status=RunStatus(run.status),
        reason=in_english(run.reason, now),
        heard=run.act,
        changed=sorted(changed_fields(run.act, run.event)),
        by=people.login(run.by_id),
        caused_by=[link[0] for link in run.chain],
        seen=[SeenOut(**SeenTest.load(each).stored()) for each in run.seen],
        steps=[
            RunStepOut(kind=step.kind, status=StepStatus(step.status), result=in_english(step.result, now), at=step.at)
            for step in row.steps
        ],
        at=run.at,
        due_at=run.due_at,
        ended_at=run.ended_at,
        undone_at=run.undone_at,
    )
