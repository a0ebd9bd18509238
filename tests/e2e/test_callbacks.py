"""The callback queue in real browsers: by keyboard, live for everybody; once through a real Asterisk with real telephones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from redis.asyncio import Redis
from sqlalchemy import delete
from sqlmodel import select
from starlette.applications import Starlette

from pbxcrm.calendars.models import CalendarSpan
from pbxcrm.callbacks.models import Episode
from pbxcrm.contacts.models import Contact
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.runtime_options import load_options, save_option
from pbxcrm.shared.settings import Pbx, Settings
from tests.asterisk.examples import ExampleOffice, example_office
from tests.calls import FactStory, batch, outbound
from tests.e2e.browser import Person, cut_words, forgetful, live, overflow, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.crm import PASSWORD, Crm, crm
from tests.lamps import lamp_of_callback, set_norm
from web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
CLIENT = "+380671112233"


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    pbx = Pbx(name="default", ami_url="ami://u:s@127.0.0.1")
    return Settings(data_dir=tmp_path, database_url=sqlite_url, pbxs=(pbx,))


@pytest_asyncio.fixture(loop_scope="session")
async def app(settings: Settings, db: Database, redis: Redis) -> Starlette:
    """Somebody listens to the PBX, and what is committed is published at once."""
    until = datetime.now(UTC) + timedelta(hours=1)
    async with db.write() as session:
        session.add(PbxStatus(pbx="default", state="listening", lease_until=until))
    db.after_commit = partial(publish, redis)
    return create_app(settings, db, redis)


class ListenedPhones:
    """Calls as a listener would tell of them."""

    def __init__(self, db: Database, settings: Settings) -> None:
        self.intake, self.count = Intake(db, settings), 0

    async def tell(self, story: FactStory) -> None:
        await self.intake.apply(batch(story))

    def story(self, client: str, ago: float = 0) -> FactStory:
        self.count += 1
        return FactStory(f"5.{self.count}", client, at=datetime.now(UTC) - timedelta(minutes=ago))

    async def miss(self, client: str, ago: float = 0) -> None:
        await self.tell(self.story(client, ago).ring("101").wait(9).end())


@pytest.fixture
def phones(db: Database, settings: Settings) -> ListenedPhones:
    return ListenedPhones(db, settings)


def row(page: Page, number: str) -> Any:
    return page.locator("#queue tbody tr", has_text=number)


async def at_queue(page: Page, person: Person) -> Page:
    await page.goto(person.address + "/callbacks")
    await live(page)
    return page


async def test_worked_from_top_to_bottom_by_keys_alone(at_screen: AtScreen, phones: ListenedPhones) -> None:
    for n in (1, 2, 3):
        await phones.miss(f"+38050111000{n}", ago=10 - n)
    person, page = await at_screen("olena")
    await at_queue(page, person)
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 111 00 01")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 111 00 02")
    await page.keyboard.press("Space")
    await expect(page.locator("#queue tr.now")).to_contain_text("calling…")
    await expect(page.locator("#line-state")).to_contain_text("calling")
    await phones.tell(outbound("17.9", "101", "+380501110002", at=datetime.now(UTC)))
    await page.keyboard.press("d")
    await expect(row(page, "+380 50 111 00 02")).to_contain_text("next attempt")
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 111 00 03")  # the next is in hand
    await page.keyboard.press("n")
    dialog = page.locator("#ask")
    await expect(dialog.get_by_role("textbox", name="Reason")).to_be_focused()
    assert await violations(page) == []
    await page.keyboard.type("Bought elsewhere")
    await dialog.get_by_label("Without a call, because…").fill("By mail")
    await page.keyboard.press("Enter")
    await expect(dialog).not_to_be_visible()
    await expect(row(page, "+380 50 111 00 03")).to_have_count(0)
    await page.locator(".toast", has_text="not interested").get_by_role("button", name="Undo").click()
    await expect(row(page, "+380 50 111 00 03")).to_have_count(1)
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("k")
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 111 00 01")
    await page.keyboard.press("r")
    await expect(dialog.get_by_label("Without a call, because…")).to_be_focused()
    await person.expect_status(422)
    await page.keyboard.type("By mail")
    await page.keyboard.press("Enter")
    await expect(dialog.get_by_role("textbox", name="Next task")).to_be_focused()
    await page.keyboard.type("Send the price")
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast", has_text="The next task is set for")).to_be_visible()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_contain_text("not interested")


async def test_what_happens_elsewhere_is_seen_at_once(at_screen: AtScreen, phones: ListenedPhones) -> None:
    await phones.miss("+380501110001")
    await phones.miss("+380501110002")
    ivan, page = await at_screen("olena")
    manager, other = await at_screen("iryna")
    await at_queue(page, ivan)
    await at_queue(other, manager)
    await row(other, "+380 50 111 00 01").get_by_role("button", name="Call").click()
    await expect(row(page, "+380 50 111 00 01")).to_contain_text("Ірина Мельник is working on it…")
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 111 00 02")
    await phones.tell(phones.story("+380501110002").ring("103").answer("103"))
    await expect(row(page, "+380 50 111 00 02")).to_contain_text("got through")
    await phones.miss("+380501110003")
    await expect(row(page, "+380 50 111 00 03")).to_be_visible()


async def test_a_long_queue_goes_on_below_the_last_row_by_the_same_key(
    at_screen: AtScreen, phones: ListenedPhones, db: Database
) -> None:
    first = datetime.now(UTC) - timedelta(hours=2)
    async with db.write() as session:
        for n in range(1, 121):
            at, number = first + timedelta(seconds=n), f"+38050222{n:04}"
            session.add(
                Episode(client_key=f"number:{number}", client_number=number, first_missed_at=at, last_missed_at=at)
            )
    person, page = await at_screen("olena")
    await at_queue(page, person)
    await expect(page.locator("#queue tr[data-row]")).to_have_count(50)
    assert await violations(page) == []
    await page.locator("#queue tr[data-row]").nth(49).locator("td.reason").click()
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#queue tr[data-row]")).to_have_count(100)
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 222 00 51")
    await phones.miss("+380501110003", ago=3)  # what changes meanwhile takes no row away
    await expect(page.locator("#queue .more")).to_contain_text("21 more wait below these.")
    await expect(page.locator("#queue tr[data-row]")).to_have_count(100)
    await page.keyboard.press("w")
    await page.locator("#ask").get_by_label("Without a call, because…").fill("Eight digits")
    await person.expect_status(422)
    await page.keyboard.press("Enter")
    await expect(page.locator("#queue .more")).to_contain_text("20 more wait below these.")
    await expect(page.locator("#queue tr.now")).to_contain_text("+380 50 222 00 52")
    await page.get_by_role("link", name="Show more").click()
    await expect(page.locator("#queue tr[data-row]")).to_have_count(120)
    await expect(page.locator("#queue .more")).to_have_count(0)


@pytest.mark.parametrize(
    ("theme", "locale", "width"), [("light", "en-GB", 1440), ("dark", "uk-UA", 360), ("light", "ru-RU", 1024)]
)
async def test_queue_and_escalations_pass_axe_and_their_words_fit(
    at_screen: AtScreen, phones: ListenedPhones, theme: str, locale: str, width: int
) -> None:
    await phones.miss("+380501110001")
    await phones.tell(phones.story("").ring("101").wait(5).end())
    await phones.tell(phones.story("+380501110009").ring("177").answer("177").wait(5).end())
    look: dict[str, Any] = {"color_scheme": theme, "locale": locale, "viewport": {"width": width, "height": 800}}
    person, page = await at_screen("iryna", **look)
    for path in ("/callbacks", "/callbacks/1", "/escalations"):
        await page.goto(person.address + path)
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
        assert await cut_words(page) == [], path
    await page.locator("#escalations button").first.click()
    await expect(page.locator("#ask")).to_be_visible()
    assert await violations(page) == []


async def lines(page: Page) -> set[int]:
    """How many lines of cells the rows of the queue have."""
    found: list[int] = await page.locator("#queue tr[data-row]").evaluate_all(
        """(all) => all.map((row) => {
             const [who, why] = ['td.who', 'td.reason'].map((name) => row.querySelector(name).getBoundingClientRect());
             return why.top >= who.bottom - 1 ? 2 : 1;
           })"""
    )
    return set(found)


@pytest.mark.parametrize("locale", ["en-GB", "uk-UA", "ru-RU"])
async def test_the_queue_has_room_beside_the_dock(at_screen: AtScreen, phones: ListenedPhones, locale: str) -> None:
    """At 1280 px, while a call goes on: nothing is cut, one who waits, one in hand, and one without a number.

    A row takes two lines, who it is above why; a wide window has room for columns.
    """
    await phones.miss("+380501110001", ago=90)
    await phones.miss("+380501110002", ago=1)
    await phones.tell(phones.story("").ring("101").wait(5).end())
    person, page = await at_screen("olena", locale=locale, viewport={"width": 1280, "height": 800})
    await at_queue(page, person)
    await expect(page.locator("#queue tr[data-row]")).to_have_count(3)
    assert await lines(page) == {2}
    await page.set_viewport_size({"width": 1920, "height": 1000})
    assert await lines(page) == {1}
    await page.set_viewport_size({"width": 1280, "height": 800})
    await row(page, "+380 50 111 00 02").locator("td.num").first.click()
    await page.keyboard.press("Space")
    await expect(page.locator("#queue tr.held")).to_have_count(1)
    await phones.tell(phones.story("+380501110009").ring("101").answer("101"))
    await expect(page.locator("#dock .callcard.talking")).to_have_count(1)
    cut = await page.locator("#queue .list").evaluate(
        """(list) => [...list.querySelectorAll('td, .btn, .at-it, .wait')].filter((one) => {
             const all = list.getBoundingClientRect(), box = one.getBoundingClientRect();
             return box.right > all.right + 1 || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0;
           }).map((one) => one.textContent.trim())"""
    )
    assert cut == []
    assert await lines(page) == {2}
    room = await page.locator("#queue").evaluate("(one) => [one.scrollWidth, one.parentElement.clientWidth]")
    assert room[0] <= room[1]
    assert await page.locator("#queue tr.held button:visible, #queue tr.held .at-it:visible").count() >= 3
    assert await violations(page) == []


LINES = """(rows) => rows.map((row) => {
  // Boxes of words and buttons of a row, gathered into lines: what overlaps by half a letter stands in one line.
  const boxes = [...row.querySelectorAll('td *')].filter((one) => !one.closest('.hidden-text, details:not([open]) > .pop') && one.checkVisibility()
    && (one.matches('.btn, .mark, .wait, a.whole, .sub, .said, summary') || one.closest('td.num') === one.parentElement))
    .flatMap((one) => [...one.getClientRects()]).filter((box) => box.width && box.height).sort((a, b) => a.top - b.top);
  let lines = 0, bottom = -1;
  for (const box of boxes) { if (box.top >= bottom - 6) { lines += 1; bottom = box.bottom; } else bottom = Math.max(bottom, Math.min(box.bottom, bottom + 8)); }
  return lines;
})"""
#: What runs out of the list or of its own box; ``.said`` and what stands beside a name may end in dots.
CUT = """(list) => [...list.querySelectorAll('td, .btn, .at-it, .wait, .mark')].filter((one) => {
  const all = list.getBoundingClientRect(), box = one.getBoundingClientRect();
  return box.right > all.right + 1 || one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0 && getComputedStyle(one).display !== 'inline';
}).map((one) => one.textContent.trim())"""


@pytest.mark.parametrize("locale", ["en-GB", "uk-UA", "ru-RU"])
async def test_rows_take_two_lines_with_and_without_the_dock_and_fit_a_phone(
    at_screen: AtScreen, phones: ListenedPhones, db: Database, locale: str
) -> None:
    """The queue and the escalations at 1280 px: a long name, one in hand, one planned, one without a number, one to control."""
    await phones.miss("+380501110001", ago=90)
    await phones.miss("+380501110002", ago=300)
    await phones.miss("+380501110003", ago=1)
    await phones.tell(phones.story("").ring("101").wait(5).end())
    await phones.tell(phones.story("+380501110009").ring("177").answer("177").wait(5).end())  # an extension of nobody
    async with db.write() as session:
        manager = (await session.exec(select(User).where(User.login == "iryna"))).one()
        for number in ("+380501110001", "+380501110002"):
            client = Contact(
                name="Товариство «Верхньодніпровські меблі та двері»",
                responsible_id=manager.id,
                created_at=datetime.now(UTC),
            )
            session.add(client)
            await session.flush()
            episode = (await session.exec(select(Episode).where(Episode.client_number == number))).one()
            episode.owner_id, episode.contact_id = manager.id, client.id
            why = reason("escalation.callback", minutes=20, who="Костянтин Верхньодніпровський").stored()
            await lamp_of_callback(session, episode, datetime.now(UTC), addressee_id=manager.id, reason=why)
    person, page = await at_screen("iryna", locale=locale, viewport={"width": 1280, "height": 800})
    await at_queue(page, person)
    await row(page, "+380 50 111 00 02").locator("td.num").first.click()
    await page.keyboard.press("Space")
    await expect(page.locator("#queue tr.held")).to_have_count(1)
    for dock in (False, True):
        if dock:
            await phones.tell(phones.story("+380501110008").ring("103").answer("103"))
            await expect(page.locator("#dock .callcard.talking")).to_have_count(1)
        for path in ("/callbacks", "/escalations"):
            await page.goto(person.address + path)
            await live(page)
            rows = page.locator(".twoline tbody tr:not(.group)")
            assert await rows.count() >= 3
            assert set(await rows.evaluate_all(LINES)) == {2}, (path, dock)
            assert await page.locator(".twoline").evaluate(CUT) == [], (path, dock)
    await page.set_viewport_size({"width": 360, "height": 740})
    for path in ("/callbacks", "/escalations"):
        await page.goto(person.address + path)
        await live(page)
        assert await overflow(page) == 0
        assert await page.locator(".twoline").evaluate(CUT) == [], path
        dots = ".twoline :is(.said, a.whole, .sub)"
        assert (
            await page.locator(dots).evaluate_all(
                "(all) => all.filter((one) => one.scrollWidth > one.clientWidth + 1 && one.clientWidth).length"
            )
            == 0
        )


@asynccontextmanager
async def open_house(folder: Path, chromium: Browser) -> AsyncIterator[tuple[ExampleOffice, Crm]]:
    async with example_office("22") as office:
        url = f"ami://pbxcrm:change-me-manager@127.0.0.1:{office.server.ami_port}"
        async with crm(folder, PBXCRM_AMI_URL=url, PBXCRM_DIAL_CONTEXT="pbxcrm-dial") as house, forgetful(chromium):
            yield office, house


async def sit_down(browser: Browser, house: Crm, login: str, path: str) -> Page:
    person = Person(await browser.new_context(locale="en-GB"), house.address)
    page = await person.type_log_in(login, PASSWORD)
    await page.goto(house.address + path)
    await live(page)
    return page


@pytest.mark.asterisk
@pytest.mark.timeout(900)
async def test_missed_claimed_called_by_a_click_and_closed_by_the_talk(tmp_path: Path, chromium: Browser) -> None:
    async with open_house(tmp_path, chromium) as (office, house):
        ivan = await sit_down(chromium, house, "ivan", "/callbacks")
        olena = await sit_down(chromium, house, "olena", "/callbacks")
        client = await office.trunk.call_in("0441230001", caller=CLIENT)
        await office.ring("101", "102", "103")
        await client.cancel()
        await office.over()
        await expect(row(ivan, "+380 67 111 22 33")).to_be_visible(timeout=30_000)

        # Ivan's own phone is not picked up: nobody called the client, and he is told.
        await ivan.keyboard.press("Space")
        (mine,) = await office.ring("101")
        await expect(row(olena, "+380 67 111 22 33")).to_contain_text("Ivan Kravets is working on it…", timeout=30_000)
        mine.refuse()
        await expect(ivan.locator("#queue .notice")).to_contain_text("101 was not picked up", timeout=30_000)
        await office.over()

        # Once more: both phones ring, through the PBX, and they talk.
        await ivan.keyboard.press("Space")
        (mine,) = await office.ring("101")
        mine.answer()
        outside = await office.trunk.incoming()
        outside.ring()
        outside.answer()
        await expect(row(ivan, "+380 67 111 22 33")).to_contain_text("reached", timeout=30_000)
        await ivan.keyboard.press("r")
        await ivan.locator("#ask").get_by_label("Next task").fill("Send the price")
        await ivan.keyboard.press("Enter")
        await expect(ivan.locator(".toast", has_text="The next task is set for")).to_be_visible()
        await mine.hang_up()
        await office.over()
        (episode,) = await house.when("callbacks", client_number=CLIENT, status="reached")
        assert "reached" in episode["closed_reason"]
        calls = await house.when("calls", count=2, client_number=CLIENT, direction="outbound")
        assert [(call["click_to_call"], call["outcome"]) for call in calls] == [
            (True, "answered"),
            (True, "not_dialled"),
        ]
        assert [call["made_by"] for call in calls] == ["101", "101"]
        assert all(call["linkedid"].startswith("crm-") for call in calls)


@pytest.mark.asterisk
@pytest.mark.timeout(900)
async def test_one_left_alone_reaches_the_manager_who_gives_it_to_somebody(tmp_path: Path, chromium: Browser) -> None:
    async with open_house(tmp_path, chromium) as (office, house):
        db = Database(f"sqlite:///{tmp_path / 'pbxcrm.db'}", pool_size=1)
        async with db.write() as session:  # at work at any hour, and in a hurry
            await session.exec(delete(CalendarSpan))
            session.add_all(
                CalendarSpan(calendar_id=1, weekday=day, start_minute=0, end_minute=1440) for day in range(7)
            )
            await set_norm(session, 0, 0)
        await db.close()
        maria = await sit_down(chromium, house, "maria", "/escalations")
        client = await office.trunk.call_in("0441230001", caller=CLIENT)
        await office.ring("101", "102", "103")
        await client.cancel()
        await office.over()
        found = maria.locator("#escalations tr", has_text="+380 67 111 22 33 not called back")
        await expect(found).to_be_visible(timeout=30_000)
        await expect(maria.locator("#rail a[href='/escalations'] .count")).to_have_text("1", timeout=30_000)
        await found.get_by_role("button", name="Reassign").click()
        await maria.locator("#ask").get_by_text("Olena Hryhorenko").click()
        await maria.locator("#ask").get_by_role("button", name="Reassign").click()
        await expect(maria.locator(".toast", has_text="Given to Olena Hryhorenko")).to_be_visible()
        (episode,) = await house.when("callbacks", client_number=CLIENT)
        assert episode["owner"] == "olena"


async def test_a_deal_is_not_left_after_a_failed_attempt_until_its_next_task_is_set(
    at_screen: AtScreen, phones: ListenedPhones, db: Database
) -> None:
    async with db.write() as session:  # else the next attempt plans itself
        await save_option(session, await load_options(session), "retry_outbound", False)
    await phones.tell(phones.story(CLIENT, 5).ring("101").answer("101").wait(9).end())
    await phones.tell(outbound("5.99", "101", CLIENT, at=datetime.now(UTC) - timedelta(minutes=1)).wait(20).end())
    person, page = await at_screen("olena", viewport={"width": 1280, "height": 800})
    await page.goto(person.address + "/deals/1")
    await expect(page.locator("[data-must-plan]")).to_be_visible()
    assert await violations(page) == []
    await page.locator("#rail").get_by_role("link", name="Calls").click()
    await expect(page.locator(".toast", has_text="First set the next task")).to_be_visible()
    assert page.url.endswith("/deals/1")
    await expect(page.locator("#page").get_by_label("What is to be done")).to_be_focused()  # not the field in the dock
    await page.keyboard.type("Call again")
    await page.get_by_role("group", name="When").get_by_role("button", name="in 2 hours").click()
    await expect(page.locator("[data-must-plan]")).to_have_count(0)
    await page.locator("#rail").get_by_role("link", name="Calls").click()
    await page.wait_for_url("**/calls")
