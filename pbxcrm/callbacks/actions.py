"""Changing callbacks (missed-call episodes): a missed call opens one, repeats are counted, a conversation or a decision closes it.

The engine (``pbxcrm.checkpoints``) runs their clock: code that changes its facts calls ``settle_callback`` in the same transaction.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from sqlalchemy import ColumnElement, and_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.callbacks.audience import audience_of_asked, audience_of_episode
from pbxcrm.callbacks.models import Episode, EpisodeCall, EpisodeStatus
from pbxcrm.callbacks.queries import (
    BURNING_BEFORE,
    DecisionContext,
    burning_lamps,
    load_context,
    open_episodes,
    open_episodes_of_number,
)
from pbxcrm.callbacks.rules import about_episode, clock_of_callback
from pbxcrm.calls.models import Call
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.deal_facts import NEXT_ATTEMPT
from pbxcrm.checkpoints.drafts import LONGEST_MINUTES
from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.joint_actions import title_with
from pbxcrm.checkpoints.lamps import armed_row, carry_out, hold_open
from pbxcrm.checkpoints.lighting import LampEnding, relight
from pbxcrm.checkpoints.models import CheckpointStep, Lamp, LampState, Subject
from pbxcrm.checkpoints.recompute_jobs import recompute
from pbxcrm.checkpoints.rules import settle
from pbxcrm.contacts.models import NumberKind
from pbxcrm.deals.actions import do_assign_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.passed_decisions import about_callback, do_settle_passed
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import add_new, add_rows
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.events import emit
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.runtime_options import Options, save_option
from pbxcrm.shared.timers import cancel_timer
from pbxcrm.tasks.actions import TaskDraft, do_change_task, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind
from pbxcrm.tasks.queries import open_task_about
from pbxcrm.tasks.rules import ABOUT_PASSED


@dataclass(frozen=True, slots=True)
class Miss:
    """A missed call with what the episode needs to know about it."""

    call: Call
    client_keys: Sequence[str]  # as ``rules.client_keys`` gives them
    client: str  # name or number, for the task's title
    line: str
    line_id: int | None
    contact_id: int | None
    deal_id: int | None
    owner_id: int | None
    why: Reason  # why missed and why this owner
    due_at: datetime
    at: datetime


CLAIM = "callbacks.claim"  # the timer that releases a claim without a result
LAMPS_KNOWN = "lamps_of_callbacks"  # key in ``session.info``: open lamps locked by the session, by callback id


async def say_episode_changed(
    session: AsyncSession,
    episode: Episode,
    at: datetime,
    people: Directory,
    *claimed_before: int | None,
    owner_before: int | None = None,
) -> None:
    """Notify everybody who sees the callback, and the previous claimants and the previous owner's team."""
    heard = audience_of_episode(episode, people)
    known: dict[int | None, list[Lamp]] = session.info.get(LAMPS_KNOWN, {})
    before_batch: dict[int | None, list[Lamp]] = session.info.get(BURNING_BEFORE, {})
    lamps = known.get(episode.id, before_batch.pop(episode.id, None))
    for lamp in (
        lamps if lamps is not None else await burning_lamps(session, [episode.id])
    ):  # an escalation may be with a manager of another team
        if lamp.state == LampState.BURNING:
            heard |= audience_of_asked(lamp, people)
    team_before = people.sharing_with(owner_before) if owner_before is not None else set()
    emit(session, "callback", episode.id, at, users=[*heard.users, *team_before, *claimed_before], roles=heard.roles)


def know_lamps(session: AsyncSession, episode: Episode, lamps: list[Lamp]) -> None:
    """Cache the open lamps of a callback in the session, so that ``say_episode_changed`` need not query them."""
    session.info.setdefault(LAMPS_KNOWN, {})[episode.id] = lamps


async def do_miss(session: AsyncSession, miss: Miss, context: DecisionContext) -> Episode:
    """Open an episode with its callback task, or count the missed call in the client's open episode."""
    assert miss.call.id is not None
    known = await open_episodes(session, miss.client_keys)
    if not known:
        episode = await _open_episode(session, miss, context)
    else:
        episode = known[0]
        if await session.get(EpisodeCall, (episode.id, miss.call.id)) is not None:
            return episode
        episode.missed_count += 1
        episode.last_missed_at = max(episode.last_missed_at, miss.at)
        episode.last_call_id = miss.call.id
        episode.deal_id = episode.deal_id or miss.deal_id
        episode.version += 1
        await _client_waits_again(session, episode, miss, context)
    assert episode.id is not None
    session.add(EpisodeCall(episode_id=episode.id, call_id=miss.call.id))
    await say_episode_changed(session, episode, miss.at, context.people)
    return episode


async def do_close(
    session: AsyncSession,
    episode: Episode,
    status: EpisodeStatus,
    why: Reason,
    at: datetime,
    context: DecisionContext,
    *,
    call_id: int | None = None,
    by_id: int | None = None,
) -> None:
    """Close an open episode, its lamps and its task; does nothing for a closed one."""
    if episode.status != EpisodeStatus.OPEN:
        return
    episode.status, episode.closed_at, episode.closed_reason = status.value, at, why.stored()
    episode.closed_by_call_id, episode.closed_by_id = call_id, by_id
    episode.next_attempt_at = None
    await do_free(session, episode)
    episode.version += 1
    await settle_callback(session, episode, context, at, LampEnding(why, by_id))
    record(session, at, f"callback.{status.value}", "callback", episode.id, actor=None, reason=why, call_id=call_id)
    if episode.task_id is not None:
        task = await session.get(Task, episode.task_id)
        if task is not None:
            await do_close_task(
                session,
                task,
                at,
                context.people,
                result=why,
                actor=None,
                by_id=by_id,
                cancelled=status is EpisodeStatus.DISMISSED,
            )
    asked = await open_task_about(session, about_episode(episode.id)) if episode.attempts else None
    if asked is not None:
        await do_close_task(session, asked, at, context.people, result=why, actor=None, by_id=by_id)
    await do_settle_passed(session, asked_to_close(episode), why, at, context.people, by_id=by_id)
    await say_episode_changed(session, episode, at, context.people)


def asked_to_close(episode: Episode) -> ColumnElement[bool]:
    """Tasks by which somebody was asked to close this callback: both are done once it is closed."""
    return col(Task.about).in_([about_callback(what, episode.id) for what in ("close", "spam")])


async def settle_callback(
    session: AsyncSession, episode: Episode, context: EngineContext, at: datetime, outcome: LampEnding
) -> None:
    """Make the lamps of a callback agree with the facts. ``outcome``: why outdated burning ones go out."""
    await session.flush()
    await settle_held(session, episode, await hold_open(session, Lamp.callback_id == episode.id), context, at, outcome)


async def settle_held(
    session: AsyncSession,
    episode: Episode,
    lamps: list[Lamp],
    context: EngineContext,
    at: datetime,
    outcome: LampEnding,
    *,
    begin_at: datetime | None = None,
) -> None:
    """The same as ``settle_callback`` with its open ``lamps``, which this transaction has locked. ``begin_at``: see ``rules.settle``."""
    watched = context.watching.of_callbacks
    new = await carry_out(
        session,
        context,
        clock_of_callback(context, episode),
        lamps,
        outcome,
        at,
        checkpoint_id=watched.id if watched is not None else None,
        subject=Subject.CALLBACK,
        callback_id=episode.id,
        deal_id=episode.deal_id,
        owner_id=episode.owner_id,
        begin_at=begin_at,
    )
    know_lamps(session, episode, lamps)
    await session.flush()
    await add_new(session, Lamp, new)
    if episode.deal_id is not None and context.watching.watches_date(NEXT_ATTEMPT):
        await settle_deals(session, [episode.deal_id], at)


async def do_start_norm(
    session: AsyncSession,
    episode: Episode,
    since: datetime,
    context: EngineContext,
    at: datetime,
    outcome: LampEnding,
) -> None:
    """Start the norm at ``since``. When it has passed, the owner gets a lamp. Lamps of the previous clock go out."""
    episode.norm_from = since
    await settle_callback(session, episode, context, at, outcome)


def _arm_first(session: AsyncSession, episode: Episode, context: EngineContext) -> None:
    """Arm the first lamp of a new callback."""
    watched, armed = context.watching.of_callbacks, settle(clock_of_callback(context, episode), ()).arm
    if watched is not None and armed is not None:
        ids = {"deal_id": episode.deal_id, "callback_id": episode.id, "owner_id": episode.owner_id}
        session.add(Lamp(**armed_row(watched.id, armed, Subject.CALLBACK, **ids)))
    know_lamps(session, episode, [])


async def relight_callback(
    session: AsyncSession,
    episode: Episode,
    context: DecisionContext,
    lamps: Sequence[Mapping[str, Any]],
    viewer: Viewer,
    now: datetime,
) -> None:
    """Light these lamps again (stored by ``lighting.undo_state_of_lamp``) because the work that put them out was undone."""
    for standing in lamps:
        await relight(session, context, standing, viewer, now)
    await settle_callback(session, episode, context, now, LampEnding(reason("lamp.out_undone")))


async def do_free(session: AsyncSession, episode: Episode) -> int | None:
    """Remove the claim and its timer. Returns the id of the previous claimant."""
    before = episode.claimed_by_id
    episode.claimed_by_id, episode.claimed_at = None, None
    await cancel_timer(session, f"{CLAIM}:{episode.id}")
    return before


async def accept_callback(
    session: AsyncSession, viewer: Viewer, lamp: Lamp, outcome: LampEnding, context: EngineContext, now: datetime
) -> None:
    """A manager accepts the delay. The callback stays in the queue; its clock stops until the client calls again, or until the time of
    ``outcome``, from which its norm runs.
    """
    episode = await lock_row(session, Episode, lamp.callback_id or 0)
    episode.norm_from = outcome.look_again_at
    episode.version += 1
    await settle_callback(session, episode, context, now, outcome)
    await say_episode_changed(session, episode, now, context.people)


async def reassign_callback(
    session: AsyncSession,
    viewer: Viewer,
    lamp: Lamp,
    to: User,
    outcome: LampEnding,
    context: EngineContext,
    now: datetime,
) -> None:
    """Give the callback, its task and (if the old owner had it) its deal to another person, for whom the norm restarts."""
    episode = await lock_row(session, Episode, lamp.callback_id or 0)
    before = episode.owner_id
    await do_give(session, viewer, episode, to, outcome, now)
    await say_episode_changed(session, episode, now, context.people, owner_before=before)


async def do_give(
    session: AsyncSession, viewer: Viewer, episode: Episode, to: User, outcome: LampEnding, now: datetime
) -> None:
    """Make ``to`` the owner of an open callback, its task and (if the old owner or nobody had it) its open deal."""
    context = await load_context(session)
    people, working = context.people, context.calendars.of_user(to.id)
    why = reason("owner.by_hand", by=viewer.name, who=to.name)
    before = episode.owner_id
    due_at = working.add_minutes(now, context.norm)
    episode.owner_id = to.id
    await do_free(session, episode)
    episode.next_attempt_at = None
    episode.reason = {**episode.reason, "because": [why.stored()]}
    episode.version += 1
    await do_start_norm(session, episode, now, context, now, outcome)
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is not None:
        title = title_with(task, "")
        await do_change_task(
            session, task, now, people, actor=viewer, why=why, title=title, assignee_id=to.id, due_at=due_at
        )
    deal = await lock_row(session, Deal, episode.deal_id) if episode.deal_id is not None else None
    if deal is not None and deal.closed_at is None and deal.responsible_id in {before, None}:
        await do_assign_deal(session, deal, to.id, now, actor=viewer, people=people, why=why)


async def dismiss_callbacks(
    session: AsyncSession, viewer: Viewer, number: str, kind: NumberKind, now: datetime
) -> None:
    """Close the open callbacks of a number that was marked as not a client or as our own."""
    context = await load_context(session)
    for episode in await open_episodes_of_number(session, number):
        why = reason(f"episode.{kind.value}", who=viewer.name)
        await do_close(session, episode, EpisodeStatus.DISMISSED, why, now, context, by_id=viewer.user_id)
    calls = select(Call.id).where(Call.client_number == number)
    asked = and_(col(Task.about).startswith(f"{ABOUT_PASSED}spam:call-"), col(Task.call_id).in_(calls))
    told = reason(f"episode.{kind.value}", who=viewer.name)
    await do_settle_passed(session, asked, told, now, context.people, by_id=viewer.user_id)


async def forget_line(session: AsyncSession, line_id: int) -> None:
    """Handler of ``line_deleted``: the callbacks stay without a line."""
    await session.exec(
        update(Episode)
        .where(col(Episode.line_id) == line_id)
        .values(line_id=None)
        .execution_options(synchronize_session=False)
    )


async def _open_episode(session: AsyncSession, miss: Miss, context: DecisionContext) -> Episode:
    episode = Episode(
        client_key=miss.client_keys[0],
        client_number=miss.call.client_number,
        contact_id=miss.contact_id,
        deal_id=miss.deal_id,
        line_id=miss.line_id,
        last_call_id=miss.call.id,
        first_missed_at=miss.at,
        last_missed_at=miss.at,
        owner_id=miss.owner_id,
        reason=miss.why.stored(),
        norm_from=miss.at,
    )
    await add_rows(session, episode)
    task = await do_create_task(
        session,
        TaskDraft(
            TaskKind.CALLBACK,
            _title(episode, miss),
            miss.why,
            miss.due_at,
            miss.owner_id,
            miss.deal_id,
            miss.contact_id,
            miss.call.id,
        ),
        miss.at,
        context.people,
    )
    episode.task_id = task.id
    _arm_first(session, episode, context)
    record(
        session, miss.at, "callback.opened", "callback", episode.id, actor=None, reason=miss.why, call_id=miss.call.id
    )
    return episode


async def _client_waits_again(session: AsyncSession, episode: Episode, miss: Miss, context: DecisionContext) -> None:
    """The client called again: update the count in the task's title, and restart the norm if an attempt was planned for later or the
    clock was stopped.
    """
    urgent = episode.next_attempt_at is not None or episode.norm_from is None
    if urgent:
        episode.next_attempt_at = None
        await do_start_norm(session, episode, miss.at, context, miss.at, LampEnding(reason("lamp.out_called_again")))
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is None:
        return
    await do_change_task(
        session,
        task,
        miss.at,
        context.people,
        actor=None,
        why=miss.why,
        title=_title(episode, miss),
        due_at=min(task.due_at, miss.due_at) if urgent else None,
    )


def _title(episode: Episode, miss: Miss) -> Reason:
    if episode.client_number is None:
        return reason("task.anonymous", line=miss.line)
    if episode.missed_count == 1:
        return reason("task.callback", client=miss.client)
    return reason("task.callback_count", client=miss.client, count=episode.missed_count)


_OPTIONS = ("owner_order", "retry_minutes", "retry_outbound", "click_to_call_expiry_seconds", "claim_minutes")
#: Values that are stored in steps of the callbacks' checkpoint, by position: the norm, and the reaction pause.
_STEPS = {"callback_due_minutes": 0, "callback_pause_minutes": 1}


async def change_options(
    session: AsyncSession, viewer: Viewer, values: Mapping[str, Any], *, now: datetime, begin_now: bool = False
) -> Options:
    """Store the settings of callbacks: options, and the norm and pause in their checkpoint, whose lamps are recomputed in the same
    transaction. ``begin_now``: those that would be late only by that are counted from now. Raises Invalid at the name of a wrong value.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    context = await load_context(session)
    options = context.options
    before = options.model_dump(mode="json")
    for key, value in values.items():
        if key in _STEPS:
            continue
        if key not in _OPTIONS:
            raise Invalid(key, "options.unknown", "There is no such option.")
        try:
            options = await save_option(session, options, key, value)
        except ValidationError as error:
            raise Invalid(key, "options.value", "This value cannot be used here.") from error
    told = differences(before, options.model_dump(mode="json"))
    steps = {key: value for key, value in values.items() if key in _STEPS}
    moved = await _change_steps(session, context, steps)
    if told or moved:
        record(session, now, "options.changed", "options", "callbacks", actor=viewer, changed={**told, **moved})
    await session.flush()
    if moved and context.watching.of_callbacks is not None:
        checkpoint_id = context.watching.of_callbacks.id
        await recompute(session, now, checkpoint_id=checkpoint_id, owner_id=viewer.user_id, begin_now=begin_now)
    return options


async def minutes_after(session: AsyncSession, values: Mapping[str, Any]) -> tuple[float, ...]:
    """The working minutes of each step for callbacks as ``change_options`` would set them. Nothing is checked."""
    watched = (await load_context(session)).watching.of_callbacks
    minutes = list(watched.minutes or ()) if watched is not None else []
    for key, position in _STEPS.items():
        if key in values and position < len(minutes):
            minutes[position] = values[key]
    return tuple(minutes)


async def _change_steps(
    session: AsyncSession, context: DecisionContext, values: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Change the steps. Returns ``{key: {"before", "after"}}`` of those that differ, for the audit log."""
    watched, changed = context.watching.of_callbacks, {}
    for key, value in values.items():
        least = 1 if _STEPS[key] == 0 else 0  # without a pause the manager is asked together with the owner
        if not isinstance(value, int) or not least <= value <= LONGEST_MINUTES:
            raise Invalid(key, "options.minutes", "A step comes after at least a minute and at most five years.")
        known = watched.steps[_STEPS[key]] if watched is not None and len(watched.steps) > _STEPS[key] else None
        step = await session.get(CheckpointStep, known.id) if known is not None else None
        if step is not None and step.after_minutes != value:
            changed[key] = {"before": step.after_minutes, "after": value}
            step.after_minutes = value
    return changed
