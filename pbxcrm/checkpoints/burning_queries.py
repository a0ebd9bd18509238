"""Lamps that burn now or will light soon, and reaction times of people, over the lamps that the viewer may see.

The database may hold a million lamps. Burning and armed ones are found by partial indexes, and at most ``MOST`` are read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from statistics import median
from types import MappingProxyType
from typing import Any

from sqlalchemy import BigInteger, ColumnElement, String, case, cast, func, literal, literal_column, null, type_coerce
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.access import is_burning, is_first, subject_key, visible_lamps, waiting_for
from pbxcrm.checkpoints.context import load_engine
from pbxcrm.checkpoints.models import Checkpoint, Lamp
from pbxcrm.checkpoints.queries import beside
from pbxcrm.checkpoints.relighting import is_reaction
from pbxcrm.checkpoints.rules import clock_key
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.shared.core_sql import fetch, load_by_id

MOST = 20_000  # lamps that are counted at once; a page says when there are more
# Literals exactly as in the conditions of the partial indexes: SQLite would not use the indexes with bind parameters.
BURNS = is_burning()
WAITS = (col(Lamp.state) == literal_column("'armed'")) & col(Lamp.parked_at).is_(None)


@dataclass(frozen=True, slots=True)
class Soon:
    """The numbers of lamps that will light: ``first`` in the first part of a period, ``all`` in the whole of it."""

    first: int = 0
    all: int = 0


@dataclass(frozen=True, slots=True)
class Reaction:
    """The reaction to a lamp of the first step. ``minutes``: working minutes until it was put out, None while it burns."""

    lamp_id: int
    owner_id: int | None
    minutes: float | None
    in_time: bool


@dataclass(slots=True)
class Pace:
    """The reactions of a person, with their median and the share in time (put out before the next step lit)."""

    reactions: list[Reaction] = field(default_factory=list)

    @property
    def median_minutes(self) -> float | None:
        """The median of working minutes; None if no lamp was put out."""
        done = [each.minutes for each in self.reactions if each.minutes is not None]
        return median(done) if done else None

    @property
    def in_time_percent(self) -> int | None:
        """The percentage of all lit lamps that were in time; None if none lit."""
        lit = len(self.reactions)
        return round(100 * sum(each.in_time for each in self.reactions) / lit) if lit else None


@dataclass(frozen=True, slots=True)
class ListedLamp:
    """A lamp with its related rows; ``deal`` is None for a callback without one. ``others``: lamps that burn for the same deal or
    callback, with their checkpoints.
    """

    lamp: Lamp
    checkpoint: Checkpoint | None
    stage: Stage | None
    deal: Deal | None
    others: tuple[tuple[Lamp, Checkpoint | None], ...] = ()


async def burning_by_owner(session: AsyncSession, viewer: Viewer) -> dict[int | None, int]:
    """For how many deals and callbacks of each owner (None: nobody) something burns; of at most ``MOST`` lamps, the oldest."""
    query = columns(col(Lamp.owner_id), subject_key().label("subject")).where(BURNS, visible_lamps(viewer))
    found = query.order_by(col(Lamp.lit_at)).limit(MOST).subquery()
    counted = columns(found.c.owner_id, func.count(found.c.subject.distinct())).group_by(found.c.owner_id)
    return dict(tuple(row) for row in await fetch(session, counted))


@dataclass(frozen=True, slots=True)
class Lighting:
    """Armed lamps that will light in a period: by owner, and by the start of each quarter of an hour, of which the hours of every time
    zone are made.
    """

    by_owner: dict[int | None, Soon]
    by_time: list[tuple[datetime, int]]


async def lighting(
    session: AsyncSession, viewer: Viewer, since: datetime, first_until: datetime, until: datetime
) -> Lighting:
    """How many armed lamps are due from ``since`` to ``first_until`` and to ``until`` (both exclusive); of at most ``MOST``, the
    earliest. They are read once: both counts are made from the same rows.
    """
    is_sqlite = session.get_bind().dialect.name == "sqlite"
    due_at = col(Lamp.due_at)
    part: ColumnElement[Any] = type_coerce(_part_of_text(due_at), String)
    if not is_sqlite:
        part = cast(func.floor(func.date_part("epoch", due_at) / PART), BigInteger)
    is_first = case((due_at < first_until, 1), else_=0)
    found = (
        columns(col(Lamp.owner_id), part.label("part"), is_first.label("is_first"))
        .where(WAITS, due_at >= since, due_at < until, waiting_for(viewer))
        .order_by(due_at)
        .limit(MOST)
        .cte("found")
    )
    nobody, always = cast(null(), found.c.owner_id.type), cast(null(), found.c.part.type)
    by_owner = columns(literal(True), found.c.owner_id, always, func.sum(found.c.is_first), func.count()).group_by(
        found.c.owner_id
    )
    by_time = columns(literal(False), nobody, found.c.part, literal(0), func.count()).group_by(found.c.part)
    begins = _begins_of_text if is_sqlite else _begins_of_number
    counted = Lighting({}, [])
    for of_owner, owner_id, of_part, first, count in await fetch(session, by_owner.union_all(by_time)):
        if of_owner:
            counted.by_owner[owner_id] = Soon(first, count)
        else:
            counted.by_time.append((begins(of_part), count))
    return counted


PART = 900  # seconds


def _part_of_text(at: Any) -> ColumnElement[str]:  # a column of moments
    """SQLite keeps moments as text; cutting it takes half the time of its functions for moments: ``2026-11-18 10:`` and the quarter."""
    text = cast(at, String)
    minute = func.substr(text, 15, 2)
    quarter = case((minute < "15", "00"), (minute < "30", "15"), (minute < "45", "30"), else_="45")
    return func.substr(text, 1, 14) + quarter


def _begins_of_text(part: str) -> datetime:
    return datetime.fromisoformat(part).replace(tzinfo=UTC)


def _begins_of_number(part: float) -> datetime:
    return datetime.fromtimestamp(int(part) * PART, UTC)


async def rows_burning(
    session: AsyncSession, viewer: Viewer, *, limit: int, owner: ColumnElement[bool] | None = None
) -> list[ListedLamp]:
    """The burning lamps with their related rows, each deal and callback once with the others that burn for it, oldest first. ``owner``:
    an additional condition.
    """
    first = is_first(lambda lamp: visible_lamps(viewer, lamp))
    query = (
        select(Lamp).where(BURNS, first, visible_lamps(viewer)).order_by(col(Lamp.lit_at), col(Lamp.id)).limit(limit)
    )
    lamps = (await session.exec(query.where(owner) if owner is not None else query)).all()
    return await _rows(session, lamps, await beside(session, viewer, lamps))


async def rows_lighting(
    session: AsyncSession,
    viewer: Viewer,
    since: datetime,
    until: datetime,
    *,
    limit: int,
    owner: ColumnElement[bool] | None = None,
) -> list[ListedLamp]:
    """The armed lamps with ``since <= due_at < until`` and their related rows, earliest first. ``owner``: an additional condition."""
    query = (
        select(Lamp)
        .where(WAITS, col(Lamp.due_at) >= since, col(Lamp.due_at) < until, waiting_for(viewer))
        .order_by(col(Lamp.due_at), col(Lamp.id))
        .limit(limit)
    )
    return await _rows(session, (await session.exec(query.where(owner) if owner is not None else query)).all())


async def rows_by_id(session: AsyncSession, viewer: Viewer, ids: Sequence[int]) -> list[ListedLamp]:
    """The lamps with these ids that the viewer may see, in the order of ``ids``."""
    found = (await session.exec(select(Lamp).where(col(Lamp.id).in_(ids), visible_lamps(viewer)))).all()
    place = {lamp_id: number for number, lamp_id in enumerate(ids)}
    return await _rows(session, sorted(found, key=lambda lamp: place[lamp.id or 0]))


async def rows_of_task(session: AsyncSession, viewer: Viewer, task_id: int, *, limit: int) -> list[ListedLamp]:
    """The burning lamps of the task of many lamps that the viewer may see, oldest first: as many as its title counts."""
    query = select(Lamp).where(BURNS, Lamp.task_id == task_id, visible_lamps(viewer))
    rows = await session.exec(query.order_by(col(Lamp.lit_at), col(Lamp.id)).limit(limit))
    return await _rows(session, rows.all())


async def paces(session: AsyncSession, viewer: Viewer, since: datetime) -> dict[int | None, Pace]:
    """The reactions of each owner, by id, to lamps of the first step that lit at ``since`` or later.

    A lamp is late once the next step has lit, also while it still burns.
    """
    context = await load_engine(session)
    wanted = (
        Lamp.id,
        Lamp.checkpoint_id,
        Lamp.entry,
        Lamp.step,
        Lamp.owner_id,
        Lamp.lit_at,
        Lamp.out_at,
        Lamp.out_reason,
    )
    query = (
        columns(*(col(each) for each in wanted))
        .where(col(Lamp.lit_at) >= since, visible_lamps(viewer))
        .order_by(col(Lamp.lit_at).desc())
        .limit(MOST)
    )
    lamps = await fetch(session, query)
    went_on = {(lamp.checkpoint_id, clock_key(lamp.entry)) for lamp in lamps if lamp.step > 0}
    found: dict[int | None, Pace] = {}
    for lamp in lamps:
        if lamp.step > 0 or lamp.lit_at is None or not is_reaction(lamp.out_reason):
            continue
        working = context.working_of(lamp.owner_id)
        minutes = working.minutes_between(lamp.lit_at, lamp.out_at) if lamp.out_at is not None else None
        is_late = (lamp.checkpoint_id, clock_key(lamp.entry)) in went_on
        pace = found.setdefault(lamp.owner_id, Pace())
        pace.reactions.append(Reaction(lamp.id or 0, lamp.owner_id, minutes, not is_late))
    return found


async def _rows(
    session: AsyncSession, lamps: Sequence[Lamp], others: Mapping[int | None, Sequence[Lamp]] = MappingProxyType({})
) -> list[ListedLamp]:
    known = [*lamps, *(lamp for theirs in others.values() for lamp in theirs)]
    checkpoints = await load_by_id(session, Checkpoint, {lamp.checkpoint_id for lamp in known})
    stages = await load_by_id(session, Stage, {lamp.stage_id for lamp in lamps})
    deals = await load_by_id(session, Deal, {lamp.deal_id for lamp in lamps})
    return [
        ListedLamp(
            lamp,
            checkpoints.get(lamp.checkpoint_id),
            stages.get(lamp.stage_id),
            deals.get(lamp.deal_id),
            tuple((each, checkpoints.get(each.checkpoint_id)) for each in others.get(lamp.id, ())),
        )
        for lamp in lamps
    ]
