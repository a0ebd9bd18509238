"""Asking somebody else about a lamp that burns, with its task and the reason on both."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.access import is_burning
from pbxcrm.checkpoints.addressee_rules import Addressee, addressee_of
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.joint_actions import title_with
from pbxcrm.checkpoints.lighting import recount_shared, say_lamp_changed
from pbxcrm.checkpoints.models import Lamp, LampState, Subject
from pbxcrm.checkpoints.rules import JOINT_SUFFIX, about_of
from pbxcrm.people.whom import RESPONSIBLE
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.db import lock
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_change_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_DIGEST

#: What a reason says of who is asked. It is replaced when somebody else is asked; the rest stays.
_WHO_IS_ASKED = "lamp.to_"


def whom_to_ask(context: EngineContext, lamp: Lamp, at: datetime) -> Addressee | None:
    """Who is to be asked about a burning lamp at that time. None: its step is gone."""
    watched = context.watching.by_id.get(lamp.checkpoint_id)
    if watched is None or lamp.step >= len(watched.steps):
        return None
    return addressee_of(context, watched.steps[lamp.step].whom, lamp.owner_id, at, Subject(lamp.subject))


async def ask_instead(
    session: AsyncSession, context: EngineContext, lamps: Sequence[Lamp], now: datetime
) -> list[Lamp]:
    """Ask about these burning lamps whoever is to be asked now; their reaction pause begins now. Returns those that changed.

    A lamp of a shared task becomes one of a shared task of the other person. A task that somebody has given on stays with whom it was
    given to.
    """
    changed: list[Lamp] = []
    shared: dict[tuple[int, int], list[Lamp]] = {}
    tasks = await load_by_id(session, Task, {lamp.task_id for lamp in lamps if lamp.task_id is not None})
    for lamp in lamps:
        asked, before = whom_to_ask(context, lamp, now), lamp.addressee_id
        if asked is None or asked.user_id is None or asked.user_id == before:
            continue
        why = _why(context, lamp.instead_of_id, asked)
        say_lamp_changed(session, lamp, now, context.people)  # notifies the previous audience
        lamp.addressee_id, lamp.asked_at, lamp.version = asked.user_id, now, lamp.version + 1
        lamp.instead_of_id = asked.instead_of_id
        lamp.reason = _said_on(lamp.reason, asked, why)
        say_lamp_changed(session, lamp, now, context.people)
        changed.append(lamp)
        task = tasks.get(lamp.task_id) if lamp.task_id is not None else None
        if task is None or task.status != TaskStatus.OPEN:
            continue
        if task.about.startswith(ABOUT_DIGEST):
            shared.setdefault((task.id or 0, asked.user_id), []).append(lamp)
        elif task.assignee_id == before:
            told = _said_on(task.reason, asked, why)
            await do_change_task(
                session, task, now, context.people, actor=None, why=why, assignee_id=asked.user_id, explained=told
            )
    await session.flush()
    for (task_id, user_id), of_it in sorted(shared.items()):
        await _share(session, context, tasks[task_id], user_id, of_it, now)
    await _rename_halves(session, context, changed, now)
    return changed


def _why(context: EngineContext, instead_of_id: int | None, asked: Addressee) -> Reason:
    if asked.user_id is not None and asked.user_id == instead_of_id:
        return reason("lamp.to_back", who=context.people.name(asked.user_id))
    if asked.why:
        return asked.why[0]
    return reason("lamp.to_now", who=context.people.name(asked.user_id))


def _said_on(stored: dict[str, Any], asked: Addressee, why: Reason) -> dict[str, Any]:
    """The stored reason of a lamp or task with why this person is asked."""
    known = Reason.load(stored)
    if known is None:
        return stored
    kept = tuple(each for each in known.because if not each.code.startswith(_WHO_IS_ASKED))
    return Reason(known.code, known.params, (*(asked.why or (why,)), *kept)).stored()


async def _share(
    session: AsyncSession, context: EngineContext, old: Task, user_id: int, lamps: Sequence[Lamp], now: datetime
) -> None:
    """Let these lamps of the shared task ``old`` be lamps of a shared task of this person."""
    about = f"{ABOUT_DIGEST}{user_id}"
    await lock(session, about)
    known = (await session.exec(select(Task).where(Task.about == about, Task.status == TaskStatus.OPEN.value))).first()
    why = _why_of_all(lamps[0])
    if known is None and len(lamps) == await lamps_of_shared(session, old):
        await do_change_task(session, old, now, context.people, actor=None, why=why, assignee_id=user_id, about=about)
        return
    if known is None:
        new = TaskDraft(
            TaskKind(old.kind), reason("task.lamp_digest", count=len(lamps)), why, now, user_id, about=about
        )
        known = await do_create_task(session, new, now, context.people)
    for lamp in lamps:
        lamp.task_id = known.id
    await session.flush()
    for task in (known, old):
        await recount_shared(session, context, task, why, now)


def _why_of_all(lamp: Lamp) -> Reason:
    known = Reason.load(lamp.reason)
    assert known is not None
    return next((each for each in known.because if each.code.startswith(_WHO_IS_ASKED)), known)


async def lamps_of_shared(session: AsyncSession, task: Task) -> int:
    """How many lamps of a shared task burn."""
    return len((await session.exec(select(Lamp.id).where(Lamp.task_id == task.id, is_burning()))).all())


async def _rename_halves(session: AsyncSession, context: EngineContext, lamps: Sequence[Lamp], now: datetime) -> None:
    """The other halves of joint tasks say with whom they are done now."""
    for task, lamp in await halves_of(session, lamps):
        who = context.people.name(lamp.addressee_id)
        why = reason("lamp.together", who=who)
        await do_change_task(session, task, now, context.people, actor=None, why=why, title=title_with(task, who))


async def halves_of(session: AsyncSession, lamps: Sequence[Lamp]) -> list[tuple[Task, Lamp]]:
    """The open tasks beside the manager's, of those of these lamps that are joint."""
    by_about = {f"{about_of(lamp)}{JOINT_SUFFIX}": lamp for lamp in lamps if lamp.state == LampState.BURNING}
    if not by_about:
        return []
    rows = await session.exec(
        select(Task)
        .where(col(Task.about).in_(list(by_about)), Task.status == TaskStatus.OPEN.value)
        .order_by(col(Task.id))
    )
    return [(task, by_about[task.about]) for task in rows.all()]


def whom_to_ask_for_half(context: EngineContext, lamp: Lamp, at: datetime) -> Addressee:
    """Who does the work with the manager at that time: the other half of a joint task is for them."""
    return addressee_of(context, RESPONSIBLE, lamp.owner_id, at, Subject(lamp.subject))


async def ask_for_half(session: AsyncSession, context: EngineContext, task: Task, lamp: Lamp, now: datetime) -> None:
    """Give the half of a joint task that is for whoever does the work to whoever does it now, unless they have the other half."""
    asked = whom_to_ask_for_half(context, lamp, now)
    if asked.user_id in {None, task.assignee_id, lamp.addressee_id}:
        return
    why = _why(context, lamp.half_instead_of_id, asked)
    lamp.half_instead_of_id, lamp.version = asked.instead_of_id, lamp.version + 1
    told = _said_on(task.reason, asked, why)
    await do_change_task(
        session, task, now, context.people, actor=None, why=why, assignee_id=asked.user_id, explained=told
    )
