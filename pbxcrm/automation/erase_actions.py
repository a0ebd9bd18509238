"""Deletes what rules wrote down about the deals of a client who is erased, and about the client: the values that they saw are personal."""

from sqlalchemy import delete, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import AutomationEvent, HookCall, RuleRun, RunStep
from pbxcrm.contacts.hooks import Erasing
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
