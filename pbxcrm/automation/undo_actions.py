"""Taking a whole firing back: step by step from the last to the first; what somebody has changed since stays, and that is said."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import UNHEARD, record
from pbxcrm.automation.models import RuleRun, RunStatus, RunStep, StepStatus
from pbxcrm.automation.run_queries import access_run
from pbxcrm.automation.steps.kinds import STEPS
from pbxcrm.automation.steps.step import TakingBack
from pbxcrm.contacts.actions import access_contact_for_change
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason


async def undo_run(session: AsyncSession, viewer: Viewer, run_id: int, now: datetime) -> list[tuple[RunStep, Reason]]:
    """Take back what the firing did to a deal or a client that the viewer may change; one that waits does not go on. No rule hears it.

    Returns the steps that stay, each with why. Raises NotFound, NotAllowed, Conflict.
    """
    check(viewer, Permission.DEALS_EDIT)
    run = await access_run(session, viewer, run_id)
    deal = await access_deal_for_change(session, viewer, run.deal_id, None) if run.deal_id is not None else None
    if deal is None and run.contact_id is not None:
        await access_contact_for_change(session, viewer, run.contact_id, None)
    run = await lock_row(session, RuleRun, run_id)
    if run.undone_at is not None:
        raise Conflict("automation.undone", "This firing is taken back already.")
    session.info[UNHEARD] = True
    undoing = TakingBack(session, viewer, deal, await load_directory(session), now)
    stay: list[tuple[RunStep, Reason]] = []
    query = select(RunStep).where(RunStep.run_id == run_id, RunStep.status == StepStatus.DONE.value)
    for step in (await session.exec(query.order_by(col(RunStep.id).desc()))).all():
        if step.kind not in STEPS or not step.undo:
            continue
        why = await STEPS[step.kind].undo(undoing, step.undo)
        if why is not None:
            stay.append((step, why))
            continue
        step.status = StepStatus.UNDONE.value
    if run.status == RunStatus.WAITING:
        run.status, run.due_at, run.ended_at = RunStatus.SKIPPED.value, None, now
        run.reason = reason("automation.undone").stored()
    run.undone_at, run.undone_by_id = now, viewer.user_id
    run.version += 1
    if deal is not None:
        say_deal_changed(session, deal, now, undoing.people)
    record(session, now, "run.undone", "run", run_id, actor=viewer, deal_id=run.deal_id, stay=len(stay))
    return stay
