"""Run by ``test_a_new_field`` in a copy of the source whose deals have a field ``room``: python walk_with_a_new_field.py FOLDER REDIS_URL."""

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from httpx2 import ASGITransport, AsyncClient
from redis.asyncio import Redis
from sqlalchemy import text
from sqlmodel import select

from pbxcrm import migrations
from pbxcrm.composition import compose
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.fields.hooks import reserved_keys
from pbxcrm.people.api_tokens import create_token
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.office import PASSWORD, open_office
from web.app import create_app

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)
HOME = "http://crm.example"


async def main(folder: Path, redis_url: str) -> None:
    url = f"sqlite:///{folder}/walk.db"
    await migrations.upgrade(url)
    database = Database(url)
    async with database.engine.begin() as connection:  # the migration of the new field
        await connection.execute(text("ALTER TABLE deals ADD COLUMN room VARCHAR(100) NOT NULL DEFAULT ''"))
    compose()
    office = await open_office(database)
    settings = Settings(data_dir=folder, database_url=url)
    async with database.write() as session:
        token = await create_token(session, office["ivan"], now=NOW)
    async with Redis.from_url(redis_url) as redis:
        transport = ASGITransport(create_app(settings, database, redis, clock=lambda: NOW))
        async with (
            AsyncClient(transport=transport, base_url=HOME, headers={"origin": HOME, "accept": "text/html"}) as page,
            AsyncClient(
                transport=transport, base_url="http://crm", headers={"Authorization": f"Bearer {token}"}
            ) as api,
        ):
            signed_in = await page.post("/login", data={"login": "ivan", "password": PASSWORD})
            assert signed_in.status_code == 303, signed_in.text
            await walk(database, page, api)
    await database.close()
    print("walked through everything")


async def walk(database: Database, page: AsyncClient, api: AsyncClient) -> None:
    made = ok(await api.post("/api/v1/deals", json={"title": "Hall", "room": "Blue", "client_number": "+380501112233"}))
    assert made["room"] == "Blue"
    one = f"/deals/{made['id']}"
    # the form of the card, its value on the card, the audit log and the history
    assert 'name="room"' in (await page.get(f"{one}?edit=1")).text
    edited = {"title": "Hall", "room": "Red room", "version": str(made["version"]), "responsible_id": ""}
    assert (await page.post(f"{one}/edit", data=edited)).status_code == 303
    card = (await page.get(one)).text
    assert "Red room" in card
    assert "Blue" in card  # the timeline says what it was
    long = await api.patch(f"/api/v1{one}", json={"room": "x" * 101})
    assert long.status_code == 422
    # filters: API, address, its chip and its form with what occurs
    other = ok(
        await api.post("/api/v1/deals", json={"title": "Court", "room": "Green", "client_number": "+380501112233"})
    )
    for query, title in (("room=Green", "Court"), ("room.begins=Re", "Hall")):
        assert [each["title"] for each in ok(await api.get(f"/api/v1/deals?{query}"))["items"]] == [title], query
    listed = (await page.get("/deals?room=Green")).text
    assert "Court" in listed
    assert "Hall" not in listed
    assert "Room: Green" in listed
    form = (await page.get("/board/filters")).text
    assert '<option value="Red room">' in form
    # a column of the list, to sort by, and of its file
    assert 'value="room"' in (await page.get("/deals/columns")).text
    assert (await page.post("/deals/columns", data={"column": ["title", "room"]})).status_code == 303
    assert "Red room" in (await page.get("/deals?sort=room")).text
    assert "Red room" in (await page.get("/deals?sort=-room&format=csv")).text
    # the gate of a stage asks for it, at a move and of a new deal, and its dialog has it
    async with database.write() as session:
        stages = (await session.exec(select(Stage).where(Stage.kind == "open").order_by(Stage.position))).all()  # type: ignore[arg-type]
        stages[1].requires = Requirements(fields=("room",)).stored()
    asked = await page.post(
        "/deals/new", data={"title": "Yard", "stage_id": str(stages[1].id)}, headers={"hx-request": "true"}
    )
    assert asked.status_code == 422
    assert 'name="room"' in asked.text
    settings_page = await api.post("/api/v1/deals", json={"title": "Yard", "stage_id": stages[1].id})
    assert settings_page.json()["missing"][0]["key"] == "room"
    # a merge offers the choice and takes it back
    compared = (await page.get(f"/deals/{other['id']}/merge?into_deal_id={made['id']}")).text
    assert 'name="take_room"' in compared
    merged = ok(
        await api.post(f"/api/v1/deals/{other['id']}/merge", json={"into_deal_id": made["id"], "take_room": "this"})
    )
    assert ok(await api.get(f"/api/v1{one}"))["room"] == "Green"
    assert "Green" in (await page.get(f"/deal-merges/{merged['merge_id']}")).text
    ok(await api.post(f"/api/v1/deal-merges/{merged['merge_id']}/undo"))
    assert ok(await api.get(f"/api/v1{one}"))["room"] == "Red room"
    # no custom field takes its key
    async with database.read() as session:
        assert (await session.exec(select(Deal.title).where(Deal.room == "Green"))).all() == ["Court"]  # type: ignore[attr-defined]
    assert "room" in reserved_keys()


def ok(answer: Any) -> Any:
    assert answer.status_code < 300, answer.text
    return answer.json()


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
