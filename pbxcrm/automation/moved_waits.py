"""Runs that wait and go on by their rule as it is now: its wait counts from when each began to wait."""

from sqlmodel import and_, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import AutomationRule, RuleRun, RunStatus, RunStep
from pbxcrm.automation.steps.kinds import WAIT
from pbxcrm.automation.waits import WAITING_CODES, end_of_wait, wait_said, why_waiting
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory


async def wait_anew(session: AsyncSession, rule: AutomationRule) -> None:
    """Set when the waiting runs of the rule go on, and what they say. Where the rule has no wait any more, they go on at once. One whose
    step is tried again, or that waits for another run, is left.
    """
    of_wait = and_(
        col(RunStep.run_id) == RuleRun.id, RunStep.position == RuleRun.position - 1, col(RunStep.kind) == WAIT
    )
    waits = (
        col(RuleRun.rule_id) == rule.id,
        RuleRun.status == RunStatus.WAITING.value,
        col(RuleRun.due_at).is_not(None),
    )
    query = (
        select(RuleRun, RunStep, Deal.responsible_id)
        .join(RunStep, of_wait)
        .outerjoin(Deal, col(Deal.id) == RuleRun.deal_id)
        .where(*waits)
        .order_by(col(RuleRun.id))
    )
    calendars = await load_calendars(session, await load_directory(session))
    for run, taken, responsible_id in (await session.exec(query)).all():
        place = run.position - 1
        step = rule.steps[place] if place < len(rule.steps) else {}
        if run.reason.get("code") not in WAITING_CODES:
            continue
        working = calendars.of_user(responsible_id)
        if step.get("kind") != WAIT:
            run.due_at = working.add_minutes(taken.at, 0)
        elif run.reason == (why := why_waiting(step).stored()):
            continue
        else:
            run.due_at, run.reason = end_of_wait(step, taken.at, working), why
            taken.result = wait_said(step).stored()
        run.version += 1
