"""Filters and sorting by custom fields: a million deals on PostgreSQL, a hundred thousand on SQLite.

Times are the median and the 95th percentile. ``PBXCRM_BENCH_DEALS=DEALS`` sets the number of deals on PostgreSQL.
"""

import asyncio
import os
import tempfile
from pathlib import Path
from time import perf_counter

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.actions import FieldDraft, change_field
from pbxcrm.fields.conditions import parse, to_sql
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import Checking
from pbxcrm.fields.terms import value_of
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.migrations import upgrade
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.background_jobs import ACTIVE, BackgroundJob, work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.listed import RowOrder, sorted_rows
from pbxcrm.shared.text_match import few
from tests.bench.big_funnel import Filler
from tests.bench.field_values import ASKED, BY_WORDS, fill_deals, make_fields, plan_of
from tests.bench.table import Figure, percentile
from tests.calls import NOON
from tests.databases import fresh_name, postgres_programs, running_postgres
from tests.integration.fields.making import KYIV
from tests.office import Office, open_office
from tests.waiting import until

ROUNDS, GOAL = 20, 100


async def measure(url: str, on: str, deals: int) -> list[Figure]:
    await upgrade(url)
    db = Database(url)
    try:
        office = await open_office(db)
        async with db.write() as session:
            admin = await office.viewer(session, "admin")
            fields = await make_fields(session, admin)
            stages = [stage_id or 0 for stage_id in (await session.exec(select(Stage.id))).all()]
        await fill_deals(db, deals, fields, [office.id("ivan"), *[office.id("olena")] * 20], stages)
        began = perf_counter()
        async with db.write() as session:
            for definition in fields.values():
                await change_field(
                    session, admin, definition.id or 0, FieldDraft(filterable=True), version=None, now=NOON
                )

        async def is_built() -> bool:
            await work_on(db, NOON)
            async with db.read() as session:
                return (await session.exec(select(BackgroundJob.id).where(ACTIVE).limit(1))).first() is None

        await until(is_built, 3600)
        built = Figure(f"{on}: indexes of {len(fields)} fields made by the worker", f"{perf_counter() - began:.1f} s")
        await Filler(db).tidy()
        return [built, *await _filters(db, on, fields), *await _sorting(db, on, fields), await _changes(db, on, office)]
    finally:
        await db.close()


async def _filters(db: Database, on: str, fields: dict[str, FieldDefinition]) -> list[Figure]:
    figures = []
    async with db.read() as session:
        terms = deal_terms(await load_fields(session), Checking("UA", await load_directory(session)))
    for key, asked in ASKED.items():
        found = to_sql(parse({"field": f"field.{key}", **asked}, terms), KYIV)
        taken = []
        async with db.read() as session:
            query = select(Deal.id).where(found)
            plan = await plan_of(session, query.limit(501))
            wanted = "search_words" if key in BY_WORDS else f"ix_custom_{fields[key].id}"
            served = "by its index" if wanted in plan else f"WITHOUT ITS INDEX: {plan}"
        for _ in range(ROUNDS):
            async with db.read() as session:
                began = perf_counter()
                await _list(session, found)
                taken.append(perf_counter() - began)
        figures.append(Figure(f"{on}: fifty deals filtered by {key}, {served}", _times(taken), f"{GOAL} ms"))
    return figures


def _times(taken: list[float]) -> str:
    return f"{percentile(taken, 50) * 1000:.1f} / {percentile(taken, 95) * 1000:.1f} ms"


async def _list(session: AsyncSession, found: object) -> None:
    """As lists do: the ids if they are few, else a walk from the newest row."""
    ids = (await few(session, deals=select(Deal.id).where(found)))["deals"]  # type: ignore[arg-type]
    where = found if ids is None else col(Deal.id).in_(ids)
    (await session.exec(select(Deal).where(where).order_by(col(Deal.id).desc()).limit(50))).all()  # type: ignore[arg-type]


async def _sorting(db: Database, on: str, fields: dict[str, FieldDefinition]) -> list[Figure]:
    figures = []
    for key in ("text", "number", "date", "money"):
        taken = []
        for number in range(ROUNDS):
            async with db.read() as session:
                began = perf_counter()
                value = value_of(fields[key], col(Deal.custom))
                order = RowOrder(value, value.is_(None), descending=number % 2 == 0)
                await sorted_rows(session, Deal, [], order, after=None, limit=50)
                taken.append(perf_counter() - began)
        figures.append(Figure(f"{on}: fifty deals sorted by {key}", _times(taken), f"{GOAL} ms"))
    return figures


async def _changes(db: Database, on: str, office: Office) -> Figure:
    """One value of a deal changed, with all indexes there."""
    taken = []
    for number in range(ROUNDS):
        began = perf_counter()
        async with db.write() as session:
            viewer = await office.viewer(session, "ivan")
            deal = await session.get_one(Deal, 1000 + number)
            values = {"number": str(number), "text": f"Changed {number}", "several": ["Rare", "Third"]}
            await do_set_values(session, viewer, FieldEntity.DEAL, deal, values, region="UA")
        taken.append(perf_counter() - began)
    return Figure(f"{on}: three values of a deal changed", _times(taken), f"{GOAL} ms")


def run() -> list[Figure]:
    deals = int(os.environ.get("PBXCRM_BENCH_DEALS", "1000000"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "fields.db"
        figures = asyncio.run(measure(f"sqlite:///{path}", "SQLite, 100,000 deals", min(deals, 100_000)))
    programs = postgres_programs()
    if programs is None:
        return figures
    with running_postgres(programs) as postgres:
        url = asyncio.run(postgres.create(fresh_name()))
        return figures + asyncio.run(measure(url, f"PostgreSQL, {deals:,} deals", deals))
