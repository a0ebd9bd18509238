"""Rules of automation: when something happens, if conditions hold, then steps follow."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.automation import catalogue
from pbxcrm.automation.catalogue import AskedTerm, RuleKind, TermControl
from pbxcrm.automation.hook_queries import load_hook_values, load_live_hooks
from pbxcrm.automation.models import AutomationRule, Mode, RuleState
from pbxcrm.automation.params import ParamKind
from pbxcrm.automation.queries import access_rule, list_rules, list_versions, ready_rule, waiting_runs
from pbxcrm.automation.rule_actions import Waiting, archive_rule, save_rule
from pbxcrm.automation.rule_checks import MOST_PER_HOUR, MOST_STEPS, RuleDraft, draft_of
from pbxcrm.automation.trial_jobs import MOST_DAYS, try_rule
from pbxcrm.automation.triggers import CLIENT, DEAL
from pbxcrm.fields.queries import load_fields
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import Invalid
from web.api.fields import ApiAnswer, ApiRequest, Login, Moment, ShortListQuery, Version, When, needed_text
from web.api.resource import Ask, Page, Resource
from web.api.v1.lamps import JobOut, job_out

rules = Resource("rules", "Rules: when something happens, if conditions hold, then steps follow. For administrators.")

Name = Annotated[str, needed_text(AutomationRule.name)]
Json = dict[str, Any]  # checked by the rules themselves, each error at its place
IF = (
    "A condition `{field, op, value}` or `{all|any|none: [condition…]}`; empty: always. Fields are those of the list of deals, "
    "`client.name`, `client.field.KEY`, `call.direction call.outcome call.talk_seconds`, `event.field` (what was changed) and "
    "`hook.NAME` (what an incoming webhook sent); "
    "`GET /rules/kinds` names them."
)


def _said(kinds: Mapping[str, RuleKind]) -> str:
    """The declared kinds with their parameters, for descriptions."""
    return "; ".join(
        f"`{kind.code}`" + (f" ({', '.join(f'`{each.name}`' for each in kind.params)})" if kind.params else "")
        for kind in kinds.values()
    )


WHEN = f"`{{kind, …}}`, one of: {_said(catalogue.WHEN)}. `GET /rules/kinds` says what each parameter takes."
THEN = (
    f"Steps `{{kind, …}}` in their order: {_said(catalogue.THEN)}. A `wait` lasts `minutes` of working time, `working_days` of the calendar, `days` or `months`: one of them; after it the condition is asked again. "
    "`GET /rules/kinds` says what each parameter takes."
)
MODE = "What happens if it hears something while a run on the same deal waits."
Steps = Annotated[list[Json], Field(min_length=1, max_length=MOST_STEPS)]
Rate = Annotated[int, Field(ge=1, le=MOST_PER_HOUR)]


class NewAutomationRule(ApiRequest):
    """A new rule. It is off unless you say otherwise; `watch` writes what it would do."""

    name: Name
    when: Json = Field(description=WHEN)
    if_: Json = Field(default_factory=dict, alias="if", description=IF)
    then: Steps = Field(description=THEN)
    state: RuleState = RuleState.OFF
    mode: Mode = Field(Mode.ONCE, description=MODE)
    goal: Json = Field(default_factory=dict, description="A condition that ends waiting runs; empty: none.")
    owner: Login | None = Field(None, description="Who is told when it fails; without one you.")
    most_per_hour: Rate = Field(20, description="Firings on one deal.")
    paused_until: When | None = None


class AutomationRulePatch(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    name: Name | None = None
    when: Json | None = Field(None, description=WHEN)
    if_: Json | None = Field(None, alias="if", description=IF)
    then: Steps | None = Field(None, description=THEN)
    state: RuleState | None = None
    mode: Mode | None = Field(None, description=MODE)
    goal: Json | None = None
    owner: Login | None = None
    most_per_hour: Rate | None = None
    paused_until: When | None = None
    archived: bool | None = Field(None, description="Alone: put into the archive, or brought back, switched off.")
    waiting: Waiting = Field(
        Waiting.KEEP,
        description="What happens to runs that wait: they go on by the rule as it was, as it is now, or end.",
    )
    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")


class AutomationRuleOut(ApiAnswer):
    """A rule."""

    id: int
    name: str
    when: Json = Field(description=WHEN)
    if_: Json = Field(serialization_alias="if", description=IF)
    then: list[Json] = Field(description=THEN)
    state: RuleState
    mode: Mode
    goal: Json
    owner: str | None = Field(description="A login.")
    most_per_hour: int
    paused_until: Moment | None
    pipeline_id: int | None = Field(description="Under which pipeline it stands.")
    stage_id: int | None
    broken: str | None = Field(description="What it asks for and is gone.")
    waiting: int = Field(description="How many of its runs wait.")
    archived: bool
    version: int


class RulesQuery(ShortListQuery):
    """Which rules."""

    archived: Literal["true", "false"] = Field("false", description="`true`: also those in the archive.")


class DryRun(ApiRequest):
    """Over how many of the last days."""

    days: int = Field(7, ge=1, le=MOST_DAYS)


class VersionOut(ApiAnswer):
    """A rule as somebody saved it."""

    version: int
    by: str | None = Field(description="A login.")
    at: Moment
    name: str
    when: Json
    if_: Json = Field(serialization_alias="if")
    then: list[Json]
    goal: Json
    mode: Mode


class ChoiceOut(ApiAnswer):
    """A value that may be given, and its English word."""

    code: str
    title: str


class ParamOut(ApiAnswer):
    """A parameter of a kind of `when` or of step."""

    name: str
    title: str
    kind: ParamKind
    required: bool
    choices: list[ChoiceOut]
    least: int = Field(description="Of `number`, `minutes` and `days`.")
    most: int = Field(description="Of `number`, `minutes` and `days`, and the letters of `line` and `text`.")
    default: Any = Field(description="What is stored where nothing is given.")
    hint: str
    has_formulas: bool = Field(description="Of texts and checklists: `{= …}` in them is a formula over the fields.")


class KindOut(ApiAnswer):
    """A kind of `when` or of step."""

    code: str
    title: str
    group: str
    subjects: list[str] = Field(description="What the rules that may have it work on: `deal`, `contact`.")
    params: list[ParamOut]
    repeats: str = Field(
        description="Of a step, if the server dies in its midst. `together`: it is taken once. `safe`: it reaches outside and is done again, for the "
        "other side knows a repetition. `unsafe`: nobody knows whether it was done, and a person decides. Empty: nothing to repeat."
    )


class TermOut(ApiAnswer):
    """Something that a condition may ask."""

    name: str
    title: str
    group: str
    control: TermControl = Field(description="What its value is.")
    ops: list[str]
    choices: list[ChoiceOut]


class KindsOut(ApiAnswer):
    """What rules are made of."""

    when: list[KindOut]
    if_: list[TermOut] = Field(serialization_alias="if", description="Those of rules that work on deals.")
    if_contact: list[TermOut] = Field(description="Those of rules that work on clients.")
    then: list[KindOut]


@rules.get("/rules/kinds", needs=Permission.RULES_EDIT, summary="What rules are made of")
async def read_rule_kinds(ask: Ask) -> KindsOut:
    """Kinds of `when` and of steps with their parameters, and what conditions may ask."""
    fields, people = await load_fields(ask.session), await load_directory(ask.session)
    hooked = await load_hook_values(ask.session)
    return KindsOut(
        when=[_kind(each) for each in catalogue.WHEN.values()],
        if_=[_term(each) for each in catalogue.terms_of(fields, people, DEAL, hooked)],
        if_contact=[_term(each) for each in catalogue.terms_of(fields, people, CLIENT, hooked)],
        then=[_kind(each) for each in catalogue.THEN.values()],
    )


@rules.get("/rules", needs=Permission.RULES_EDIT, summary="All rules")
async def read_rules(ask: Ask, query: RulesQuery) -> Page[AutomationRuleOut]:
    found = await list_rules(ask.session, ask.viewer, archived=query.archived == "true")
    return Page[AutomationRuleOut].part_of(await _all_out(ask, found), query)


@rules.get("/rules/{automation_id}", needs=Permission.RULES_EDIT, summary="One rule")
async def read_rule(ask: Ask, automation_id: int) -> AutomationRuleOut:
    return await _out(ask, await access_rule(ask.session, ask.viewer, automation_id))


@rules.get("/rules/{automation_id}/versions", needs=Permission.RULES_EDIT, summary="Its versions, the newest first")
async def read_rule_versions(ask: Ask, automation_id: int, query: ShortListQuery) -> Page[VersionOut]:
    """A way back: `PATCH` the rule with what a version had."""
    people = await load_directory(ask.session)
    found = await list_versions(ask.session, ask.viewer, automation_id)
    rows = [
        VersionOut(
            version=each.version,
            by=people.login(each.by_id),
            at=each.at,
            name=each.saved["name"],
            when=each.saved["when"],
            if_=each.saved["conditions"],
            then=each.saved["steps"],
            goal=each.saved["goal"],
            mode=Mode(each.saved["mode"]),
        )
        for each in found
    ]
    return Page[VersionOut].part_of(rows, query)


@rules.post("/rules", needs=Permission.RULES_EDIT, summary="Add a rule", location=lambda made: f"/rules/{made.id}")
async def post_rule_of_automation(ask: Ask, body: NewAutomationRule) -> AutomationRuleOut:
    people = await load_directory(ask.session)
    draft = RuleDraft(
        name=body.name,
        owner_id=_owner(body.owner, people) if body.owner is not None else ask.viewer.user_id,
        when=body.when,
        steps=list(body.then),
        conditions=body.if_,
        goal=body.goal,
        state=body.state.value,
        mode=body.mode.value,
        most_per_hour=body.most_per_hour,
        paused_until=body.paused_until,
    )
    region = ask.settings.region
    return await _out(
        ask, await save_rule(ask.session, ask.viewer, None, draft, version=None, region=region, now=ask.now)
    )


@rules.patch("/rules/{automation_id}", needs=Permission.RULES_EDIT, summary="Change a rule")
async def patch_rule_of_automation(ask: Ask, automation_id: int, body: AutomationRulePatch) -> AutomationRuleOut:
    row, sent = await access_rule(ask.session, ask.viewer, automation_id), body.model_fields_set
    if body.archived is not None:
        if sent - {"archived", "version"}:
            raise Invalid("archived", "automation.alone", "Archive a rule, or change it: not both at once.")
        rule = await archive_rule(ask.session, ask.viewer, automation_id, ask.now, archived=body.archived)
        return await _out(ask, rule)
    people = await load_directory(ask.session)
    draft = RuleDraft(
        name=body.name if body.name is not None else row.name,
        owner_id=_owner(body.owner, people) if body.owner is not None else row.owner_id,
        when=body.when if body.when is not None else row.when,
        steps=list(body.then) if body.then is not None else row.steps,
        conditions=body.if_ if body.if_ is not None else row.conditions,
        goal=body.goal if body.goal is not None else row.goal,
        state=(body.state or RuleState(row.state)).value,
        mode=(body.mode or Mode(row.mode)).value,
        most_per_hour=body.most_per_hour if body.most_per_hour is not None else row.most_per_hour,
        paused_until=body.paused_until if "paused_until" in sent else row.paused_until,
    )
    rule = await save_rule(
        ask.session,
        ask.viewer,
        automation_id,
        draft,
        version=body.version,
        waiting=body.waiting,
        region=ask.settings.region,
        now=ask.now,
    )
    return await _out(ask, rule)


@rules.post(
    "/rules/{automation_id}/dry-run",
    needs=Permission.RULES_EDIT,
    summary="What it would have done lately",
    location=lambda job: f"/jobs/{job.id}",
)
async def post_dry_run(ask: Ask, automation_id: int, body: DryRun) -> JobOut:
    """A job (`GET /jobs/{id}`) whose `result` has `fired skipped limited deals` and `rows`: up to 200 of the firings, each with `at deal_id
    act by_id would refused` and `did`: what people did to the deal within a day. `refused`: in how many of `rows` a step would have been
    refused. Nothing is changed. Deals are asked as they were then; lamps, next tasks, clients and gates as they are now.
    """
    rule = await access_rule(ask.session, ask.viewer, automation_id)
    days, region = body.days, ask.settings.region
    return job_out(await try_rule(ask.session, ask.viewer, draft_of(rule), days=days, region=region, now=ask.now))


def _kind(kind: RuleKind) -> KindOut:
    params = [
        ParamOut(
            name=each.name,
            title=each.title,
            kind=each.kind,
            required=each.required,
            choices=_choices(each.choices),
            least=each.least,
            most=each.most,
            default=each.default,
            hint=each.hint,
            has_formulas=each.has_formulas,
        )
        for each in kind.params
    ]
    return KindOut(
        code=kind.code,
        title=kind.title,
        group=kind.group,
        subjects=sorted(kind.subjects),
        params=params,
        repeats=kind.repeats,
    )


def _term(term: AskedTerm) -> TermOut:
    return TermOut(
        name=term.name,
        title=term.title,
        group=term.group,
        control=term.control,
        ops=list(term.ops),
        choices=_choices(term.choices),
    )


def _choices(choices: Mapping[str, str]) -> list[ChoiceOut]:
    return [ChoiceOut(code=code, title=title) for code, title in choices.items()]


def _owner(login: str, people: Directory) -> int:
    found = next((each for each, user in people.users.items() if user.login == login.lower()), None)
    if found is None:
        raise Invalid("owner", "automation.owner", "Choose somebody who answers for the rule.")
    return found


async def _out(ask: Ask, rule: AutomationRule) -> AutomationRuleOut:
    return (await _all_out(ask, [rule]))[0]


async def _all_out(ask: Ask, found: Sequence[AutomationRule]) -> list[AutomationRuleOut]:
    people, fields = await load_directory(ask.session), await load_fields(ask.session)
    waiting = await waiting_runs(ask.session, [rule.id or 0 for rule in found])
    hooked, live = await load_hook_values(ask.session), await load_live_hooks(ask.session)
    broken = {rule.id: ready_rule(rule, fields, people, hooked, live).broken for rule in found}
    return [_rule(rule, people, broken[rule.id], waiting.get(rule.id or 0, 0)) for rule in found]


def _rule(rule: AutomationRule, people: Directory, broken: Invalid | None, waiting: int) -> AutomationRuleOut:
    return AutomationRuleOut(
        id=rule.id or 0,
        name=rule.name,
        when=rule.when,
        if_=rule.conditions,
        then=rule.steps,
        state=RuleState(rule.state),
        mode=Mode(rule.mode),
        goal=rule.goal,
        owner=people.login(rule.owner_id),
        most_per_hour=rule.most_per_hour,
        paused_until=rule.paused_until,
        pipeline_id=rule.pipeline_id,
        stage_id=rule.stage_id,
        broken=str(broken) if broken is not None else None,
        waiting=waiting,
        archived=rule.archived_at is not None,
        version=rule.version,
    )
