"""Reads the rules of distribution, and counts for the people of a rule."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from zoneinfo import ZoneInfo

from sqlalchemy import bindparam, func
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


# Built once. By the stages, because a seller has a hundred closed deals for each open one: the index of stages begins with the open ones.
_OPEN_DEALS = (
    select(Deal.responsible_id, func.count())
    .where(
        col(Deal.stage_id).in_(list_param("stages")),
        col(Deal.responsible_id).in_(list_param("people")),
        col(Deal.merged_into_id).is_(None),
    )
    .group_by(col(Deal.responsible_id))
)
_OPEN_TASKS = (
    select(Task.assignee_id, func.count())
    .where(is_open(), col(Task.assignee_id).in_(list_param("people")))
    .group_by(col(Task.assignee_id))
)

_GOT = (
    select(DistributionChoice.user_id, func.count())
    .where(
        col(DistributionChoice.rule_id) == bindparam("rule_id"),
        col(DistributionChoice.at) >= bindparam("day_began"),
        col(DistributionChoice.user_id).is_not(None),
    )
    .group_by(col(DistributionChoice.user_id))
)


async def count_open_deals(session: AsyncSession, people: Collection[int]) -> dict[int, int]:
    """Open deals by person."""
    stages = open_stages(await load_funnel(session))
    return dict(map(tuple, await fetch(session, _OPEN_DEALS, {"stages": stages, "people": list(people)})))


async def count_open_tasks(session: AsyncSession, people: Collection[int]) -> dict[int, int]:
    """Open tasks by person."""
    return dict(map(tuple, await fetch(session, _OPEN_TASKS, {"people": list(people)})))


async def count_for(
    session: AsyncSession, rule: DistributionRule, people: Collection[int], turns: dict[int, int], day_began: datetime
) -> Counts:
    """What the rule asks to be counted for these people, in one query each. Flush the session first."""
    deals: dict[int, int] = {}
    tasks: dict[int, int] = {}
    today: dict[int, int] = {}
    if rule.method == Method.LEAST_DEALS or rule.most_open is not None:
        deals = await count_open_deals(session, people)
    if rule.method == Method.LEAST_TASKS:
        tasks = await count_open_tasks(session, people)
    if rule.most_per_day is not None:
        today = dict(map(tuple, await fetch(session, _GOT, {"rule_id": rule.id, "day_began": day_began})))
    return Counts(turns, deals, tasks, today)


_TURNS = select(DistributionTurn.user_id, DistributionTurn.turn).where(
    col(DistributionTurn.rule_id) == bindparam("rule_id")
)


async def turns_of(session: AsyncSession, rule_id: int) -> dict[int, int]:
    """The number of the last turn of each person in a rule, by user id."""
    return dict(map(tuple, await fetch(session, _TURNS, {"rule_id": rule_id})))


def begin_of_day(now: datetime, zone: ZoneInfo) -> datetime:
    """The midnight before ``now`` in that time zone, as aware UTC."""
    return datetime.combine(now.astimezone(zone).date(), time(), zone).astimezone(UTC)


async def choice_of_deal(session: AsyncSession, deal_id: int) -> DistributionChoice | None:
    """The last choice about a deal; None if no rule spoke for it."""
    query = select(DistributionChoice).where(DistributionChoice.deal_id == deal_id)
    return (await session.exec(query.order_by(col(DistributionChoice.id).desc()).limit(1))).first()
