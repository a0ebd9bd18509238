"""What is a person's stands on the page where they are switched off, with what becomes of it."""

import pytest
from sqlmodel import col, select

from pbxcrm.deals.models import Stage
from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import StageTask
from tests.integration.web.conftest import Browsers

OLENA = 1


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


async def test_it_says_what_is_left_behind(browser: Browsers, database: Database) -> None:
    admin, olena = await browser("admin"), await browser("olena")
    nothing = (await admin.get(f"/people/{OLENA}")).text
    assert "Nothing: nothing is left behind" in nothing
    for title in ("Fence", "Gate"):
        assert (await olena.post("/deals/new", data={"title": title})).status_code == 303
    new = {"title": "Measure", "due_at": "2026-11-25 10:00", "kind": "todo"}
    assert (await olena.post("/tasks/new", data=new)).status_code == 303
    async with database.write() as session:
        stage = (await session.exec(select(Stage).order_by(col(Stage.id)))).all()[2]
        session.add(StageTask(stage_id=stage.id or 0, title="Measure", whom="user:olena"))
    page = (await admin.get(f"/people/{OLENA}")).text
    assert f'<a href="/deals?who={OLENA}&amp;status=open">2</a>' in page
    assert f'<a href="/tasks?who={OLENA}">' in page
    assert f'<a href="/settings/stages/{stage.id}">' in page
    assert "their lamps ask Ірина Мельник" in page
    for address in (f"/deals?who={OLENA}&status=open", f"/tasks?who={OLENA}", f"/settings/stages/{stage.id}"):
        assert (await admin.get(address)).status_code == 200
    off = {"name": "Олена Шевченко", "role": "seller", "extensions": "101", "team": "1"}
    assert (await admin.post(f"/people/{OLENA}", data=off)).status_code == 303
    page = (await admin.get(f"/people/{OLENA}")).text
    assert "This person is switched off, and this is still theirs." in page
    assert f'<a href="/deals?who={OLENA}&amp;status=open">2</a>' in page
