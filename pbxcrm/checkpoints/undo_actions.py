"""Undoing that a manager gave an escalation to somebody else: what was there before stands beside the act in the audit log.

Lamps burn again as they did: for whom, since when, with their tasks. Their clocks follow from that and from the facts.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.models import AuditEntry
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.lamps import hold_open
from pbxcrm.checkpoints.lighting import recount_shared, relight, say_lamp_changed, undo_state_of_lamp
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.checkpoints.queries import access_escalation
from pbxcrm.deals.actions import UNDO_WITHIN, do_assign_deal
from pbxcrm.deals.models import Deal
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.actions import do_open_task, do_set_task, do_take_back_task, say_task_changed
from pbxcrm.tasks.models import Task

GIVEN = "escalation.reassigned"
#: What may have been changed by the act, by the name it has in the log. Rows are locked in the order of the ids in the log.
_TABLES: dict[str, type[SQLModel]] = {"deal": Deal, "lamp": Lamp, "task": Task}


@dataclass(frozen=True, slots=True)
class Given:
    """An act to undo, with what was there before (``kept``, as the decider's ``remember`` returned it)."""

    lamp: Lamp
    kept: Mapping[str, Any]
    at: datetime


def register_table(name: str, table: type[SQLModel]) -> None:
    """Let a context above have rows of ``table`` in what is kept; ``pbxcrm.composition`` calls this."""
    _TABLES[name] = table


async def remember_lamps(session: AsyncSession, *conditions: ColumnElement[bool] | bool) -> list[dict[str, Any]]:
    """The burning lamps with these conditions and their open tasks, as JSON for ``give_back_deal``. Locks them."""
    kept = []
    for lamp in await hold_open(session, *conditions):
        if lamp.state != LampState.BURNING:
            continue
        state = await undo_state_of_lamp(session, lamp)
        for task in state["tasks"]:
            task["assignee_id"] = (await session.get_one(Task, task["id"])).assignee_id
        kept.append(
            {
                **state,
                "owner_id": lamp.owner_id,
                "addressee_id": lamp.addressee_id,
                "instead_of_id": lamp.instead_of_id,
                "half_instead_of_id": lamp.half_instead_of_id,
                "asked_at": lamp.asked_at.isoformat() if lamp.asked_at is not None else None,
                "task_id": lamp.task_id,
                "note": lamp.note,
            }
        )
    return kept


async def remember_deal(session: AsyncSession, lamp: Lamp) -> dict[str, Any]:
    """What giving the deal of this lamp to somebody else may change. Locks the deal, then its lamps."""
    return await kept_of_deal(session, await lock_row(session, Deal, lamp.deal_id or 0))


async def kept_of_deal(session: AsyncSession, deal: Deal) -> dict[str, Any]:
    """The same for a deal that is locked."""
    burning = await remember_lamps(session, Lamp.subject == Subject.DEAL.value, Lamp.deal_id == deal.id)
    return {"deal": {"id": deal.id, "responsible_id": deal.responsible_id}, "lamps": burning}


async def note_given(session: AsyncSession, viewer: Viewer, lamp: Lamp, kept: Mapping[str, Any], now: datetime) -> None:
    """Log that ``viewer`` gave it to somebody else, with what was there before and the versions that it has now."""
    await session.flush()
    after = [[name, row_id, (await _row(session, name, row_id)).version] for name, row_id in _rows_of(kept)]
    entity, entity_id = _subject_of(lamp)
    undo = {**kept, "after": after}
    record(session, now, GIVEN, entity, entity_id, actor=viewer, lamp=lamp.id, by=viewer.user_id, undo=undo)


async def latest_given(session: AsyncSession, viewer: Viewer, lamp_id: int, now: datetime) -> Given:
    """The viewer's own act, not longer ago than ``UNDO_WITHIN``. Locks all that it changed. Raises NotFound, and Conflict if
    somebody has changed any of it since.
    """
    check(viewer, Permission.ESCALATIONS_WORK)
    lamp = await access_escalation(session, viewer, lamp_id)
    entity, entity_id = _subject_of(lamp)
    query = select(AuditEntry).where(
        AuditEntry.entity == entity, AuditEntry.entity_id == str(entity_id), AuditEntry.action == GIVEN
    )
    entry = (await session.exec(query.order_by(col(AuditEntry.id).desc()).limit(1))).first()
    if (
        entry is None
        or entry.actor_id != viewer.user_id
        or entry.data.get("lamp") != lamp.id
        or "undo" not in entry.data
        or now - entry.at > UNDO_WITHIN
    ):
        raise too_late()
    kept: dict[str, Any] = entry.data["undo"]
    for name, row_id, version in kept["after"]:
        if await session.get(_TABLES[name], row_id) is None:
            raise too_late()
        locked: Any = await lock_row(session, _TABLES[name], row_id)
        if locked.version != version:
            raise too_late()
    return Given(lamp, kept, entry.at)


def too_late() -> Conflict:
    """The error when it cannot be undone any more."""
    return Conflict("escalations.undo_late", "Somebody has worked on it since; it cannot be taken back any more.")


async def give_back_deal(
    session: AsyncSession, viewer: Viewer, given: Given, context: EngineContext, now: datetime
) -> None:
    """Let the lamps burn as before, and assign the deal, if one was given, to whom it was taken from."""
    await _restore_lamps(session, viewer, given, context, now)
    before = given.kept.get("deal")
    if before is None:
        return
    deal, who = await session.get_one(Deal, before["id"]), before["responsible_id"]
    why = reason("owner.given_back_nobodys", by=viewer.name)
    if who is not None:
        why = reason("owner.given_back", by=viewer.name, who=context.people.name(who))
    await do_assign_deal(session, deal, who, now, actor=viewer, people=context.people, why=why)  # settles the clocks


async def _restore_lamps(
    session: AsyncSession, viewer: Viewer, given: Given, context: EngineContext, now: datetime
) -> None:
    """Let the lamps burn as they did before the act."""
    for kept in given.kept["lamps"]:
        lamp = await session.get_one(Lamp, kept["lamp"])
        own = await session.get(Task, lamp.task_id) if lamp.task_id not in {None, kept["task_id"]} else None
        say_lamp_changed(session, lamp, now, context.people)
        lamp.task_id = kept["task_id"]
        if lamp.state == LampState.OUT:
            await relight(session, context, kept, viewer, now)
        else:
            lamp.version += 1
        lamp.owner_id, lamp.addressee_id, lamp.note = kept["owner_id"], kept["addressee_id"], kept["note"]
        lamp.instead_of_id, lamp.half_instead_of_id = kept.get("instead_of_id"), kept.get("half_instead_of_id")
        lamp.asked_at = datetime.fromisoformat(kept["asked_at"]) if kept["asked_at"] else None
        for state in kept["tasks"]:
            task = await session.get_one(Task, state["id"])
            await do_set_task(session, task, now, context.people, {"assignee_id": state["assignee_id"]}, actor=viewer)
        if own is not None:
            await do_take_back_task(session, own, now, context.people, actor=viewer)
            await _return_to_shared(session, viewer, given, lamp, context, now)
        say_lamp_changed(session, lamp, now, context.people)
    await session.flush()


async def _return_to_shared(
    session: AsyncSession, viewer: Viewer, given: Given, lamp: Lamp, context: EngineContext, now: datetime
) -> None:
    """The lamp is again one of those of a shared task, which may have ended when it was taken out."""
    shared = await session.get(Task, lamp.task_id) if lamp.task_id is not None else None
    if shared is None:
        return
    if shared.done_at is not None and shared.done_at == given.at:
        do_open_task(shared)
        record(session, now, "task.restored", "task", shared.id, actor=viewer)
        await say_task_changed(session, shared, now, context.people)
    await session.flush()
    await recount_shared(session, context, shared, reason("lamp.out_undone"), now)


def _rows_of(kept: Mapping[str, Any]) -> Sequence[tuple[str, int]]:
    """Kind and id of everything that is kept, in the order in which it is locked."""
    subjects = [(name, kept[name]["id"]) for name in sorted(_TABLES) if name not in {"lamp", "task"} and kept.get(name)]
    tasks = {task["id"] for lamp in kept["lamps"] for task in lamp["tasks"]} | {
        each["id"] for each in kept.get("tasks", ())
    }
    lamps = sorted(lamp["lamp"] for lamp in kept["lamps"])
    return [*subjects, *(("lamp", each) for each in lamps), *(("task", each) for each in sorted(tasks))]


async def _row(session: AsyncSession, name: str, row_id: int) -> Any:  # a row of any of these tables
    return await session.get_one(_TABLES[name], row_id)


def _subject_of(lamp: Lamp) -> tuple[str, int | None]:
    return ("deal", lamp.deal_id) if lamp.subject == Subject.DEAL else ("callback", lamp.callback_id)
