"""Choosing who gets a deal: 50 people, 20 rules, 100,000 deals of which 5,000 are open, on both databases.

The rule that decides is the last one and counts all there is to count.
"""

import asyncio
import tempfile
from datetime import timedelta
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from sqlalchemy import insert
from sqlmodel import col, select

from pbxcrm.deals.models import Deal, Stage
from pbxcrm.distribution.actions import choose_owner
from pbxcrm.distribution.cases import DealCase
from pbxcrm.distribution.models import DistributionRule
from pbxcrm.distribution.queries import load_rules
from pbxcrm.distribution.rules import Kind, Member, Method
from pbxcrm.migrations import upgrade
from pbxcrm.people.models import User
from pbxcrm.shared.db import Database
from tests.bench.big_funnel import Filler
from tests.bench.table import Figure, percentile
from tests.calls import NOON
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.office import open_office
from tests.statements import statements

PEOPLE, RULES, DEALS, OPEN, ROUNDS = 50, 20, 100_000, 5_000, 200


async def measure(url: str, on: str) -> list[Figure]:
    await upgrade(url)
    db = Database(url)
    try:
        await open_office(db)
        await _fill(db)
        await Filler(db).tidy()
        figures = [await _choosing(db, f"{on}, {method.value}") for method in Method if await _use(db, method)]
    finally:
        await db.close()
    return figures


async def _fill(db: Database) -> None:
    async with db.write() as session:
        users = [
            User(login=f"p{n}", name=f"Person {n}", role="seller", password_hash="", created_at=NOON)
            for n in range(PEOPLE)
        ]
        session.add_all(users)
        await session.flush()
        stages = {
            stage.kind: stage for stage in (await session.exec(select(Stage).order_by(col(Stage.id).desc()))).all()
        }
        rows: list[dict[str, Any]] = []
        for number in range(DEALS):
            stage = stages["open" if number % (DEALS // OPEN) == 0 else "won"]
            rows.append(
                {
                    "title": f"Deal {number}", "title_folded": f"deal {number}", "pipeline_id": stage.pipeline_id, "stage_id": stage.id,
                    "responsible_id": users[number % 7 * 7].id, "currency": "UAH", "source": "", "custom": {}, "lost_reason": "", "reason": {},
                    "version": 1, "created_at": NOON, "stage_since": NOON, "closed_at": None if stage.kind == "open" else NOON,
                }
            )  # fmt: skip
        for begin in range(0, DEALS, 1000):
            await (await session.connection()).execute(insert(Deal), rows[begin : begin + 1000])
        members = [Member(Kind.USER, user.id or 0).stored() for user in users]
        for number in range(RULES):
            query = "" if number == RULES - 1 else f"source=Site {number}&amount.min=100&number.begins=%2B3805"
            session.add(
                DistributionRule(
                    name=f"Rule {number}", position=number, query=query, method="turns", members=members, otherwise="nobody",
                    on_shift=False, most_open=OPEN, most_per_day=OPEN,
                )
            )  # fmt: skip


async def _use(db: Database, method: Method) -> bool:
    async with db.write() as session:
        for rule in (await session.exec(select(DistributionRule))).all():
            rule.method = method.value
    return True


async def _choosing(db: Database, on: str) -> Figure:
    taken, worked, asked = [], [], 0
    for number in range(ROUNDS):
        case = DealCase(1, 1, subject=f"{on}:{number}", client_number="+380671112233", source="Call")
        async with db.write() as session:
            await load_rules(session)  # begins the transaction, as whoever makes the deal has done long before
            with statements(db) as sent:
                began, before = perf_counter(), process_time()
                await choose_owner(session, case, NOON + timedelta(seconds=number))
                taken.append(perf_counter() - began)
                worked.append(process_time() - before)
                await session.flush()
        asked = len(sent)
    middle, late, own = (
        value * 1000 for value in (percentile(taken, 50), percentile(taken, 95), percentile(worked, 50))
    )
    name = f"{on}: {PEOPLE} people, {RULES} rules, {OPEN:,} open deals; {asked} statements"
    return Figure(name, f"{middle:.1f} / {late:.1f} ms, {own:.1f} of our processor", "5 ms", middle < 5)


def run() -> list[Figure]:
    figures: list[Figure] = []
    with tempfile.TemporaryDirectory() as folder:
        figures += asyncio.run(measure(f"sqlite:///{Path(folder) / 'd.db'}", "SQLite"))
    programs = postgres_programs()
    if programs is None:
        return figures
    with running_postgres(programs) as postgres:
        url = asyncio.run(postgres.create(fresh_name()))
        return figures + asyncio.run(measure(url, "PostgreSQL"))
