"""Joint tasks of lamps: who answers for the work does it together with the manager. Everybody has one task for it.

If the seller has an open task for the same wait already (an earlier lamp or the callback), that one says with whom it is done now.
Else they get one beside the manager's, in words for them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.addressee_rules import addressee_of
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.models import Lamp, Subject
from pbxcrm.checkpoints.rules import JOINT_SUFFIX, about_of
from pbxcrm.people.whom import RESPONSIBLE
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_change_task, do_create_tasks
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_DIGEST

TOGETHER = "task.together"


@dataclass(frozen=True, slots=True)
class Half:
    """The manager's half of a joint task, whose work it is, and the title of the other half in words for whoever does the work."""

    lamp: Lamp
    task: Task
    owner_id: int | None
    title: Reason


async def do_make_joint(
    session: AsyncSession, context: EngineContext, halves: Sequence[Half], now: datetime, *, actor: Viewer | None = None
) -> int:
    """Give the other half of each to who answers for the work. Returns for how many there is somebody else. Twice changes nothing.

    It waits for no task that another transaction has locked: whoever works on one may wait for lamps that the sweep holds.
    """
    known = await _open_tasks_beside(session, halves)
    new: list[TaskDraft] = []
    count = 0
    for half in halves:
        asked = addressee_of(context, RESPONSIBLE, half.owner_id, now, Subject(half.lamp.subject))
        theirs = asked.user_id
        if half.owner_id is None or theirs in {None, half.task.assignee_id}:
            continue
        count += 1
        who = context.people.name(half.task.assignee_id)
        own = next(
            (task for task, wait in known if task.assignee_id == theirs and _is_same_wait(half, task, wait)), None
        )
        if own is not None:
            why = reason("lamp.together", who=who)
            title = title_with(own, who)
            await do_change_task(session, own, now, context.people, actor=actor, why=why, title=title)
        else:
            half.lamp.half_instead_of_id = asked.instead_of_id
            new.append(_beside(half, theirs, who))
    await do_create_tasks(session, new, now, context.people)
    return count


def _beside(half: Half, theirs: int | None, who: str) -> TaskDraft:
    task = half.task
    why = Reason.load(task.reason) or Reason.load(half.lamp.reason)
    assert why is not None
    return TaskDraft(
        TaskKind.LAMP,
        reason(TOGETHER, half.title, who=who),
        why,
        task.due_at,
        theirs,
        task.deal_id,
        task.contact_id,
        task.call_id,
        part_of_id=task.part_of_id or task.id,
        about=f"{about_of(half.lamp)}{JOINT_SUFFIX}",
        note=task.note,
    )


Wait = tuple[int, int | None, int | None]  # checkpoint, deal, callback


async def _open_tasks_beside(session: AsyncSession, halves: Sequence[Half]) -> list[tuple[Task, Wait | None]]:
    """The open tasks that the halves are parts of, then those of other burning lamps of the same subjects with their wait."""
    if not halves:
        return []
    lamps = [half.lamp for half in halves]
    query = (
        select(Task, Lamp.checkpoint_id, Lamp.deal_id, Lamp.callback_id)
        .join(Lamp, col(Lamp.task_id) == col(Task.id))
        .where(
            is_burning(),
            or_(
                col(Lamp.deal_id).in_([lamp.deal_id for lamp in lamps if lamp.deal_id is not None]),
                col(Lamp.callback_id).in_([lamp.callback_id for lamp in lamps if lamp.callback_id is not None]),
            ),
            Task.status == TaskStatus.OPEN.value,
            col(Task.about).not_like(f"{ABOUT_DIGEST}%"),
            col(Task.id).not_in([half.task.id for half in halves]),
        )
        .order_by(col(Task.id))
        .with_for_update(of=Task, skip_locked=True)
    )
    wholes = (
        select(Task)
        .where(
            col(Task.id).in_([half.task.part_of_id for half in halves if half.task.part_of_id is not None]),
            Task.status == TaskStatus.OPEN.value,
        )
        .with_for_update(skip_locked=True)
    )
    found: list[tuple[Task, Wait | None]] = [(task, None) for task in (await session.exec(wholes)).all()]
    for task, checkpoint_id, deal_id, callback_id in (await session.exec(query)).all():
        found.append((task, (checkpoint_id, deal_id, callback_id)))
    return found


def _is_same_wait(half: Half, task: Task, wait: Wait | None) -> bool:
    if task.id == half.task.part_of_id:
        return True
    return wait == (half.lamp.checkpoint_id, half.lamp.deal_id, half.lamp.callback_id)


def title_with(task: Task, who: str) -> Reason | None:
    """The title of the task when it is done together with this person; an empty name: with nobody any more. None for a typed title."""
    title = Reason.load(task.title_code)
    if title is not None and title.code == TOGETHER:
        title = title.because[0] if title.because else None
    return reason(TOGETHER, title, who=who) if who and title is not None else title
