"""Escalations: what has reached the managers, and what a manager does about it."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.callbacks.access import visible_escalations
from pbxcrm.callbacks.audience import say_episode_changed
from pbxcrm.callbacks.claims import lock_episode
from pbxcrm.callbacks.decision_context import load_context
from pbxcrm.callbacks.escalation_pages import access_escalation
from pbxcrm.callbacks.lamps import do_free, do_put_out, do_start_norm, open_escalation
from pbxcrm.callbacks.models import Episode, Escalation, EscalationState
from pbxcrm.callbacks.queries import EpisodeRow, as_rows
from pbxcrm.deals.actions import do_assign_deal
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.people.queries import access_assignee
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.why import check_why
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.actions import do_change_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_ESCALATION


@dataclass(frozen=True, slots=True)
class EscalationRow:
    """An open escalation with its callback and people."""

    escalation: Escalation
    episode: EpisodeRow
    owner: User | None


async def list_escalations(
    session: AsyncSession, viewer: Viewer, *, state: EscalationState | None = EscalationState.OPEN, limit: int = 100
) -> list[EscalationRow]:
    """Longest waiting first."""
    order = (col(Escalation.opened_at), col(Escalation.id))
    query = select(Escalation).where(visible_escalations(viewer)).order_by(*order).limit(limit)
    if state is not None:
        query = query.where(Escalation.state == state.value)
    return await _as_rows(session, (await session.exec(query)).all())


async def _as_rows(session: AsyncSession, escalations: Sequence[Escalation]) -> list[EscalationRow]:
    episodes = await load_by_id(session, Episode, (escalation.episode_id for escalation in escalations))
    rows = {row.episode.id: row for row in await as_rows(session, list(episodes.values()))}
    owners = await load_by_id(session, User, (escalation.owner_id for escalation in escalations))
    return [EscalationRow(e, rows[e.episode_id], owners.get(e.owner_id)) for e in escalations]


async def access_row(session: AsyncSession, viewer: Viewer, escalation_id: int) -> EscalationRow:
    """One escalation the viewer may see, whatever became of it."""
    escalation, _ = await access_escalation(session, viewer, escalation_id)
    return (await _as_rows(session, [escalation]))[0]


async def list_control_tasks(session: AsyncSession, viewer: Viewer, *, limit: int = 100) -> list[Task]:
    """Open control tasks that are not about an escalated callback (whose extension is this, and the like)."""
    found = await session.exec(
        select(Task)
        .where(
            visible_tasks(viewer),
            Task.kind == TaskKind.CONTROL.value,
            Task.status == TaskStatus.OPEN.value,
            col(Task.about).not_like(f"{ABOUT_ESCALATION}%"),
        )
        .order_by(col(Task.due_at), col(Task.id))
        .limit(limit)
    )
    return list(found.all())


async def escalation_count(session: AsyncSession, viewer: Viewer, now: datetime) -> int:
    """What waits for this manager."""
    tasks = await session.exec(
        select(func.count())
        .select_from(Task)
        .where(
            visible_tasks(viewer),
            Task.kind == TaskKind.CONTROL.value,
            Task.status == TaskStatus.OPEN.value,
            col(Task.about).not_like(f"{ABOUT_ESCALATION}%"),
        )
    )
    return await open_escalations(session, viewer) + tasks.one()


async def open_escalations(session: AsyncSession, viewer: Viewer) -> int:
    """Callbacks that are before a manager now."""
    found = await session.exec(
        select(func.count())
        .select_from(Escalation)
        .where(visible_escalations(viewer), Escalation.state == EscalationState.OPEN.value)
    )
    return found.one()


async def accept(session: AsyncSession, viewer: Viewer, escalation_id: int, why: str, *, now: datetime) -> Escalation:
    """Let it be, for a reason. The callback stays in the queue; its clock stands still until the client calls again."""
    why = check_why(why)
    escalation, episode = await access_for_decision(session, viewer, escalation_id)
    context = await load_context(session)
    told = reason("escalation.accepted", who=viewer.name, why=why)
    state = EscalationState.ACCEPTED
    await do_put_out(session, episode, told, now, context.people, by_id=viewer.user_id, state=state, actor=viewer)
    escalation.note = why
    episode.norm_from = None
    episode.version += 1
    await say_episode_changed(session, episode, now, context.people)
    return escalation


async def reassign(
    session: AsyncSession, viewer: Viewer, escalation_id: int, user_id: int, *, now: datetime
) -> Escalation:
    """Give the callback, its task and (where it was the old owner's) its deal to somebody of the viewer's people.

    The norm begins anew by the new owner's working time. Raises Invalid at ``user_id``.
    """
    escalation, episode = await access_for_decision(session, viewer, escalation_id)
    context = await load_context(session)
    to = await access_assignee(session, viewer, user_id, field="user_id")
    told = reason("lamp.out_reassigned", by=viewer.name, who=to.name)
    before = episode.owner_id
    state = EscalationState.REASSIGNED
    await do_put_out(session, episode, told, now, context.people, by_id=viewer.user_id, state=state, actor=viewer)
    await do_give(session, viewer, episode, to, now)
    await say_episode_changed(session, episode, now, context.people, owner_before=before)
    return escalation


async def do_give(session: AsyncSession, viewer: Viewer, episode: Episode, to: User, now: datetime) -> None:
    """Make ``to`` the owner of an open callback, from now on."""
    context = await load_context(session)
    people, working = context.people, context.calendars.of_user(to.id)
    why = reason("owner.by_hand", by=viewer.name, who=to.name)
    before = episode.owner_id
    due_at = working.add_minutes(now, context.options.callback_due_minutes)
    episode.owner_id = to.id
    await do_free(session, episode)
    episode.next_attempt_at = None
    episode.reason = {**episode.reason, "because": [why.stored()]}
    episode.version += 1
    await do_start_norm(session, episode, now, due_at)
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is not None:
        await do_change_task(session, task, now, people, actor=viewer, why=why, assignee_id=to.id, due_at=due_at)
    deal = await lock_row(session, Deal, episode.deal_id) if episode.deal_id is not None else None
    if deal is not None and deal.closed_at is None and deal.responsible_id in {before, None}:
        await do_assign_deal(session, deal, to.id, now, actor=viewer, people=people, why=why)


async def access_for_decision(session: AsyncSession, viewer: Viewer, escalation_id: int) -> tuple[Escalation, Episode]:
    """An open escalation and its callback, locked; Conflict when it is no longer open."""
    check(viewer, Permission.ESCALATIONS_WORK)
    escalation, _ = await access_escalation(session, viewer, escalation_id)
    episode = await lock_episode(session, escalation.episode_id)
    await session.refresh(escalation)
    if escalation.state != EscalationState.OPEN or await open_escalation(session, episode) is None:
        raise Conflict("escalations.closed", "Somebody has dealt with this meanwhile.")
    return escalation, episode
