"""Changing the rules of distribution: adding, editing, their order, switching off, deleting with undo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, may
from pbxcrm.audit.actions import record
from pbxcrm.calls.lines import load_lines
from pbxcrm.deals.queries import load_funnel
from pbxcrm.distribution.access import check_rules
from pbxcrm.distribution.cases import case_terms, read_query
from pbxcrm.distribution.hooks import names_of_forms
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.queries import access_rule
from pbxcrm.distribution.rules import Kind, Member, Method, Otherwise
from pbxcrm.fields.conditions import Condition, Test
from pbxcrm.fields.queries import load_fields
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.lengths import check_line, longest

MOST_RULES = 100
MOST_MEMBERS = 300
LARGEST_LIMIT = 10_000
LARGEST_SINCE = Decimal(10) ** 12
_ORDER = "distribution_rules"  # lock: two people who add or move rules at once


@dataclass(frozen=True, slots=True)
class RuleChange:
    """A rule as entered. ``query``: its condition as filters in an address."""

    name: str
    method: str = Method.TURNS.value
    members: Sequence[Member] = ()
    query: str = ""
    is_on: bool = True
    on_shift: bool = True
    most_open: int | None = None
    most_per_day: int | None = None
    otherwise: str = Otherwise.NOBODY.value


async def save_rule(
    session: AsyncSession,
    viewer: Viewer,
    rule_id: int | None,
    change: RuleChange,
    *,
    version: int | None,
    now: datetime,
) -> DistributionRule:
    """Add a rule at the end (``rule_id`` None) or change one. Choices that were made stay as they are.

    ``version``: the one that the viewer saw, None to overwrite. Raises Invalid at the wrong field, NotFound, Conflict, NotAllowed.
    """
    check_rules(viewer)
    if rule_id is None:
        await lock(session, _ORDER)
        known = await _rows(session)
        if len(known) >= MOST_RULES:
            raise Invalid("", "distribution.many", "There can be at most {most} rules.", most=MOST_RULES)
        rule = DistributionRule(name="", method="", otherwise="", version=0)
        rule.position = max((each.position for each in known), default=-1) + 1
    else:
        rule = await access_rule(session, rule_id)
        await session.refresh(rule, with_for_update=True)
        _check_version(rule, version)
    apply_change(rule, await check_rule(session, change))
    rule.version += 1
    session.add(rule)
    await session.flush()
    record(session, now, "distribution.saved", "distribution_rule", rule.id, actor=viewer, name=rule.name)
    return rule


def apply_change(rule: DistributionRule, change: RuleChange) -> None:
    """Write a checked change into a rule."""
    rule.name, rule.query, rule.method = change.name, change.query, change.method
    rule.members = [each.stored() for each in change.members]
    rule.is_on, rule.on_shift, rule.otherwise = change.is_on, change.on_shift, change.otherwise
    rule.most_open, rule.most_per_day = change.most_open, change.most_per_day


async def check_rule(session: AsyncSession, change: RuleChange) -> RuleChange:
    """The change with a clean name. Raises Invalid at the wrong field."""
    name = check_line(
        change.name, DistributionRule.name, "name", "distribution.name", "Write a name of up to {most} characters."
    )
    people = await load_directory(session)
    if len(change.query) > longest(DistributionRule.query):
        raise Invalid("query", "distribution.long_query", "These are too many conditions for a rule.")
    await _check_named(session, read_query(change.query, case_terms(await load_fields(session), people)))
    if change.method not in set(Method):
        raise Invalid("method", "distribution.method", "Choose how they are given.")
    if change.otherwise not in set(Otherwise):
        raise Invalid("otherwise", "distribution.otherwise", "Choose what happens when nobody can get it.")
    for field, value in (("most_open", change.most_open), ("most_per_day", change.most_per_day)):
        if value is not None and not 1 <= value <= LARGEST_LIMIT:
            raise Invalid(field, "distribution.limit", "Write a number from 1 to {most}.", most=LARGEST_LIMIT)
    return replace(change, name=name, members=_checked_members(change, people))


def _checked_members(change: RuleChange, people: Directory) -> list[Member]:
    members = list({(each.kind, each.id): each for each in change.members}.values())
    if not members:
        raise Invalid("members", "distribution.whom", "Choose at least one person or team.")
    if len(members) > MOST_MEMBERS:
        raise Invalid("members", "distribution.many_people", "Choose at most {most} people.", most=MOST_MEMBERS)
    for each in members:
        if each.kind is Kind.TEAM and each.id not in people.teams:
            raise Invalid("members", "people.no_team", "There is no such team.")
        if each.kind is Kind.USER:
            user = people.active(each.id)
            if user is None:
                raise Invalid("members", "people.no_person", "There is no such person, or they have left.")
            if not may(user.role, Permission.DEALS_EDIT):
                raise Invalid("members", "people.cannot_work", "Their role may not work on it. Choose somebody else.")
        if each.since is not None and not 0 <= each.since < LARGEST_SINCE:
            raise Invalid(
                f"since_{each.kind.value}_{each.id}",
                "deals.amount",
                "Write the amount as a number, for example 12400.50.",
            )
    by_value = change.method == Method.VALUE
    return [each if by_value else replace(each, since=None) for each in members]


async def _check_named(session: AsyncSession, condition: Condition) -> None:
    """Raise Invalid for a line, form, pipeline or stage that there is not: such a rule would never speak."""
    funnel = await load_funnel(session)
    known: Mapping[str, set[int | None]] = {
        "line": {line.id for line in await load_lines(session)},
        "form": set(await names_of_forms(session)),
        "pipeline": set(funnel.pipelines),
        "stage": set(funnel.stages),
    }
    for test in _tests(condition):
        if test.term.name in known and not known[test.term.name].issuperset(test.values):
            raise Invalid(test.term.name, "conditions.row", "Choose from the list.")


def _tests(condition: Condition) -> list[Test]:
    if isinstance(condition, Test):
        return [condition]
    return [test for part in condition.parts for test in _tests(part)]


async def move_rule(session: AsyncSession, viewer: Viewer, rule_id: int, *, up: bool, now: datetime) -> None:
    """Swap a rule with the one before or after it; the first one that speaks for a deal decides."""
    check_rules(viewer)
    await lock(session, _ORDER)
    rules = await _rows(session)
    here = next((place for place, rule in enumerate(rules) if rule.id == rule_id), None)
    if here is None:
        raise NotFound("distribution.no_rule_there", "There is no such rule any more.")
    there = here - 1 if up else here + 1
    if 0 <= there < len(rules):
        rules[here], rules[there] = rules[there], rules[here]
    for place, rule in enumerate(rules):
        rule.position = place
    record(session, now, "distribution.moved", "distribution_rule", rule_id, actor=viewer, up=up)


async def switch_rule(session: AsyncSession, viewer: Viewer, rule_id: int, *, on: bool, now: datetime) -> None:
    """Switch a rule on or off; its turns stay."""
    check_rules(viewer)
    rule = await access_rule(session, rule_id)
    if rule.is_on != on:
        rule.is_on = on
        rule.version += 1
        act = "distribution.switched_on" if on else "distribution.switched_off"
        record(session, now, act, "distribution_rule", rule_id, actor=viewer, name=rule.name)


async def delete_rule(session: AsyncSession, viewer: Viewer, rule_id: int, now: datetime) -> DistributionRule:
    """Put a rule away; ``restore_rule`` brings it back. What it gave stays given."""
    check_rules(viewer)
    rule = await access_rule(session, rule_id)
    rule.deleted_at = now
    record(session, now, "distribution.deleted", "distribution_rule", rule_id, actor=viewer, name=rule.name)
    return rule


async def restore_rule(session: AsyncSession, viewer: Viewer, rule_id: int, now: datetime) -> DistributionRule:
    """Undo ``delete_rule``: the rule is back at its place."""
    check_rules(viewer)
    rule = await session.get(DistributionRule, rule_id)
    if rule is None:
        raise NotFound("distribution.no_rule_there", "There is no such rule any more.")
    if rule.deleted_at is not None:
        rule.deleted_at = None
        record(session, now, "distribution.restored", "distribution_rule", rule_id, actor=viewer, name=rule.name)
    return rule


async def _rows(session: AsyncSession) -> list[DistributionRule]:
    query = select(DistributionRule).where(col(DistributionRule.deleted_at).is_(None))
    found = await session.exec(query.order_by(col(DistributionRule.position), col(DistributionRule.id)))
    return list(found.all())


def _check_version(rule: DistributionRule, version: int | None) -> None:
    if version is not None and rule.version != version:
        raise Conflict(
            "distribution.stale", "Somebody changed this rule meanwhile. Look at it again before you change it."
        )
