"""Automatic moves of deals: if the gate refuses one, the deal stays where it is and a task says so."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.actions import do_move_deal
from pbxcrm.deals.gate_rules import GateRefused
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import TaskKind


async def do_move_by_itself(
    session: AsyncSession, deal: Deal, to: Stage, at: datetime, *, people: Directory, why: Reason, lost_reason: str = ""
) -> GateRefused | None:
    """Move ``deal`` for the reason ``why``. Returns what the gate of ``to`` says if it refuses. Then the responsible person gets a task
    that says which move failed, why it was tried and what is missing; at most one such task is open per deal.
    """
    try:
        await do_move_deal(session, deal, to, at, actor=None, people=people, why=why, lost_reason=lost_reason)
    except GateRefused as refused:
        new = TaskDraft(
            kind=TaskKind.TODO,
            title=reason("task.gate", stage=to.name),
            why=reason("gate.refused", why, *refused.reasons, stage=to.name),
            due_at=at,
            assignee_id=deal.responsible_id,
            deal_id=deal.id,
            contact_id=deal.contact_id,
            about=f"gate:{deal.id}",
        )
        await do_create_task(session, new, at, people)
        return refused
    return None
