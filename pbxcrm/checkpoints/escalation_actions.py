"""What a manager can do about an escalation: accept it, reassign the work, comment on it, or make it a joint task.

An escalation is a lamp whose step asks a manager. How accepting and reassigning work for each kind of subject is registered by
``register_decider``.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.joint_actions import Half, do_make_joint
from pbxcrm.checkpoints.lamps import delete_armed, hold_open
from pbxcrm.checkpoints.lighting import LampEnding, put_out, say_lamp_changed
from pbxcrm.checkpoints.models import Decision, Lamp, LampState, Subject
from pbxcrm.checkpoints.pause_actions import LONGEST
from pbxcrm.checkpoints.queries import access_escalation, beside
from pbxcrm.checkpoints.undo_actions import Given, latest_given, note_given
from pbxcrm.deals.actions import do_assign_deal
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.people.queries import access_worker
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_text, longest
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.actions import TaskDraft, do_create_task
from pbxcrm.tasks.models import Task, TaskKind

Accept = Callable[[AsyncSession, Viewer, Lamp, LampEnding, EngineContext, datetime], Awaitable[None]]
Reassign = Callable[[AsyncSession, Viewer, Lamp, User, LampEnding, EngineContext, datetime], Awaitable[None]]
Remember = Callable[[AsyncSession, Lamp], Awaitable[dict[str, Any]]]
GiveBack = Callable[[AsyncSession, Viewer, Given, EngineContext, datetime], Awaitable[None]]
ABOUT_COMMENT = "lamp-comment:"


@dataclass(frozen=True, slots=True)
class Decider:
    """The functions that accept and reassign for one kind of subject. Both lock the subject, then its lamps, and put those out.

    ``remember`` returns as JSON what ``reassign`` may change, and ``give_back`` restores it.
    """

    accept: Accept
    reassign: Reassign
    remember: Remember
    give_back: GiveBack


_deciders: dict[str, Decider] = {}


def register_decider(subject: Subject, decider: Decider) -> None:
    """Register the decider of a kind of subject; ``pbxcrm.composition`` calls this."""
    _deciders[subject.value] = decider


async def accept(
    session: AsyncSession, viewer: Viewer, lamp_id: int, why: str, *, now: datetime, until: datetime | None = None
) -> Lamp:
    """Accept the delay for the reason ``why`` until a time. None: a deal gets its norm again, a callback waits until the client calls.
    Whatever else has reached a manager for the same deal is accepted, too: lists show it as one.

    Raises Invalid at ``why`` or ``until``, NotFound, Conflict when the lamp is no longer burning.
    """
    why = check_why(why)
    if until is not None and not now < until <= now + LONGEST:
        raise Invalid("until", "escalations.until", "It is looked at again later than now, and within a year.")
    lamp = await _open(session, viewer, lamp_id)
    outcome = LampEnding(
        reason("lamp.out_accepted", who=viewer.name, why=why),
        viewer.user_id,
        Decision.ACCEPTED,
        why,
        viewer,
        look_again_at=until,
    )
    context = await load_engine(session)
    await _deciders[lamp.subject].accept(session, viewer, lamp, outcome, context, now)
    for other in (await beside(session, viewer, [lamp], escalations=True))[
        lamp.id
    ]:  # what another checkpoint says of it
        if other.state == LampState.BURNING:
            await _deciders[lamp.subject].accept(session, viewer, other, outcome, context, now)
    return _decided(lamp)


async def reassign(session: AsyncSession, viewer: Viewer, lamp_id: int, user_id: int, *, now: datetime) -> Lamp:
    """Give the subject to another person. Raises Invalid at ``user_id``, NotFound, Conflict when the lamp is no longer burning."""
    lamp = await _open(session, viewer, lamp_id)
    needs = Permission.CALLBACKS_WORK if lamp.subject == Subject.CALLBACK else Permission.DEALS_EDIT
    to = await access_worker(session, viewer, user_id, field="user_id", permission=needs)
    code = "lamp.out_reassigned" if lamp.subject == Subject.CALLBACK else "lamp.out_reassigned_deal"
    outcome = LampEnding(
        reason(code, by=viewer.name, who=to.name), viewer.user_id, Decision.REASSIGNED, lamp.note, actor=viewer
    )
    decider, context = _deciders[lamp.subject], await load_engine(session)
    kept = await decider.remember(session, lamp)
    await decider.reassign(session, viewer, lamp, to, outcome, context, now)
    await note_given(session, viewer, _decided(lamp), kept, now)
    return lamp


async def undo_reassign(session: AsyncSession, viewer: Viewer, lamp_id: int, *, now: datetime) -> Lamp:
    """Undo the viewer's own ``reassign``. Raises NotFound, and Conflict if that is too long ago or somebody has changed any of it since."""
    given = await latest_given(session, viewer, lamp_id, now)
    await _deciders[given.lamp.subject].give_back(session, viewer, given, await load_engine(session), now)
    _record(session, viewer, given.lamp, "escalation.given_back", now)
    return given.lamp


async def comment(session: AsyncSession, viewer: Viewer, lamp_id: int, text: str, *, now: datetime) -> Lamp:
    """Send a comment to the owner as an assignment; the lamp keeps burning. Raises Invalid at ``text``, NotFound, Conflict."""
    text = check_text(text, Lamp.note, "text", "escalations.comment", "Write something, in up to {most} characters.")
    lamp = await _open(session, viewer, lamp_id)
    left = longest(Lamp.note) - len(f"{lamp.note}\n".lstrip())
    if len(text) > left:
        raise Invalid(
            "text",
            "escalations.comments_full",
            "The comments of an escalation may have {all} characters together, and {most} are left. Comment on the task instead.",
            all=longest(Lamp.note),
            most=max(0, left),
        )
    context = await load_engine(session)
    owner = context.people.active(lamp.owner_id)
    if owner is None:
        raise Conflict("escalations.nobodys", "It is nobody's: give it to somebody first.")
    control = await session.get(Task, lamp.task_id) if lamp.task_id is not None else None
    said = reason("lamp.comment", who=viewer.name, text=text)
    task = TaskDraft(
        TaskKind.ASSIGNMENT,
        said,
        said,
        now,
        owner.id,
        lamp.deal_id,
        control.contact_id if control is not None else None,
        control.call_id if control is not None else None,
        about=f"{ABOUT_COMMENT}{lamp.id}:{int(now.timestamp())}",
        note=text,
    )
    await do_create_task(session, task, now, context.people)
    lamp.note = f"{lamp.note}\n{text}".strip()
    lamp.version += 1
    _record(session, viewer, lamp, "escalation.commented", now)
    say_lamp_changed(session, lamp, now, context.people)
    return lamp


async def make_joint(session: AsyncSession, viewer: Viewer, lamp_id: int, *, now: datetime) -> Lamp:
    """Give the owner a task beside the manager's; the same work closes both. Raises NotFound, and Conflict without an owner to ask."""
    lamp = await _open(session, viewer, lamp_id)
    context = await load_engine(session)
    task = await session.get(Task, lamp.task_id) if lamp.task_id is not None else None
    halves = [Half(lamp, task, lamp.owner_id, await _title_for_worker(session, lamp))] if task is not None else []
    if not await do_make_joint(session, context, halves, now, actor=viewer):
        raise Conflict("escalations.no_joint", "There is nobody else to do it with.")
    lamp.version += 1
    _record(session, viewer, lamp, "escalation.joint", now)
    say_lamp_changed(session, lamp, now, context.people)
    return lamp


async def _title_for_worker(session: AsyncSession, lamp: Lamp) -> Reason:
    if lamp.subject == Subject.DEAL:
        return reason("task.lamp_work", title=(await session.get_one(Deal, lamp.deal_id)).title)
    task = await session.get_one(Task, lamp.task_id)
    told = Reason.load(task.title_code)
    client = "" if told is None else told.params.get("client") or told.params.get("title", "")
    return reason("task.lamp_callback", client=client)


async def accept_deal(
    session: AsyncSession, viewer: Viewer, lamp: Lamp, outcome: LampEnding, context: EngineContext, now: datetime
) -> None:
    """Put out the deal's lamps of this checkpoint. Without work the first lights again at the time of ``outcome``, else after the norm."""
    deal = await lock_row(session, Deal, lamp.deal_id or 0)
    lamps = await _lamps_of_deal(session, lamp)
    if outcome.look_again_at is None:
        outcome = replace(outcome, look_again_at=_norm_again(context, deal, lamp, now))
    await put_out(session, context, [each for each in lamps if each.state == LampState.BURNING], outcome, now)
    if armed := [each for each in lamps if each.state == LampState.ARMED]:
        await delete_armed(session, armed)
    await settle_deals(session, [lamp.deal_id or 0], now)


def _norm_again(context: EngineContext, deal: Deal, lamp: Lamp, now: datetime) -> datetime:
    """Now: the norm of the checkpoint runs again. The next working morning where it has none, or is not watched any more."""
    watched = context.watching.by_id.get(lamp.checkpoint_id)
    has_norm = watched is not None and watched.minutes is not None and watched.minutes[0]
    return now if has_norm else context.working_of(deal.responsible_id).next_morning(now)


async def reassign_deal(
    session: AsyncSession,
    viewer: Viewer,
    lamp: Lamp,
    to: User,
    outcome: LampEnding,
    context: EngineContext,
    now: datetime,
) -> None:
    """Assign the deal to ``to``. The norm continues; the reaction pause restarts for the new person."""
    deal = await lock_row(session, Deal, lamp.deal_id or 0)
    if deal.responsible_id == to.id:
        raise Invalid("user_id", "escalations.same", "They have it already: choose somebody else.")
    reached = [each for each in await _lamps_of_deal(session, lamp) if each.is_escalation]
    await put_out(session, context, [each for each in reached if each.state == LampState.BURNING], outcome, now)
    why = reason("owner.by_hand", by=viewer.name, who=to.name)
    await do_assign_deal(session, deal, to.id, now, actor=viewer, people=context.people, why=why)


async def _lamps_of_deal(session: AsyncSession, lamp: Lamp) -> list[Lamp]:
    return await hold_open(
        session,
        Lamp.subject == Subject.DEAL.value,
        Lamp.deal_id == lamp.deal_id,
        Lamp.checkpoint_id == lamp.checkpoint_id,
    )


async def _open(session: AsyncSession, viewer: Viewer, lamp_id: int) -> Lamp:
    check(viewer, Permission.ESCALATIONS_WORK)
    lamp = await access_escalation(session, viewer, lamp_id, to_change=True)
    if lamp.state != LampState.BURNING:
        raise _closed()
    return lamp


def _decided(lamp: Lamp) -> Lamp:
    """The lamp after the decision. Raises Conflict if somebody else was faster, so that it was not put out by a decision."""
    if lamp.state != LampState.OUT or not lamp.decision:
        raise _closed()
    return lamp


def _closed() -> Conflict:
    return Conflict("escalations.closed", "Somebody has dealt with this meanwhile.")


def _record(session: AsyncSession, viewer: Viewer, lamp: Lamp, action: str, now: datetime) -> None:
    entity, entity_id = ("deal", lamp.deal_id) if lamp.subject == Subject.DEAL else ("callback", lamp.callback_id)
    record(session, now, action, entity, entity_id, actor=viewer, lamp=lamp.id)
