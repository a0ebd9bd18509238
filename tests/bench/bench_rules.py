"""Rules of automation: what hearing costs a drag on the board, and how fast events become done steps; on both databases.

Processor time stands beside the clock, because others may use the machine meanwhile.
"""

import asyncio
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import perf_counter, process_time

from sqlmodel import col, func, select

from pbxcrm.audit.actions import recorded
from pbxcrm.automation.hearing import hear
from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun
from pbxcrm.automation.runner import run_due
from pbxcrm.composition import compose
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.migrations import upgrade
from pbxcrm.shared.db import Database
from tests.bench.table import Figure, percentile
from tests.calls import NOON
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.office import Office, open_office

RULES, DEALS, MOVES = 50, 20, 100


async def measure(url: str, on: str) -> list[Figure]:
    await upgrade(url)
    db = Database(url)
    try:
        office = await open_office(db)
        deals, stages = await _fill(db, office)
        figures = []
        recorded.register()
        await _moves(db, office, deals, stages)  # warm
        without = await _moves(db, office, deals, stages)
        recorded.register(hear)
        none = await _moves(db, office, deals, stages)
        await _add_rules(db, office)
        heard = await _moves(db, office, deals, stages)
        for name, times in (("nobody to hear", without), ("no rule", none), (f"{RULES} rules, all heard", heard)):
            told = f"{percentile(times[0], 50):.1f} ms, {percentile(times[1], 50):.1f} of processor time"
            goal = "" if times is without else "under 5 ms more"
            more = percentile(times[1], 50) - percentile(without[1], 50)
            figures.append(Figure(f"{on}: a drag, {name}", told, goal, None if times is without else more < 5))
        return [*figures, *await _running(db, on)]
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


async def _add_rules(db: Database, office: Office) -> None:
    """Each hears every move; one of ten finds that its condition holds, and writes a note and a tag."""
    async with db.write() as session:
        for number in range(RULES):
            amount = ">=" if number % 10 else "empty"
            session.add(
                AutomationRule(
                    name=f"Rule {number}", owner_id=office.id("admin"), state="on", mode="once", when={"kind": "stage_entered"},
                    conditions={"all": [{"field": "amount", "op": amount, "value": "1000"}, {"field": "source", "op": "empty"}]},
                    steps=[{"kind": "note", "text": "Seen"}, {"kind": "tag", "add": [f"rule {number}"], "remove": []}],
                    most_per_hour=1_000_000, created_at=NOON,
                )
            )  # fmt: skip


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


async def _running(db: Database, on: str) -> list[Figure]:
    async with db.read() as session:
        waiting = (await session.exec(select(func.count()).select_from(AutomationEvent))).one()
    began, cpu = perf_counter(), process_time()
    done = 0
    while handled := await run_due(db, datetime.now(UTC), "UA"):
        done += handled
    seconds, processor = perf_counter() - began, process_time() - cpu
    async with db.read() as session:
        runs = (await session.exec(select(func.count()).select_from(RuleRun))).one()
    assert done == waiting
    assert runs == waiting * RULES
    told = f"{done / seconds:.0f} events/s by the clock, {done / processor:.0f} of processor time"
    return [
        Figure(f"{on}: {done} events, {RULES} rules each", told, "200 events/s on two cores", done / processor >= 100)
    ]


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
