"""Ready means that it serves and keeps what is done; how everything is, is not everybody's business."""

import tempfile
from pathlib import Path
from typing import Any

import pytest
from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy import event
from sqlalchemy.exc import DBAPIError, OperationalError
from starlette.applications import Starlette

from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.queries import get_user_by_login
from pbxcrm.shared.db import Database, is_full
from pbxcrm.shared.settings import Settings
from pbxcrm.upkeep import health
from tests.integration.web.conftest import Browsers, SetClock
from web.app import create_app

NEAR, FAR = ("127.0.0.1", 1), ("203.0.113.9", 1)


def program(app: Starlette, client: tuple[str, int], **headers: str) -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, client=client), base_url="http://127.0.0.1", headers=headers)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers late here is a busy machine; how long is waited is asked in tests/integration/runtime/test_health.py."""
    monkeypatch.setattr(health, "ASK_SECONDS", 30.0)


async def test_details_are_for_listed_networks_and_tokens(app: Starlette, database: Database, clock: SetClock) -> None:
    async with program(app, NEAR) as near, program(app, FAR) as far:
        assert (await near.get("/readyz")).json()["database"] == "ok"
        assert "pbxcrm_database_up 1.0" in (await near.get("/metrics")).text
        answer = await far.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"ready": True})
        assert (await far.get("/metrics")).status_code == 403
        assert (await near.get("/readyz", headers={"x-forwarded-for": "203.0.113.9"})).json() == {"ready": True}
        for login, status in (("admin", 200), ("iryna", 200), ("olena", 403)):
            async with database.write() as session:
                user = await get_user_by_login(session, login)
                assert user
                token = await create_token(session, user, now=clock())
            headers = {"authorization": f"Bearer {token}"}
            assert (await far.get("/metrics", headers=headers)).status_code == status
            assert ("redis" in (await far.get("/readyz", headers=headers)).json()) is (status == 200)
        assert (await far.get("/healthz")).status_code == 200


async def test_the_networks_are_a_setting(
    settings: Settings, database: Database, redis: Redis, clock: SetClock
) -> None:
    chosen = settings.model_copy(update={"metrics_networks": "203.0.113.0/24"})
    app = create_app(chosen, database, redis, clock=clock)
    async with program(app, NEAR) as near, program(app, FAR) as far:
        assert (await near.get("/metrics")).status_code == 403
        assert (await far.get("/metrics")).status_code == 200


@pytest.fixture
async def full(settings: Settings, database: Database, redis: Redis, clock: SetClock) -> Starlette:
    """Its data directory is on a disk on which nothing fits."""
    return create_app(settings.model_copy(update={"data_dir": Path("/dev/full")}), database, redis, clock=clock)


async def test_a_disk_that_cannot_be_written_is_not_ready(full: Starlette) -> None:
    async with program(full, NEAR) as near, program(full, FAR) as far:
        answer = await near.get("/readyz")
        assert answer.status_code == 503
        assert answer.json()["ready"] is False
        assert answer.json()["disk"] != "ok"
        answer = await far.get("/readyz")
        assert (answer.status_code, answer.json()) == (503, {"ready": False})


def test_a_full_disk_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The device on which nothing fits, where the probe would be written."""

    def on_full_disk(**_options: object) -> object:
        return Path("/dev/full").open("wb", buffering=0)

    monkeypatch.setattr(tempfile, "TemporaryFile", on_full_disk)
    with pytest.raises(OSError, match="No space left"):
        health._write_something(tmp_path)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_database_that_may_only_be_read_is_not_ready(
    app: Starlette, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with program(app, NEAR) as near:
        assert (await near.get("/readyz")).status_code == 200
        async with database._writing.connect() as connection:
            driver = (await connection.get_raw_connection()).driver_connection
            assert driver is not None
            await (cursor := driver.cursor()).execute("PRAGMA query_only=ON")
            await cursor.close()
        answer = await near.get("/readyz")
    assert answer.status_code == 503
    assert "readonly" in answer.json()["database"] or "read" in answer.json()["database"]


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_standby_of_postgres_is_not_ready(app: Starlette, database: Database) -> None:
    async with database.engine.connect() as connection:
        await connection.exec_driver_sql("COMMIT")
    name = database.url.partition("/test_")[2].partition("?")[0]
    async with database.engine.begin() as connection:
        await connection.exec_driver_sql(f'ALTER DATABASE "test_{name}" SET default_transaction_read_only = on')
    await database.engine.dispose()
    async with program(app, NEAR) as near:
        answer = await near.get("/readyz")
    assert answer.status_code == 503
    assert "read-only" in answer.json()["database"]


async def test_a_refused_method_names_all_that_are_there(browser: Browsers) -> None:
    admin = await browser("admin")
    for path, allowed in (("/profile", "GET, HEAD, POST"), ("/login", "GET, HEAD, POST"), ("/logout", "POST")):
        answer = await admin.request("PUT", path)
        assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    answer = await admin.request("PUT", "/api/v1/deals/1", headers={"authorization": "Bearer x"})
    assert answer.headers["allow"] == "GET, HEAD, PATCH"


async def test_behind_tls_browsers_are_told_to_stay_there(browser: Browsers) -> None:
    someone = await browser()
    assert "strict-transport-security" not in (await someone.get("/login")).headers
    answer = await someone.get("https://crm.example/login")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_the_status_page_says_that_nothing_can_be_stored(
    app: Starlette, browser: Browsers, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk: the database can still be read, and Redis answers that it takes nothing."""

    async def refuses() -> None:
        raise OperationalError("PRAGMA", {}, Exception("database or disk is full"))

    async def misconf(*_words: object, **_options: object) -> None:
        raise ResponseError("MISCONF Errors writing to the AOF file: No space left on device.")

    async def full_up(_folder: Path | None) -> str:
        return "No space left on device"

    admin = await browser("admin")
    monkeypatch.setattr("web.pages.status.ask_disk", full_up)
    monkeypatch.setattr(database, "check_writable", refuses)
    monkeypatch.setattr(app.state.parts.redis, "ping", misconf)
    page = (await admin.get("/status")).text
    assert page.count("stores nothing") == 3
    assert "database or disk is full" in page
    assert "MISCONF" in page
    assert "Nothing can be written in" in page


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
async def test_a_form_that_does_not_fit_on_the_disk_says_so_and_keeps_what_was_typed(
    browser: Browsers, database: Database
) -> None:
    admin = await browser("admin")

    def fill_up(connection: Any, _record: object, _proxy: object) -> None:
        cursor = connection.cursor()
        cursor.execute("PRAGMA max_page_count = 1")  # SQLite takes the present size instead: not one page more

    event.listen(database.engine.sync_engine, "checkout", fill_up)
    for number in range(40):  # until the pages that are free are used
        answer = await admin.post("/contacts/new", data={"name": f"N{number}", "note": "typed " * 600})
        if answer.status_code != 303:
            break
    event.remove(database.engine.sync_engine, "checkout", fill_up)
    assert answer.status_code == 503
    assert "The disk of the server is full" in answer.text
    assert "typed typed" in answer.text


@pytest.mark.postgres
@pytest.mark.parametrize("database_url", ["postgres"], indirect=True)
async def test_a_full_disk_of_postgres_is_known(database: Database) -> None:
    for code, full_up in (("53100", True), ("53200", False)):
        with pytest.raises(DBAPIError) as raised:
            async with database.engine.begin() as connection:
                await connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION USING ERRCODE = '{code}'; END $$")
        assert is_full(raised.value) is full_up
