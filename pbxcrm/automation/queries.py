"""The rules as events and runs need them, cached in memory until one changes; and lists of them for people."""

from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from itertools import islice

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.automation.explanations import Said
from pbxcrm.automation.facts import rule_terms
from pbxcrm.automation.hook_queries import load_hook_values, load_live_hooks
from pbxcrm.automation.hook_rules import no_hook
from pbxcrm.automation.models import AutomationRule, RuleRun, RuleState, RuleVersion, RunStatus
from pbxcrm.automation.rules import DEAF, Hearing
from pbxcrm.automation.steps.step import Around
from pbxcrm.automation.steps.tag_step import TAG
from pbxcrm.automation.triggers import FOR_RULE, GOAL_ACTS, TRIGGERS, MeantDeal, Trigger
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.calls.lines import load_lines
from pbxcrm.deals.queries import load_funnel
from pbxcrm.fields.conditions import Condition, parse, tests_in
from pbxcrm.fields.merged_links import has_links, with_merged_links
from pbxcrm.fields.queries import FieldSet, load_fields
from pbxcrm.fields.rules import Checking
from pbxcrm.money.models import Product
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Invalid, NotFound

MOST_TAGS_READ = 500


@dataclass(frozen=True, slots=True)
class ActiveRule:
    """A rule with its conditions as they are asked. ``broken``: what it asks for is gone; then the conditions are None. ``said``: a cache."""

    rule: AutomationRule
    trigger: Trigger
    condition: Condition | None
    goal: Condition | None
    broken: Invalid | None = None
    said: Said = field(default_factory=dict, compare=False)

    @property
    def asks(self) -> frozenset[str]:
        """The names of the terms that its condition and its goal ask."""
        return frozenset(test.term.name for part in (self.condition, self.goal) if part for test in tests_in(part))

    def hears(self, hearing: Hearing) -> bool:
        """Whether the rule listens to this act now."""
        return (
            hearing.act in self.trigger.acts
            and DEAF not in hearing.data
            and self.trigger.hears(self.rule.when, hearing.act, hearing.data)  # before the others: most rules end here
            and (FOR_RULE not in hearing.data or hearing.data[FOR_RULE] == self.rule.id)
            and ((paused := self.rule.paused_until) is None or hearing.at >= paused)
        )

    def means(self, act: str, deal: MeantDeal) -> bool:
        """Whether an act that it heard counts on this deal."""
        when = self.rule.when
        return when.get("pipeline_id") in {None, deal.pipeline_id} and self.trigger.means(when, act, deal)

    def arms(self, hearing: Hearing) -> bool:
        """Whether its timer is set anew after this act."""
        return hearing.act in self.trigger.arms and self.trigger.arms_on(self.rule.when, hearing.act, hearing.data)


@dataclass(frozen=True, slots=True)
class ActiveRules:
    """Every rule that is on or watches, by id and by the acts that it listens to. ``by_arm``: by those after which its timer is set anew.
    ``goal_acts``: after which goals are asked. ``linked``: whether any asks for rows that a field points to. ``asked``: the names of the
    terms of all conditions and goals.
    """

    by_id: Mapping[int, ActiveRule]
    by_act: Mapping[str, Sequence[ActiveRule]]
    by_arm: Mapping[str, Sequence[ActiveRule]]
    goal_acts: frozenset[str]
    linked: bool = False
    asked: frozenset[str] = frozenset()

    def tags_after(self, acts: Collection[str]) -> Sequence[str]:
        """The names of the tags that rules which listen to these acts put on and take off; not all, if there are very many."""
        names = (
            name
            for act in sorted(acts)
            for ready in self.by_act.get(act, ())
            for step in ready.rule.steps
            if step["kind"] == TAG.kind
            for name in (*step.get("add", ()), *step.get("remove", ()))
        )
        return list(dict.fromkeys(islice(names, MOST_TAGS_READ)))


async def load_around(session: AsyncSession, region: str, currency: str = "") -> Around:
    """What checks and steps need to know. ``region``: of telephone numbers; ``currency``: of first deals, only steps ask it."""
    people = await load_directory(session)
    return Around(
        people,
        await load_calendars(session, people),
        await load_funnel(session),
        await load_fields(session),
        region,
        await load_hook_values(session),
        currency,
        {line.id or 0: line.name for line in await load_lines(session)},
    )


async def load_active(session: AsyncSession) -> ActiveRules:
    """All active rules, from a cache that is reloaded after a change. Merges change what links stand for without one."""
    rules = await cached_until_changed(session, _read_active)
    if not rules.linked:
        return rules
    now = {rule_id: await with_merged(session, ready) for rule_id, ready in rules.by_id.items()}
    by_act, by_arm = (
        {act: [now[each.rule.id or 0] for each in some] for act, some in heard.items()}
        for heard in (rules.by_act, rules.by_arm)
    )
    return replace(rules, by_id=now, by_act=by_act, by_arm=by_arm)


async def with_merged(session: AsyncSession, ready: ActiveRule) -> ActiveRule:
    """The rule as it is asked now: links that it asks for stand for what was merged into them, too."""
    if not (has_links(ready.condition) or has_links(ready.goal)):
        return ready
    condition = None if ready.condition is None else await with_merged_links(session, ready.condition)
    goal = None if ready.goal is None else await with_merged_links(session, ready.goal)
    return replace(ready, condition=condition, goal=goal, said={})


async def _read_active(session: AsyncSession) -> ActiveRules:
    active = (col(AutomationRule.state) != RuleState.OFF.value, col(AutomationRule.archived_at).is_(None))
    rows = (await session.exec(select(AutomationRule).where(*active).order_by(col(AutomationRule.id)))).all()
    if not rows:
        return ActiveRules({}, {}, {}, frozenset())
    fields, people = await load_fields(session), await load_directory(session)
    hooked, live = await load_hook_values(session), await load_live_hooks(session)
    ready = {
        row.id or 0: ready_rule(row, fields, people, hooked, live) for row in rows if row.when.get("kind") in TRIGGERS
    }
    by_act: dict[str, list[ActiveRule]] = {}
    by_arm: dict[str, list[ActiveRule]] = {}
    for each in ready.values():
        for act in each.trigger.arms:
            by_arm.setdefault(act, []).append(each)
        for act in each.trigger.acts:
            by_act.setdefault(act, []).append(each)
    has_goal = any(each.rule.goal for each in ready.values())
    linked = any(has_links(each.condition) or has_links(each.goal) for each in ready.values())
    asked = frozenset().union(*(each.asks for each in ready.values()))
    return ActiveRules(ready, by_act, by_arm, GOAL_ACTS if has_goal else frozenset(), linked, asked)


def ready_rule(
    rule: AutomationRule,
    fields: FieldSet,
    people: Directory,
    hook_values: Mapping[str, str],
    live_hooks: AbstractSet[int],
) -> ActiveRule:
    """The rule with its conditions read, or with what is wrong with them. ``hook_values``: what incoming webhooks declare;
    ``live_hooks``: those that are not revoked.
    """
    trigger = TRIGGERS[rule.when["kind"]]
    terms = rule_terms(fields, Checking("", people), trigger.subject, hook_values)
    try:
        condition = parse(rule.conditions, terms)
        goal = parse(rule.goal, terms, "goal") if rule.goal else None
    except Invalid as error:
        return ActiveRule(rule, trigger, None, None, error)
    is_deaf = "hook_id" in rule.when and rule.when["hook_id"] not in live_hooks
    # What waits goes on: its condition can be asked.
    return ActiveRule(rule, trigger, condition, goal, no_hook("when.hook_id") if is_deaf else None)


async def rule_of_version(session: AsyncSession, rule: AutomationRule, version: int) -> ActiveRule:
    """The rule as it was saved in a version, for a run that began with it; as it is now if that version is not kept."""
    query = select(RuleVersion).where(RuleVersion.rule_id == rule.id, RuleVersion.version == version)
    found = (await session.exec(query)).first()
    then = AutomationRule(**{**rule.model_dump(), **(found.saved if found is not None else {})})
    hooked, live = await load_hook_values(session), await load_live_hooks(session)
    return await with_merged(
        session, ready_rule(then, await load_fields(session), await load_directory(session), hooked, live)
    )


def check_rules(viewer: Viewer) -> None:
    """Raise NotAllowed unless the viewer may read and change the rules."""
    check(viewer, Permission.RULES_EDIT)


async def access_rule(session: AsyncSession, viewer: Viewer, rule_id: int, *, lock: bool = False) -> AutomationRule:
    """A rule, also an archived one. Raises NotFound, NotAllowed."""
    check_rules(viewer)
    rule = await session.get(AutomationRule, rule_id, with_for_update=lock or None, populate_existing=lock)
    if rule is None:
        raise NotFound("automation.no_rule", "There is no such rule.")
    return rule


async def list_rules(session: AsyncSession, viewer: Viewer, *, archived: bool = False) -> Sequence[AutomationRule]:
    """All rules, the oldest first. Raises NotAllowed."""
    check_rules(viewer)
    query = select(AutomationRule).order_by(col(AutomationRule.id))
    return (await session.exec(query if archived else query.where(col(AutomationRule.archived_at).is_(None)))).all()


async def rules_calling(session: AsyncSession, webhook_id: int) -> int:
    """How many rules have a step that calls the webhook."""
    query = select(AutomationRule.steps).where(col(AutomationRule.archived_at).is_(None))
    calls = (any(step.get("webhook_id") == webhook_id for step in steps) for steps in (await session.exec(query)).all())
    return sum(calls)


async def products_in_rules(session: AsyncSession) -> Mapping[int, Product]:
    """The products that steps of rules name, by id, also retired ones."""
    query = select(AutomationRule.steps).where(col(AutomationRule.archived_at).is_(None))
    steps = [step for each in (await session.exec(query)).all() for step in each]
    found = await load_by_id(session, Product, {step["product_id"] for step in steps if step.get("product_id")})
    return {product.id or 0: product for product in found.values()}


async def waiting_runs(session: AsyncSession, rule_ids: Collection[int]) -> Mapping[int, int]:
    """How many runs of each rule wait; a rule of which none does is left out. The caller has checked access."""
    waits = (col(RuleRun.rule_id).in_(rule_ids), RuleRun.status == RunStatus.WAITING.value)
    query = select(RuleRun.rule_id, func.count()).where(*waits).group_by(col(RuleRun.rule_id))
    return dict((await session.exec(query)).all())


async def list_versions(session: AsyncSession, viewer: Viewer, rule_id: int) -> Sequence[RuleVersion]:
    """The saved versions of a rule, the newest first. Raises NotFound, NotAllowed."""
    await access_rule(session, viewer, rule_id)
    query = select(RuleVersion).where(RuleVersion.rule_id == rule_id).order_by(col(RuleVersion.version).desc())
    return (await session.exec(query)).all()
