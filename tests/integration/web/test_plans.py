"""What an office collects over years is never read from its beginning to its end: the plans of all that lists, counters, reports and
the sweep of lamps ask, on both databases.

Each database plans by what its tables hold, so they hold some thousands of rows and are analysed. Both would read such small tables
as a whole all the same: SQLite is told that they are a hundred times as long, PostgreSQL not to do it where there is an index.
"""

import re
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.checkpoints.models import Checkpoint
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals import list_queries
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.deals.seed import seed
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import Checking
from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import User
from pbxcrm.reports.report import all_reports
from pbxcrm.shared.db import Database
from tests.bench.big_funnel import Filler, Years, fill_years
from tests.integration.web.conftest import Browsers, SetClock
from tests.statements import queries
from web.cursors import next_of_sorted

GROWS = {
    "deals", "stage_moves", "tasks", "lamps", "calls", "call_legs", "episodes", "contacts", "phones", "companies", "notes", "callers",
    "search_words", "name_spellings",
}  # fmt: skip
SMALL = {
    "ix_tasks_open",
    "ix_tasks_to_check",
    "ix_lamps_burning",
    "ix_lamps_due",
    "ix_lamps_parked",
}  # only what is still to do
DEALS = 4_000
PAGES = (
    "/board", "/board?mine=1", "/board/heads", "/tasks", "/tasks?who=team", "/tasks?state=done", "/tasks/week", "/tasks/team", "/callbacks",
    "/escalations", "/burning", "/calls?mine=1", "/settings/pipelines/1", "/settings/stages/2/remove", "/shell/rail",
)  # fmt: skip
# Through trigrams. A manager's count of the tasks that show clients reads tasks until it has 2,001.
#: A filter for each term of a deal and each short name of an address; by most of them no deal is found, which takes longest.
FILTERS = (
    "mine=1", "who=nobody", "who=1", "responsible=1", "team=1", "status=open", "status=won", "stage_kind=open", "lamp=any", "lamp=none", "no_task=1",
    "tag=none", "amount.min=99999999", "amount.max=0", "age.min=30000", "age.max=1", "stage=2", "pipeline=1", "contact=7", "company=7",
    "number=%2B380670000077", "created_at.min=2099-01-01", "stage_since.min=2099-01-01", "closed_at.empty=1", "closed_at.min=2099-01-01", "next_task.min=2099-01-01",
    "next_task.empty=1", "title.begins=x", "title.contains=nobody", "source.begins=x", "lost_reason.begins=x", "q=nobody", "words.contains=nobody", "words.contains=client", "q=client",
    "proposal_until.min=2099-01-01", "invoice_until.min=2099-01-01", "event_at.min=2099-01-01", "survey_at.min=2099-01-01",
    "q=client&amount.min=99999999", "mine=1&source.begins=x",
)  # fmt: skip
DEPUTY = "olena as a deputy"
IN_THE_MIDDLE = f"&cursor={next_of_sorted('client 2', 2)}"
SEARCHES = (
    "/calls", "/calls?outcome=missed", "/calls?q=client+77", "/calls?q=0670000077", "/contacts", "/contacts?q=client+77", "/contacts?q=0670000077",
    "/contacts?sort=created_at", "/contacts?sort=birthday", "/contacts?sort=-birthday", "/companies?sort=created_at",
    *(f"/{what}?sort={by}{place}" for what in ("contacts", "companies") for by in ("name", "-name") for place in ("", IN_THE_MIDDLE)), "/companies", "/companies?q=client", "/search?q=client+77", "/search?q=clinet", "/search?q=067+000+00+77", "/search?q=nobody",
)  # fmt: skip


async def _fill(database: Database, clock: SetClock) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    async with database.read() as session:
        stages = (await session.exec(select(Stage).where(Stage.pipeline_id == 1).order_by(col(Stage.id)))).all()
        watched = (await session.exec(select(Checkpoint.id).where(col(Checkpoint.stage_id).is_not(None)))).all()[0]
    closed = {StageKind.WON, StageKind.LOST}
    await fill_years(
        Filler(database),
        Years(
            deals=DEALS,
            owners=[1, 2],
            open_stages=[stage.id or 0 for stage in stages if stage.kind not in closed],
            closed_stages=[stage.id or 0 for stage in stages if stage.kind in closed],
            checkpoint_id=watched or 0,
            manager_id=3,
            until=clock(),
        ),
    )
    if database.is_sqlite:
        first = "instr(stat || ' ', ' ')"
        async with database.engine.connect() as connection:
            await connection.exec_driver_sql(
                f"UPDATE sqlite_stat1 SET stat = CAST(substr(stat, 1, {first} - 1) AS INTEGER) * 100 || substr(stat, {first})"
            )
            await connection.commit()


async def _stand_in(database: Database) -> None:
    """From now on ``olena`` has what is ``dmytro``'s, too."""
    async with database.write() as session:
        (await session.get_one(User, 2)).stood_in_by_id = 1


async def _plan(database: Database, statement: str, parameters: Any) -> list[str]:
    how = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
    async with database.engine.connect() as connection:
        # SQLite reads its statistics again.
        await connection.exec_driver_sql(
            "ANALYZE sqlite_schema" if database.is_sqlite else "SET LOCAL enable_seqscan = off"
        )
        rows = await connection.exec_driver_sql(f"{how} {statement}", parameters)
        return [str(row[-1]) for row in rows.all()]


def _read_as_a_whole(statement: str, plan: list[str]) -> list[str]:
    """The tables that this plan reads from beginning to end. The first of a list in the order of an index is none of them."""
    found = []
    for line in plan:
        scan = re.search(r"^SCAN (\w+?)(?:_\d+)?(?: USING (?:COVERING )?INDEX (\w+))?$|Seq Scan on (\w+)", line)
        if scan is None or (scan[1] or scan[3]) not in GROWS or scan[2] in SMALL:
            continue
        # SQLite's own order, and nothing is tested on the way but who sees the row.
        where = statement.partition("WHERE")[2].rpartition("ORDER BY")[0]
        passed = {"merged_into_id", "erased_at", "responsible_id"}
        if "birth_day IS NULL" in where:  # most clients have none
            passed.add("birth_day")
        tested = set(re.findall(rf"{scan[1]}\.(\w+)", where)) - passed
        newest_first = f"ORDER BY {scan[1]}.id DESC" in statement and not tested
        if (scan[2] is None and not newest_first) or "LIMIT" not in statement:
            found.append(scan[1] or scan[3])
    return found


def _reads_the_team_for_each_call(statement: str, plan: list[str]) -> bool:
    """Whether PostgreSQL joins the people of a team to the phones of one call, for each call that it tests: that took two thirds of
    a manager's report on clients. As an array they are gathered once.
    """
    joined = r"call_legs\w*\.user_id = users|users\w*\.id = call_legs|\(id = call_legs\w*\.user_id\)"
    of_one = "FROM call_legs \nWHERE call_legs.call_id = calls.id" in statement
    return of_one and any(re.search(joined, line) for line in plan)


async def test_every_filter_of_deals_is_found_by_an_index_or_looks_through_a_limited_number(
    browser: Browsers, database: Database, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_queries, "LOOKED_THROUGH", 100)
    monkeypatch.setattr(list_queries, "MOST_FOUND", 50)
    await _fill(database, clock)
    async with database.read() as session:
        asking = Checking("UA", await load_directory(session))
        names = {name for name in deal_terms(await load_fields(session), asking) if not name.startswith("field.")}
    asked_names = {pair.partition("=")[0].partition(".")[0] for each in FILTERS for pair in each.split("&")}
    assert names - {"pipeline"} <= asked_names | {"words"}, "a term of deals without a filter here"
    wrong: dict[str, object] = {}
    planned: set[str] = set()  # each statement is planned once: most of them are asked by every page
    for login in ("olena", "iryna", "admin", DEPUTY):
        if login == DEPUTY:
            await _stand_in(database)
        client = await browser(login.split()[0])
        for page in ("/board", "/deals"):
            for each in FILTERS:
                path = f"{page}?{each}"
                with queries(database) as asked:
                    answer = await client.get(path)
                assert answer.status_code == 200, f"{path}: {answer.text[:500]}"
                for statement, parameters in asked:
                    if statement in planned:
                        continue
                    planned.add(statement)
                    plan = await _plan(database, statement, parameters)
                    if whole := _read_as_a_whole(statement, plan):
                        wrong[f"{path} as {login}: {whole}: {statement}"] = plan
    assert not wrong, "\n\n".join(f"{what}\n{plan}" for what, plan in wrong.items())


async def test_nothing_that_grows_is_read_as_a_whole(browser: Browsers, database: Database, clock: SetClock) -> None:
    await _fill(database, clock)
    reports = [f"/reports/{report.name}" for report in all_reports()]
    wrong: dict[str, object] = {}
    planned: set[str] = set()

    async def look(asked: list[tuple[str, Any]], where: str) -> None:
        for statement, parameters in asked:
            if statement in planned:
                continue
            planned.add(statement)
            plan = await _plan(database, statement, parameters)
            whole = _read_as_a_whole(statement, plan)
            if whole or _reads_the_team_for_each_call(statement, plan):
                wrong[f"{where}: {whole or 'the team for each call'}: {statement}"] = plan

    for login in ("olena", "iryna", "admin", DEPUTY):
        if login == DEPUTY:
            await _stand_in(database)
        client = await browser(login.split()[0])
        searches = () if login == "iryna" else SEARCHES
        for path in (*PAGES, *(reports if login != DEPUTY else ()), *searches):
            with queries(database) as asked:
                answer = await client.get(path)
            assert answer.status_code in {200, 303, 403, 404}, path
            await look(asked, f"{path} as {login}")
    clock.forward(hours=2)
    with queries(database) as asked:
        await sweep_lamps(database, clock())
    assert any("lamps" in statement for statement, _ in asked)
    await look(asked, "sweep")
    assert not wrong, "\n\n".join(f"{what}\n{plan}" for what, plan in wrong.items())
