"""Timers of rules: set when what they depend on changes, cancelled when it is emptied. What is due is always asked anew when one fires.

Nothing is ever sought "since the last run": a date, a silence and a task have a timer each, and a rule of a day (once a day, birthday,
holiday, rhythm) has one of its own, which carries its day. Days that passed while no worker ran are caught up, each once and with its own
clients; *once a day* asks deals as they are now, so of several missed days it takes the last one only. A greeting that is late by more than
a day goes out no more: the firing says so, and its other steps are taken.
"""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from typing import Any

import structlog
from sqlalchemy import insert
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.client_days import clients_of_day, is_holiday
from pbxcrm.automation.due_times import Due, date_due, last_works, next_daily
from pbxcrm.automation.facts import load_facts_of
from pbxcrm.automation.hearing import event_row
from pbxcrm.automation.looking_after import look_after
from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun, RuleState
from pbxcrm.automation.queries import ActiveRule, load_active, load_around
from pbxcrm.automation.steps.step import Around
from pbxcrm.automation.triggers import (
    CLIENT,
    DATE_CAME,
    DEAL,
    FOR_RULE,
    GREETINGS,
    LATE_DAY,
    OF_ITS_DAY,
    OVERDUE,
    SILENT,
    TRIGGERS,
    MeantDeal,
)
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.deals.models import Deal
from pbxcrm.fields.conditions import holds
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared.background_jobs import BackgroundJob, Batch, start
from pbxcrm.shared.core_sql import execute, one_of
from pbxcrm.shared.timers import Handler, Timer, cancel_timer, set_timer
from pbxcrm.tasks.models import Task, TaskStatus

log = structlog.get_logger()

OF_DEAL, OF_TASK, OF_DAY = "automation.due", "automation.task", "automation.day"
LOOK = "automation.look"  # once a day at all rules
ARM, EACH_DEAL, EACH_CLIENT = "automation.arm", "automation.each_deal", "automation.each_client"  # background jobs
DAILY = frozenset({"daily", "birthday", "holiday", "rhythm"})  # kinds whose timer is of the rule
BATCH = 200
_ADD = insert(SQLModel.metadata.tables[str(AutomationEvent.__tablename__)])


async def start_arming(session: AsyncSession, rule: AutomationRule, now: datetime) -> None:
    """The rule was saved or switched: set its timers for the deals and tasks that are there, in the background.

    Timers of a rule that is off do nothing when they fire.
    """
    kind = rule.when["kind"]
    if rule.state == RuleState.OFF or rule.archived_at is not None:
        return
    looks = select(Timer.id).where(Timer.key == LOOK, col(Timer.done_at).is_(None))
    if (await session.exec(looks)).first() is None:
        await set_timer(session, LOOK, LOOK, now + timedelta(days=1))
    if kind in DAILY:
        owed = select(Timer.id).where(Timer.key == _key(rule), col(Timer.done_at).is_(None), col(Timer.due_at) <= now)
        if (await session.exec(owed)).first() is not None:
            return  # no worker runs: its day is caught up, and then the next one is set
        around = await load_around(session, "")
        await _arm_day(session, rule, next_daily(rule, now, around.calendars.default))
    elif TRIGGERS[kind].arms:
        await start(session, ARM, _of(rule), now)


async def arm(
    session: AsyncSession, around: Around, ready: ActiveRule, deal: Deal, task_id: int | None, now: datetime
) -> None:
    """Set the timer of a rule for a deal, or for its task, after something changed; or cancel it."""
    if ready.rule.when["kind"] == "task_overdue":
        task = await session.get(Task, task_id) if task_id is not None else None
        if task is not None:
            await _arm_task(session, task)
        return
    due = await _due(session, around, ready, deal)
    key = _key(ready.rule, deal)
    if due is None or not _is_news(due, now):
        await cancel_timer(session, key)
        return
    await set_timer(session, OF_DEAL, key, max(due.at, now), _of(ready.rule, deal))


def _is_news(due: Due, now: datetime) -> bool:
    """A date that has passed when somebody writes it down reminds nobody. One that is near and was to be told of earlier is told at once,
    and a silence always.
    """
    return due.of is None or due.at > now or due.of > now


async def _due(session: AsyncSession, around: Around, ready: ActiveRule, deal: Deal) -> Due | None:
    when: Mapping[str, Any] = ready.rule.when
    if when["kind"] == "date":
        return date_due(ready.rule, deal, around.fields, around.calendars.default)
    if deal.closed_at is not None or not ready.means(SILENT, MeantDeal(deal.pipeline_id, deal.stage_id)):
        return None
    last = (await last_works(session, [deal]))[deal.id or 0]
    return Due(last + timedelta(days=when["days"]), last.isoformat(), None)


async def _arm_task(session: AsyncSession, task: Task) -> None:
    if task.status == TaskStatus.OPEN and task.deal_id is not None:
        await set_timer(session, OF_TASK, f"{OF_TASK}:{task.id}", task.due_at, {"task": task.id})
    else:
        await cancel_timer(session, f"{OF_TASK}:{task.id}")


async def deal_due(session: AsyncSession, row: Timer, now: datetime) -> None:
    """A date has come, or a silence lasts long enough: the rule hears of it, once of each value."""
    ready = (await load_active(session)).by_id.get(int(row.payload["rule"]))
    deal = await session.get(Deal, int(row.payload["deal"]))
    if ready is None or deal is None or deal.merged_into_id is not None or not ready.trigger.arms:
        return
    around = await load_around(session, "")
    due = await _due(session, around, ready, deal)
    if due is None:
        return
    key, payload = _key(ready.rule, deal), _of(ready.rule, deal)
    if due.at > now:
        await set_timer(session, OF_DEAL, key, due.at, payload)
        return
    act = DATE_CAME if ready.rule.when["kind"] == "date" else SILENT
    if not await _has_heard(session, ready.rule, deal, act, due.value):
        data = {FOR_RULE: ready.rule.id, "value": due.value}
        await execute(session, _ADD, [event_row(act, now, DEAL, deal.id or 0, None, data, None)])
    if act == SILENT:  # it may be broken and begin again
        await set_timer(session, OF_DEAL, key, now + timedelta(days=ready.rule.when["days"]), payload)


async def _has_heard(session: AsyncSession, rule: AutomationRule, deal: Deal, act: str, value: str) -> bool:
    query = select(RuleRun.event).where(RuleRun.deal_id == deal.id, RuleRun.rule_id == rule.id, RuleRun.act == act)
    return any(each.get("value") == value for each in (await session.exec(query)).all())


async def task_due(session: AsyncSession, row: Timer, now: datetime) -> None:
    """A task is overdue, unless it was done or put off meanwhile."""
    task = await session.get(Task, int(row.payload["task"]))
    if OVERDUE not in (await load_active(session)).by_act or task is None or task.deal_id is None:
        return
    if task.due_at > now:
        await _arm_task(session, task)
    elif task.status == TaskStatus.OPEN:
        data = {"task_id": task.id}
        await execute(session, _ADD, [event_row(OVERDUE, now, DEAL, task.deal_id, None, data, None)])


async def _arm_day(session: AsyncSession, rule: AutomationRule, due_at: datetime) -> None:
    await set_timer(session, OF_DAY, _key(rule), due_at, _of(rule) | {OF_ITS_DAY: due_at.date().isoformat()})


async def day_due(session: AsyncSession, row: Timer, now: datetime) -> None:
    """The time of a daily rule has come: the deals or clients of its day are asked in the background, and the timer is set for the day
    after it, also where that one has passed: then it fires at once.
    """
    ready = (await load_active(session)).by_id.get(int(row.payload["rule"]))
    if ready is None or (kind := ready.rule.when["kind"]) not in DAILY:
        return
    working = (await load_around(session, "")).calendars.default
    day = _day_of(row.payload, row.due_at, working)
    after = next_daily(ready.rule, _moment(ready.rule, day, working), working)
    while kind == "daily" and after <= now:
        log.warning("automation.day_missed", rule=ready.rule.id, day=day.isoformat())
        day, after = after.date(), next_daily(ready.rule, after, working)
    await _arm_day(session, ready.rule, after)
    if kind == "holiday" and not is_holiday(ready.rule, day):
        return
    payload = _of(ready.rule) | {OF_ITS_DAY: day.isoformat()}
    await start(session, EACH_DEAL if kind == "daily" else EACH_CLIENT, payload, now)


def _day_of(payload: Mapping[str, Any], at: datetime, working: WorkingTime) -> date:
    """The day that a timer or a job is of. One from before 29 November 2026 does not carry it."""
    told = payload.get(OF_ITS_DAY)
    return date.fromisoformat(told) if told else at.astimezone(working.timezone).date()


def _moment(rule: AutomationRule, day: date, working: WorkingTime) -> datetime:
    return datetime.combine(day, time.fromisoformat(rule.when["time"]), working.timezone)


async def look_due(session: AsyncSession, _row: Timer, now: datetime) -> None:
    """Look at what the rules did since yesterday, and again tomorrow as long as there are any."""
    await look_after(session, now)
    if (await load_active(session)).by_id:
        await set_timer(session, LOOK, LOOK, now + timedelta(days=1))


async def arm_batch(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Set the timers of a rule for some of the open deals, or for some of the open tasks."""
    ready = (await load_active(session)).by_id.get(int(job.payload["rule"]))
    if ready is None:
        return True
    after = int(job.cursor.get("after", 0))
    if ready.rule.when["kind"] == "task_overdue":
        coming = (Task.status == TaskStatus.OPEN.value, col(Task.due_at) > now, col(Task.deal_id).is_not(None))
        query = select(Task).where(*coming, col(Task.id) > after).order_by(col(Task.id)).limit(BATCH)
        tasks = (await session.exec(query)).all()
        for task in tasks:
            await _arm_task(session, task)
        return _went_on(job, [task.id or 0 for task in tasks])
    around = await load_around(session, "")
    deals = await _open_deals(session, ready.rule, after)
    for deal in deals:
        await arm(session, around, ready, deal, None, now)
    return _went_on(job, [deal.id or 0 for deal in deals])


async def each_deal(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Let a daily rule hear of those of some open deals that it means. Its condition is asked here, too: a day is no news to the others."""
    ready = (await load_active(session)).by_id.get(int(job.payload["rule"]))
    if ready is None or ready.rule.when["kind"] not in DAILY:
        return True
    deals = await _open_deals(session, ready.rule, int(job.cursor.get("after", 0)))
    around = await load_around(session, "")
    clock = AskedAt(now, around.calendars.default.timezone)
    facts = await load_facts_of(session, [(deal, None) for deal in deals], ready.asks)
    meant = [
        deal.id or 0
        for deal, known in zip(deals, facts, strict=True)
        if ready.condition is None or holds(ready.condition, known.at(now, around.calendars), clock)
    ]
    day = _day_of(job.payload, job.created_at, around.calendars.default)
    await _tell(session, ready, DEAL, meant, day, around.calendars.default, now)
    return _went_on(job, [deal.id or 0 for deal in deals])


async def each_client(session: AsyncSession, job: BackgroundJob, now: datetime) -> bool:
    """Let a rule on the day of clients hear of some of those whose day it is. Its condition is asked here, too."""
    ready = (await load_active(session)).by_id.get(int(job.payload["rule"]))
    if ready is None or ready.rule.when["kind"] not in DAILY:
        return True
    around = await load_around(session, "")
    working = around.calendars.default
    day = _day_of(job.payload, job.created_at, working)
    batch = await clients_of_day(session, ready.rule, day, working.timezone, int(job.cursor.get("after", 0)), BATCH)
    facts = await load_facts_of(session, [(None, client_id) for client_id in batch.meant], ready.asks)
    clock = AskedAt(now, working.timezone)
    meant = [
        client_id
        for client_id, known in zip(batch.meant, facts, strict=True)
        if ready.condition is None or holds(ready.condition, known.at(now, around.calendars), clock)
    ]
    await _tell(session, ready, CLIENT, meant, day, working, now)
    return _went_on(job, batch.looked_at)


async def _tell(
    session: AsyncSession,
    ready: ActiveRule,
    kind: str,
    ids: Sequence[int],
    day: date,
    working: WorkingTime,
    now: datetime,
) -> None:
    """Let the rule hear of the day of these deals or clients, of each once. The event is of the time of that day: what fell into a pause of
    the rule is not heard later.
    """
    act = ready.trigger.acts[0]
    data: dict[str, Any] = {FOR_RULE: ready.rule.id, OF_ITS_DAY: day.isoformat()}
    if act in GREETINGS and (now.astimezone(working.timezone).date() - day).days > 1:
        data[LATE_DAY] = True
    at = min(now, _moment(ready.rule, day, working))
    told = await _told_of(session, ready.rule, kind, ids, day, working)
    events = [event_row(act, at, kind, each, None, data, None) for each in ids if each not in told]
    await execute(session, _ADD, events)


async def _told_of(
    session: AsyncSession, rule: AutomationRule, kind: str, ids: Sequence[int], day: date, working: WorkingTime
) -> set[int]:
    """Which of them the rule has heard of on that day, or will hear of; somebody may have changed its time since."""
    found: set[int] = set()
    act = TRIGGERS[rule.when["kind"]].acts[0]
    since = datetime.combine(day, time(), working.timezone)
    for table, heard in ((RuleRun, RuleRun.event), (AutomationEvent, AutomationEvent.data)):
        subject: Any = table.deal_id if kind == DEAL else table.contact_id
        query: Any = select(subject, heard)
        query = query.where(one_of(session, subject, ids), col(table.act) == act, col(table.at) >= since)
        for each, data in (await session.exec(query)).all():
            if data.get(FOR_RULE) == rule.id and data.get(OF_ITS_DAY) == day.isoformat():
                found.add(each)
    return found


async def _open_deals(session: AsyncSession, rule: AutomationRule, after: int) -> Sequence[Deal]:
    query = select(Deal).where(col(Deal.id) > after, col(Deal.closed_at).is_(None), col(Deal.merged_into_id).is_(None))
    for name, column in (("pipeline_id", Deal.pipeline_id), ("stage_id", Deal.stage_id)):
        if rule.when.get(name) is not None:
            query = query.where(column == rule.when[name])
    return (await session.exec(query.order_by(col(Deal.id)).limit(BATCH))).all()


def _went_on(job: BackgroundJob, ids: Sequence[int]) -> bool:
    job.done += len(ids)
    if ids:
        job.cursor = {"after": ids[-1]}
    return len(ids) < BATCH


def _key(rule: AutomationRule, deal: Deal | None = None) -> str:
    return f"automation:{rule.id}:{deal.id}" if deal is not None else f"automation:{rule.id}"


def _of(rule: AutomationRule, deal: Deal | None = None) -> dict[str, Any]:
    return {"rule": rule.id, "deal": deal.id} if deal is not None else {"rule": rule.id}


HANDLERS: Mapping[str, Handler] = {OF_DEAL: deal_due, OF_TASK: task_due, OF_DAY: day_due, LOOK: look_due}
WORK: Mapping[str, Batch] = {ARM: arm_batch, EACH_DEAL: each_deal, EACH_CLIENT: each_client}
