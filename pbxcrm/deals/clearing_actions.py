"""The deals of a removed stage go to another one: the first while the person waits, the rest by the worker in batches.

``unheard``: rules of automation do not hear these moves.
"""

from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import keep_unheard
from pbxcrm.deals.actions import do_move_deal
from pbxcrm.deals.automatic_moves import do_move_by_itself
from pbxcrm.deals.models import STAGE_REMOVED, Deal, Stage
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.timers import Handler, Timer, set_timer

CLEAR = "deals.clear_stage"  # the timer that moves deals out of an archived stage
CLEAR_AGAIN = timedelta(minutes=1)
CLEAR_AT_ONCE = 8  # deals that are moved while the person waits: each puts lamps out and asks every rule
CLEAR_BATCH = 40  # deals in one transaction of the worker, so that other writers do not wait long


async def begin_clearing(
    session: AsyncSession, stage: Stage, to: Stage, *, actor: Viewer, now: datetime, unheard: bool
) -> None:
    """Move the first ``CLEAR_AT_ONCE`` deals to ``to``, and set the timer for the others. Raises GateRefused."""
    keep_unheard(session, unheard)
    people, why = await load_directory(session), reason(STAGE_REMOVED, stage=stage.name, by=actor.name)
    first, more = await _deals_in(session, stage, after=0, most=CLEAR_AT_ONCE)
    for deal in first:
        await do_move_deal(session, deal, to, now, actor=actor, people=people, why=why, lost_reason=deal.lost_reason)
    if more:
        payload = {"stage": stage.id, "to": to.id, "by": actor.name, "after": first[-1].id, "unheard": unheard}
        await set_timer(session, CLEAR, f"{CLEAR}:{stage.id}", now, payload)


async def clear_once_more(
    session: AsyncSession, stage: Stage, refuge: Stage, *, actor: Viewer, now: datetime, unheard: bool
) -> None:
    """Look again in a minute: a call that enters the stage in this moment does not wait for us."""
    payload = {"stage": stage.id, "to": refuge.id, "by": actor.name, "after": 0, "unheard": unheard}
    await set_timer(session, CLEAR, f"{CLEAR}:{stage.id}:late", now + CLEAR_AGAIN, payload)


async def clear_stage(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Timer handler: move the next batch of deals out of an archived stage. If the gate refuses a deal, it stays and gets a task."""
    stage = await session.get(Stage, int(row.payload["stage"]))
    to = await session.get(Stage, int(row.payload["to"]))
    if stage is None or to is None or stage.archived_at is None:
        return
    keep_unheard(session, row.payload.get("unheard", False))  # a timer of an older version does not say it
    people = await load_directory(session)
    why = reason(STAGE_REMOVED, stage=stage.name, by=row.payload["by"])
    batch, more = await _deals_in(session, stage, after=int(row.payload["after"]), most=CLEAR_BATCH)
    for deal in batch:
        await do_move_by_itself(session, deal, to, now, people=people, why=why, lost_reason=deal.lost_reason)
    if more:
        await set_timer(session, CLEAR, row.key, now, {**row.payload, "after": batch[-1].id})


async def _deals_in(session: AsyncSession, stage: Stage, *, after: int, most: int) -> tuple[list[Deal], bool]:
    """At most ``most`` deals in ``stage`` with ids above ``after``, locked; and whether more follow."""
    found = await session.exec(
        select(Deal)
        .where(Deal.stage_id == stage.id, col(Deal.id) > after, col(Deal.merged_into_id).is_(None))
        .order_by(col(Deal.id))
        .limit(most + 1)
        .with_for_update(key_share=True)
    )
    deals = list(found.all())
    return deals[:most], len(deals) > most


HANDLERS: dict[str, Handler] = {CLEAR: clear_stage}
