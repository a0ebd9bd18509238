"""Attempts that did not reach the client: each is counted once, and the next one is planned by a schedule (C2).

The tracker sees the call and a person records how it went, in either order; both are one attempt. A result needs such a call
(``call_behind``) or an explicit "without a call, because…". The schedule of the line, of the pipeline or the general one says when the
next attempt is due, and what is done when the last one failed, too.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sqlalchemy import exists, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import do_close, do_free, do_start_norm, say_episode_changed
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import DecisionContext, burning_lamps, client_of, working_of
from pbxcrm.callbacks.rules import about_episode, about_forgotten, next_attempt, retry_title
from pbxcrm.calls.facts import Direction, Outcome
from pbxcrm.calls.models import Call, CallLeg, Line
from pbxcrm.checkpoints import lighting
from pbxcrm.checkpoints.context import load_watching
from pbxcrm.deals.attempt_schedule import AfterLast, AttemptSchedule
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.lost import LOST_NOT_REACHED
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.people.directory import Directory
from pbxcrm.shared.lengths import cut
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.runtime_options import Options
from pbxcrm.tasks.actions import TaskDraft, do_change_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind

SAME_ATTEMPT = timedelta(minutes=10)  # how long after the call a result still counts for it


async def do_attempt(
    session: AsyncSession,
    episode: Episode,
    result: AttemptResult,
    at: datetime,
    people: Directory,
    *,
    user_id: int | None,
    call_id: int | None,
    note: str = "",
    by_hand: bool = False,
) -> Attempt:
    """Store and count one attempt to call the client back."""
    assert episode.id is not None
    attempt = Attempt(
        episode_id=episode.id,
        call_id=call_id,
        user_id=user_id,
        at=at,
        result=result.value,
        note=cut(note, Attempt.note),
        by_hand=by_hand,
    )
    session.add(attempt)
    episode.attempts += 1
    episode.version += 1
    await say_episode_changed(session, episode, at, people)
    return attempt


async def do_failed_attempt(
    session: AsyncSession,
    episode: Episode,
    at: datetime,
    context: DecisionContext,
    *,
    user_id: int | None,
    call: Call | None = None,
    note: str = "",
) -> Attempt:
    """Store that the client was not reached, by ``call`` or (None) as a person recorded it, and plan the next attempt.

    If the other source has already reported the same attempt, that one is completed instead.
    """
    known = await (_told_by_hand(session, episode, user_id, call) if call else _seen(session, episode, user_id, at))
    if known is not None:
        known.call_id = known.call_id or (call.id if call else None)
        known.by_hand = known.by_hand or call is None
        known.note = known.note or cut(note, Attempt.note)
        return known
    attempt = await do_attempt(
        session,
        episode,
        AttemptResult.DIDNT_REACH,
        at,
        context.people,
        user_id=user_id,
        call_id=call.id if call else None,
        note=note,
        by_hand=call is None,
    )
    await session.flush()
    await _plan_next(session, episode, attempt, at, context)
    return attempt


async def failures(session: AsyncSession, episode: Episode) -> int:
    """The number of failed attempts since the client's last call. The schedule restarts when they call again."""
    found = await session.exec(
        select(func.count())
        .select_from(Attempt)
        .where(
            Attempt.episode_id == episode.id,
            Attempt.result == AttemptResult.DIDNT_REACH.value,
            Attempt.at >= episode.last_missed_at,
        )
    )
    return found.one()


async def _plan_next(
    session: AsyncSession, episode: Episode, attempt: Attempt, at: datetime, context: DecisionContext
) -> None:
    failed = await failures(session, episode)
    deal = await _open_deal(session, episode)
    schedule, by = await schedule_of(session, episode.line_id, deal, context.options)
    client = await client_of(session, episode)
    who = context.people.name(attempt.user_id) or "—"
    why = reason("attempt.by_hand" if attempt.by_hand else "attempt.failed", by, who=who, count=failed)
    if schedule.is_over(failed):
        about = about_episode(episode.id)
        tried = Tried(
            client, deal, episode.owner_id, failed, schedule, by, about, episode.contact_id, episode.last_call_id
        )
        ended = await do_after_last(session, tried, at, context.people)
        if ended is not None:
            record(session, at, "callback.attempt", "callback", episode.id, actor=None, reason=why)
            await do_close(session, episode, EpisodeStatus.DISMISSED, ended, at, context, by_id=attempt.user_id)
            return
    planned = next_attempt(failed, at, schedule.minutes, working_of(context, episode))
    title = retry_title(failed, schedule.minutes, client)
    was_claimed_by = await do_free(session, episode)
    episode.next_attempt_at = planned
    outcome = lighting.LampEnding(reason("lamp.out_attempt"), attempt.user_id)
    await do_start_norm(session, episode, planned, context, at, outcome)
    record(session, at, "callback.attempt", "callback", episode.id, actor=None, reason=why, planned=planned.isoformat())
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is not None:
        await do_change_task(session, task, at, context.people, actor=None, why=why, title=title, due_at=planned)
    await say_episode_changed(session, episode, at, context.people, was_claimed_by)


async def _open_deal(session: AsyncSession, episode: Episode) -> Deal | None:
    deal = await session.get(Deal, episode.deal_id) if episode.deal_id is not None else None
    return deal if deal is not None and deal.closed_at is None else None


async def _told_by_hand(session: AsyncSession, episode: Episode, user_id: int | None, call: Call) -> Attempt | None:
    """The attempt that ``call`` belongs to: one with this call, or one its maker recorded since the call started."""
    query = select(Attempt).where(Attempt.episode_id == episode.id)
    same = (await session.exec(query.where(Attempt.call_id == call.id))).first()
    if same is not None:
        return same
    said = await session.exec(
        query.where(
            col(Attempt.call_id).is_(None),
            Attempt.user_id == user_id,
            col(Attempt.by_hand),
            Attempt.at >= call.started_at,
        ).order_by(col(Attempt.at))
    )
    return said.first()


async def _seen(session: AsyncSession, episode: Episode, user_id: int | None, at: datetime) -> Attempt | None:
    """The attempt whose result a person records now: their latest call without a recorded result, at most ``SAME_ATTEMPT`` ago."""
    found = await session.exec(
        select(Attempt).where(Attempt.episode_id == episode.id).order_by(col(Attempt.at).desc(), col(Attempt.id).desc())
    )
    latest = found.first()
    if latest is None or latest.by_hand or latest.user_id != user_id or latest.result != AttemptResult.DIDNT_REACH:
        return None
    return latest if at - latest.at <= SAME_ATTEMPT else None


# Outcomes in which the client was called; not when our own phone was not picked up.
_TRIED = (Outcome.OPEN, Outcome.ANSWERED, Outcome.NO_ANSWER, Outcome.BUSY, Outcome.FAILED)


async def call_behind(session: AsyncSession, viewer: Viewer, episode: Episode) -> Call | None:
    """The viewer's latest call to the client without a recorded result; None without one.

    It must be still in progress, or have ended after the client's last missed call, the viewer's claim and the first burning lamp.
    """
    if episode.client_number is None:
        return None
    lit = [lamp.lit_at for lamp in await burning_lamps(session, [episode.id]) if lamp.lit_at is not None]
    since = [episode.last_missed_at, *lit[:1]]
    if episode.claimed_by_id == viewer.user_id and episode.claimed_at is not None:
        since.append(episode.claimed_at)
    client = col(Call.client_number) == episode.client_number
    if episode.contact_id is not None:
        client = client | (col(Call.contact_id) == episode.contact_id)
    said = select(Attempt.call_id).where(
        Attempt.episode_id == episode.id, col(Attempt.call_id).is_not(None), col(Attempt.by_hand)
    )
    own_leg = exists().where(col(CallLeg.call_id) == col(Call.id), col(CallLeg.user_id) == viewer.user_id)
    found = await session.exec(
        select(Call)
        .where(
            or_(col(Call.made_by).in_(viewer.extensions), own_leg),
            client,
            Call.direction == Direction.OUTBOUND.value,
            col(Call.outcome).in_([outcome.value for outcome in _TRIED]),
            col(Call.merged_into_id).is_(None),
            col(Call.ended_at).is_(None) | (col(Call.ended_at) >= max(since)),
            col(Call.id).not_in(said),
        )
        .order_by(col(Call.started_at).desc(), col(Call.id).desc())
        .limit(1)
    )
    return found.first()


async def schedule_of(
    session: AsyncSession, line_id: int | None, deal: Deal | None, options: Options
) -> tuple[AttemptSchedule, Reason]:
    """The line's own schedule, else that of the deal's pipeline, else the general one; and which of them it is."""
    line = await session.get(Line, line_id) if line_id is not None else None
    own = AttemptSchedule.load(line.attempt_schedule) if line is not None else None
    if line is not None and own is not None:
        return own, reason("schedule.line", line=line.name, minutes=_said(own))
    pipeline = await session.get(Pipeline, deal.pipeline_id) if deal is not None else None
    own = AttemptSchedule.load(pipeline.attempt_schedule) if pipeline is not None else None
    if pipeline is not None and own is not None:
        return own, reason("schedule.pipeline", pipeline=pipeline.name, minutes=_said(own))
    general = AttemptSchedule(options.retry_minutes)
    return general, reason("schedule.general", minutes=_said(general))


def _said(schedule: AttemptSchedule) -> str:
    return ", ".join(str(minutes) for minutes in schedule.minutes) or "—"


@dataclass(frozen=True, slots=True)
class Tried:
    """The client who was not reached in ``count`` attempts, and the schedule of these attempts."""

    client: str  # name or number
    deal: Deal | None  # while it is open
    owner_id: int | None
    count: int
    schedule: AttemptSchedule
    by: Reason  # which schedule it is
    about: str  # of the manager's task: one while it is open
    contact_id: int | None = None
    call_id: int | None = None


async def do_after_last(session: AsyncSession, tried: Tried, at: datetime, people: Directory) -> Reason | None:
    """Do what the schedule says after its last attempt. Returns the reason why the deal moved and nobody is called any more.

    None where somebody decides first: the manager has a task, or the responsible one that says why the stage refused the deal.
    Where nothing watches the deal in its stage, the manager has a task, too.
    """
    missing = None
    if tried.schedule.then is AfterLast.STAGE:
        stage = await session.get(Stage, tried.schedule.stage_id)
        if tried.deal is not None and stage is not None and stage.archived_at is None:
            deal = await lock_row(session, Deal, tried.deal.id or 0)
            code = "attempts.moved" if deal.stage_id != stage.id else "attempts.stays"
            why = reason(code, tried.by, count=tried.count, stage=stage.name)
            lost = LOST_NOT_REACHED if stage.kind == StageKind.LOST else ""
            if await do_move_by_itself(session, deal, stage, at, people=people, why=why, lost_reason=lost) is not None:
                return None
            if deal.closed_at is None and not (await load_watching(session)).of_deal(deal):
                forgotten = replace(tried, about=about_forgotten(tried.about))
                await _ask_manager(session, forgotten, at, people, why, reason("attempts.unwatched", stage=stage.name))
            return why
        missing = reason("attempts.no_deal" if tried.deal is None else "attempts.no_stage")
    await _ask_manager(session, tried, at, people, reason("attempts.manager", tried.by, count=tried.count), missing)
    return None


async def _ask_manager(
    session: AsyncSession, tried: Tried, at: datetime, people: Directory, why: Reason, also: Reason | None
) -> None:
    """Make the task of the manager who decides what comes after the last attempt."""
    manager = people.manager_of(tried.owner_id)
    new = TaskDraft(
        kind=TaskKind.CONTROL,
        title=reason("task.attempts_over", count=tried.count, client=tried.client),
        why=replace(why, because=(*why.because, also)) if also is not None else why,
        due_at=at,
        assignee_id=manager.id if manager is not None else tried.owner_id,
        deal_id=tried.deal.id if tried.deal is not None else None,
        contact_id=tried.contact_id,
        call_id=tried.call_id,
        about=tried.about,
    )
    await do_create_task(session, new, at, people)
