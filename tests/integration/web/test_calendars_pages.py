"""Working hours and leaves on the pages."""

import re
from datetime import timedelta

import pytest
from sqlmodel import select

from pbxcrm.access import Role
from pbxcrm.audit.models import AuditEntry
from pbxcrm.calendars.leave_actions import NewLeave, create_leave
from pbxcrm.calendars.models import Leave
from pbxcrm.checkpoints.default_checkpoints import watch_key_stages
from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Stage
from pbxcrm.deals.seed import seed
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock

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


async def test_a_leave_is_changed_and_nobody_writes_over_a_colleague_unasked(
    browser: Browsers, database: Database
) -> None:
    iryna, admin, olena = await browser("iryna"), await browser("admin"), await browser("olena")
    leave = {"person": "1", "from": "2026-11-20", "until": "2026-11-24", "deputy": "3"}
    assert (await iryna.post("/people/leaves", data=leave)).status_code == 303
    path = "/people/leaves/1"
    page = (await iryna.get(path)).text
    assert ('value="2026-11-20"' in page, 'value="2026-11-24"' in page) == (True, True)
    seen = re.findall(r'name="seen" value="([^"]+)"', page)[0]
    backwards = await iryna.post(path, data={**leave, "seen": seen, "until": "2026-11-19"})
    assert (backwards.status_code, 'id="f-until-error"' in backwards.text) == (422, True)
    longer = {**leave, "seen": seen, "until": "2026-11-26", "deputy": ""}
    assert (await iryna.post(path, data=longer)).status_code == 303
    late = await admin.post(path, data={**leave, "seen": seen, "from": "2026-11-21"})
    assert (late.status_code, "Somebody else has changed this leave" in late.text) == (422, True)
    seen = re.findall(r'name="seen" value="([^"]+)"', late.text)[0]
    assert (await admin.post(path, data={**leave, "seen": seen, "from": "2026-11-21"})).status_code == 303
    page = (await iryna.get(path)).text
    assert ('value="2026-11-21"' in page, 'value="2026-11-24"' in page) == (True, True)
    assert (await olena.get(path)).status_code == 403
    assert (await olena.post(path, data=leave)).status_code == 403
    assert (await iryna.get("/people/leaves/99")).status_code == 404
    async with database.read() as session:
        told = (await session.exec(select(AuditEntry).where(AuditEntry.action == "leave.changed"))).all()
    assert [set(entry.data["changed"]) for entry in told] == [{"ends_at", "deputy"}, {"starts_at", "ends_at", "deputy"}]


async def test_a_leave_of_hours_is_changed_by_hours(browser: Browsers, database: Database, clock: SetClock) -> None:
    since = clock.now.replace(minute=0, second=0, microsecond=0) + timedelta(days=1)
    async with database.write() as session:
        admin_row = (await session.exec(select(User).where(User.role == Role.ADMIN.value))).one()
        await create_leave(
            session, await viewer_of(session, admin_row), NewLeave(1, since, since + timedelta(hours=2)), now=clock.now
        )
    admin = await browser("admin")
    page = (await admin.get("/people/leaves/1")).text
    assert page.count('type="datetime-local"') == 2
    seen = re.findall(r'name="seen" value="([^"]+)"', page)[0]
    later = re.findall(r'name="until"[^>]*value="([^"]+)"', page)[0][:14] + "30"
    begins = re.findall(r'name="from"[^>]*value="([^"]+)"', page)[0]
    saved = await admin.post("/people/leaves/1", data={"from": begins, "until": later, "deputy": "", "seen": seen})
    assert saved.status_code == 303, saved.text
    async with database.read() as session:
        leave = (await session.exec(select(Leave))).one()
    assert (leave.starts_at, leave.ends_at) == (since, since + timedelta(hours=2, minutes=30))


async def test_hours_that_light_lamps_at_once_are_saved_after_a_choice(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    admin = await browser("admin")
    seldom = {**OFFICE, **{f"day_{weekday}": "" for weekday in range(7)}}
    seldom[f"day_{(clock.now + timedelta(days=2)).weekday()}"] = "12:00-13:00"
    assert (await admin.post("/settings/calendars/1", data=seldom)).status_code == 303
    async with database.write() as session:
        user = (await session.exec(select(User).where(User.role == Role.ADMIN.value))).first()
        assert user is not None
        admin_viewer = await viewer_of(session, user)
        stage = (await session.exec(select(Stage).where(Stage.name == "Proposal sent"))).one()
        await watch_key_stages(session)
        await create_deal(
            session,
            admin_viewer,
            title="Forgotten",
            now=clock.now - timedelta(days=20),
            currency="UAH",
            region="UA",
            stage_id=stage.id,
        )
    always = {**OFFICE, **{f"day_{weekday}": "00:00-24:00" for weekday in range(7)}, "version": "2"}
    looked = await admin.post("/settings/calendars/1", data={**always, "act": "try"})
    assert "1 lamp would light at once." in looked.text
    asked = await admin.post("/settings/calendars/1", data=always)
    assert asked.status_code == 422
    assert "It touches 1 deal." in asked.text
    assert 'name="begin" value="now"' in asked.text
    assert 'value="00:00-24:00"' in asked.text  # nothing typed is lost
    assert (await admin.get("/settings/calendars/1")).text.count('value="12:00-13:00"') == 1  # and nothing was saved
    assert (await admin.post("/settings/calendars/1", data={**always, "begin": "now"})).status_code == 303
    async with database.read() as session:
        (lamp,) = (await session.exec(select(Lamp))).all()
    assert lamp.begins_at is not None
    assert lamp.due_at > clock.now


async def test_the_form_of_a_leave_says_what_is_watched(browser: Browsers) -> None:
    maria = await browser("iryna")
    assert "watched" not in (await maria.get("/people/leaves/look")).text
    looked = (await maria.get("/people/leaves/look?person=1")).text
    assert "0 deals that are watched" in looked
    assert "No lamp would light at once." in looked
    admin = await browser("admin")
    looked = (await admin.get("/people/leaves/look?person=3")).text
    assert "What reaches the manager of Sales asks Адміністратор meanwhile." in looked
    assert "Ірина Мельник is away and nobody stands in, so Адміністратор has it." in looked
    looked = (await admin.get("/people/leaves/look?person=1&deputy=2")).text
    assert "Meanwhile their lamps ask Dmytro Koval." in looked
