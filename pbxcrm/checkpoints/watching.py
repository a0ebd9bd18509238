"""Handlers of hooks of lower contexts that keep lamps up to date; the composition root registers them."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.context import load_engine
from pbxcrm.checkpoints.defaults import watch_key_stages
from pbxcrm.checkpoints.engine import apply, settle_deals
from pbxcrm.checkpoints.facts import DealFacts, load_rests
from pbxcrm.checkpoints.lamps import hold_open
from pbxcrm.checkpoints.models import Lamp, Subject, TriggerKind
from pbxcrm.checkpoints.recompute import recompute
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.models import Deal, Pipeline, Stage


async def deal_entered(session: AsyncSession, entry: StageEntry) -> None:
    """A deal entered a stage: close the lamps of the old stage and arm those of the new one."""
    deal = entry.deal
    assert deal.id is not None
    context = await load_engine(session)
    watching = context.watching.of_deal(deal)
    is_new = entry.left is None
    if is_new and not watching:
        return
    is_plain = all(each.checkpoint.trigger == TriggerKind.STAGE for each in watching) and deal.stage_since == entry.at
    if not is_plain:
        await settle_deals(session, [deal.id], entry.at)
        return
    await session.flush()
    facts = DealFacts(deal, entry.move.id or 0)
    lamps: list[Lamp] = []
    if not is_new:
        lamps = await hold_open(session, Lamp.subject == Subject.DEAL.value, Lamp.deal_id == deal.id)
        facts.rests = (await load_rests(session, [deal.id])).get(deal.id, ())
    await apply(session, context, {deal.id: facts}, lamps, entry.at)


async def deal_changed(session: AsyncSession, deal: Deal, at: datetime) -> None:
    """A deal was edited, or given to somebody."""
    if deal.id is not None:
        await settle_deals(session, [deal.id], at)


async def stage_changed(session: AsyncSession, stage: Stage, at: datetime) -> None:
    """The norm of a stage changed: recompute the lamps of its deals."""
    await recompute(session, at, stage_id=stage.id)


async def pipeline_made(session: AsyncSession, pipeline: Pipeline) -> None:
    """A pipeline was created from a template: create the default checkpoints of its key stages."""
    await watch_key_stages(session, pipeline.id)


async def task_changed(session: AsyncSession, deal_id: int, at: datetime) -> None:
    """A planned task of a deal was created, closed or reopened: settle the deal."""
    await settle_deals(session, [deal_id], at)
