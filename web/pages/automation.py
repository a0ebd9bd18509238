"""The list of rules: by pipeline and stage, with one click to switch each."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.automation.count_queries import count_runs
from pbxcrm.automation.models import AutomationRule, RuleState
from pbxcrm.automation.queries import access_rule, list_rules, waiting_runs
from pbxcrm.automation.rule_actions import archive_rule
from pbxcrm.automation.switch_actions import pause_rule, switch_rule
from pbxcrm.deals.models import Stage
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_SEARCH
from pbxcrm.shared.search_keys import search_key
from web.answers import redirect, toast, with_toast
from web.due_dates import deadline_of
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.pages.common import page_query, query_number, show
from web.parts import now, parts, viewer, wants_fragment
from web.rule_links import asked_in, with_linked
from web.rule_messages import silent_said, silent_templates
from web.rule_sentences import PATH, broken_said, load_rule_names

COUNTED = timedelta(days=30)
ARCHIVED = "archived"  # a value of ``state`` in the address


@dataclass(frozen=True, slots=True)
class RuleRow:
    """A rule in the list. ``counts``: its firings of the last days by status; ``said``: the rule as a sentence."""

    rule: AutomationRule
    said: str
    broken: str
    counts: dict[str, int]
    waiting: int
    owner: str
    is_paused: bool
    unsent: str = ""  # why a message of it cannot be sent


@dataclass(frozen=True, slots=True)
class RuleGroup:
    """The rules that stand under a stage; ``stage`` None: under the whole pipeline, or (``pipeline_id`` None too) elsewhere."""

    heading: str
    pipeline_id: int | None
    stage: Stage | None
    rows: Sequence[RuleRow]


async def listed(request: Request) -> HTMLResponse:
    """``GET /automation``: ``q`` searches, ``pipeline`` and ``state`` narrow; the state ``archived`` shows the archive."""
    at = now(request)
    query, who = page_query(request), viewer(request)
    text = (query.get("q") or [""])[0].replace("\x00", "").strip()[:LONGEST_SEARCH]
    state, pipeline_id = (query.get("state") or [""])[0], query_number(query, "pipeline")
    archived = state == ARCHIVED
    async with parts(request).db.read() as session:
        every = await list_rules(session, who, archived=archived)
        rules = [rule for rule in every if (rule.archived_at is not None) is archived]
        counts = await count_runs(session, who, at - COUNTED)
        waiting = await waiting_runs(session, [rule.id or 0 for rule in rules])
        names, funnel = await load_rule_names(session), await load_funnel(session)
        asked = [each for rule in rules for tree in (rule.conditions, rule.goal) for each in asked_in(tree)]
        names = await with_linked(session, who, names, asked)
        silent = await silent_templates(session, request)
    rows = [
        RuleRow(
            rule,
            names.rule_said(rule.when, rule.conditions, rule.steps),
            broken_said(rule, names),
            dict(counts.get(rule.id or 0, {})),
            waiting.get(rule.id or 0, 0),
            names.people.name(rule.owner_id) or "",
            rule.paused_until is not None and rule.paused_until > at,
            silent_said(rule.steps, silent),
        )
        for rule in rules
    ]
    shown = [row for row in rows if _matches(row, text, state, pipeline_id)]
    return show(
        request,
        "automation/list.html",
        fragment="automation/_list.html",
        groups=_groups(shown, funnel, pipeline_id, every=bool(rows) and not (text or state)),
        any_rule=bool(rows),
        shown=len(shown),
        q=text,
        state=state,
        pipeline_id=pipeline_id,
        pipelines=[each for each in funnel.pipelines.values() if each.archived_at is None],
        chips=_chips(state, text, pipeline_id),
    )


def _chips(state: str, text: str, pipeline_id: int | None) -> list[tuple[str, str, bool]]:
    kept = {"q": text, "pipeline": str(pipeline_id or "")}
    words = {"": _("All rules"), "on": _("switched on"), "watch": _("watching"), "off": _("switched off")}
    words[ARCHIVED] = _("archive")
    found = []
    for code, word in words.items():
        query = urlencode({name: value for name, value in {**kept, "state": code}.items() if value})
        found.append((word, f"{PATH}?{query}" if query else PATH, code == state))
    return found


def _matches(row: RuleRow, text: str, state: str, pipeline_id: int | None) -> bool:
    words = search_key(text).split()
    key = search_key(f"{row.rule.name} {row.said} {row.owner}")
    return (
        all(word in key for word in words)
        and (state in {"", ARCHIVED} or row.rule.state == state)
        and (pipeline_id is None or row.rule.pipeline_id == pipeline_id)
    )


def _groups(rows: Sequence[RuleRow], funnel: Funnel, pipeline_id: int | None, *, every: bool) -> list[RuleGroup]:
    """The rules under the stages where people look for them: the whole pipeline first, then its stages in their order. ``every``: also
    the stages where no rule stands, of pipelines that have one or are asked for: a rule is added there.
    """
    by_place: dict[tuple[int | None, int | None], list[RuleRow]] = {}
    for row in rows:
        stage = funnel.stages.get(row.rule.stage_id)
        pipeline = funnel.pipelines.get(row.rule.pipeline_id)
        of = pipeline.id if pipeline is not None and pipeline.archived_at is None else None
        at = stage.id if stage is not None and stage.archived_at is None and of is not None else None
        by_place.setdefault((of, at), []).append(row)
    found = []
    for pipeline in funnel.pipelines.values():
        if pipeline.archived_at is not None or not (
            any(of == pipeline.id for of, _at in by_place)
            or (every and pipeline.id == (pipeline_id or funnel.default_id))
        ):
            continue
        whole: list[Stage | None] = [None, *funnel.stages_of(pipeline.id)]
        for each in whole:
            mine = by_place.get((pipeline.id, each.id if each is not None else None), [])
            if mine or every:
                found.append(RuleGroup(pipeline.name, pipeline.id, each, mine))
    elsewhere = by_place.get((None, None), [])
    return [*found, RuleGroup("", None, None, elsewhere)] if elsewhere else found


async def switch(request: Request) -> Response:
    """``POST /automation/12/switch`` with ``to``: ``off``, ``watch`` or ``on``."""
    form = await read_form(request)
    region = parts(request).settings.region
    try:
        async with parts(request).db.write() as session:
            rule = await switch_rule(
                session, viewer(request), _rule_id(request), form["to"], region=region, now=now(request)
            )
    except Invalid as error:
        said = _("It cannot be switched: {why}").format(why=_(error.message).format(**error.params))
        if not wants_fragment(request):
            return await _refused(request, said)
        return toast(request, said, tone="red", status=HTTPStatus.UNPROCESSABLE_ENTITY)
    told = {
        RuleState.ON: _("“{rule}” works now."),
        RuleState.WATCH: _("“{rule}” only watches now: it writes what it would do."),
        RuleState.OFF: _("“{rule}” is off."),
    }[RuleState(rule.state)]
    return await _changed(request, told.format(rule=rule.name))


async def ask_pause(request: Request) -> Response:
    """``GET /automation/12/pause``: until when? For the dialog, or as a page of its own."""
    return await _pause_form(request, Form())


async def _pause_form(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        rule = await access_rule(session, viewer(request), _rule_id(request))
    form.values.setdefault("due_at", "")
    return show(
        request,
        "automation/pause.html",
        fragment="automation/_pause.html",
        status=status,
        rule=rule,
        form=form,
        is_paused=rule.paused_until is not None and rule.paused_until > now(request),
    )


async def pause(request: Request) -> Response:
    """``POST /automation/12/pause`` with ``due_at`` in people's own words; empty: it goes on."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            until: datetime | None = None
            if form["due_at"]:
                until = await deadline_of(session, request, form["due_at"], viewer(request).user_id)
            rule = await pause_rule(session, viewer(request), _rule_id(request), until, now(request))
    except Invalid as error:
        form.errors["due_at"] = _(error.message).format(**error.params)
        answer = await _pause_form(request, form, HTTPStatus.UNPROCESSABLE_ENTITY)
        answer.headers.update({"HX-Retarget": "#ask-body", "HX-Reswap": "innerHTML"})
        return answer
    if until is None:
        return await _changed(request, _("“{rule}” hears again.").format(rule=rule.name))
    return await _changed(request, _("“{rule}” hears nothing until then.").format(rule=rule.name))


async def archive(request: Request) -> Response:
    """``POST /automation/12/archive``, with undo: it comes back switched off."""
    async with parts(request).db.write() as session:
        rule = await archive_rule(session, viewer(request), _rule_id(request), now(request), archived=True)
    said = _("“{rule}” is in the archive. What it did stays.").format(rule=rule.name)
    return await _changed(request, said, undo=f"{PATH}/{rule.id}/restore")


async def restore(request: Request) -> Response:
    """``POST /automation/12/restore``: out of the archive, switched off."""
    async with parts(request).db.write() as session:
        await archive_rule(session, viewer(request), _rule_id(request), now(request), archived=False)
    return redirect(request, PATH, done="saved")


async def _changed(request: Request, said: str, *, undo: str = "") -> Response:
    if not wants_fragment(request):
        return redirect(request, PATH, done="saved")
    return with_toast(request, await listed(request), said, undo=undo)


async def _refused(request: Request, said: str) -> HTMLResponse:
    async with parts(request).db.read() as session:
        rule = await access_rule(session, viewer(request), _rule_id(request))
    return show(request, "automation/refused.html", status=HTTPStatus.UNPROCESSABLE_ENTITY, rule=rule, said=said)


def _rule_id(request: Request) -> int:
    found: int = request.path_params["automation_id"]
    return found
