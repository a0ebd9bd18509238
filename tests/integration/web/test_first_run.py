"""The first steps: led by them on an empty installation, ticked by facts, put away; calm pages for everybody else."""

import re
from dataclasses import replace

import pytest
from starlette.applications import Starlette

from pbxcrm.calls.facts import Leg, LegResult
from pbxcrm.deals.seed import seed
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.pbx.state import PbxState
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory, batch
from tests.integration.web.conftest import Browsers, SetClock

HTMX = {"hx-request": "true", "hx-request-type": "partial"}


def done(page: str) -> list[str]:
    """The steps that are ticked."""
    return re.findall(r'class="panel step-row is-done" id="step-(\w+)"', page)


def left(page: str) -> int:
    """The number in the rail beside the settings."""
    found = re.search(r'href="/settings" data-go="i".*?</a>', page, re.DOTALL)
    assert found
    number = re.search(r'class="count[^"]*">(\d+)<', found[0])
    return int(number[1]) if number else 0


@pytest.fixture
def with_pbx(settings: Settings) -> Settings:
    """As if the settings named a PBX (the application reads them when it is asked)."""
    object.__setattr__(
        settings, "pbxs", Settings(ami_url="ami://crm:secret@127.0.0.1:1", data_dir=settings.data_dir).pbxs
    )
    return settings


async def test_an_empty_installation_leads_the_administrator_through_it(browser: Browsers, database: Database) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    admin = await browser("admin")
    assert (await admin.get("/")).headers["location"] == "/settings/start"
    assert (await admin.get("/settings")).headers["location"] == "/settings/start"
    page = (await admin.get("/settings/start")).text
    assert done(page) == ["people"]  # those of the fixture have extensions
    assert left(page) == 4
    assert "read=system,call,agent,cdr,user" in page
    assert "PBXCRM_AMI_URL=" in page


async def test_steps_are_ticked_by_what_happened(
    with_pbx: Settings, browser: Browsers, database: Database, clock: SetClock
) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    admin = await browser("admin")
    page = (await admin.get("/settings/start")).text
    assert "no listener has spoken of it yet" in page
    await Intake(database, with_pbx).apply(
        batch(FactStory(linkedid="1.1", client="+380671110001").ring("101").wait(5).end())
    )
    async with database.write() as session:
        status = await session.get(PbxStatus, "default") or PbxStatus(pbx="default")
        status.state, status.code = PbxState.LISTENING.value, "listening"
        status.reported_at = status.last_event_at = clock()
        session.add(status)
    part = (await admin.get("/settings/start", headers=HTMX)).text  # what a live hint fetches
    assert done(part) == ["pbx", "call", "people"]
    assert "<html" not in part
    assert (await admin.get("/")).headers["location"] == "/board"  # nothing essential is missing
    calendar = re.search(r"/settings/calendars/\d+", (await admin.get("/settings/calendars")).text)
    assert calendar
    form = {
        "name": "Office",
        "timezone": "Europe/Kyiv",
        **{f"day_{day}": "10:00-17:00" for day in range(5)},
        "version": "1",
    }
    assert (await admin.post(calendar[0], data=form)).status_code == 303
    assert done((await admin.get("/settings/start")).text) == ["pbx", "call", "people", "hours"]
    await admin.post("/settings/start/keep", data={"step": "stages"})
    page = (await admin.get("/settings/start")).text
    assert "All steps are done" in page
    assert left(page) == 0
    assert (await admin.get("/settings")).headers["location"] == "/settings/lines"


async def test_a_step_leads_on_to_the_next(browser: Browsers, database: Database, with_pbx: Settings) -> None:
    """A PBX that is listened to is connected, though nobody has called yet; a new person leads back; what is kept is one part."""
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        session.add(PbxStatus(pbx="default", state=PbxState.LISTENING.value, code="listening"))
    admin = await browser("admin")
    page = (await admin.get("/settings/start")).text
    assert done(page) == ["pbx", "people"]
    assert "/people/new?back=/settings/start" in page
    form = (await admin.get("/people/new?back=/settings/start")).text
    assert '<input type="hidden" name="back" value="/settings/start">' in form
    person = {"name": "Ann", "login": "ann", "role": "seller", "extensions": "190", "password": "long enough"}
    for back, leads in (("/settings/start", "/settings/start"), ("//evil.example", "/"), ("", "/people")):
        asked = {**person, "login": f"ann{len(back)}", "extensions": "", "back": back}
        assert (await admin.post("/people/new", data=asked)).headers["location"] == leads
    part = await admin.post("/settings/start/keep", data={"step": "hours"}, headers=HTMX)
    assert done(part.text) == ["pbx", "people", "hours"]
    assert "<html" not in part.text


async def test_facts_are_not_ticked_by_hand(browser: Browsers) -> None:
    admin = await browser("admin")
    for step in ("call", "", "everything"):
        assert (await admin.post("/settings/start/keep", data={"step": step})).status_code == 422
    assert "call" not in done((await admin.get("/settings/start")).text)


async def test_it_is_put_away_and_found_again(browser: Browsers) -> None:
    admin = await browser("admin")
    assert (await admin.post("/settings/start/away", data={"away": "1"})).status_code == 303
    assert (await admin.get("/")).headers["location"] == "/board"
    page = (await admin.get("/settings/start")).text
    assert left(page) == 0
    assert "Remind me again" in page
    await admin.post("/settings/start/away", data={})
    assert (await admin.get("/")).headers["location"] == "/settings/start"


@pytest.mark.parametrize("login", ["olena", "iryna", "petro"])
async def test_others_see_whom_to_ask(app: Starlette, browser: Browsers, database: Database, login: str) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    who = await browser(login)
    for path in ("/board", "/calls", "/callbacks"):
        page = (await who.get(path)).text
        assert "No PBX is connected yet" in page, path
        assert "Ask: Адміністратор." in page, path
        assert "/settings" not in page, path
        assert "data-no-pbx" in page  # the phone is not called free (js/dock.js)
    assert (await who.get("/settings/start")).status_code == 403


async def test_a_phone_that_only_takes_calls_is_told_with_its_setting(
    with_pbx: Settings, browser: Browsers, database: Database
) -> None:
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
    told = batch(FactStory(linkedid="1.1", client="+380671110001").ring("101").wait(5).end())
    at = told.facts[0].at
    phone = Leg("1.7", "313", at, at, None, at, LegResult.CANCELLED, dialled_name="107-WS")
    facts = tuple(replace(fact, call=replace(fact.call, outside=(phone,))) for fact in told.facts)
    await Intake(database, with_pbx).apply(replace(told, facts=facts))
    admin = await browser("admin")
    for path in ("/status", "/settings/start"):
        page = (await admin.get(path)).text
        assert "107-WS takes calls as a telephone does" in page
        assert r"<code>PBXCRM_EXTENSION_PATTERN=&#39;(\d{2,5})(?:-WS)?&#39;</code>" in page
