"""A call of ours that did not reach a client with an open deal plans the next one, as a task of the deal (C2).

Where a callback of the client is open the attempt is the callback's (``pbxcrm.callbacks.attempts``), and nothing is done here.
"""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.attempts import Tried, do_after_last, schedule_of
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import NOT_REACHED
from pbxcrm.callbacks.rules import next_attempt, retry_title
from pbxcrm.calls.facts import Direction
from pbxcrm.calls.models import Call
from pbxcrm.deals.hooks import DealsMerging, DealsUnmerging, StageEntry
from pbxcrm.deals.models import Deal
from pbxcrm.deals.rules import is_closing
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.reactions.call_context import CallContext
from pbxcrm.reactions.client_of_call import about_next_attempt
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_change_task, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.queries import open_task_about

_DECIDED = "call.next_"  # prefix of the reason of a call for which the next attempt has been decided


def decided(call: Call) -> Reason | None:
    """The reason that an earlier look at the call stored: a call plans one attempt, however often it is processed."""
    known = Reason.load(call.reason)
    return next((each for each in known.because if each.code.startswith(_DECIDED)), None) if known else None


async def do_plan_next(
    session: AsyncSession, context: CallContext, call: Call, deal: Deal, client: str, at: datetime, user_id: int | None
) -> Reason | None:
    """Plan the next attempt after ``call``, which failed at ``at``. Returns why, or why not; None if this is switched off.

    The task of the attempt before moves on; a task that somebody planned for the deal stays, and no second one is made.
    """
    if not context.options.retry_outbound:
        return None
    context.attempts.pop(deal.id, None)  # it changes now
    await context.write_down()
    task = await open_task_about(session, about_next_attempt(deal.id))
    planned_task = await _planned(session, deal, at) if task is None else None
    if planned_task is not None:
        return reason("call.next_kept", task=planned_task.title)
    failed = 1 + (await _failed_since(session, deal, task.call_id, call) if task is not None and task.call_id else 0)
    schedule, by = await schedule_of(session, call.line_id, deal, context.options)
    why = reason("attempt.failed", by, who=context.people.name(user_id) or "—", count=failed)
    owner_id = deal.responsible_id if deal.responsible_id is not None else user_id
    if owner_id is not None:
        owner_id = context.calendars.acting(owner_id, at) or owner_id  # who stands in for somebody absent
    if schedule.is_over(failed):
        about = f"last-attempt:deal:{deal.id}"
        tried = Tried(client, deal, owner_id, failed, schedule, by, about, deal.contact_id, call.id)
        ended = await do_after_last(session, tried, at, context.people)
        if ended is not None:
            await do_settle(session, deal.id, ended, at, context.people, by_id=user_id)
            return reason("call.next_over", ended)
    due_at = next_attempt(failed, at, schedule.minutes, context.calendars.of_user(owner_id))
    title = retry_title(failed, schedule.minutes, client)
    if task is not None:
        await do_change_task(
            session, task, at, context.people, actor=None, why=why, explained=why.stored(), title=title, due_at=due_at
        )
        return reason("call.next_moved")
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=title,
        why=why,
        due_at=due_at,
        assignee_id=owner_id,
        deal_id=deal.id,
        contact_id=deal.contact_id,
        call_id=call.id,
        about=about_next_attempt(deal.id),
    )
    await do_create_task(session, new, at, context.people)
    return reason("call.next_planned")


async def do_settle(
    session: AsyncSession,
    deal_id: int | None,
    why: Reason,
    at: datetime,
    people: Directory,
    *,
    by_id: int | None,
    read_before: dict[int | None, Task | None] | None = None,
) -> None:
    """Close the task of the next attempt: the client was talked to, or nobody is to call any more.

    ``read_before``: ``CallContext.attempts``.
    """
    if read_before and deal_id in read_before:
        task = read_before.pop(deal_id)
    else:
        task = await open_task_about(session, about_next_attempt(deal_id))
    if task is not None:
        await do_close_task(session, task, at, people, result=why, actor=None, by_id=by_id)


async def planned_attempts(session: AsyncSession, deal_ids: Collection[int]) -> dict[int, datetime]:
    """When the next attempt to reach the client of each deal is planned: by the deal's own task, or by the client's callback."""
    tasks = select(Task.deal_id, Task.due_at).where(
        col(Task.about).in_([about_next_attempt(deal_id) for deal_id in deal_ids]), Task.status == TaskStatus.OPEN.value
    )
    callbacks = select(Episode.deal_id, Episode.next_attempt_at).where(
        col(Episode.deal_id).in_(deal_ids),
        Episode.status == EpisodeStatus.OPEN.value,
        col(Episode.next_attempt_at).is_not(None),
    )
    found: dict[int, datetime] = {}
    for deal_id, at in [*(await session.exec(tasks)).all(), *(await session.exec(callbacks)).all()]:
        if deal_id is not None and at is not None:
            found[deal_id] = min(at, found.get(deal_id, at))
    return found


async def deal_entered(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``stage_entered``: cancel the planned attempt of a closed deal."""
    if is_closing(entry.stage):
        why = reason("attempts.deal_closed", stage=entry.stage.name)
        by_id = entry.actor.user_id if entry.actor is not None else None
        await do_settle(session, entry.deal.id, why, entry.at, entry.people, by_id=by_id)


MERGED = "attempts"  # our key in ``DealsMerging.kept``


async def deals_merge(session: AsyncSession, merging: DealsMerging) -> None:
    """Handler of ``deals_merging``: the planned attempt is the survivor's from now on, unless that has its own."""
    task = await open_task_about(session, about_next_attempt(merging.from_id))
    if task is not None and await open_task_about(session, about_next_attempt(merging.into_id)) is None:
        people, about = await load_directory(session), about_next_attempt(merging.into_id)
        await do_change_task(session, task, merging.at, people, actor=merging.viewer, about=about)
        merging.kept[MERGED] = task.id


async def deals_unmerge(session: AsyncSession, unmerging: DealsUnmerging) -> None:
    """Handler of ``deals_unmerging``: the attempt is the first deal's again."""
    task_id = unmerging.kept.get(MERGED)
    task = await session.get(Task, task_id) if task_id is not None else None
    if task is not None and task.about == about_next_attempt(unmerging.into_id):
        people, about = await load_directory(session), about_next_attempt(unmerging.from_id)
        await do_change_task(session, task, unmerging.at, people, actor=unmerging.viewer, about=about)


async def _planned(session: AsyncSession, deal: Deal, at: datetime) -> Task | None:
    """A task that is planned for later: a lamp's or a manager's is due at once and plans nothing."""
    found = await session.exec(
        select(Task)
        .where(Task.deal_id == deal.id, Task.status == TaskStatus.OPEN.value, Task.due_at > at)
        .order_by(col(Task.due_at), col(Task.id))
        .limit(1)
    )
    return found.first()


async def _failed_since(session: AsyncSession, deal: Deal, first_id: int, call: Call) -> int:
    """How many calls about the deal failed from the one on that planned the task, without ``call`` itself."""
    found = await session.exec(
        select(func.count())
        .select_from(Call)
        .where(
            Call.deal_id == deal.id,
            Call.direction == Direction.OUTBOUND.value,
            col(Call.outcome).in_(NOT_REACHED),
            col(Call.merged_into_id).is_(None),
            col(Call.id) >= first_id,
            col(Call.id) != call.id,
        )
    )
    return found.one()
