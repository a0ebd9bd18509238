"""Reads the rules of distribution, and counts for the people of a rule."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import ARRAY, BigInteger, ColumnElement, Executable, any_, bindparam, func, literal, union_all
from sqlalchemy.orm import Mapped
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import CLOSED_KINDS, Deal
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.distribution.cases import DealCase, case_terms, read_query
from pbxcrm.distribution.models import DistributionChoice, DistributionRule, DistributionTurn
from pbxcrm.distribution.rules import Counts, Method
from pbxcrm.fields.conditions import Condition, holds
from pbxcrm.fields.merged_links import has_links, with_merged_links
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.tasks.models import Task, is_open


@dataclass(frozen=True, slots=True)
class ReadyRule:
    """A rule with its condition. None: something that it names is gone, so it speaks for no deal (never for every deal)."""

    rule: DistributionRule
    condition: Condition | None

    def speaks_for(self, case: DealCase, now: datetime) -> bool:
        """Whether the rule is on and its condition holds."""
        clock = AskedAt(now, ZoneInfo("UTC"))
        return self.rule.is_on and self.condition is not None and holds(self.condition, case, clock)


async def load_rules(session: AsyncSession) -> tuple[ReadyRule, ...]:
    """All rules in their order, also those that are off; cached until somebody changes them."""
    return tuple([await _now(session, each) for each in await cached_until_changed(session, _read_rules)])


async def _now(session: AsyncSession, ready: ReadyRule) -> ReadyRule:
    if ready.condition is None or not has_links(ready.condition):
        return ready
    return replace(ready, condition=await with_merged_links(session, ready.condition))


async def _read_rules(session: AsyncSession) -> tuple[ReadyRule, ...]:
    query = select(DistributionRule).where(col(DistributionRule.deleted_at).is_(None))
    rules = (await session.exec(query.order_by(col(DistributionRule.position), col(DistributionRule.id)))).all()
    if not rules:
        return ()
    terms = case_terms(await load_fields(session), await load_directory(session))
    found = []
    for rule in rules:
        try:
            condition: Condition | None = read_query(rule.query, terms)
        except Invalid:
            condition = None
        found.append(ReadyRule(rule, condition))
    return tuple(found)


async def any_rules(session: AsyncSession) -> bool:
    """Whether there is a rule that is on, so that pages offer to give deals by the rules."""
    return any(each.rule.is_on for each in await load_rules(session))


async def access_rule(session: AsyncSession, rule_id: int) -> DistributionRule:
    """A rule that is not deleted. Raises NotFound."""
    rule = await session.get(DistributionRule, rule_id)
    if rule is None or rule.deleted_at is not None:
        raise NotFound("distribution.no_rule_there", "There is no such rule any more.")
    return rule


def open_stages(funnel: Funnel) -> list[int]:
    """Ids of the stages in which deals are open."""
    return [stage.id or 0 for stage in funnel.stages.values() if stage.kind not in CLOSED_KINDS]


def _is_one_of(dialect: str, column: Mapped[Any], name: str) -> ColumnElement[bool]:
    """The condition that ``column`` is in the list ``name``; on PostgreSQL as one array, which is sooner sent than fifty numbers."""
    if dialect == "postgresql":
        return column == any_(bindparam(name, type_=ARRAY(BigInteger)))
    return column.in_(list_param(name))


def _open_deals(_dialect: str) -> Any:
    # Of everybody, by stage and person as the index of stages is sorted: asked for some people, SQLite reads all their closed deals, too.
    by_stage = (
        select(Deal.responsible_id, func.count().label("deals"))
        .where(col(Deal.stage_id).in_(list_param("stages")), col(Deal.merged_into_id).is_(None))
        .group_by(col(Deal.stage_id), col(Deal.responsible_id))
        .subquery()
    )
    return select(literal("deals"), by_stage.c.responsible_id, func.sum(by_stage.c.deals)).group_by(
        by_stage.c.responsible_id
    )


def _open_tasks(dialect: str) -> Any:
    return (
        select(literal("tasks"), Task.assignee_id, func.count())
        .where(is_open(), _is_one_of(dialect, col(Task.assignee_id), "people"))
        .group_by(col(Task.assignee_id))
    )


def _got(_dialect: str) -> Any:
    return (
        select(literal("today"), DistributionChoice.user_id, func.count())
        .where(
            col(DistributionChoice.rule_id) == bindparam("rule_id"),
            col(DistributionChoice.at) >= bindparam("day_began"),
            col(DistributionChoice.user_id).is_not(None),
        )
        .group_by(col(DistributionChoice.user_id))
    )


def _turns(_dialect: str) -> Any:
    of_rule = col(DistributionTurn.rule_id) == bindparam("rule_id")
    return select(literal("turns"), DistributionTurn.user_id, DistributionTurn.turn).where(of_rule)


def _known(_dialect: str) -> Any:
    about = col(DistributionChoice.subject) == bindparam("subject")
    return select(literal("known"), DistributionChoice.id, literal(1)).where(about)


_WAYS: Mapping[str, Callable[[str], Any]] = {
    "deals": _open_deals,
    "tasks": _open_tasks,
    "today": _got,
    "turns": _turns,
    "known": _known,
}


@cache  # of the few sets that rules ask for: building a statement takes as long as asking it
def _counting(dialect: str, what: tuple[str, ...]) -> Executable:
    return union_all(*(_WAYS[name](dialect) for name in what))


async def _count(session: AsyncSession, what: tuple[str, ...], params: Mapping[str, Any]) -> dict[str, dict[int, int]]:
    """What is counted, by its name and then by user id, all in one question; open deals also of people who are not asked for."""
    found: dict[str, dict[int, int]] = {name: {} for name in what}
    for name, row_id, number in await fetch(session, _counting(session.get_bind().dialect.name, what), params):
        found[name][row_id] = int(number)
    return found


async def count_open_deals(session: AsyncSession, people: Collection[int]) -> dict[int, int]:
    """Open deals by person."""
    stages = open_stages(await load_funnel(session))
    counts = (await _count(session, ("deals",), {"stages": stages}))["deals"]
    return {user_id: number for user_id, number in counts.items() if user_id in people}


async def count_open_tasks(session: AsyncSession, people: Collection[int]) -> dict[int, int]:
    """Open tasks by person."""
    return (await _count(session, ("tasks",), {"people": list(people)}))["tasks"]


async def count_for(
    session: AsyncSession, rule: DistributionRule, people: Collection[int], day_began: datetime, subject: str | None
) -> tuple[Counts, int | None]:
    """What the rule asks to be counted for these people, and the id of the choice that is stored for ``subject``; in one question.

    Flush the session first.
    """
    params: dict[str, Any] = {"rule_id": rule.id}
    what = ["turns"]
    if subject is not None:
        what.append("known")
        params["subject"] = subject
    if rule.method == Method.LEAST_DEALS or rule.most_open is not None:
        what.append("deals")
        params["stages"] = open_stages(await load_funnel(session))
    if rule.method == Method.LEAST_TASKS:
        what.append("tasks")
        params["people"] = list(people)
    if rule.most_per_day is not None:
        what.append("today")
        params["day_began"] = day_began
    found = await _count(session, tuple(what), params)
    counts = Counts(*(found.get(name, {}) for name in ("turns", "deals", "tasks", "today")))
    return counts, next(iter(found.get("known", ())), None)


def begin_of_day(now: datetime, zone: ZoneInfo) -> datetime:
    """The midnight before ``now`` in that time zone, as aware UTC."""
    return datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)


async def choice_of_deal(session: AsyncSession, deal_id: int) -> DistributionChoice | None:
    """The last choice about a deal; None if no rule spoke for it."""
    query = select(DistributionChoice).where(DistributionChoice.deal_id == deal_id)
    return (await session.exec(query.order_by(col(DistributionChoice.id).desc()).limit(1))).first()
