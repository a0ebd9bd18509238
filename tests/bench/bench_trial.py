"""The dry run of a rule over 100,000 deals, each with three moves in the last weeks; on both databases.

The database generates the rows. Processor time stands beside the clock, because others may use the machine meanwhile.
"""

import asyncio
import tempfile
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from sqlmodel import col, select

from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.trial_jobs import try_rule
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.migrations import upgrade
from pbxcrm.shared.background_jobs import BackgroundJob, work_on
from pbxcrm.shared.db import Database
from tests.bench.big_funnel import Filler, one_of
from tests.bench.table import Figure
from tests.calls import NOON
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.office import Office, open_office

DEALS, MOVES, DAYS = 100_000, 3, 30
GOAL = 60  # seconds
AMOUNT = {"field": "amount", "op": ">=", "value": "1000"}
WHEN: dict[str, dict[str, Any]] = {
    "a rule on every move": {"kind": "stage_entered"},
    "a rule on edits, of which there are none": {"kind": "field_changed", "fields": ["amount"]},
}


async def measure(url: str, on: str) -> list[Figure]:
    await upgrade(url)
    db = Database(url)
    try:
        office = await open_office(db)
        await _fill(db, office)
        return [await _try(db, office, on, name) for name in WHEN]
    finally:
        await db.close()


async def _fill(db: Database, office: Office) -> None:
    async with db.read() as session:
        query = select(Stage.id).where(Stage.kind == StageKind.OPEN.value, Stage.pipeline_id == 1)
        stages = [each or 0 for each in (await session.exec(query.order_by(col(Stage.position)))).all()]
    filler, began = Filler(db), f"{NOON.timestamp():.0f} - {DAYS * 86400} + 3600"
    titles = {"title": "'Deal ' || i", "title_folded": "'deal ' || i"}
    since = {name: filler.moment(began) for name in ("created_at", "stage_since")}
    where = {"pipeline_id": "1", "stage_id": one_of(stages[:3], "i"), "responsible_id": str(office.id("ivan"))}
    await filler.insert("deals", DEALS, {**titles, **since, **where, "amount": "(i % 40) * 10000", "currency": "'UAH'"})
    for move in range(MOVES):
        said = [f'\'{{"from_stage": {stages[0]}, "to_stage": {stage}}}\'' for stage in stages[:3]]
        data = one_of(said, f"i + {move}")
        await filler.insert(
            "audit",
            DEALS,
            {
                "at": filler.moment(f"{began} + {(move + 1) * 86400} + i"),
                "actor_id": str(office.id("ivan")),
                "action": "'deal.moved'",
                "entity": "'deal'",
                "entity_id": "CAST(i AS VARCHAR)",
                "data": data if db.is_sqlite else f"CAST({data} AS json)",
            },
        )
    await filler.tidy()


async def _try(db: Database, office: Office, on: str, name: str) -> Figure:
    async with db.write() as session:
        viewer = await office.viewer(session, "admin")
        steps = [{"kind": "task", "title": "Call them", "due": "2h"}]
        draft = RuleDraft("Rule", office.id("admin"), WHEN[name], steps, conditions=AMOUNT)
        job = await try_rule(session, viewer, draft, days=DAYS, region="UA", now=NOON)
    began, cpu, batches = perf_counter(), process_time(), 0
    while ran := await work_on(db, NOON):
        batches += ran
    seconds, processor = perf_counter() - began, process_time() - cpu
    async with db.read() as session:
        done = await session.get_one(BackgroundJob, job.id)
    assert done.state == "done", done.error
    asked = done.result["fired"] + done.result["skipped"] + done.result["limited"]
    told = f"{seconds:.0f} s, {processor:.0f} of processor time, progress told {batches} times, asked {asked} times"
    return Figure(f"{on}: a dry run over {DAYS} days of {DEALS} deals, {name}", told, f"{GOAL} s", seconds < GOAL)


def run() -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        figures += asyncio.run(measure(f"sqlite:///{Path(folder) / 'trial.db'}", "SQLite"))
    programs = postgres_programs()
    if programs is None:
        return figures
    with running_postgres(programs) as postgres:
        url = asyncio.run(postgres.create(fresh_name()))
        return figures + asyncio.run(measure(url, "PostgreSQL"))
