"""What burns, what will light, and how people react: each figure opens its rows, and each person sees what they may."""

import re
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.dialects import sqlite
from sqlmodel import col, select

from pbxcrm.checkpoints import burning_queries
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock


async def test_the_arithmetic_is_said_wherever_the_lamp_is_shown(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    olena = await browser("olena")
    await olena.post("/deals/new", data={"title": "Fence", "stage_id": "1"})
    clock.forward(hours=1)
    await sweep_lamps(database, clock())
    async with database.read() as session:
        task_id = (await session.exec(select(Lamp.task_id).where(Lamp.state == "burning"))).one()
    said = re.compile(r"Since [^<]+ in “New request” without work; norm 1\u00a0h of working time; [^<]+; lit [^<]+\.")
    for address in ("/deals/1", "/tasks", f"/tasks/{task_id}", "/burning", "/deals/1/timeline?kind=tasks"):
        page = (await olena.get(address)).text
        assert said.search(page), (address, re.findall("Since.{0,300}", page))
    for address in ("/deals/1", "/board/cards/1"):  # there the lamp itself opens, and asks only then
        (asked,) = re.findall(r'data-load="([^"]+)"', (await olena.get(address)).text)
        assert said.search((await olena.get(asked)).text), address
    assert said.search((await olena.get(f"/tasks/{task_id}/lamps")).text)
    assert (await (await browser("dmytro")).get("/deals/1/lamps")).status_code == 404
    day = (await olena.get("/tasks")).text
    assert 'href="/deals/1#plan"' in day, "the way to the work that ends it"
    assert 'class="btn small" href="/callbacks"' not in day
    assert 'id="plan"' in (await olena.get("/deals/1")).text
    await olena.post("/deals/1/move", data={"stage_id": "4", "version": "1"})
    deal = (await olena.get("/deals/1")).text
    assert len(said.findall(deal)) == 1, "what is out is told in the history"


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


def figures(page: str) -> list[str]:
    """Of the tiles, in their order: burning, today, this week, in time."""
    return re.findall(r'<div class="v[^"]*">([^<]+)</div>', page)


async def test_figures_open_their_rows_and_a_seller_sees_the_same_of_themself(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    olena, dmytro, iryna = await browser("olena"), await browser("dmytro"), await browser("iryna")
    assert "Nothing burns" in (await olena.get("/burning")).text
    for person, titles in ((olena, ("Fence", "Gate")), (dmytro, ("Roof",))):
        for title in titles:
            await person.post("/deals/new", data={"title": title, "stage_id": "1"})  # an hour of norm
    waiting = (await olena.get("/burning")).text
    assert figures(waiting)[:3] == ["0", "2", "2"]
    (path,) = set(re.findall(r'href="(/burning/rows\?what=hour[^"]+)"', waiting))
    rows = (await olena.get(path.replace("&amp;", "&"))).text
    assert ("Fence" in rows, "Gate" in rows, "Roof" in rows) == (True, True, False)
    clock.forward(hours=1)
    await sweep_lamps(database, clock())
    clock.forward(minutes=30)
    burns = (await olena.get("/burning")).text
    assert figures(burns)[0] == "2"
    assert "Roof" not in burns
    assert figures((await dmytro.get("/burning")).text)[0] == "1"
    moved = await olena.post("/deals/1/move", data={"stage_id": "4", "version": "1"})
    assert moved.status_code == 303
    done = (await olena.get("/burning")).text
    assert figures(done)[0] == "1"
    reacted = (await olena.get("/burning/reactions")).text
    assert "30\u00a0min" in reacted  # the median reaction: from the lamp to the move
    assert figures(reacted) == ["100 %"]
    clock.forward(hours=1)
    await sweep_lamps(database, clock())  # Gate reaches the manager: it is no longer in time
    assert figures((await iryna.get("/burning/reactions")).text) == ["50 %"]
    behind = (await iryna.get("/burning/rows?what=late&who=1")).text
    assert ("Gate" in behind, "Fence" in behind) == (True, False)
    lit = (await iryna.get("/burning/rows?what=lit&who=1")).text
    assert ("Gate" in lit, "Fence" in lit, "Roof" in lit) == (True, True, False)
    for nonsense in ("what=x", "what=hour&day=99&hour=99", "who=x", "who=99999", "what=hour&day=-1"):
        assert (await iryna.get(f"/burning/rows?{nonsense}")).status_code == 200, nonsense


async def test_what_burns_and_what_waits_are_found_by_their_indices(database: Database) -> None:
    """Among a million lamps nothing is found by looking at each."""
    if not database.is_sqlite:
        return  # PostgreSQL plans by what there is; the conditions are the same
    async with database.read() as session:
        for where, index in ((burning_queries.BURNS, "ix_lamps_burning"), (burning_queries.WAITS, "ix_lamps_due")):
            at = Lamp.lit_at if where is burning_queries.BURNS else Lamp.due_at
            query = select(Lamp.id).where(where).order_by(col(at)).limit(10)
            sql = str(query.compile(dialect=sqlite.dialect(), compile_kwargs={"literal_binds": True}))
            plan = (await session.exec(text(f"EXPLAIN QUERY PLAN {sql}"))).all()  # type: ignore[call-overload]  # plain SQL
            assert index in str(plan), plan


async def test_what_will_light_is_read_once_by_its_index_whoever_asks(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    """At a million deals 20,000 lamps light within a week: reading them twice was most of the page on PostgreSQL."""
    asked: dict[str, Any] = {}

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        if "lamps" in statement and "due_at" in statement and statement.startswith(("SELECT", "WITH")):
            asked[statement] = parameters

    olena, iryna, admin = await browser("olena"), await browser("iryna"), await browser("admin")
    await olena.post("/deals/new", data={"title": "Fence", "stage_id": "1"})
    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        for person in (olena, iryna, admin):
            asked.clear()
            assert figures((await person.get("/burning")).text)[1:3] == ["1", "1"]
            reading = {
                each: parameters
                for each, parameters in asked.items()
                if "armed" in each and "parked_at IS NULL" in each
            }
            ((statement, parameters),) = reading.items()
            async with database.engine.connect() as connection:
                if not database.is_sqlite:
                    await connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
                how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
                plan = [str(row[-1]) for row in await connection.exec_driver_sql(f"{how} {statement}", parameters)]
            read = [line for line in plan if re.search(r"\blamps\b", line)]
            assert all(re.search("ix_lamps_(due|owner)|Bitmap Heap Scan", line) for line in read), plan
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)
