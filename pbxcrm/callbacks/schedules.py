"""Which schedule of attempts holds for a client, and what is done when its last attempt failed, too (C2)."""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.models import Line
from pbxcrm.deals.attempt_schedule import AfterLast, AttemptSchedule
from pbxcrm.deals.automatic import do_move_by_itself
from pbxcrm.deals.lost import LOST_NOT_REACHED
from pbxcrm.deals.models import Deal, Pipeline, Stage, StageKind
from pbxcrm.people.directory import Directory
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.options import Options
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import NewTask, do_create_task
from pbxcrm.tasks.models import TaskKind


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
    """Who was tried in vain, ``count`` times, and by which schedule."""

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
    """What the schedule says for after its last attempt. The reason why the deal moved and nobody is called any more.

    None where somebody decides first: the manager has a task, or the responsible one that says why the stage refused the deal.
    """
    missing = None
    if tried.schedule.then is AfterLast.STAGE:
        stage = await session.get(Stage, tried.schedule.stage_id)
        if tried.deal is not None and stage is not None and stage.archived_at is None:
            why = reason("attempts.moved", tried.by, count=tried.count, stage=stage.name)
            deal = await lock_row(session, Deal, tried.deal.id or 0)
            lost = LOST_NOT_REACHED if stage.kind == StageKind.LOST else ""
            moved = await do_move_by_itself(session, deal, stage, at, people=people, why=why, lost_reason=lost)
            return why if moved else None
        missing = reason("attempts.no_deal" if tried.deal is None else "attempts.no_stage")
    manager = people.manager_of(tried.owner_id)
    new = NewTask(
        kind=TaskKind.CONTROL,
        title=reason("task.attempts_over", count=tried.count, client=tried.client),
        why=reason("attempts.manager", tried.by, missing, count=tried.count),
        due_at=at,
        assignee_id=manager.id if manager is not None else tried.owner_id,
        deal_id=tried.deal.id if tried.deal is not None else None,
        contact_id=tried.contact_id,
        call_id=tried.call_id,
        about=tried.about,
    )
    await do_create_task(session, new, at, people)
    return None


def about_episode(episode_id: int | None) -> str:
    """What the manager's task about the last attempt of a callback is about (``Task.about``)."""
    return f"last-attempt:{episode_id}"
