"""Handles events and waiting runs, each in a transaction of its own; any number of workers may run it.

An event is deleted in the transaction that writes its runs and takes their steps, so a crash leaves either both or neither: each step is
taken exactly once. Events of one subject are handled in their order, because only the oldest of each may be claimed. Whoever works on a
deal locks it first, then the run.
"""

from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import delete, exists, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.firing import Firing, fail, fire, give_up, goals_reached, resume
from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun, RunStatus
from pbxcrm.automation.queries import ActiveRule, ActiveRules, load_active, load_around, rule_of_version
from pbxcrm.automation.rules import LONGEST_ERROR, RETRY_SECONDS, Hearing, retry_at
from pbxcrm.automation.steps.assign_step import DISTRIBUTION
from pbxcrm.deals.models import Deal
from pbxcrm.distribution.actions import LOCK as DISTRIBUTION_LOCK
from pbxcrm.shared.db import Database, is_away, lock

log = structlog.get_logger()

AT_MOST = 500  # transactions in one go
KEEP_SKIPPED = timedelta(days=30)


async def run_due(db: Database, now: datetime, region: str) -> int:
    """Handle the events and the waits that are due at ``now``. Returns how many. ``region``: of telephone numbers."""
    done = 0
    while done < AT_MOST and await _event_due(db, now):
        if not await _next_event(db, now, region):
            break
        done += 1
    while done < AT_MOST and (run_id := await _run_due(db, now)) is not None:
        await _next_run(db, run_id, now, region)
        done += 1
    return done


async def prune(session: AsyncSession, now: datetime) -> None:
    """Delete firings that were skipped long ago; what a rule did stays."""
    old = (col(RuleRun.status) == RunStatus.SKIPPED.value, col(RuleRun.position) == 0)
    await session.exec(delete(RuleRun).where(*old, col(RuleRun.at) < now - KEEP_SKIPPED))


async def _event_due(db: Database, now: datetime) -> bool:
    # Read first: on SQLite a write transaction each second would block the listener.
    async with db.read() as session:
        return (await session.exec(select(AutomationEvent.id).where(_is_due(now)).limit(1))).first() is not None


async def _next_event(db: Database, now: datetime, region: str) -> bool:
    """Handle one event. Returns False if others have all of them."""
    claimed: list[int] = []
    try:
        async with db.write() as session:
            event = await _claim(session, now)
            if event is None or event.id is None:
                return False
            claimed.append(event.id)
            await _handle(session, event, now, region)
            await session.delete(event)
    except Exception as error:
        if not claimed or is_away(error):
            raise
        log.warning("automation.event_failed", event=claimed[0], why=f"{type(error).__name__}: {error}")
        await _put_off(db, claimed[0], now, region, error)
    return True


async def _claim(session: AsyncSession, now: datetime) -> AutomationEvent | None:
    """The oldest event of a subject of which nobody else handles one."""
    older = aliased(AutomationEvent)
    is_behind = exists().where(
        col(older.subject) == col(AutomationEvent.subject), col(older.id) < col(AutomationEvent.id)
    )
    query = select(AutomationEvent).where(_is_due(now), ~is_behind).order_by(col(AutomationEvent.id)).limit(1)
    return (await session.exec(query.with_for_update(skip_locked=True))).first()


def _is_due(now: datetime) -> Any:
    """A new event is due at once, whatever the clocks say."""
    return or_(col(AutomationEvent.tries) == 0, col(AutomationEvent.due_at) <= now)


async def _handle(session: AsyncSession, event: AutomationEvent, now: datetime, region: str) -> None:
    rules = await load_active(session)
    firing, hearing = await _firing(session, event, now, region, rules), _hearing(event)
    listening = [each for each in rules.by_act.get(event.act, ()) if each.hears(hearing)]
    facts = await firing.facts()
    if facts.deal is not None:
        for rule_id in {run.rule_id for run in firing.waiting} & rules.by_id.keys():
            await goals_reached(firing, rules.by_id[rule_id], facts)
    for ready in listening:
        run = await fire(firing, ready, facts)
        if run is not None and run.position > 0:  # it may have changed what the next one is asked about
            facts = await firing.facts()


async def _firing(
    session: AsyncSession, event: AutomationEvent, now: datetime, region: str, rules: ActiveRules
) -> Firing:
    await _lock_subject(session, event.deal_id, rules)
    return Firing(
        session,
        await load_around(session, region),
        event.id or 0,
        event.act,
        event.at,
        event.data,
        event.by_id,
        event.subject,
        event.deal_id,
        event.contact_id,
        event.root_id or event.id or 0,
        event.chain,
        await _waiting(session, event.subject),
        now,
    )


def _hearing(event: AutomationEvent) -> Hearing:
    return Hearing(event.act, event.at, event.data)


async def _put_off(db: Database, event_id: int, now: datetime, region: str, error: Exception) -> None:
    """Try the event later; the events of the same subject wait behind it. In the end its rules have failed."""
    async with db.write() as session:
        event = await session.get(AutomationEvent, event_id, with_for_update=True)
        if event is None:
            return
        if event.tries < len(RETRY_SECONDS):
            event.due_at = now + timedelta(seconds=RETRY_SECONDS[event.tries])
            event.tries += 1
            return
        rules = await load_active(session)
        firing = await _firing(session, event, now, region, rules)
        for ready in rules.by_act.get(event.act, ()):
            if ready.hears(_hearing(event)):
                await give_up(firing, ready.rule, f"{type(error).__name__}: {error}"[:LONGEST_ERROR])
        await session.delete(event)


async def _run_due(db: Database, now: datetime) -> int | None:
    async with db.read() as session:
        due = (RuleRun.status == RunStatus.WAITING.value, col(RuleRun.due_at) <= now)
        return (await session.exec(select(RuleRun.id).where(*due).order_by(col(RuleRun.due_at)).limit(1))).first()


async def _next_run(db: Database, run_id: int, now: datetime, region: str) -> None:
    """Go on with one run. One that fails by itself is tried later, as an event is, so that the others go on."""
    try:
        await _go_on(db, run_id, now, region)
    except Exception as error:
        if is_away(error):
            raise
        why = f"{type(error).__name__}: {error}"
        log.warning("automation.run_failed", run=run_id, why=why)
        await _put_off_run(db, run_id, now, region, why[:LONGEST_ERROR])


async def _go_on(db: Database, run_id: int, now: datetime, region: str) -> None:
    async with db.write() as session:
        seen = await session.get_one(RuleRun, run_id)
        rules = await load_active(session)
        await _lock_subject(session, seen.deal_id, rules)
        run = await session.get_one(RuleRun, run_id, with_for_update=True, populate_existing=True)
        if run.status != RunStatus.WAITING or run.due_at is None or run.due_at > now:
            return  # somebody was faster
        ready = rules.by_id.get(run.rule_id)
        if ready is not None and ready.rule.version != run.rule_version:
            ready = await rule_of_version(session, ready.rule, run.rule_version)
        await resume(await _firing_of(session, run, now, region), ready, run)


async def _firing_of(session: AsyncSession, run: RuleRun, now: datetime, region: str) -> Firing:
    """What the run began with, and what stands around it now. The caller has locked the subject."""
    return Firing(
        session,
        await load_around(session, region),
        run.event_id,
        run.act,
        run.at,
        run.event,
        run.by_id,
        run.subject,
        run.deal_id,
        run.contact_id,
        run.root_id,
        run.chain,
        await _waiting(session, run.subject),
        now,
    )


async def _put_off_run(db: Database, run_id: int, now: datetime, region: str, why: str) -> None:
    """In the end the run has failed and the owner of its rule is told."""
    async with db.write() as session:
        seen = await session.get_one(RuleRun, run_id)
        await _lock_subject(session, seen.deal_id, await load_active(session))
        run = await session.get_one(RuleRun, run_id, with_for_update=True, populate_existing=True)
        if run.status != RunStatus.WAITING or run.due_at is None or run.due_at > now:
            return
        run.tries += 1
        again = retry_at(run.tries, now)
        if again is not None:
            run.due_at = again  # it still waits for what it waited for, so its reason stays
            return
        rule = await session.get_one(AutomationRule, run.rule_id)
        await fail(await _firing_of(session, run, now, region), rule, run, why)


async def _lock_subject(session: AsyncSession, deal_id: int | None, rules: ActiveRules) -> None:
    """Lock the deal until the transaction ends; before it what distribution locks, as everybody does who asks its rules."""
    if any(_distributes(ready) for ready in rules.by_id.values()):
        await lock(session, DISTRIBUTION_LOCK)
    if deal_id is not None:
        await session.get(Deal, deal_id, with_for_update={"key_share": True}, populate_existing=True)


def _distributes(ready: ActiveRule) -> bool:
    return any(step.get("to") == DISTRIBUTION for step in ready.rule.steps)


async def _waiting(session: AsyncSession, subject: str) -> list[RuleRun]:
    query = select(RuleRun).where(RuleRun.subject == subject, RuleRun.status == RunStatus.WAITING.value)
    return list((await session.exec(query.order_by(col(RuleRun.id)))).all())
