"""How often rules fired, by what became of it."""

from collections.abc import Mapping
from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.automation.models import RuleRun
from pbxcrm.automation.queries import check_rules


async def count_runs(
    session: AsyncSession, viewer: Viewer, since: datetime, rule_id: int | None = None
) -> Mapping[int, Mapping[str, int]]:
    """The firings of each rule since then, by status; of one rule, or of all. Raises NotAllowed."""
    check_rules(viewer)
    query = select(RuleRun.rule_id, RuleRun.status, func.count()).where(col(RuleRun.at) >= since)
    if rule_id is not None:
        query = query.where(RuleRun.rule_id == rule_id)
    found: dict[int, dict[str, int]] = {}
    for of_rule, status, number in (await session.exec(query.group_by(col(RuleRun.rule_id), RuleRun.status))).all():
        found.setdefault(of_rule, {})[status] = number
    return found
