"""Deletes what rules wrote down about the deals of a client who is erased, and about the client: the values that they saw are personal."""

from sqlalchemy import delete, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import AutomationEvent, HookCall, RuleRun, RunStep
from pbxcrm.automation.trial_jobs import TRIAL
from pbxcrm.contacts.hooks import Erasing
from pbxcrm.shared.background_jobs import BackgroundJob
from pbxcrm.shared.core_sql import one_of


async def erase_runs(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. Pages show it with the deals, which the handler of deals tells of."""
    held = erasing.held
    runs, events, calls = (
        or_(one_of(session, col(table.deal_id), held.deals), one_of(session, col(table.contact_id), held.contacts))
        for table in (RuleRun, AutomationEvent, HookCall)
    )
    await session.exec(delete(RunStep).where(col(RunStep.run_id).in_(select(RuleRun.id).where(runs))))
    await session.exec(delete(RuleRun).where(runs))
    await session.exec(delete(AutomationEvent).where(events))
    await session.exec(delete(HookCall).where(calls))
    trials = select(BackgroundJob).where(BackgroundJob.kind == TRIAL).with_for_update()
    for job in (await session.exec(trials)).all():
        if (
            job.finished_at is None
        ):  # it begins anew; what a batch reads at this moment is not kept, because the cursor is another one
            job.cursor, job.done, job.result = {"after": 0, "anew": erasing.at.isoformat()}, 0, {}
        else:
            rows = [row for row in job.result.get("rows", ()) if row["deal_id"] not in erasing.held.deals]
            job.result = {**job.result, "rows": rows}
