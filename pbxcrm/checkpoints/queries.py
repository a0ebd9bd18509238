"""What is read of checkpoints and lamps."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.access import visible_lamps
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, EngineBeat, Lamp, LampState
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.shared.errors import NotFound


@dataclass(frozen=True, slots=True)
class LampFilter:
    """``owner`` and ``addressee`` are logins."""

    state: str = ""
    deal_id: int | None = None
    callback_id: int | None = None
    checkpoint_id: int | None = None
    owner: str = ""
    addressee: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause."""
        found: list[ColumnElement[bool]] = [col(Lamp.state) == self.state] if self.state else []
        for column, value in (
            (Lamp.deal_id, self.deal_id),
            (Lamp.callback_id, self.callback_id),
            (Lamp.checkpoint_id, self.checkpoint_id),
        ):
            if value is not None:
                found.append(col(column) == value)
        for column, login in ((Lamp.owner_id, self.owner), (Lamp.addressee_id, self.addressee)):
            if login:
                found.append(col(column).in_(select(User.id).where(User.login == login.lower())))
        return found


async def list_checkpoints(
    session: AsyncSession, *, stage_id: int | None = None, pipeline_id: int | None = None
) -> list[tuple[Checkpoint, list[CheckpointStep]]]:
    """Those that were not taken away, with their steps in order."""
    query = select(Checkpoint).where(col(Checkpoint.archived_at).is_(None)).order_by(col(Checkpoint.id))
    if stage_id is not None:
        query = query.where(Checkpoint.stage_id == stage_id)
    if pipeline_id is not None:
        query = query.where(Checkpoint.pipeline_id == pipeline_id)
    found = (await session.exec(query)).all()
    steps = await steps_of(session, [row.id for row in found])
    return [(row, steps.get(row.id, [])) for row in found]


async def steps_of(session: AsyncSession, ids: Iterable[int | None]) -> dict[int | None, list[CheckpointStep]]:
    """The steps of these checkpoints, in order."""
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
    """Newest first; ``before`` is an id."""
    query = select(Lamp).where(visible_lamps(viewer), *asked.conditions()).order_by(col(Lamp.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Lamp.id) < before)
    return list((await session.exec(query)).all())


async def access_lamp(session: AsyncSession, viewer: Viewer, lamp_id: int) -> Lamp:
    """One the viewer may see. Raises NotFound."""
    found = (await session.exec(select(Lamp).where(Lamp.id == lamp_id, visible_lamps(viewer)))).first()
    if found is None:
        raise NotFound("lamps.not_found", "There is no such lamp, or it is another team's.")
    return found


async def lamps_in_stage(session: AsyncSession, stage_id: int) -> tuple[int, int]:
    """How many lamps of the deals in a stage are armed, and how many burn."""
    deals = select(Deal.id).where(Deal.stage_id == stage_id)
    rows = await session.exec(
        select(Lamp.state, func.count())
        .where(col(Lamp.deal_id).in_(deals), col(Lamp.state).in_([LampState.ARMED.value, LampState.BURNING.value]))
        .group_by(col(Lamp.state))
    )
    found = dict(rows.all())
    return found.get(LampState.ARMED.value, 0), found.get(LampState.BURNING.value, 0)


async def parked_lamps(session: AsyncSession, limit: int = 50) -> list[Lamp]:
    """Those whose calendar or deal is broken."""
    rows = await session.exec(
        select(Lamp)
        .where(col(Lamp.parked_at).is_not(None), Lamp.state == LampState.ARMED.value)
        .order_by(col(Lamp.id))
        .limit(limit)
    )
    return list(rows.all())


async def last_beat(session: AsyncSession, name: str = "canary") -> datetime | None:
    """When the engine last proved that it lives."""
    return (await session.exec(select(EngineBeat.beat_at).where(EngineBeat.name == name))).first()
