"""The clock of a callback: norm, first lamp (its owner), pause, second lamp (the manager), and how they go out.

Deadlines are timers of ``pbxcrm.shared.jobs``; what happens when they are due stands here and is wired in ``timers.py``. A lamp
goes out only by work: a real attempt, a conversation, or the callback given to somebody else.
"""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.audience import say_episode_changed, say_escalation_changed
from pbxcrm.callbacks.decision_context import DecisionContext, working_of
from pbxcrm.callbacks.models import Episode, EpisodeStatus, Escalation, EscalationState
from pbxcrm.contacts.models import Contact
from pbxcrm.people.directory import Directory
from pbxcrm.shared.jobs import cancel_timer, set_timer
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import NewTask, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_ESCALATION

NORM = "callbacks.norm"
ESCALATE = "callbacks.escalate"
CLAIM = "callbacks.claim"


async def do_start_norm(session: AsyncSession, episode: Episode, since: datetime, due_at: datetime) -> None:
    """Let the norm run from ``since``; at ``due_at`` the owner gets a lamp."""
    episode.norm_from = since
    await set_timer(session, NORM, f"{NORM}:{episode.id}", due_at, {"episode": episode.id})


async def do_stop_clock(session: AsyncSession, episode: Episode) -> None:
    """Forget the deadlines of the norm, the reaction pause and the claim."""
    for kind in (NORM, ESCALATE, CLAIM):
        await cancel_timer(session, f"{kind}:{episode.id}")


async def do_free(session: AsyncSession, episode: Episode) -> int | None:
    """Nobody is at the callback any more, and its claim no longer ends by itself; who had it."""
    before = episode.claimed_by_id
    episode.claimed_by_id, episode.claimed_at = None, None
    await cancel_timer(session, f"{CLAIM}:{episode.id}")
    return before


async def do_light_lamp(session: AsyncSession, episode: Episode, at: datetime, context: DecisionContext) -> None:
    """The norm passed: a task for the owner, due now, and the pause begins. Nothing happens when it burns already."""
    if episode.status != EpisodeStatus.OPEN or episode.lamp_lit_at is not None:
        return
    code = "lamp.planned" if episode.next_attempt_at is not None else "lamp.callback"
    why = Reason(code, {"norm": str(context.options.callback_due_minutes)}, _behind(episode))
    new = NewTask(
        kind=TaskKind.LAMP,
        title=reason("task.lamp_callback", client=await client_of(session, episode)),
        why=why,
        due_at=at,
        assignee_id=episode.owner_id,
        deal_id=episode.deal_id,
        contact_id=episode.contact_id,
        call_id=episode.last_call_id,
        part_of_id=episode.task_id,
        about=lamp_about(episode),
    )
    await do_create_task(session, new, at, context.people)
    episode.lamp_lit_at = at
    episode.version += 1
    record(session, at, "callback.lamp", "callback", episode.id, actor=None, reason=why)
    pause = working_of(context, episode).add_minutes(at, context.options.callback_pause_minutes)
    await set_timer(session, ESCALATE, f"{ESCALATE}:{episode.id}", pause, {"episode": episode.id})
    await say_episode_changed(session, episode, at, context.people)


async def do_escalate(
    session: AsyncSession, episode: Episode, at: datetime, context: DecisionContext
) -> Escalation | None:
    """The pause passed too: the manager gets it. None when somebody has worked on it meanwhile, or it is there already."""
    if episode.status != EpisodeStatus.OPEN or episode.lamp_lit_at is None:
        return None
    if await open_escalation(session, episode) is not None:
        return None
    people, owner = context.people, context.people.active(episode.owner_id)
    manager = people.manager_of(episode.owner_id)
    client = await client_of(session, episode)
    minutes = context.options.callback_pause_minutes
    if owner is not None:
        title = reason("task.escalated", client=client, who=owner.name)
        why = Reason("escalation.callback", {"minutes": str(minutes), "who": owner.name}, _behind(episode))
    else:
        title = reason("task.escalated_nobody", client=client)
        why = Reason("escalation.nobody", {"minutes": str(minutes)}, _behind(episode))
    new = NewTask(
        kind=TaskKind.CONTROL,
        title=title,
        why=why,
        due_at=at,
        assignee_id=manager.id if manager else None,
        deal_id=episode.deal_id,
        contact_id=episode.contact_id,
        call_id=episode.last_call_id,
        part_of_id=episode.task_id,
        about=escalation_about(episode.id),
    )
    task = await do_create_task(session, new, at, people)
    assert episode.id is not None
    escalation = Escalation(
        episode_id=episode.id,
        owner_id=episode.owner_id,
        manager_id=manager.id if manager else None,
        task_id=task.id,
        opened_at=at,
        reason=why.stored(),
    )
    session.add(escalation)
    await session.flush()
    record(session, at, "callback.escalated", "callback", episode.id, actor=None, reason=why)
    say_escalation_changed(session, escalation, at, people)
    await say_episode_changed(session, episode, at, people)
    return escalation


async def do_put_out(
    session: AsyncSession,
    episode: Episode,
    why: Reason,
    at: datetime,
    people: Directory,
    *,
    by_id: int | None = None,
    state: EscalationState = EscalationState.CLOSED,
    actor: Viewer | None = None,
) -> None:
    """Put out what burns: the owner's lamp, and the manager's with its escalation; ``state`` says what became of it.

    ``by_id`` is whose work put it out; ``actor`` the manager who decided it.
    """
    await cancel_timer(session, f"{ESCALATE}:{episode.id}")
    if episode.lamp_lit_at is None:
        return
    episode.lamp_lit_at = None
    await _close_tasks(session, lamp_about(episode), why, at, people, by_id)
    escalation = await open_escalation(session, episode)
    if escalation is not None:
        await _close_escalation(session, escalation, state, why, at, people, by_id, actor)


async def _close_escalation(
    session: AsyncSession,
    escalation: Escalation,
    state: EscalationState,
    why: Reason,
    at: datetime,
    people: Directory,
    by_id: int | None,
    actor: Viewer | None,
) -> None:
    escalation.state, escalation.closed_at, escalation.closed_by_id = state.value, at, by_id
    escalation.version += 1
    await _close_tasks(session, escalation_about(escalation.episode_id), why, at, people, by_id)
    action = f"escalation.{state.value}"
    record(session, at, action, "callback", escalation.episode_id, actor=actor, reason=why, by=by_id)
    say_escalation_changed(session, escalation, at, people)


async def open_escalation(session: AsyncSession, episode: Episode) -> Escalation | None:
    """The escalation of the callback that is still open, or None."""
    found = await session.exec(
        select(Escalation).where(Escalation.episode_id == episode.id, Escalation.state == EscalationState.OPEN.value)
    )
    return found.first()


async def client_of(session: AsyncSession, episode: Episode, withheld: str = "—") -> str:
    """How people call the client of an episode: their name, else the number, else ``withheld``."""
    contact = await session.get(Contact, episode.contact_id) if episode.contact_id is not None else None
    if contact is not None and contact.name:
        return contact.name
    return format_for_people(episode.client_number) if episode.client_number else withheld


def lamp_about(episode: Episode) -> str:
    """What the lamp's task is about: its key, so that there is only one."""
    return f"callback:{episode.id}"


def escalation_about(episode_id: int | None) -> str:
    """What the escalation's task is about: its key, so that there is only one."""
    return f"{ABOUT_ESCALATION}{episode_id}"


def _behind(episode: Episode) -> tuple[Reason, ...]:
    stored = Reason.load(episode.reason)
    return (stored,) if stored is not None else ()


async def _close_tasks(
    session: AsyncSession, about: str, why: Reason, at: datetime, people: Directory, by_id: int | None
) -> None:
    found = await session.exec(select(Task).where(Task.about == about, Task.status == TaskStatus.OPEN.value))
    for task in found.all():
        await do_close_task(session, task, at, people, result=why, actor=None, by_id=by_id)
