"""When a run goes on after a wait: at most so many of one rule on one day (``per_day`` of the step), so that nobody is flooded."""

from collections.abc import Mapping
from datetime import datetime, time, timedelta
from typing import Any

from sqlmodel import col, func, select

from pbxcrm.automation.batch import NewRun, Run
from pbxcrm.automation.firing import Firing
from pbxcrm.automation.models import AutomationRule, RuleRun, RunStatus, RunStep
from pbxcrm.automation.steps.kinds import WAIT
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.shared.db import lock


async def later_day(firing: Firing, rule: AutomationRule, run: RuleRun) -> datetime | None:
    """When a run whose wait is over goes on instead, if as many as may went on today already: the rule paused, or no worker ran, and many
    waits are over at once.
    """
    step = rule.steps[run.position - 1] if run.position else {}
    most = step.get("per_day")
    if step.get("kind") != WAIT or most is None:
        return None
    deal = await firing.deal()
    working = firing.around.calendars.of_user(deal.responsible_id if deal is not None else None)
    await lock(firing.session, f"automation.per_day:{run.rule_id}")
    begins, ends = _day_of(firing.now, working)
    if (await firing.session.exec(_went_on(run, begins, ends))).one() < most:
        return None
    return await day_with_room(firing, run, step, working, working.add_minutes(firing.now, 0))


async def day_with_room(
    firing: Firing, run: Run, step: Mapping[str, Any], working: WorkingTime, wanted: datetime
) -> datetime:
    """The end of the wait (``wanted``), or the morning of the first working day after it on which fewer than ``per_day`` go on. ``run`` stands behind
    the wait already.

    Runs queue in the order in which they began to wait, so the last day that is taken is where the queue ends.
    """
    most = step.get("per_day")
    if most is None:
        return wanted
    session = firing.session
    await lock(session, f"automation.per_day:{run.rule_id}")
    await session.flush()
    waits = (
        RuleRun.rule_id == run.rule_id,
        RuleRun.status == RunStatus.WAITING.value,
        RuleRun.position == run.position,
        col(RuleRun.id).is_distinct_from(None if isinstance(run, NewRun) else run.id),
    )
    last = (await session.exec(select(func.max(col(RuleRun.due_at))).where(*waits))).one()
    new = [each.due_at for each in firing.batch.new_runs if each is not run and _waits_so(each, run)]
    queue_ends = max([wanted, *filter(None, (last, *new))])
    begins, ends = _day_of(queue_ends, working)
    waiting = select(func.count()).where(*waits, col(RuleRun.due_at) >= begins, col(RuleRun.due_at) < ends)
    taken = (await session.exec(waiting)).one() + (await session.exec(_went_on(run, begins, ends))).one()
    taken += sum(1 for due_at in new if due_at is not None and begins <= due_at < ends)
    return queue_ends if taken < most else working.next_morning(queue_ends)


def _went_on(run: Run, begins: datetime, ends: datetime) -> Any:  # a query
    """How many runs of the rule took the step behind the wait within these moments."""
    return (
        select(func.count())
        .select_from(RunStep)
        .join(RuleRun, col(RuleRun.id) == col(RunStep.run_id))
        .where(RuleRun.rule_id == run.rule_id, RunStep.position == run.position)
        .where(col(RunStep.at) >= begins, col(RunStep.at) < ends)
    )


def _waits_so(other: NewRun, run: Run) -> bool:
    return other.rule_id == run.rule_id and other.position == run.position and other.status == RunStatus.WAITING


def _day_of(moment: datetime, working: WorkingTime) -> tuple[datetime, datetime]:
    """The local day of a moment: its beginning, and that of the next one."""
    day = moment.astimezone(working.timezone).date()
    begins, ends = (datetime.combine(each, time(), working.timezone) for each in (day, day + timedelta(days=1)))
    return begins, ends
