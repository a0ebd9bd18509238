"""Hears what happens: handlers of the audit record and of ended calls, which store events in the transaction of the change.

Nothing is evaluated here. Where no rule listens to an act, this costs a look into a dictionary.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import UNHEARD, Recorded
from pbxcrm.automation.models import AutomationEvent
from pbxcrm.automation.queries import ActiveRules, load_active
from pbxcrm.automation.rules import DEAF, Cause, Hearing
from pbxcrm.automation.triggers import CALL_OVER, CLIENT, DEAL, OUTCOMES
from pbxcrm.calls.models import Call
from pbxcrm.shared.many_rows import add_many
from pbxcrm.tasks.models import Task


async def hear(session: AsyncSession, entries: list[tuple[Recorded, Cause | None]]) -> None:
    """Handler of ``audit.recorded``. The cause of what a rule did is set by ``running``."""
    rules = await load_active(session)
    if not rules.by_id:
        return
    deaf = UNHEARD in session.info
    events = [
        event
        for entry, cause in entries
        if (event := await _heard(session, rules, entry, cause, deaf=deaf)) is not None
    ]
    await add_many(session, AutomationEvent, events)


async def hear_calls(session: AsyncSession, calls: Sequence[Call]) -> None:
    """Handler of ``calls_over``: calls of clients that belong to a deal."""
    rules = await load_active(session)
    if CALL_OVER not in rules.by_act and CALL_OVER not in rules.goal_acts:
        return
    await add_many(
        session, AutomationEvent, [event for call in calls if (event := _heard_call(rules, call)) is not None]
    )


def _heard_call(rules: ActiveRules, call: Call) -> Recorded | None:
    if call.deal_id is None or call.merged_into_id is not None or call.outcome not in OUTCOMES:
        return None
    data = {
        "call_id": call.id,
        "direction": call.direction,
        "outcome": call.outcome,
        "talk_seconds": round(call.talk_seconds),
        "line_id": call.line_id,
    }
    at = call.ended_at or call.started_at
    if not _anybody(rules, Hearing(CALL_OVER, at, data)):
        return None
    return event_row(CALL_OVER, at, DEAL, call.deal_id, call.responsible_id, data, None)


async def _heard(
    session: AsyncSession, rules: ActiveRules, entry: Recorded, cause: Cause | None, *, deaf: bool
) -> dict[str, Any] | None:
    act, data, kind = entry["action"], entry["data"], entry["entity"]
    if act not in rules.by_arm and (deaf or (act not in rules.by_act and act not in rules.goal_acts)):
        return None
    row_id: int | None = int(entry["entity_id"])
    if kind == "task":
        data = {**data, "task_id": row_id}
        row_id = data.get("deal_id") or await _deal_of_task(session, row_id)
    data = {**data, DEAF: True} if deaf else data
    if row_id is None or not _anybody(rules, Hearing(act, entry["at"], data)):
        return None
    return event_row(act, entry["at"], CLIENT if kind == "contact" else DEAL, row_id, entry["actor_id"], data, cause)


async def _deal_of_task(session: AsyncSession, task_id: int | None) -> int | None:
    task = await session.get(Task, task_id)
    return task.deal_id if task is not None else None


def _anybody(rules: ActiveRules, hearing: Hearing) -> bool:
    if any(each.arms(hearing) for each in rules.by_arm.get(hearing.act, ())):
        return True
    return DEAF not in hearing.data and (
        hearing.act in rules.goal_acts or any(each.hears(hearing) for each in rules.by_act.get(hearing.act, ()))
    )


def event_row(
    act: str, at: datetime, kind: str, row_id: int, by_id: int | None, data: dict[str, Any], cause: Cause | None
) -> dict[str, Any]:
    """The columns of an event. ``kind`` and ``row_id``: its subject. ``by_id``: whose act it was."""
    return {
        "at": at,
        "act": act,
        "subject": f"{kind}:{row_id}",
        "deal_id": row_id if kind == DEAL else None,
        "contact_id": row_id if kind == CLIENT else None,
        "by_id": by_id,
        "data": data,
        "root_id": cause.root_id if cause is not None else None,
        "chain": [list(link) for link in cause.chain] if cause is not None else [],
        "tries": 0,
        "due_at": at,
    }
