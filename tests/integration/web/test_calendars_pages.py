"""Working hours and leaves on the pages."""

import pytest

from pbxcrm.deals.seed import seed
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers

OFFICE = {
    "name": "Office",
    "timezone": "Europe/Kyiv",
    "version": "1",
    **{f"day_{weekday}": "09:00-18:00" if weekday < 5 else "" for weekday in range(7)},
}


@pytest.fixture(autouse=True)
async def _seeded(database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")


async def test_dates_that_differ_are_entered_and_a_wrong_one_is_said_at_its_line(browser: Browsers) -> None:
    admin = await browser("admin")
    lines = {
        "date": ["2026-12-25", "", "2026-12-31"],
        "hours": ["", "", "10-9"],
        "why": ["Christmas", "", "short"],
    }
    wrong = await admin.post("/settings/calendars/1", data={**OFFICE, **lines})
    assert wrong.status_code == 422
    assert 'id="days-2-error"' in wrong.text
    assert 'value="10-9"' in wrong.text  # what was typed is not lost
    lines["hours"][2] = "9-15"
    saved = await admin.post("/settings/calendars/1", data={**OFFICE, **lines})
    assert saved.status_code == 303
    page = (await admin.get("/settings/calendars/1")).text
    assert 'value="2026-12-25"' in page
    assert 'value="09:00-15:00"' in page
    stale = await admin.post("/settings/calendars/1", data={**OFFICE, **lines, "name": "Bureau"})
    assert stale.status_code == 409
    assert "Christmas" in (await admin.get("/settings/calendars")).text


async def test_holidays_are_looked_at_then_entered(browser: Browsers) -> None:
    admin = await browser("admin")
    page = (await admin.get("/settings/calendars/1/holidays?country=UA&year=2021")).text
    assert 'value="2021-08-24 holiday" checked' in page
    assert 'value="2021-10-13 short">' in page
    assert (await admin.get("/settings/calendars/1/holidays?country=UA&year=1800")).status_code == 422
    ticked = {"country": "UA", "year": "2027", "day": ["2027-08-24 suspended", "2027-01-01 nonsense"]}
    assert (await admin.post("/settings/calendars/1/holidays", data=ticked)).status_code == 303
    page = (await admin.get("/settings/calendars/1")).text
    assert 'value="2027-08-24"' in page
    assert 'value="2027-01-01"' not in page


async def test_a_calendar_of_ones_own_is_made_given_and_deleted(browser: Browsers) -> None:
    admin = await browser("admin")
    form = (await admin.get("/settings/calendars/new")).text
    assert 'value="09:00-18:00"' in form
    taken = await admin.post("/settings/calendars/new", data=OFFICE)
    assert (taken.status_code, 'id="f-name-error"' in taken.text) == (422, True)
    night = {**OFFICE, "name": "Night", **{f"day_{weekday}": "22-6" for weekday in range(7)}}
    made = await admin.post("/settings/calendars/new", data={**night, "person": ["1"]})
    assert made.status_code == 303
    path = made.headers["location"]
    assert (await admin.post(f"{path}/delete")).status_code == 409  # somebody works by it
    page = (await admin.get(path)).text
    assert 'name="person" value="1" checked' in page
    assert (await admin.post(path, data={**night, "version": "1"})).status_code == 303  # nobody is ticked any more
    assert (await admin.post(f"{path}/delete")).status_code == 303
    assert (await admin.get(path)).status_code == 404


async def test_a_manager_enters_a_leave_and_takes_it_back(browser: Browsers) -> None:
    iryna, olena = await browser("iryna"), await browser("olena")
    leave = {"person": "1", "from": "2026-11-20", "until": "2026-11-19", "deputy": "3"}
    wrong = await iryna.post("/people/leaves", data=leave)
    assert (wrong.status_code, 'id="f-until-error"' in wrong.text) == (422, True)
    assert (await iryna.post("/people/leaves", data={**leave, "until": "2026-11-24"})).status_code == 303
    page = (await iryna.get("/people/leaves")).text
    assert page.count("Олена Шевченко") >= 1
    assert "/people/leaves/1/delete" in page
    assert (await olena.post("/people/leaves", data=leave)).status_code == 403
    assert (await iryna.post("/people/leaves/1/delete")).status_code == 303
    assert "Nobody is away" in (await iryna.get("/people/leaves")).text
