"""The dry run of a rule as it is typed: what it would have done in the last days, beside what people did. Nothing is changed or sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access.jobs import access_job
from pbxcrm.automation.models import RuleState
from pbxcrm.automation.rule_checks import draft_faults
from pbxcrm.automation.run_queries import deals_named
from pbxcrm.automation.trial_jobs import TRIAL, try_rule
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.errors import Invalid, NotFound
from web import rule_words, words
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.pages.common import show
from web.parts import now, parts, viewer
from web.rule_form import draft_typed, read_typed, refuse
from web.rule_sentences import load_rule_names


@dataclass(frozen=True, slots=True)
class TriedFiring:
    """A firing that would have been: on which deal, what was heard, what the steps would have done, what people did within a day."""

    at: datetime
    deal: Deal | None
    heard: str
    would: Sequence[str]
    refused: bool
    did: Sequence[str]


async def begin(request: Request) -> Response:
    """``POST /automation/try`` with the form of a rule and ``days``: starts it, and shows its progress."""
    form = await read_form(request)
    typed, region = read_typed(form), parts(request).settings.region
    try:
        async with parts(request).db.write() as session:
            names = await load_rule_names(session)
            draft = draft_typed(
                form, typed, names, owner_id=form.id("owner_id") or 0, state=RuleState.OFF.value, kept=None
            )
            for error in await draft_faults(session, draft, region):
                refuse(form, error)
            if form.errors:
                return _refused(request, form)
            days = form.number("days") or 0
            job = await try_rule(session, viewer(request), draft, days=days, region=region, now=now(request))
    except Invalid as error:
        refuse(form, error)
        return _refused(request, form)
    return await _shown(request, job)


async def progress(request: Request) -> Response:
    """``GET /automation/trials/12``: how far it is, or what came of it."""
    async with parts(request).db.read() as session:
        job = await access_job(session, viewer(request), request.path_params["job_id"])
        if job.kind != TRIAL:
            raise NotFound("automation.no_trial", "There is no such dry run.")
    return await _shown(request, job)


def _refused(request: Request, form: Form) -> HTMLResponse:
    """Nothing is tried: the sentences with the part of the rule that each is about. The form says them at their places when it is saved."""
    faults = list(dict.fromkeys(_with_its_part(place, said) for place, said in form.errors.items()))
    return show(
        request, "automation/_trial.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, job=None, faults=faults, rows=()
    )


def _with_its_part(place: str, said: str) -> str:
    part, _dot, rest = place.partition(".")
    number = rest.partition(".")[0]
    if part == "then" and number.isdigit():
        return _("Step {n}: {fault}").format(n=int(number) + 1, fault=said)
    word = {"when": _("When"), "if": _("If"), "name": _("Name of the rule")}.get(part)
    return f"{word}: {said}" if word else said


async def _shown(request: Request, job: BackgroundJob) -> HTMLResponse:
    async with parts(request).db.read() as session:
        rows = await _rows(session, job) if job.state == "done" else []
    return show(request, "automation/_trial.html", job=job, faults=(), rows=rows)


async def _rows(session: AsyncSession, job: BackgroundJob) -> list[TriedFiring]:
    found: list[dict[str, Any]] = job.result.get("rows", [])
    people, deals = await load_directory(session), await deals_named(session, {row["deal_id"] for row in found})
    return [
        TriedFiring(
            datetime.fromisoformat(row["at"]),
            deals.get(row["deal_id"]),
            rule_words.act_said(row["act"], people.users.get(row["by_id"])),
            [" ".join(words.because(each)) for each in row["would"]],
            bool(row["refused"]),
            [_did(each, people) for each in row["did"]],
        )
        for row in found
    ]


def _did(act: dict[str, Any], people: Directory) -> str:
    return rule_words.act_said(act["act"], people.users.get(act["by_id"]))
