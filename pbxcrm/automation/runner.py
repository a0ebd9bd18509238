"""Handles events and waiting runs; any number of workers may run it.

An event is deleted in the transaction that writes its runs and takes their steps, so a crash leaves either both or neither: each step is
taken exactly once. Events of one subject are handled in their order, because only the oldest of each may be claimed. Events of several
subjects share a transaction as long as none of their steps fails; then each is handled alone. Whoever works on a deal locks it first,
then the run.
"""

from asyncio import gather
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import perf_counter
from typing import Any

import structlog
from sqlalchemy import bindparam, delete, exists, literal_column, or_
from sqlalchemy import select as select_columns
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.arming import arm
from pbxcrm.automation.batch import EventBatch
from pbxcrm.automation.facts import load_facts_of
from pbxcrm.automation.firing import Firing, fail, give_up, goals_reached
from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun, RunStatus
from pbxcrm.automation.queries import ActiveRule, load_active, load_around, rule_of_version
from pbxcrm.automation.rules import LONGEST_ERROR, RETRY_SECONDS, Hearing, retry_at
from pbxcrm.automation.running import fire, resume
from pbxcrm.automation.steps.assign_step import DISTRIBUTION
from pbxcrm.deals.models import Deal
from pbxcrm.deals.people_queries import read_watchers
from pbxcrm.deals.tag_actions import read_tags
from pbxcrm.distribution.actions import LOCK as DISTRIBUTION_LOCK
from pbxcrm.shared.core_sql import execute, fetch, list_param
from pbxcrm.shared.db import Database, is_away, lock
from pbxcrm.shared.settings import Settings

log = structlog.get_logger()

CURRENCY = str(Settings.model_fields["currency"].default)
AT_MOST = 500  # events and waits in one go
TOGETHER = 40  # events in one transaction
AT_ONCE = 2  # transactions, where one computes while another one waits for the database; on SQLite one writes at a time
#: A transaction takes no more events after so many seconds, because others wait for its deals, on SQLite for the database; but at least
#: so many, because each transaction has its own cost.
LONGEST, LEAST = 0.05, 10
KEEP_SKIPPED = timedelta(days=30)

# Built once: building a statement takes as long as executing it.
# Deals are locked in the order of their ids, as everybody does who locks several.
_LOCK = (
    select(Deal)
    .where(col(Deal.id).in_(list_param("deals")))
    .order_by(col(Deal.id))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
_WAITING = (
    select(RuleRun)
    .where(col(RuleRun.subject).in_(list_param("subjects")), RuleRun.status == literal_column("'waiting'"))
    .order_by(col(RuleRun.id))
)
_EVENTS, _OLDER = (SQLModel.metadata.tables[str(AutomationEvent.__tablename__)].alias(name) for name in ("e", "older"))
#: A new event is due at once, whatever the clocks say.
_IS_DUE = or_(_EVENTS.c.tries == 0, _EVENTS.c.due_at <= bindparam("now"))
_DUE = select_columns(_EVENTS.c.id).where(_IS_DUE).limit(1)
#: The oldest events of subjects of which nobody else handles one.
_CLAIM = (
    select_columns(_EVENTS)
    .where(_IS_DUE, ~exists().where(_OLDER.c.subject == _EVENTS.c.subject, _OLDER.c.id < _EVENTS.c.id))
    .order_by(_EVENTS.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
_CLAIM_ONE = _CLAIM.where(_EVENTS.c.id == bindparam("row"))
_DELETE = delete(SQLModel.metadata.tables[str(AutomationEvent.__tablename__)]).where(
    col(AutomationEvent.id).in_(list_param("rows"))
)


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """What the settings say."""

    region: str
    currency: str


async def run_due(db: Database, now: datetime, region: str, currency: str = CURRENCY) -> int:
    """Handle the events and the waits that are due at ``now``. Returns how many. ``region``: of telephone numbers;
    ``currency``: of the first deal of a client.
    """
    given = RuleSettings(region, currency)
    done = sum(await gather(*(_events_due(db, now, given) for _ in range(1 if db.is_sqlite else AT_ONCE))))
    while done < AT_MOST and (run_id := await _run_due(db, now)) is not None:
        await _next_run(db, run_id, now, given)
        done += 1
    return done


async def _events_due(db: Database, now: datetime, given: RuleSettings) -> int:
    done, most, are_more = 0, TOGETHER, False
    while done < AT_MOST and (are_more or await _event_due(db, now)):
        claimed, handled = await _next_events(db, now, given, most)
        done += handled
        if not claimed:
            break
        # Claiming costs, too: next time no more than there was time for, or twice as many where all were handled.
        are_more, most = claimed == most, min(TOGETHER, 2 * most if handled == claimed else max(LEAST, handled))
    return done


async def prune(session: AsyncSession, now: datetime) -> None:
    """Delete firings that were skipped long ago; what a rule did stays."""
    old = (col(RuleRun.status) == RunStatus.SKIPPED.value, col(RuleRun.position) == 0)
    await session.exec(delete(RuleRun).where(*old, col(RuleRun.at) < now - KEEP_SKIPPED))


async def _event_due(db: Database, now: datetime) -> bool:
    # Read first: on SQLite a write transaction each second would block the listener.
    async with db.read() as session:
        return bool(await fetch(session, _DUE, {"now": now}))


async def _next_events(db: Database, now: datetime, given: RuleSettings, most: int) -> tuple[int, int]:
    """Handle some events: how many were claimed, none if others have all of them, and how many of these there was time for."""
    claimed: list[int] = []
    try:
        async with db.write() as session:
            events = await fetch(session, _CLAIM, {"now": now, "most": most})
            claimed += [event.id for event in events]
            handled = await _handle(session, events, now, given, careful=False) if events else 0
        return len(claimed), handled
    except Exception as error:
        if not claimed or is_away(error):
            raise
    # One of them fails: each alone, so that it holds up no other, and its steps by themselves.
    for event_id in claimed:
        await _alone(db, event_id, now, given)
    return len(claimed), len(claimed)


async def _alone(db: Database, event_id: int, now: datetime, given: RuleSettings) -> None:
    try:
        async with db.write() as session:
            events = await fetch(session, _CLAIM_ONE, {"now": now, "most": 1, "row": event_id})
            if events:  # else somebody was faster
                await _handle(session, events, now, given, careful=True)
    except Exception as error:
        if is_away(error):
            raise
        log.warning("automation.event_failed", row=event_id, why=f"{type(error).__name__}: {error}")
        await _put_off(db, event_id, now, given, error)


async def _handle(
    session: AsyncSession, events: Sequence[Any], now: datetime, given: RuleSettings, *, careful: bool
) -> int:
    """Handle the events in their order, as many as there is time for, and delete them."""
    batch = await _batch(session, events, now, given, careful=careful)
    deals = {deal.id: deal for deal in batch.held if deal.merged_into_id is None}
    facts = await load_facts_of(
        session, [(deals.get(each.deal_id), each.contact_id) for each in events], batch.rules.asked
    )
    batch.facts.update((event.subject, known) for event, known in zip(events, facts, strict=True))
    handled: list[int] = []
    began = perf_counter()
    for event in events:
        await _hear(_firing(batch, event), batch, _hearing(event))
        handled.append(event.id)
        if len(handled) >= LEAST and perf_counter() - began > LONGEST:
            break
    await batch.write()
    await execute(session, _DELETE, [{"rows": handled}])
    return len(handled)


async def _hear(firing: Firing, batch: EventBatch, hearing: Hearing) -> None:
    """Let every rule that listens hear the event."""
    rules = batch.rules
    waiting = {run.rule_id for run in firing.waiting} & rules.by_id.keys()
    if waiting and (facts := await firing.facts()).deal is not None:
        for rule_id in waiting:
            await goals_reached(firing, rules.by_id[rule_id], facts)
    for ready in rules.by_arm.get(firing.act, ()):
        if ready.arms(hearing) and (deal := await firing.deal()) is not None:
            await arm(firing.session, firing.around, ready, deal, firing.data.get("task_id"), firing.now)
    for ready in rules.by_act.get(firing.act, ()):
        if ready.hears(hearing):
            await fire(firing, ready)


async def _batch(
    session: AsyncSession, rows: Sequence[Any], now: datetime, given: RuleSettings, *, careful: bool
) -> EventBatch:
    """What events and runs share; their subjects are locked from here on."""
    deals = sorted({row.deal_id for row in rows if row.deal_id is not None})
    rules = await load_active(session)
    held = await _lock(session, deals, rules.by_id.values())
    await read_watchers(session, deals)
    if not careful and (tags := rules.tags_after({row.act for row in rows})):
        await read_tags(session, deals, tags)
    subjects = [row.subject for row in rows]
    return EventBatch(
        session=session,
        around=await load_around(session, given.region, given.currency),
        rules=rules,
        now=now,
        waiting=await _waiting(session, subjects),
        held=held,
        deals=deals,
        contacts=[row.contact_id for row in rows if row.contact_id is not None and row.deal_id is None],
        careful=careful,
    )


def _firing(batch: EventBatch, event: Any) -> Firing:
    return Firing(
        batch,
        event.id or 0,
        event.act,
        event.data,
        event.by_id,
        event.subject,
        event.deal_id,
        event.contact_id,
        event.root_id or event.id or 0,
        event.chain,
    )


def _hearing(event: Any) -> Hearing:
    return Hearing(event.act, event.at, event.data)


async def _put_off(db: Database, event_id: int, now: datetime, given: RuleSettings, error: Exception) -> None:
    """Try the event later; the events of the same subject wait behind it. In the end its rules have failed."""
    async with db.write() as session:
        event = await session.get(AutomationEvent, event_id, with_for_update=True)
        if event is None:
            return
        if event.tries < len(RETRY_SECONDS):
            event.due_at = now + timedelta(seconds=RETRY_SECONDS[event.tries])
            event.tries += 1
            return
        batch = await _batch(session, [event], now, given, careful=True)
        firing = _firing(batch, event)
        for ready in batch.rules.by_act.get(event.act, ()):
            if ready.hears(_hearing(event)):
                await give_up(firing, ready.rule, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
        await batch.write()
        await session.delete(event)


async def _run_due(db: Database, now: datetime) -> int | None:
    async with db.read() as session:
        due = (RuleRun.status == RunStatus.WAITING.value, col(RuleRun.due_at) <= now)
        return (await session.exec(select(RuleRun.id).where(*due).order_by(col(RuleRun.due_at)).limit(1))).first()


async def _next_run(db: Database, run_id: int, now: datetime, given: RuleSettings) -> None:
    """Go on with one run. One that fails by itself is tried later, as an event is, so that the others go on."""
    try:
        await _go_on(db, run_id, now, given)
    except Exception as error:
        if is_away(error):
            raise
        why = f"{type(error).__name__}: {error}"
        log.warning("automation.run_failed", run=run_id, why=why)
        await _put_off_run(db, run_id, now, given, why[:LONGEST_ERROR])


async def _go_on(db: Database, run_id: int, now: datetime, given: RuleSettings) -> None:
    async with db.write() as session:
        seen = await session.get_one(RuleRun, run_id)
        batch = await _batch(session, [seen], now, given, careful=True)
        run = await session.get_one(RuleRun, run_id, with_for_update=True, populate_existing=True)
        if run.status != RunStatus.WAITING or run.due_at is None or run.due_at > now:
            return  # somebody was faster
        ready = batch.rules.by_id.get(run.rule_id)
        if ready is not None and ready.rule.version != run.rule_version:
            ready = await rule_of_version(session, ready.rule, run.rule_version)
        await resume(_firing_of(batch, run), ready, run)


def _firing_of(batch: EventBatch, run: RuleRun) -> Firing:
    """What the run began with, and what stands around it now."""
    return Firing(
        batch,
        run.event_id,
        run.act,
        run.event,
        run.by_id,
        run.subject,
        run.deal_id,
        run.contact_id,
        run.root_id,
        run.chain,
    )


async def _put_off_run(db: Database, run_id: int, now: datetime, given: RuleSettings, why: str) -> None:
    """In the end the run has failed and the owner of its rule is told."""
    async with db.write() as session:
        seen = await session.get_one(RuleRun, run_id)
        batch = await _batch(session, [seen], now, given, careful=True)
        run = await session.get_one(RuleRun, run_id, with_for_update=True, populate_existing=True)
        if run.status != RunStatus.WAITING or run.due_at is None or run.due_at > now:
            return
        run.tries += 1
        again = retry_at(run.tries, now)
        if again is not None:
            run.due_at = again  # it still waits for what it waited for, so its reason stays
            return
        rule = await session.get_one(AutomationRule, run.rule_id)
        await fail(_firing_of(batch, run), rule, run, why)


async def _lock(session: AsyncSession, deals: Sequence[int], rules: Any) -> Sequence[Deal]:
    """Lock the deals until the transaction ends; before them what distribution locks, as everybody does who asks its rules."""
    if any(_distributes(ready) for ready in rules):
        await lock(session, DISTRIBUTION_LOCK)
    if not deals:
        return ()
    return (await session.exec(_LOCK, params={"deals": deals})).all()


def _distributes(ready: ActiveRule) -> bool:
    return any(step.get("to") == DISTRIBUTION for step in ready.rule.steps)


async def _waiting(session: AsyncSession, subjects: Sequence[str]) -> list[RuleRun]:
    return list((await session.exec(_WAITING, params={"subjects": subjects})).all())
