"""Queries for checkpoints, lamps and escalations."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Integer, Select, and_, case, cast, exists, func, or_
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.checkpoints.access import (
    editable_escalations,
    is_burning,
    is_first,
    is_parked,
    subject_key,
    visible_escalations,
    visible_lamps,
)
from pbxcrm.checkpoints.models import STOPPED, Checkpoint, CheckpointStep, EngineBeat, Lamp, LampState, Subject
from pbxcrm.deals.models import Deal
from pbxcrm.people.filters import of_login
from pbxcrm.shared.conditions import equal
from pbxcrm.shared.core_sql import counted, fetch
from pbxcrm.shared.errors import NotFound
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, is_open
from pbxcrm.tasks.work_queries import is_control


@dataclass(frozen=True, slots=True)
class LampFilter:
    """The filters of a list of lamps. ``owner`` and ``addressee`` are logins."""

    state: str = ""
    deal_id: int | None = None
    callback_id: int | None = None
    checkpoint_id: int | None = None
    owner: str = ""
    addressee: str = ""
    parked: bool | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause."""
        found = [] if self.parked is None else [is_parked() if self.parked else ~is_parked()]
        found += equal(
            (Lamp.state, self.state),
            (Lamp.deal_id, self.deal_id),
            (Lamp.callback_id, self.callback_id),
            (Lamp.checkpoint_id, self.checkpoint_id),
        )
        found += of_login(Lamp.owner_id, self.owner)
        return found + of_login(Lamp.addressee_id, self.addressee)


@dataclass(frozen=True, slots=True)
class EscalationFilter(LampFilter):
    """The filters of a list of escalations. They reached the manager from ``since`` to ``until`` (exclusive)."""

    decision: str = ""
    subject: str = ""
    since: datetime | None = None
    until: datetime | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause."""
        found = LampFilter.conditions(self)
        if self.decision:
            found.append(col(Lamp.decision) == self.decision)
        if self.subject:
            found.append(col(Lamp.subject) == self.subject)
        if self.since is not None:
            found.append(col(Lamp.lit_at) >= self.since)
        if self.until is not None:
            found.append(col(Lamp.lit_at) < self.until)
        return found


async def list_checkpoints(
    session: AsyncSession, *, stage_id: int | None = None, pipeline_id: int | None = None
) -> list[tuple[Checkpoint, list[CheckpointStep]]]:
    """The checkpoints that are not archived, with their steps in order."""
    query = select(Checkpoint).where(col(Checkpoint.archived_at).is_(None)).order_by(col(Checkpoint.id))
    if stage_id is not None:
        query = query.where(Checkpoint.stage_id == stage_id)
    if pipeline_id is not None:
        query = query.where(Checkpoint.pipeline_id == pipeline_id)
    found = (await session.exec(query)).all()
    steps = await steps_of(session, [row.id for row in found])
    return [(row, steps.get(row.id, [])) for row in found]


async def steps_of(session: AsyncSession, ids: Iterable[int | None]) -> dict[int | None, list[CheckpointStep]]:
    """The steps of these checkpoints, in order, by checkpoint id."""
    rows = await session.exec(
        select(CheckpointStep)
        .where(col(CheckpointStep.checkpoint_id).in_(list(ids)))
        .order_by(col(CheckpointStep.checkpoint_id), col(CheckpointStep.position))
    )
    found: dict[int | None, list[CheckpointStep]] = {}
    for row in rows.all():
        found.setdefault(row.checkpoint_id, []).append(row)
    return found


async def page_of_lamps(
    session: AsyncSession, viewer: Viewer, asked: LampFilter, *, before: int | None = None, limit: int = 50
) -> list[Lamp]:
    """Lamps that the viewer may see, newest first. ``before``: only those with a smaller id."""
    query = select(Lamp).where(visible_lamps(viewer), *asked.conditions()).order_by(col(Lamp.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Lamp.id) < before)
    return list((await session.exec(query)).all())


async def access_lamp(session: AsyncSession, viewer: Viewer, lamp_id: int) -> Lamp:
    """The lamp, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Lamp).where(Lamp.id == lamp_id, visible_lamps(viewer)))).first()
    if found is None:
        raise NotFound("lamps.not_found", "There is no such lamp, or it is another team's.")
    return found


async def burning_of_deal(session: AsyncSession, deal_id: int) -> list[Lamp]:
    """The burning lamps of a deal, oldest first; also of its client's callback. The caller checks access to the deal."""
    return await _burning(session, Lamp.deal_id == deal_id)


async def burning_of_callback(session: AsyncSession, callback_id: int) -> list[Lamp]:
    """The burning lamps of a callback, oldest first. The caller checks access to it."""
    return await _burning(session, Lamp.callback_id == callback_id)


async def burning_of_task(session: AsyncSession, task: Task) -> list[Lamp]:
    """The burning lamps that a task is about, oldest first: its own, and those whose tasks are parts of it. Access is checked before."""
    parts = select(Task.id).where(Task.part_of_id == task.id)
    return await _burning(session, or_(col(Lamp.task_id) == task.id, col(Lamp.task_id).in_(parts)))


async def _burning(session: AsyncSession, condition: ColumnElement[bool] | bool) -> list[Lamp]:
    query = select(Lamp).where(is_burning(), condition).order_by(col(Lamp.lit_at), col(Lamp.id))
    return list((await session.exec(query)).all())


MOST_ARMED = 200  # armed lamps of a stage that are counted: each is looked up by its deal


async def lamps_in_stage(session: AsyncSession, stage_id: int) -> tuple[int, int]:
    """The numbers of armed and of burning lamps of the deals in a stage. ``MOST_ARMED`` + 1 armed ones stand for all larger numbers."""
    in_stage = exists().where(col(Deal.id) == col(Lamp.deal_id), col(Deal.stage_id) == stage_id)  # few lamps burn
    burning = await session.exec(select(func.count()).select_from(Lamp).where(is_burning(), in_stage))
    some = (
        select(col(Lamp.id))
        .join(Deal, col(Deal.id) == col(Lamp.deal_id))
        .where(Deal.stage_id == stage_id, Lamp.state == LampState.ARMED.value)
        .limit(MOST_ARMED + 1)
    ).subquery()
    armed = await session.exec(select(func.count()).select_from(some))
    return armed.one(), burning.one()


async def parked_lamps(session: AsyncSession, viewer: Viewer | None = None, limit: int = 50) -> list[Lamp]:
    """Armed lamps that could not be lit because of an error, the longest due first. ``viewer`` None: those of everybody."""
    query = select(Lamp).where(is_parked()).order_by(col(Lamp.due_at), col(Lamp.id)).limit(limit)
    return list((await session.exec(query if viewer is None else query.where(visible_lamps(viewer)))).all())


async def parked_count(session: AsyncSession, viewer: Viewer) -> int:
    """The number of parked lamps that the viewer may see."""
    query = select(func.count()).select_from(Lamp).where(is_parked(), visible_lamps(viewer))
    return (await session.exec(query)).one()


#: A beat (stored each 15 s) that is older says that no worker runs; a sweep of very many lamps may take that long.
BEAT_LATE = timedelta(minutes=1)


async def last_beat(session: AsyncSession, name: str = "canary") -> datetime | None:
    """When the engine last updated its beat; None before the first time."""
    return (await session.exec(select(EngineBeat.beat_at).where(EngineBeat.name == name))).first()


async def workers_stopped_at(session: AsyncSession) -> datetime | None:
    """When the last worker was stopped; None while one runs, and where none has said good-bye."""
    return await last_beat(session, STOPPED)


def lamp_rank_of_deal() -> ColumnElement[int]:
    """SQL for a row of ``Deal``: 0 without a burning lamp, 2 if one has reached a manager, else 1."""
    highest = func.max(cast(col(Lamp.is_escalation), Integer) + 1)
    burning = select(highest).where(col(Lamp.deal_id) == col(Deal.id), is_burning()).correlate(Deal)
    return func.coalesce(burning.scalar_subquery(), 0)


def burning_deals() -> Select[Any]:
    """Query for the ids of the deals on which a lamp burns."""
    return columns(col(Lamp.deal_id)).where(is_burning(), col(Lamp.deal_id).is_not(None))


async def list_escalations(
    session: AsyncSession, viewer: Viewer, *, owner_id: int | None = None, limit: int = 100
) -> list[Lamp]:
    """Burning escalations that the viewer may see, each deal and callback once, oldest first."""
    first = is_first(lambda lamp: visible_escalations(viewer, lamp))
    query = select(Lamp).where(visible_escalations(viewer), is_burning(), first)
    if owner_id is not None:
        query = query.where(Lamp.owner_id == owner_id)
    rows = await session.exec(query.order_by(col(Lamp.lit_at), col(Lamp.id)).limit(limit))
    return list(rows.all())


async def page_of_escalations(
    session: AsyncSession, viewer: Viewer, asked: EscalationFilter, *, before: int | None = None, limit: int = 50
) -> list[Lamp]:
    """Escalations in all states, newest first. ``before``: only those with a smaller id."""
    query = select(Lamp).where(visible_escalations(viewer), *asked.conditions())
    if before is not None:
        query = query.where(col(Lamp.id) < before)
    return list((await session.exec(query.order_by(col(Lamp.id).desc()).limit(limit))).all())


async def access_escalation(session: AsyncSession, viewer: Viewer, lamp_id: int, *, to_change: bool = False) -> Lamp:
    """A lamp that reached a manager, if the viewer may see it, or with ``to_change`` decide about it. Raises NotFound."""
    rule = editable_escalations(viewer) if to_change else visible_escalations(viewer)
    found = (await session.exec(select(Lamp).where(Lamp.id == lamp_id, rule))).first()
    if found is None:
        raise NotFound("escalations.not_found", "There is no such escalation, or it is another team's.")
    return found


def other_control_tasks(viewer: Viewer) -> list[ColumnElement[bool]]:
    """Conditions for open control tasks without a lamp (an unknown extension, a pause to approve, and the like)."""
    return [visible_tasks(viewer), is_control(), is_open()]


async def list_control_tasks(session: AsyncSession, viewer: Viewer, *, limit: int = 100) -> list[Task]:
    """Open control tasks without a lamp, earliest first."""
    query = select(Task).where(*other_control_tasks(viewer)).order_by(col(Task.due_at), col(Task.id)).limit(limit)
    return list((await session.exec(query)).all())


async def escalation_count(session: AsyncSession, viewer: Viewer, now: datetime) -> int:
    """The number of deals and callbacks with a burning escalation, plus open control tasks without a lamp, over what the viewer may
    see.
    """
    return (await burning_counts(session, viewer)).escalations + await counted(session, _other_control_tasks(viewer))


@kept
def _other_control_tasks(viewer: Viewer) -> Any:  # Select
    return select(func.count()).select_from(Task).where(*other_control_tasks(viewer))


@dataclass(frozen=True, slots=True)
class BurningCounts:
    """The numbers of deals and callbacks for which something burns: all of them, and those that have reached a manager."""

    subjects: int
    escalations: int


async def burning_counts(session: AsyncSession, viewer: Viewer) -> BurningCounts:
    """The counts over the lamps that the viewer may see."""
    return BurningCounts(*(await fetch(session, _burning_counts(viewer)))[0])


@kept
def _burning_counts(viewer: Viewer) -> Any:  # Select
    key = subject_key()
    counts = func.count(key.distinct()), func.count(case((visible_escalations(viewer), key)).distinct())
    return columns(*counts).where(visible_lamps(viewer), is_burning())


async def beside(
    session: AsyncSession, viewer: Viewer, lamps: Sequence[Lamp], *, escalations: bool = False
) -> dict[int | None, list[Lamp]]:
    """Lamp id -> the other lamps that burn for the same deal or callback and that the viewer may see, oldest first."""
    seen = visible_escalations(viewer) if escalations else visible_lamps(viewer)
    deals = {lamp.deal_id for lamp in lamps if lamp.subject == Subject.DEAL}
    callbacks = {lamp.callback_id for lamp in lamps if lamp.subject == Subject.CALLBACK}
    of_deal = and_(col(Lamp.deal_id).in_(deals), col(Lamp.subject) == Subject.DEAL.value)
    rows = await session.exec(
        select(Lamp)
        .where(seen, is_burning(), or_(of_deal, col(Lamp.callback_id).in_(callbacks)))
        .order_by(col(Lamp.id))
    )
    found: dict[tuple[str, int | None], list[Lamp]] = {}
    for lamp in rows.all():
        found.setdefault(_subject(lamp), []).append(lamp)
    return {lamp.id: [each for each in found.get(_subject(lamp), ()) if each.id != lamp.id] for lamp in lamps}


def _subject(lamp: Lamp) -> tuple[str, int | None]:
    return lamp.subject, lamp.deal_id if lamp.subject == Subject.DEAL else lamp.callback_id


async def list_decided(session: AsyncSession, viewer: Viewer, *, limit: int = 50) -> list[Lamp]:
    """Escalations that are out, the latest first."""
    query = select(Lamp).where(visible_escalations(viewer), col(Lamp.state) == LampState.OUT.value)
    return list((await session.exec(query.order_by(col(Lamp.out_at).desc(), col(Lamp.id).desc()).limit(limit))).all())
