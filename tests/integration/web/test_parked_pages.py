"""Lamps that could not be lit are shown with what is wrong and what to do, and can be tried again."""

import re

import pytest
from sqlalchemy import update
from sqlmodel import col, select

from pbxcrm.calendars.models import Calendar
from pbxcrm.checkpoints.models import EngineBeat, Lamp
from pbxcrm.checkpoints.sweep import say_stopped, sweep_lamps
from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock

WRONG = "does not know the time zone “Europe/Nowhere” of the calendar"


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


async def lamps(database: Database, *where: object) -> list[Lamp]:
    async with database.read() as session:
        return list((await session.exec(select(Lamp).where(*where))).all())  # type: ignore[arg-type]  # conditions


async def test_a_zone_that_this_machine_does_not_know_is_shown_and_corrected(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    olena, admin = await browser("olena"), await browser("admin")
    await olena.post("/deals/new", data={"title": "Fence", "stage_id": "1"})
    async with database.write() as session:  # as a restored database, or an older tzdata, may have it
        await session.exec(update(Calendar).values(timezone="Europe/Nowhere"))
        calendar = (await session.exec(select(Calendar))).one()
        calendar.version += 1
    clock.forward(hours=1)
    await sweep_lamps(database, clock())
    assert len(await lamps(database, col(Lamp.parked_at).is_not(None))) == 1
    for person in (olena, admin):
        assert "1 lamp could not be lit" in (await person.get("/burning")).text
        page = (await person.get("/burning/parked")).text
        assert (WRONG in page, "Fence" in page) == (True, True)
    assert "/burning/parked/retry" not in (await olena.get("/burning/parked")).text
    assert (await olena.post("/burning/parked/retry", data={})).status_code == 403
    assert "1 lamp could not be lit" in (await admin.get("/status")).text
    (address,) = set(re.findall(r'href="(/settings/calendars/\d+)"', (await admin.get("/burning/parked")).text))
    assert WRONG in (await admin.get("/settings/calendars")).text
    form = (await admin.get(address)).text
    assert (WRONG in form, 'id="f-timezone-error"' in form) == (True, True)
    again = await admin.post("/burning/parked/retry", data={})
    assert "is tried again" in again.text
    await sweep_lamps(database, clock())
    assert len(await lamps(database, col(Lamp.parked_at).is_not(None))) == 1  # nothing was mended
    hours = {f"day_{day}": "00:00-24:00" for day in range(7)}
    same = await admin.post(address, data={"name": "Working hours", "timezone": "Europe/Nowhere", **hours})
    assert (same.status_code, "Europe/Nowhere" in same.text, 'id="f-timezone-error"' in same.text) == (422, True, True)
    assert (
        await admin.post(address, data={"name": "Working hours", "timezone": "Europe/Kyiv", **hours})
    ).status_code == 303
    await sweep_lamps(database, clock())
    assert not await lamps(database, col(Lamp.parked_at).is_not(None))
    assert "Every lamp lights" in (await admin.get("/burning/parked")).text
    assert "They light: last looked at" in (await admin.get("/status")).text


async def test_a_lamp_that_failed_by_itself_is_tried_again(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    olena, admin = await browser("olena"), await browser("admin")
    for title in ("Fence", "Gate"):
        await olena.post("/deals/new", data={"title": title, "stage_id": "1"})
    clock.forward(hours=1)
    async with database.write() as session:
        await session.exec(update(Lamp).values(parked_at=clock(), error="ValueError: no such thing"))
    page = (await admin.get("/burning/parked")).text
    assert "It failed when it was to light: ValueError: no such thing" in page
    first, second = [lamp.id for lamp in await lamps(database)]
    done = await admin.post(f"/burning/parked/{first}/retry")
    assert ("Fence" in done.text, "Gate" in done.text) == (False, True)
    assert (await admin.post(f"/burning/parked/{first}/retry")).status_code == 409
    await sweep_lamps(database, clock())
    assert [lamp.id for lamp in await lamps(database, Lamp.state == "burning")] == [first]
    await admin.post(f"/burning/parked/{second}/retry")
    await sweep_lamps(database, clock())
    assert len(await lamps(database, Lamp.state == "burning")) == 2
    assert "A lamp that could not be lit is tried again" in (await admin.get("/settings/audit")).text


async def test_the_status_page_says_when_no_lamp_has_been_looked_at(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    admin = await browser("admin")
    assert "None has been looked at since the first start" in (await admin.get("/status")).text
    async with database.write() as session:
        session.add(EngineBeat(name="canary", beat_at=clock()))
    assert "They light" in (await admin.get("/status")).text
    await say_stopped(database, clock())
    assert "None has been looked at since" in (await admin.get("/status")).text
    await sweep_lamps(database, clock())
    assert "They light" in (await admin.get("/status")).text
    clock.forward(seconds=59)
    assert "They light" in (await admin.get("/status")).text
    clock.forward(seconds=2)  # whoever kills a worker (kill -9) leaves it no time to say good-bye
    assert "None has been looked at since" in (await admin.get("/status")).text
