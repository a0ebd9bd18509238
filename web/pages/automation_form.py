"""The form of a rule, and its versions."""

from collections.abc import Sequence
from http import HTTPStatus
from itertools import zip_longest

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.automation.catalogue import THEN, WHEN, RuleKind
from pbxcrm.automation.models import AutomationRule, Mode, RuleState, RuleVersion
from pbxcrm.automation.queries import access_rule, list_versions, waiting_runs
from pbxcrm.automation.rule_actions import Waiting, save_rule
from pbxcrm.automation.rule_checks import draft_faults
from pbxcrm.automation.steps.lines_step import LINES
from pbxcrm.automation.triggers import DEAL
from pbxcrm.money.queries import MOST_SUGGESTED, ProductFilter, list_products
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import asked_number, show, version_of
from web.parts import now, parts, viewer
from web.rule_choices import RuleChoices
from web.rule_drafts import template_draft, template_named
from web.rule_form import (
    KindRow,
    TypedRule,
    draft_typed,
    group_json,
    kind_json,
    read_typed,
    refuse,
    reshape,
    typed_of,
)
from web.rule_links import asked_by, with_linked
from web.rule_messages import silent_templates
from web.rule_sentences import PATH, NamesInRules, load_rule_names, version_changes

MODES: dict[str, str] = {
    Mode.ONCE.value: N_("what happens then is skipped"),
    Mode.RESTART.value: N_("the waiting run ends, and a new one begins"),
    Mode.QUEUE.value: N_("the new run begins when the waiting one has ended"),
}
WAITING: dict[str, str] = {
    Waiting.KEEP.value: N_("they go on by the rule as it was"),
    Waiting.MOVE.value: N_("they go on by the rule as it is now"),
    Waiting.CANCEL.value: N_("they end"),
}
STATES: dict[str, str] = {
    RuleState.OFF.value: N_("off"),
    RuleState.WATCH.value: N_("watching: it writes what it would do"),
    RuleState.ON.value: N_("switched on"),
}


async def new(request: Request) -> Response:
    """``GET /automation/new``: an empty form; ``stage`` or ``pipeline`` is where the rule shall stand."""
    form = filled(
        {
            "owner_id": viewer(request).user_id,
            "mode": Mode.ONCE.value,
            "most_per_hour": 20,
            "state": RuleState.WATCH.value,
        }
    )
    if code := request.query_params.get("template", ""):
        return await _from_template(request, form, code)
    stage, pipeline = asked_number(request, "stage"), asked_number(request, "pipeline")
    place = {"stage_id": [str(stage)]} if stage else {"pipeline_id": [str(pipeline)]}
    when = KindRow("stage_entered", place) if stage or pipeline else KindRow()
    return await _form_page(request, form, TypedRule(when=when, steps=[KindRow()]), None)


async def _from_template(request: Request, form: Form, code: str) -> HTMLResponse:
    async with parts(request).db.read() as session:
        names = await load_rule_names(session)
    draft = template_draft(request, template_named(code), names)
    if draft is None:
        raise NotFound("automation.no_template", "There is no such template.")
    form.values["name"] = draft.name
    typed = typed_of(draft.when, draft.conditions, draft.steps, draft.goal, names)
    return await _form_page(request, form, typed, None)


async def one(request: Request) -> Response:
    """``GET /automation/12``: the form of a rule; with ``version`` as it was then, to bring that back."""
    asked = asked_number(request, "version")
    async with parts(request).db.read() as session:
        rule = await access_rule(session, viewer(request), _rule_id(request))
        old = await _version(session, request, asked) if asked is not None else None
        names = await load_rule_names(session)
    saved = old.saved if old is not None else {}
    values = {name: saved.get(name, getattr(rule, name)) for name in ("name", "owner_id", "mode", "most_per_hour")}
    form = filled({**values, "version": rule.version, "waiting": Waiting.KEEP.value})
    when, condition, steps, goal = (
        saved.get(name, getattr(rule, name)) for name in ("when", "conditions", "steps", "goal")
    )
    return await _form_page(request, form, typed_of(when, condition, steps, goal, names), rule, old=old)


async def _version(session: AsyncSession, request: Request, number: int) -> RuleVersion:
    found = await list_versions(session, viewer(request), _rule_id(request))
    for each in found:
        if each.version == number:
            return each
    raise NotFound("automation.no_version", "There is no such version of the rule.")


async def save(request: Request) -> Response:
    """``POST /automation/new`` and ``/automation/12``."""
    form, rule_id = await read_form(request), request.path_params.get("automation_id")
    typed = read_typed(form)
    who, region, at = viewer(request), parts(request).settings.region, now(request)
    status = HTTPStatus.UNPROCESSABLE_ENTITY
    try:
        async with parts(request).db.write() as session:
            names = await load_rule_names(session)
            kept = await access_rule(session, who, rule_id) if rule_id is not None else None
            state = kept.state if kept is not None else form["state"] or RuleState.OFF.value
            draft = draft_typed(form, typed, names, owner_id=form.id("owner_id") or 0, state=state, kept=kept)
            for error in await draft_faults(session, draft, region):
                refuse(form, error)
            if not form.errors:
                version = version_of(form) if rule_id is not None else None
                waiting = Waiting(form["waiting"]) if form["waiting"] in set(Waiting) else Waiting.KEEP
                rule = await save_rule(
                    session, who, rule_id, draft, version=version, waiting=waiting, region=region, now=at
                )
    except Invalid as error:
        refuse(form, error)
    except Conflict as error:
        form.errors[""] = _(error.message).format(**error.params)
        status = HTTPStatus.CONFLICT
    if form.errors:
        return await _refused(request, form, typed, rule_id, status)
    return redirect(request, f"{PATH}#rule-{rule.id}", done="added" if rule_id is None else "saved")


async def _refused(
    request: Request, form: Form, typed: TypedRule, rule_id: int | None, status: HTTPStatus
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        rule = await access_rule(session, viewer(request), rule_id) if rule_id is not None else None
        theirs = (await list_versions(session, viewer(request), rule_id))[:1] if rule_id is not None else []
    if status is HTTPStatus.CONFLICT and rule is not None:
        form.values["version"] = str(rule.version)  # whoever saves again has read what the other did
    return await _form_page(request, form, typed, rule, status, theirs=theirs if status is HTTPStatus.CONFLICT else [])


async def shape(request: Request) -> Response:
    """``POST /automation/shape``: the form as it is typed, after ``act`` (``add:if``, ``drop:then.1``); ``said``: only its sentence."""
    form = await read_form(request)
    typed = read_typed(form)
    if form["act"] == "said":
        async with parts(request).db.read() as session:
            names = await _names(session, request, typed)
            faults = await _formula_faults(session, request, form, typed, names)
        return show(request, "automation/_said.html", said=_said(typed, names), faults=faults)
    focus = reshape(typed, form["act"], form["was"])
    rule_id = form.id("automation")
    rule = None
    if rule_id is not None:
        async with parts(request).db.read() as session:
            rule = await access_rule(session, viewer(request), rule_id)
    return await _form_page(request, form, typed, rule, focus=focus, fragment=True)


async def versions(request: Request) -> Response:
    """``GET /automation/12/versions``: who changed what and when, the newest first, and a way back."""
    async with parts(request).db.read() as session:
        rule = await access_rule(session, viewer(request), _rule_id(request))
        found = await list_versions(session, viewer(request), _rule_id(request))
        names = await load_rule_names(session)
    rows = [(each, version_changes(each, old, names)) for each, old in zip_longest(found, found[1:])]
    return show(request, "automation/versions.html", rule=rule, rows=rows, people=names.people)


async def _formula_faults(
    session: AsyncSession, request: Request, form: Form, typed: TypedRule, names: NamesInRules
) -> list[tuple[str, str]]:
    """What is wrong with formulas while they are typed, as (place, words). What is not filled in yet is no fault then."""
    try:
        draft = draft_typed(form, typed, names, owner_id=0, state=RuleState.OFF.value, kept=None)
    except Invalid:
        return []
    faults = await draft_faults(session, draft, parts(request).settings.region)
    return [
        (_place_said(fault.field, typed), _(fault.message).format(**fault.params))
        for fault in faults
        if fault.code.startswith("formulas.")
    ]


def _place_said(field: str, typed: TypedRule) -> str:
    """``then.1.title`` as people read it: the number of the step and the name of its input."""
    _then, step, name = (*field.split("."), "", "")[:3]
    number = int(step) if step.isdigit() else 0
    kind = THEN.get(typed.steps[number].kind) if number < len(typed.steps) else None
    titles = [_(param.title) for param in (kind.params if kind is not None else ()) if param.name == name]
    return ". ".join([str(number + 1), *titles])


def _said(typed: TypedRule, names: NamesInRules) -> str:
    """The typed rule as a sentence, as far as it can be said."""

    def of(row: KindRow, kind: RuleKind | None, at: str) -> dict[str, object]:
        try:
            return kind_json(row, kind, at)
        except Invalid:
            return {"kind": row.kind}

    when = of(typed.when, WHEN.get(typed.when.kind), "when")
    steps = [of(step, THEN.get(step.kind), "then") for step in typed.steps if step.kind]
    if not typed.when.kind or not steps:
        return ""
    try:
        condition = group_json(typed.condition, "if", names.terms[typed.subject])
    except Invalid:
        condition = {}
    return names.rule_said(when, condition, steps)


async def _form_page(
    request: Request,
    form: Form,
    typed: TypedRule,
    rule: AutomationRule | None,
    status: int = 200,
    *,
    old: RuleVersion | None = None,
    theirs: Sequence[RuleVersion] = (),
    focus: str = "",
    fragment: bool = False,
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        names = await _names(session, request, typed)
        waiting = await waiting_runs(session, [rule.id or 0]) if rule is not None else {}
        sells = any(step.kind == LINES.kind for step in typed.steps)
        silent = await silent_templates(session, request)
        offered = await list_products(session, ProductFilter(), limit=MOST_SUGGESTED) if sells else ()
    people = sorted(names.people.users.items(), key=lambda each: each[1].name)
    owner = form["owner_id"]
    page = "automation/_form.html" if fragment else "automation/form.html"
    return show(
        request,
        page,
        fragment="automation/_form.html",
        status=status,
        form=form,
        typed=typed,
        rule=rule,
        old=old,
        theirs=theirs,
        people=names.people,
        owners=[(user_id, user.name) for user_id, user in people if user.is_active or str(user_id) == owner],
        o=RuleChoices(names, typed.subject, offered, silent),
        has_goal=typed.subject == DEAL,
        waiting=waiting.get(rule.id or 0, 0) if rule is not None else 0,
        modes=[(code, _(word)) for code, word in MODES.items()],
        settles=[(code, _(word)) for code, word in WAITING.items()],
        states=[(code, _(word)) for code, word in STATES.items()],
        said=_said(typed, names),
        focus=focus or next(iter(form.errors), ""),
    )


async def _names(session: AsyncSession, request: Request, typed: TypedRule) -> NamesInRules:
    asked = [*asked_by(typed.condition), *asked_by(typed.goal)]
    return await with_linked(session, viewer(request), await load_rule_names(session), asked)


def _rule_id(request: Request) -> int:
    found: int = request.path_params["automation_id"]
    return found
