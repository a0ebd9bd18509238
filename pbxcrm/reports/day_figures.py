"""Today's figures for a manager: what was missed, how fast it was called back, burning lamps and open tasks."""

from dataclasses import dataclass
from datetime import datetime
from statistics import median

from sqlalchemy import case, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import load_context, working_of
from pbxcrm.callbacks.rules import was_dismissed, was_not_reached
from pbxcrm.checkpoints.queries import burning_counts
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, is_open
from pbxcrm.tasks.queries import answered_for, counted_once


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Counts of callbacks that began since ``since`` (a client who is missed again after the first was settled counts twice); lamps and
    tasks as of now. ``median_minutes``: working minutes from the first missed call until the callback was closed by a talk.
    """

    missed: int
    left: int  # of ``missed``: still open
    in_norm: int  # of ``judged``: talked to within the norm
    judged: int  # of ``missed``: talked to, or open for longer than the norm
    median_minutes: float | None
    burning: int  # deals and callbacks for which a lamp burns
    with_manager: int  # of them, those that have reached the manager
    overdue: int
    open_tasks: int

    @property
    def percent_in_norm(self) -> int | None:
        """Percent of ``judged`` that were talked to within the norm, 0 to 100; None while ``judged`` is 0."""
        return round(100 * self.in_norm / self.judged) if self.judged else None


async def load_day_figures(session: AsyncSession, viewer: Viewer, since: datetime, now: datetime) -> DayFigures:
    """The figures over what the viewer may see."""
    context = await load_context(session)
    found = await session.exec(select(Episode).where(visible_episodes(viewer), col(Episode.first_missed_at) >= since))
    episodes = [episode for episode in found.all() if not was_dismissed(episode)]
    norm = context.norm
    returned: list[float] = []
    late = 0
    for episode in episodes:
        until = episode.closed_at or now
        minutes = working_of(context, episode).minutes_between(episode.first_missed_at, until)
        if episode.status in {EpisodeStatus.REACHED, EpisodeStatus.RECOVERED}:
            returned.append(minutes)
        elif minutes > norm or was_not_reached(episode):
            late += 1
    burning = await burning_counts(session, viewer)
    own = (visible_tasks(viewer), is_open(), counted_once(answered_for(viewer)))
    is_late = case((col(Task.due_at) <= now, 1))
    counted = await session.exec(select(func.count(), func.count(is_late)).select_from(Task).where(*own))
    open_tasks, overdue = counted.one()
    return DayFigures(
        missed=len(episodes),
        left=sum(episode.status == EpisodeStatus.OPEN for episode in episodes),
        in_norm=sum(minutes <= norm for minutes in returned),
        judged=len(returned) + late,
        median_minutes=median(returned) if returned else None,
        burning=burning.subjects,
        with_manager=burning.escalations,
        overdue=overdue,
        open_tasks=open_tasks,
    )
