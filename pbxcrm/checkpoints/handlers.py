"""What happens to the lamps of deals when something changes elsewhere: a deal, a stage, a pipeline, a task, or when a conversation is over."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, union
from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.absence_actions import settle_absences
from pbxcrm.checkpoints.context import load_engine
from pbxcrm.checkpoints.deal_facts import DealFacts, load_rests
from pbxcrm.checkpoints.default_checkpoints import watch_key_stages
from pbxcrm.checkpoints.engine import apply_facts, settle_deals
from pbxcrm.checkpoints.lamps import OPEN, hold_open
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Decision, Lamp, Subject, TriggerKind
from pbxcrm.checkpoints.recompute_jobs import recompute
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.models import Deal, Pipeline, Stage, is_by_structure
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.shared.reasons import Reason


async def deal_entered(session: AsyncSession, entry: StageEntry) -> None:
    """A deal entered a stage: close the lamps of the old stage and arm those of the new one."""
    deal = entry.deal
    assert deal.id is not None
    context = await load_engine(session)
    watching = context.watching.of_deal(deal)
    is_new = entry.left is None
    if is_new and not watching:
        return
    is_plain = deal.stage_since == entry.at and all(
        each.checkpoint.trigger == TriggerKind.STAGE and not each.only_asks_for_field for each in watching
    )
    if not is_plain:
        await settle_deals(session, [deal.id], entry.at)
        return
    await session.flush()
    facts = DealFacts(deal, entry.move.id or 0, entry.move.by_id)
    facts.removed = Reason.load(entry.move.reason) if is_by_structure(entry.move.reason) else None
    lamps: list[Lamp] = []
    if not is_new:
        lamps = await hold_open(session, Lamp.subject == Subject.DEAL.value, Lamp.deal_id == deal.id)
        facts.rests = (await load_rests(session, [deal.id])).get(deal.id, ())
    await apply_facts(session, context, {deal.id: facts}, lamps, entry.at)


async def deal_changed(session: AsyncSession, deal: Deal, at: datetime) -> None:
    """A deal was edited, or given to somebody."""
    if deal.id is not None:
        await settle_deals(session, [deal.id], at)


async def stage_changed(session: AsyncSession, stage: Stage, at: datetime) -> None:
    """The norm of a stage changed: recompute the lamps of its deals."""
    await recompute(session, at, stage_id=stage.id)


async def longest_plan_changed(session: AsyncSession, pipeline: Pipeline, at: datetime) -> None:
    """Next tasks count for another time in this pipeline. Lamps that would be late only by that are counted from now."""
    await recompute(session, at, pipeline_id=pipeline.id, begin_now=True)


async def stage_split(session: AsyncSession, stage: Stage, part: Stage, viewer: Viewer, at: datetime) -> None:
    """A stage was split: what watches it watches both parts."""
    rows = await session.exec(
        select(Checkpoint)
        .where(Checkpoint.stage_id == stage.id, col(Checkpoint.archived_at).is_(None))
        .order_by(col(Checkpoint.id))
    )
    for row in rows.all():
        name = part.name if row.name == stage.name else row.name
        copy = Checkpoint(**row.model_dump(exclude={"id", "version"}) | {"stage_id": part.id, "name": name})
        session.add(copy)
        await session.flush()
        steps = await session.exec(select(CheckpointStep).where(CheckpointStep.checkpoint_id == row.id))
        for step in steps.all():
            session.add(CheckpointStep(**step.model_dump(exclude={"id"}) | {"checkpoint_id": copy.id}))
        record(session, at, "checkpoint.created", "checkpoint", copy.id, actor=viewer, name=copy.name)
    await session.flush()


async def pipeline_made(session: AsyncSession, pipeline: Pipeline) -> None:
    """A pipeline was created from a template: create the default checkpoints of its key stages."""
    await watch_key_stages(session, pipeline.id)


async def task_changed(session: AsyncSession, deal_id: int, at: datetime) -> None:
    """A planned task of a deal was created, closed or reopened: settle the deal."""
    await settle_deals(session, [deal_id], at)


@dataclass(frozen=True, slots=True)
class TalkOver:
    """A finished conversation: the client, the deal and the time of its end."""

    contact_id: int | None
    number: str | None
    deal_id: int | None
    at: datetime


async def clients_talked(session: AsyncSession, talks: Sequence[TalkOver]) -> None:
    """Settle the watched deals of these clients, one talk after the other. One query finds all deals."""
    if not talks:
        return
    asked = {
        "deals": [talk.deal_id for talk in talks if talk.deal_id is not None],
        "contacts": [talk.contact_id for talk in talks if talk.contact_id is not None],
        "numbers": [talk.number for talk in talks if talk.number],
    }
    watched = [WatchedDeal(*row) for row in await fetch(session, _WATCHED, asked)]
    for talk in talks if watched else ():
        await settle_deals(session, sorted(deal.id for deal in watched if deal.is_of(talk)), talk.at)


@dataclass(frozen=True, slots=True)
class WatchedDeal:
    """A deal with a lamp, with the columns that identify its client."""

    id: int
    contact_id: int | None
    number: str | None

    def is_of(self, talk: TalkOver) -> bool:
        """Whether the talk was about this deal or with its client, by contact or by number."""
        return (
            self.id == talk.deal_id
            or (self.contact_id is not None and self.contact_id == talk.contact_id)
            or (bool(self.number) and self.number == talk.number)
        )


def _watched(condition: ColumnElement[bool]) -> Any:  # Select of id, contact, number
    return (
        columns(Deal.id, Deal.contact_id, Deal.client_number)  # type: ignore[call-overload]
        .join(Lamp, col(Lamp.deal_id) == col(Deal.id))
        .where(
            condition,
            col(Lamp.subject) == Subject.DEAL.value,
            col(Deal.closed_at).is_(None),
            col(Lamp.state).in_(OPEN) | (col(Lamp.decision) == Decision.ACCEPTED.value),
        )
    )


# A union of three queries, each with its own index. Built once, because building it takes as long as executing it.
_WATCHED = union(
    _watched(col(Deal.id).in_(list_param("deals"))),
    _watched(col(Deal.contact_id).in_(list_param("contacts"))),
    _watched(col(Deal.client_number).in_(list_param("numbers"))),
)


async def person_changed(session: AsyncSession, user_id: int, at: datetime, begin_now: bool) -> None:
    """A person has left or has another team: ask others for what was asked of them, and recompute what runs by their team's hours."""
    await recompute(session, at, begin_now=begin_now)
    await settle_absences(session, at)


async def absences_changed(session: AsyncSession, at: datetime) -> None:
    """Somebody is away from now on, or is back: ask those who are there."""
    await settle_absences(session, at)
