"""What burns follows who is there: others are asked while somebody is away, and what they were asked instead comes back afterwards.

It compares what is stored with who is there now, so it does not matter whether a leave began, ended, was deleted or entered late, whether
a worker was down meanwhile, or how the clock was set. Twice changes nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import write_down
from pbxcrm.audit.models import AuditEntry
from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.asking_actions import (
    ask_for_half,
    ask_instead,
    halves_of,
    whom_to_ask,
    whom_to_ask_for_half,
)
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.lamps import hold_open
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.checkpoints.recompute_jobs import BATCH, recompute
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task, TaskComment
from pbxcrm.tasks.rules import ABOUT_DIGEST

#: What people do about an escalation without ending it.
_ACTED = ("escalation.commented", "escalation.joint")


async def settle_absences(session: AsyncSession, at: datetime) -> int:
    """Ask those who are there. Returns about how many lamps somebody else is asked now."""
    await session.flush()
    context = await load_engine(session)
    found = await _found(session, context, at)
    if not found:
        return 0
    lamps = await hold_open(session, col(Lamp.id).in_([lamp.id for lamp in found]))
    burning, away = [lamp for lamp in lamps if lamp.state == LampState.BURNING], away_at(context, at)
    halves = await halves_of(session, burning)
    kept = await _worked_on(session, burning, [task for task, _ in halves])
    for lamp in burning:
        if lamp.id in kept.lamps and lamp.addressee_id not in away and _differs(context, lamp, at):
            lamp.instead_of_id, lamp.version = None, lamp.version + 1  # it stays with whoever works on it
    free = [lamp for lamp in burning if lamp.addressee_id in away or lamp.id not in kept.lamps]
    changed = await ask_instead(session, context, free, at)
    for task, lamp in halves:
        if not _half_differs(context, task, lamp, away, at):
            continue
        if task.id in kept.tasks and task.assignee_id not in away:
            lamp.half_instead_of_id = None
        else:
            await ask_for_half(session, context, task, lamp, at)
    await session.flush()
    await _settle_next_steps(session, changed, at)
    return len(changed)


async def settle_absences_now(db: Database, at: datetime) -> int:
    """The same in a transaction of its own, which it opens only if somebody else is to be asked."""
    async with db.read() as session:
        if not await _found(session, await load_engine(session), at):
            return 0
    async with db.write() as session:
        return await settle_absences(session, at)


def away_at(context: EngineContext, at: datetime) -> set[int]:
    """Everybody who has left or is on leave."""
    people = context.people.users
    return {id_ for id_, user in people.items() if not user.is_active or context.calendars.acting(id_, at) != id_}


async def _found(session: AsyncSession, context: EngineContext, at: datetime) -> list[Lamp]:
    """The burning lamps about which others are asked than are to be asked now."""
    away = away_at(context, at)
    looked: list[ColumnElement[bool]] = [
        or_(col(Lamp.instead_of_id).is_not(None), col(Lamp.half_instead_of_id).is_not(None))
    ]
    if away:
        looked += [col(Lamp.addressee_id).in_(away), and_(col(Lamp.owner_id).in_(away), col(Lamp.is_escalation))]
    rows = await session.exec(select(Lamp).where(is_burning(), or_(*looked)).order_by(col(Lamp.id)))
    lamps = rows.all()
    joint = [lamp for lamp in lamps if lamp.half_instead_of_id is not None or lamp.owner_id in away]
    halves = await halves_of(session, joint)
    differing = {lamp.id for task, lamp in halves if _half_differs(context, task, lamp, away, at)}
    return [lamp for lamp in lamps if lamp.id in differing or _differs(context, lamp, at)]


def _differs(context: EngineContext, lamp: Lamp, at: datetime) -> bool:
    asked = whom_to_ask(context, lamp, at)
    return asked is not None and asked.user_id not in {None, lamp.addressee_id}


def _half_differs(context: EngineContext, task: Task, lamp: Lamp, away: Collection[int], at: datetime) -> bool:
    if task.assignee_id not in away and lamp.half_instead_of_id is None:
        return False
    asked = whom_to_ask_for_half(context, lamp, at)
    return asked.user_id not in {None, task.assignee_id, lamp.addressee_id}


@dataclass(frozen=True, slots=True)
class _StaysThere:
    """Ids of the lamps and of the tasks that somebody has worked on since they were asked."""

    lamps: set[int | None]
    tasks: set[int | None]


async def _worked_on(session: AsyncSession, lamps: Sequence[Lamp], halves: Sequence[Task]) -> _StaysThere:
    """What stays with whom it was given to: they have done something with the deal, the callback or the task that is not enough to put
    out the lamp, or somebody has commented on the escalation or made it joint. A shared task has no work of its own.
    """
    since = min((lamp.asked_at for lamp in lamps if lamp.asked_at is not None), default=None)
    if since is None:
        return _StaysThere(set(), set())
    await write_down(session)
    tasks = await load_by_id(session, Task, {lamp.task_id for lamp in lamps if lamp.task_id is not None})
    looked = {task.id for task in tasks.values() if not task.about.startswith(ABOUT_DIGEST)}
    looked |= {task.id for task in halves}
    acts: dict[tuple[str, str], list[_Act]] = {}
    for act in (*await _acts(session, lamps, looked, since), *await _comments(session, looked, since)):
        acts.setdefault((act.entity, act.entity_id), []).append(act)

    def is_kept(lamp: Lamp) -> bool:
        is_deal, asked_at = lamp.subject == Subject.DEAL, lamp.asked_at or since
        of_subject = acts.get((lamp.subject, str(lamp.deal_id if is_deal else lamp.callback_id)), ())
        return any(
            act.at > asked_at and (act.actor_id == lamp.addressee_id or act.lamp_id == lamp.id)
            for act in (*of_subject, *acts.get(("task", str(lamp.task_id)), ()))
        )

    by_assignee = {
        task.id
        for task in halves
        if any(act.actor_id == task.assignee_id for act in acts.get(("task", str(task.id)), ()))
    }
    return _StaysThere({lamp.id for lamp in lamps if is_kept(lamp)}, by_assignee)


@dataclass(frozen=True, slots=True)
class _Act:
    """What a person did with a deal, callback or task. ``lamp_id``: the escalation that they commented on or made joint."""

    entity: str
    entity_id: str
    actor_id: int | None
    at: datetime
    lamp_id: int | None = None


async def _acts(
    session: AsyncSession, lamps: Sequence[Lamp], task_ids: Collection[int | None], since: datetime
) -> list[_Act]:
    ids = {
        "task": task_ids,
        "deal": {lamp.deal_id for lamp in lamps if lamp.subject == Subject.DEAL},
        "callback": {lamp.callback_id for lamp in lamps if lamp.subject == Subject.CALLBACK},
    }
    looked = [
        and_(col(AuditEntry.entity) == entity, col(AuditEntry.entity_id).in_([str(each) for each in found]))
        for entity, found in ids.items()
        if found
    ]
    rows = await session.exec(
        select(AuditEntry).where(col(AuditEntry.actor_id).is_not(None), col(AuditEntry.at) > since, or_(*looked))
    )
    return [
        _Act(row.entity, row.entity_id, row.actor_id, row.at, row.data.get("lamp") if row.action in _ACTED else None)
        for row in rows.all()
    ]


async def _comments(session: AsyncSession, task_ids: Collection[int | None], since: datetime) -> list[_Act]:
    query = select(TaskComment).where(
        col(TaskComment.task_id).in_(task_ids), col(TaskComment.author_id).is_not(None), col(TaskComment.at) > since
    )
    return [_Act("task", str(row.task_id), row.author_id, row.at) for row in (await session.exec(query)).all()]


async def _settle_next_steps(session: AsyncSession, changed: Sequence[Lamp], at: datetime) -> None:
    """The next steps count from now."""
    deals = {lamp.deal_id for lamp in changed if lamp.subject == Subject.DEAL and lamp.deal_id is not None}
    if len(deals) > BATCH or any(lamp.subject == Subject.CALLBACK for lamp in changed):
        await recompute(session, at)
    else:
        await settle_deals(session, deals, at)
