"""Once a day: rules that ran unusually often, rules that heard much and never ran, and a crowd of rules on one event say so to their owners."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.firing import task_for_owner
from pbxcrm.automation.models import RuleRun, RunStatus
from pbxcrm.automation.queries import load_active, load_around
from pbxcrm.shared.reasons import Reason, reason

DAY, LONG = timedelta(days=1), timedelta(days=14)
OFTEN, TIMES = 50, 5  # runs of a day, and how many times the usual
HEARD = 50  # events, all of them skipped
CROWD = 200  # rules that hear one event; they share a transaction, and on SQLite nobody else writes meanwhile


async def look_after(session: AsyncSession, now: datetime) -> None:
    """Make a task for the owner of each rule that looks wrong; one that has an open task gets no second one."""
    rules = await load_active(session)
    if not rules.by_id:
        return
    around = await load_around(session, "")
    today = await _counts(session, now - DAY, now)
    before = await _counts(session, now - LONG, now - DAY)
    for rule_id, ready in rules.by_id.items():
        why = _looks_wrong(today.get(rule_id, (0, 0)), before.get(rule_id, (0, 0)))
        if why is not None:
            await task_for_owner(session, around, ready.rule, None, None, why, now)
    if (crowd := await _crowd(session, now - DAY, now)) is not None and crowd[0] in rules.by_id:
        newest, count = crowd
        why = reason("automation.crowd", count=count)
        await task_for_owner(session, around, rules.by_id[newest].rule, None, None, why, now)


def _looks_wrong(today: tuple[int, int], before: tuple[int, int]) -> Reason | None:
    """Each: how many times the rule ran, and was skipped."""
    usual = before[0] / (LONG / DAY - 1)
    if today[0] >= OFTEN and before[0] and today[0] > TIMES * usual:
        return reason("automation.often", times=today[0], usual=max(1, round(usual)))
    heard = today[1] + before[1]
    if heard >= HEARD and not today[0] and not before[0]:
        return reason("automation.silent", times=heard)
    return None


async def _counts(session: AsyncSession, since: datetime, until: datetime) -> Mapping[int, tuple[int, int]]:
    is_skipped = col(RuleRun.status) == RunStatus.SKIPPED.value
    query = select(RuleRun.rule_id, is_skipped, func.count()).where(RuleRun.at > since, RuleRun.at <= until)
    found: dict[int, tuple[int, int]] = {}
    for rule_id, skipped, count in (await session.exec(query.group_by(col(RuleRun.rule_id), is_skipped))).all():
        ran, none = found.get(rule_id, (0, 0))
        found[rule_id] = (ran, none + count) if skipped else (ran + count, none)
    return found


async def _crowd(session: AsyncSession, since: datetime, until: datetime) -> tuple[int, int] | None:
    """The newest of the rules that heard one event, and how many they were, for the event with most; None if none had a crowd."""
    heard = func.count()
    query = select(func.max(col(RuleRun.rule_id)), heard).where(RuleRun.at > since, RuleRun.at <= until)
    query = query.group_by(col(RuleRun.event_id)).having(heard >= CROWD).order_by(heard.desc()).limit(1)
    found = (await session.exec(query)).first()
    return (found[0], found[1]) if found is not None else None
