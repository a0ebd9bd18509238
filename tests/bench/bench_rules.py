"""Rules of automation: what hearing costs a drag on the board and a call, and how fast events become done steps; on both databases.

Two sets of fifty rules: as people have them (each event passes the filters of ten, the conditions of one hold, and it takes two steps),
and the hardest (all fifty hear each event, five take two steps each). Processor time stands beside the clock, because others may use
the machine meanwhile.
"""

import asyncio
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time, time

from sqlalchemy import insert
from sqlmodel import SQLModel, col, delete, func, select

from pbxcrm.audit.actions import recorded
from pbxcrm.automation.hearing import event_row, hear, hear_calls
from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun, RunStep
from pbxcrm.automation.runner import run_due
from pbxcrm.calls.hooks import calls_over
from pbxcrm.composition import compose
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.migrations import upgrade
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.bench_apply import story
from tests.bench.table import Figure, percentile
from tests.calls import NOON, batch
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.office import Office, open_office

RULES, DEALS, MOVES = 50, 200, 200
CALLS, AT_ONCE = 300, 5
EVENTS, HARD_EVENTS = 1000, 200
PACE, SECONDS = 200, 5  # events a second while the lag is measured
#: Five groups of rules, each of which listens to one source of the deal; one rule of ten wants an empty amount.
GROUPS = 5
_ADD = insert(SQLModel.metadata.tables[str(AutomationEvent.__tablename__)])


async def measure(url: str, on: str) -> list[Figure]:
    await upgrade(url)
    db = Database(url)
    try:
        office = await open_office(db)
        deals, stages = await _fill(db, office)
        figures = await _hearing(db, office, deals, stages, on)
        figures += await _running(db, office, deals, stages, on)
        return [*figures, *await _calls(db, office, on)]
    finally:
        compose()
        await db.close()


async def _fill(db: Database, office: Office) -> tuple[list[int], list[int]]:
    async with db.write() as session:
        viewer = await office.viewer(session, "ivan")
        query = select(Stage.id).where(Stage.kind == StageKind.OPEN.value).order_by(col(Stage.position))
        stages = [each or 0 for each in (await session.exec(query)).all()]
        made = [
            await create_deal(
                session, viewer, title=f"Deal {number}", now=NOON, currency="UAH", region="UA", second=True
            )
            for number in range(DEALS)
        ]
    return [deal.id or 0 for deal in made], stages


async def _add_rules(db: Database, office: Office, stages: Sequence[int], *, all_hear: bool, kind: str) -> None:
    """One of ten finds that its condition holds, and writes a note and a tag."""
    async with db.write() as session:
        for table in (RunStep, RuleRun, AutomationEvent):
            await session.exec(delete(table))
        for rule in (await session.exec(select(AutomationRule))).all():
            await session.delete(rule)
        for number in range(RULES):
            when = {"kind": kind} | ({} if all_hear else {"stage_id": stages[number // 10]})
            session.add(
                AutomationRule(
                    name=f"Rule {number}", owner_id=office.id("admin"), state="on", mode="once", when=when,
                    conditions={
                        "all": [
                            {"field": "amount", "op": ">=" if number % 10 else "empty", "value": "1000"},
                            {"field": "source", "op": "empty"},
                        ]
                    },
                    steps=[{"kind": "note", "text": "Seen"}, {"kind": "tag", "add": [f"rule {number}"], "remove": []}],
                    most_per_hour=1_000_000, created_at=NOON,
                )
            )  # fmt: skip


async def _hearing(db: Database, office: Office, deals: list[int], stages: list[int], on: str) -> list[Figure]:
    figures = []
    recorded.register()
    await _moves(db, office, deals, stages)  # warm
    without = await _moves(db, office, deals, stages)
    recorded.register(hear)
    none = await _moves(db, office, deals, stages)
    await _add_rules(db, office, stages, all_hear=True, kind="stage_entered")
    heard = await _moves(db, office, deals, stages)
    for name, times in (("nobody to hear", without), ("no rule", none), (f"{RULES} rules, all heard", heard)):
        told = f"{percentile(times[0], 50):.1f} ms, {percentile(times[1], 50):.1f} of processor time"
        goal = "" if times is without else "under 5 ms more"
        more = percentile(times[1], 50) - percentile(without[1], 50)
        figures.append(Figure(f"{on}: a drag, {name}", told, goal, None if times is without else more < 5))
    return figures


async def _moves(db: Database, office: Office, deals: list[int], stages: list[int]) -> tuple[list[float], list[float]]:
    """Milliseconds by the clock and of processor time of each move."""
    async with db.read() as session:
        viewer = await office.viewer(session, "ivan")
    clock, processor = [], []
    for number in range(MOVES):
        deal_id, stage_id = deals[number % DEALS], stages[(number // DEALS + 1) % len(stages)]
        began, cpu = perf_counter(), process_time()
        async with db.write() as session:
            await move_deal(session, viewer, deal_id, stage_id, version=None, now=NOON + timedelta(seconds=number))
        clock.append((perf_counter() - began) * 1000)
        processor.append((process_time() - cpu) * 1000)
    return clock, processor


async def _running(db: Database, office: Office, deals: list[int], stages: list[int], on: str) -> list[Figure]:
    figures = []
    for all_hear, events in ((False, EVENTS), (True, HARD_EVENTS)):
        await _add_rules(db, office, stages, all_hear=all_hear, kind="stage_entered")
        await _say(db, deals, stages, range(DEALS))
        await run_due(db, datetime.now(UTC), "UA")  # warm
        async with db.write() as session:
            await session.exec(delete(RunStep))
            await session.exec(delete(RuleRun))
        await _say(db, deals, stages, range(events))
        began, cpu = perf_counter(), process_time()
        done = 0
        while handled := await run_due(db, datetime.now(UTC), "UA"):
            done += handled
        seconds, processor = perf_counter() - began, process_time() - cpu
        async with db.read() as session:
            runs = (await session.exec(select(func.count()).select_from(RuleRun))).one()
            steps = (await session.exec(select(func.count()).select_from(RunStep))).one()
        heard, holds = (RULES, RULES // 10) if all_hear else (10, 1)
        assert (done, runs, steps) == (events, events * heard, events * holds * 2)
        told = f"{done / seconds:.0f} events/s by the clock, {done / processor:.0f} of processor time"
        name = f"{on}: {done} events, {RULES} rules, {heard} hear each, {holds} with two steps"
        figures.append(Figure(name, told, "200 events/s", done / seconds >= 200))
        if not all_hear:
            figures.append(await _lag(db, deals, stages, on))
    return figures


async def _say(db: Database, deals: list[int], stages: list[int], numbers: Sequence[int]) -> None:
    rows = []
    for number in numbers:
        data = {"from_stage": stages[0], "to_stage": stages[number % GROUPS], "said": time()}
        rows.append(event_row("deal.moved", datetime.now(UTC), "deal", deals[number % DEALS], None, data, None))
    async with db.write() as session:
        await (await session.connection()).execute(_ADD, rows)


async def _lag(db: Database, deals: list[int], stages: list[int], on: str) -> Figure:
    """Seconds from an event to its done steps, while events come at a constant rate."""
    lags: list[float] = []
    over = asyncio.Event()

    async def people() -> None:
        began = perf_counter()
        for tenth in range(SECONDS * 10):
            await asyncio.sleep(max(0.0, began + tenth / 10 - perf_counter()))
            await _say(db, deals, stages, range(tenth * PACE // 10, (tenth + 1) * PACE // 10))
        over.set()

    async def worker() -> None:
        async with db.read() as session:
            last = (await session.exec(select(func.max(RuleRun.id)))).one() or 0  # what ran before is not measured
        while True:
            was_over = over.is_set()
            await run_due(db, datetime.now(UTC), "UA")
            told = time()
            async with db.read() as session:
                waits = (await session.exec(select(func.count()).select_from(AutomationEvent))).one()
                query = select(RuleRun.id, RuleRun.event).where(RuleRun.status == "done", col(RuleRun.id) > last)
                ended = (await session.exec(query)).all()
            last = max([last, *(run_id or 0 for run_id, _ in ended)])
            lags.extend(told - event["said"] for _, event in ended)
            if was_over and not waits:
                return
            await asyncio.sleep(0.1)

    await asyncio.gather(people(), worker())
    p99 = percentile(lags, 99)
    told = f"{percentile(lags, 50):.2f} / {p99:.2f} s"
    return Figure(f"{on}: lag at {PACE} events/s for {SECONDS} s, p50 / p99", told, "p99 under 2 s", p99 < 2)


async def _calls(db: Database, office: Office, on: str) -> list[Figure]:
    """What fifty rules on calls cost the listener, in processor time: calls with and without them in turns."""
    await _add_rules(db, office, (), all_hear=True, kind="call")
    spent = {True: 0.0, False: 0.0}
    with tempfile.TemporaryDirectory() as folder:
        intake = Intake(db, Settings(data_dir=Path(folder)))
        stories = [story(number) for number in range(2 * CALLS)]
        for turn, start in enumerate(range(0, 2 * CALLS, AT_ONCE)):
            hears = bool(turn % 2)
            calls_over.register(*([hear_calls] if hears else []))
            recorded.register(*([hear] if hears else []))
            cpu = process_time()
            await intake.apply(batch(*stories[start : start + AT_ONCE]))
            if turn > 10:
                spent[hears] += process_time() - cpu
    more = 100 * (spent[True] / spent[False] - 1)
    told = f"{more:.1f} % of {1000 * spent[False] / CALLS:.1f} ms"
    return [Figure(f"{on}: applying a call, {RULES} call rules more", told, "under 10 %", more < 10)]


def run() -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        figures += asyncio.run(measure(f"sqlite:///{Path(folder) / 'rules.db'}", "SQLite"))
    programs = postgres_programs()
    if programs is None:
        return figures
    with running_postgres(programs) as postgres:
        url = asyncio.run(postgres.create(fresh_name()))
        return figures + asyncio.run(measure(url, "PostgreSQL"))
