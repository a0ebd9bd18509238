"""How many queries each page sends to the database, over every route and over lists that are full: a page that sends one for each row
fails here.

``MOST`` is what any page may send. A page that sends more stands in ``MORE`` with its number, which is raised only for a reason.
"""

from pathlib import Path

import pytest
from redis.asyncio import Redis
from sqlmodel import col, select
from starlette.applications import Starlette
from starlette.routing import Match, Route

from pbxcrm.checkpoints.models import Checkpoint
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.people.login_actions import log_in
from pbxcrm.reports.report import all_reports
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.bench.big_funnel import Filler, Years, fill_years
from tests.calls import NOON
from tests.integration.walking import MAY_BE_UNREADY, ROUTES, STREAMS, Walker, address, ask, method_of, told
from tests.office import PASSWORD, Office
from tests.statements import reading, statements
from web import database_timeout
from web.app import create_app
from web.auth import COOKIE

MOST = 28  # of which an administrator's rail sends twelve
#: Paths as the routes declare them.
MORE = {
    "/companies/duplicates": 30,
    "/companies/{company_id:int}": 35,
    "/contacts/duplicates": 33,
    "/contacts/{contact_id:int}": 33,
    "/contacts/{contact_id:int}/erase": 29,
    "/deal-merges/{deal_merge_id:int}": 34,
    "/deals/{deal_id:int}": 59,
    "/deals/{deal_id:int}/timeline": 31,
    "/escalations": 33,
    "/merges/{merge_id:int}": 35,
}
DEALS, YEARS = 2_000, 0.1  # so many that each list is full, and lamps of the last two days burn
LISTS = (
    "/board", "/board/heads", "/board?q=client", "/board?sort=lamp", "/deals", "/deals?q=client", "/contacts", "/companies", "/calls", "/calls?mine=1",
    "/tasks", "/tasks?who=team", "/tasks?state=done", "/tasks/week", "/tasks/team", "/callbacks", "/escalations", "/escalations?history=1", "/burning",
    "/burning/reactions", "/burning/rows?what=now", "/burning/rows?what=week", "/search?q=client", "/settings/pipelines/1", "/shell/rail", "/dock",
    "/deals/1999", "/contacts/499", "/calls/1999", "/tasks/1993",
)  # fmt: skip


async def _fill(database: Database, office: Office) -> None:
    async with database.read() as session:
        stages = (await session.exec(select(Stage).where(Stage.pipeline_id == 1).order_by(col(Stage.id)))).all()
        watched = (await session.exec(select(Checkpoint.id).where(col(Checkpoint.stage_id).is_not(None)))).all()[0]
    closed = {StageKind.WON, StageKind.LOST}
    await fill_years(
        Filler(database),
        Years(
            deals=DEALS,
            owners=[office.id(login) for login in ("ivan", "olena", "petro")],
            open_stages=[stage.id or 0 for stage in stages if stage.kind not in closed],
            closed_stages=[stage.id or 0 for stage in stages if stage.kind in closed],
            checkpoint_id=watched or 0,
            manager_id=office.id("maria"),
            until=NOON,
            years=YEARS,
        ),
    )


async def _too_many(app: Starlette, route: Route, path: str, headers: dict[str, str]) -> str:
    """What is wrong with the number of queries of a page; empty if nothing is."""
    most = MORE.get(route.path, MOST)
    for _ in range(2):  # the first time, people, stages and settings are read into memory
        with statements(app.state.parts.db) as sent:
            answer = await ask(app, "GET", path, headers)
        count = len(reading(sent))
        if count <= most:
            return "" if answer.status < 500 else f"{path}: {answer.status}"
    return f"{path}: {count}, not {most}"


async def test_no_page_asks_more_than_it_may(walker: Walker) -> None:
    """As an administrator, whose pages show most."""
    pages = [each for each in ROUTES if method_of(each) == "GET" and each.path not in STREAMS]
    assert not MORE.keys() - {each.path for each in pages}
    wrong = []
    async for route, app in walker.apps(pages):
        if told(route) not in MAY_BE_UNREADY:
            path = address(route, walker.seeded.mine)
            wrong.append(await _too_many(app, route, path, walker.seeded.headers(route, "admin")))
    assert not any(wrong), "\n".join(filter(None, wrong))


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # both are asked the same
async def test_full_lists_ask_no_more(
    office: Office, database: Database, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of rows asks as much as a row: what belongs to them is looked up for all of them at once."""
    monkeypatch.setattr(database_timeout, "PATIENCE_SECONDS", 60.0)
    await _fill(database, office)
    reports = [f"/reports/{report.name}" for report in all_reports()]
    wrong = []
    async with Redis.from_url(redis_url) as redis:
        app = create_app(Settings(data_dir=tmp_path), database, redis, clock=lambda: NOON)
        for login in ("admin", "ivan"):
            token, _ = await log_in(database, login, PASSWORD, ip="127.0.0.1", user_agent="", now=NOON)
            for path in (*LISTS, *reports):
                scope = {"type": "http", "path": path.partition("?")[0], "method": "GET"}
                route = next(each for each in ROUTES if each.matches(scope)[0] is Match.FULL)
                wrong.append(await _too_many(app, route, path, {"cookie": f"{COOKIE}={token}"}))
    assert not any(wrong), "\n".join(filter(None, wrong))
