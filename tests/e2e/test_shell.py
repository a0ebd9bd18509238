"""The shell in a real browser: live regions, keys, dialogs, words that fit, axe."""

import json
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from playwright.async_api import Browser, expect
from redis.asyncio import Redis
from starlette.applications import Starlette

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.people import actions
from pbxcrm.people.passwords import hash_password
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import CHANNEL, relay
from tests.e2e.browser import Person, cut_words, live, overflow, still, violations
from tests.e2e.conftest import AtScreen
from tests.integration.web.conftest import PASSWORD
from tests.integration.web.serving import serving
from tests.waiting import until
from web.live import RenderRequest
from web.regions import RegionHtml

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}
PAGES = (
    "/profile",
    "/people",
    "/people/new",
    "/people/1",
    "/teams/new",
    "/settings/calendars/1",
    "/status",
    "/nowhere",
)


@pytest.fixture
async def _pbx(db: Database) -> None:
    params = {"host": "10.0.0.5", "port": "5038", "why": "Connection refused", "retry_seconds": "8"}
    now = datetime.now(UTC)
    async with db.write() as session:
        session.add(PbxStatus(pbx="main", state="listening", code="listening", reported_at=now, lag_seconds=0.02))
        session.add(PbxStatus(pbx="branch", state="unreachable", code="unreachable", params=params, reported_at=now))


@pytest.mark.usefixtures("_pbx")
@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("locale", ["en-GB", "uk-UA", "ru-RU"])
async def test_every_page_passes_axe_and_its_words_fit(at_screen: AtScreen, theme: str, locale: str) -> None:
    size: dict[str, Any] = PHONE if theme == "dark" else {"viewport": {"width": 1280, "height": 800}}
    _, login = await at_screen("", color_scheme=theme, locale=locale, **size)
    assert await violations(login) == []
    person, page = await at_screen("admin", color_scheme=theme, locale=locale, **size)
    for path in PAGES:
        await page.goto(person.address + path)
        if path == "/nowhere":
            await person.expect_status(404)
        assert await violations(page) == [], path
        assert await overflow(page) == 0, path
        assert await cut_words(page) == [], path


async def test_open_menu_and_dialogs_pass_axe(at_screen: AtScreen) -> None:
    _, page = await at_screen("admin")
    await page.locator("summary.me").click()
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(page.locator("#me")).not_to_have_attribute("open", "")
    await expect(page.locator("summary.me")).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_be_visible()
    assert await violations(page) == []


async def test_a_page_follows_what_happens_elsewhere(at_screen: AtScreen, db: Database, redis: Redis) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await live(page)
    hashed = await hash_password(PASSWORD)
    async with db.write() as session:
        await actions.add_user(session, login="marta", name="Марта Білик", role="seller", password_hash=hashed)
    await relay(db, redis)
    await expect(page.get_by_text("Марта Білик")).to_be_visible()


async def test_ten_tabs_share_one_stream_and_all_follow(
    at_screen: AtScreen, app: Starlette, db: Database, redis: Redis
) -> None:
    person, first = await at_screen("admin")
    tabs = [first, *[await person.page("/people") for _ in range(9)]]
    await first.goto(person.address + "/people")
    for tab in tabs:
        await live(tab)
    assert app.state.parts.hub.open_streams == 1
    hashed = await hash_password(PASSWORD)
    async with db.write() as session:
        await actions.add_user(session, login="marta", name="Марта Білик", role="seller", password_hash=hashed)
    await relay(db, redis)
    for tab in tabs:
        await expect(tab.get_by_text("Марта Білик")).to_be_visible()


async def test_a_region_in_which_one_types_waits(at_screen: AtScreen, redis: Redis) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await live(page)
    await page.evaluate(
        """() => { const field = document.createElement('input'); field.id = 'typed'; field.ariaLabel = 'typed';
        document.getElementById('people').prepend(field); field.focus(); }"""
    )
    await page.keyboard.type("half a word")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url) if request.url == f"{person.address}/people" else None)
    await redis.publish(CHANNEL, json.dumps([{"id": 9999, "topic": "people", "ref": "", "roles": ["admin"]}]))
    await redis.publish(CHANNEL, json.dumps([{"id": 10000, "topic": "callback", "ref": "", "roles": ["admin"]}]))
    async with page.expect_request(re.compile("/shell/rail")):  # the rail, in which nobody types, is asked for
        pass
    assert asked == []
    await expect(page.locator("#typed")).to_have_value("half a word")
    async with page.expect_request(f"{person.address}/people"):
        await page.locator("#typed").blur()


async def test_the_stream_comes_back_by_itself_and_the_page_is_right_again(
    at_screen: AtScreen, app: Starlette, db: Database
) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await live(page)
    hub = app.state.parts.hub
    hashed = await hash_password(PASSWORD)
    async with db.write() as session:  # nobody is told: as if the event had been lost with the link
        await actions.add_user(session, login="marta", name="Марта Білик", role="seller", password_hash=hashed)
    for ears in hub._ears.values():
        for ear in ears:
            ear.deaf = True
            ear.tell_state("ok")
    await expect(page.get_by_text("Марта Білик")).to_be_visible()


async def test_a_server_without_ears_is_said_so_in_a_small_word(at_screen: AtScreen, app: Starlette) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await live(page)
    await expect(page.locator("#offline")).to_be_hidden()
    app.state.parts.hub._set_online(online=False)
    await expect(page.locator("#offline")).to_be_visible()
    app.state.parts.hub._set_online(online=True)
    await expect(page.locator("#offline")).to_be_hidden()


async def test_a_revoked_session_leaves_the_page(at_screen: AtScreen, db: Database, redis: Redis) -> None:
    person, page = await at_screen("olena")
    await page.goto(person.address + "/profile")
    await live(page)
    async with db.write() as session:
        await actions.revoke_sessions(session, 1, datetime.now(UTC))
    await relay(db, redis)
    await page.wait_for_url("**/login?next=**")


async def test_pushed_html_stands_in_the_dock_and_takes_no_focus(
    at_screen: AtScreen, app: Starlette, redis: Redis
) -> None:
    async def card(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            yield each, RegionHtml('<section class="callcard"><h2 data-dock-title>Olena &lt;b&gt;</h2></section>')

    app.state.parts.hub.pushers.clear()
    app.state.parts.hub.add_pusher("dock", "dock", card)
    person, page = await at_screen("olena")
    await page.goto(person.address + "/profile")
    await page.get_by_label("Name").focus()
    await redis.publish(CHANNEL, json.dumps([{"id": 5, "topic": "dock", "ref": "", "users": [1]}]))
    await expect(page.locator("#dock .callcard")).to_be_visible()
    await expect(page.get_by_label("Name")).to_be_focused()


COUNT_999 = """() => [...document.querySelectorAll('.rail .section')].filter(e => e.checkVisibility()).map(section => {
    section.setAttribute('aria-current', 'page');
    section.querySelector('.count')?.remove();
    section.insertAdjacentHTML('beforeend', '<span class="count">999+</span>');
    const word = section.querySelector('.word');
    return [word.textContent, word.scrollWidth - word.clientWidth];
})"""


@pytest.mark.parametrize("locale", ["en-GB", "uk-UA", "ru-RU"])
async def test_the_words_of_the_rail_fit_beside_the_largest_counts(at_screen: AtScreen, locale: str) -> None:
    """Also in bold as that of the page shown."""
    _, page = await at_screen("admin", locale=locale, viewport={"width": 1440, "height": 900})
    assert [word for word, over in await page.evaluate(COUNT_999) if over > 0] == []


@pytest.mark.parametrize("locale", ["en-GB", "uk-UA", "ru-RU"])
async def test_a_phone_has_the_five_daily_lists_in_its_bar_and_the_rest_in_the_menu(
    at_screen: AtScreen, locale: str
) -> None:
    _, page = await at_screen("olena", **PHONE, locale=locale)
    bar = page.locator(".rail .section:visible")
    paths = await bar.evaluate_all("all => all.map(each => each.getAttribute('href'))")
    assert paths == ["/board", "/unsorted", "/callbacks", "/tasks", "/calls"]
    assert [word for word, over in await page.evaluate(COUNT_999) if over > 0] == []
    await page.locator("#me > summary").click()
    rest = await page.locator("#me .item.only-phone").evaluate_all("all => all.map(each => each.getAttribute('href'))")
    assert {"/contacts", "/reports"} <= set(rest)
    assert not set(rest) & set(paths)


async def test_on_a_phone_the_dock_folds_to_one_line(at_screen: AtScreen, app: Starlette) -> None:
    async def card(asked: Sequence[RenderRequest]) -> AsyncIterator[tuple[RenderRequest, RegionHtml]]:
        for each in asked:
            yield (
                each,
                RegionHtml('<section class="callcard"><h2 data-dock-title>Olena S.</h2><p>Long text</p></section>'),
            )

    app.state.parts.hub.pushers.clear()
    app.state.parts.hub.add_pusher("dock", "dock", card)
    person, page = await at_screen("olena", **PHONE)
    await page.goto(person.address + "/profile")
    await live(page)
    app.state.parts.hub.push_to(1)  # the stream of the page before may be going on
    fold = page.locator(".dock-fold")
    await expect(fold).to_contain_text("Olena S.")
    await expect(page.locator("#dock .callcard")).to_be_hidden()
    await expect(fold).to_have_attribute("aria-expanded", "false")
    await still(page)
    box = await page.locator("#dock").bounding_box()
    assert box is not None
    assert box["height"] < 64
    await fold.click()
    await expect(page.locator("#dock .callcard")).to_be_visible()
    await expect(fold).to_have_attribute("aria-expanded", "true")


async def test_keys_go_to_sections_also_with_cyrillic_letters(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/profile")
    await page.keyboard.press("g")
    await page.keyboard.press("s")
    await page.wait_for_url("**/status")
    for letter, code in (("п", "KeyG"), ("з", "KeyP")):  # the same keys under a Ukrainian layout
        await page.evaluate(
            "([key, code]) => { document.body.dispatchEvent(new KeyboardEvent('keydown', {key, code, bubbles: true})); }",
            [letter, code],
        )
    await page.wait_for_url("**/people")
    await page.goto(person.address + "/profile")
    name = page.get_by_label("Name")
    await name.click()
    await page.keyboard.type("gs?")
    await expect(page.locator("#keys")).to_be_hidden()
    await expect(name).to_have_value(re.compile(r"gs\?"))


async def test_the_page_can_be_reached_without_walking_through_the_rail(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await page.keyboard.press("Tab")
    skip = page.get_by_role("link", name="Skip to the page")
    await expect(skip).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#page")).to_be_focused()


async def test_a_form_keeps_what_was_typed_and_says_at_the_field_what_is_wrong(
    at_screen: AtScreen, db: Database
) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people/new")
    await page.get_by_label("Name").fill("Марта")
    await page.get_by_label("Login").fill("marta")
    await page.get_by_label("Extensions").fill("104, 101")
    await page.get_by_label("Password").fill("long enough")
    await page.get_by_role("button", name="Add").click()
    field = page.get_by_label("Extensions")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_accessible_description(re.compile("Extension 101 belongs to Олена Шевченко."))
    await expect(field).to_have_value("104, 101")
    await person.expect_status(422)
    assert await violations(page) == []
    await field.fill("104")
    await page.get_by_label("Password").fill("long enough")
    await page.get_by_role("button", name="Add").click()
    await page.wait_for_url("**/people")
    await expect(page.locator("#toasts")).to_contain_text("Added.")


async def test_a_question_is_asked_before_logging_all_browsers_out(at_screen: AtScreen) -> None:
    here, page = await at_screen("olena")
    there, _ = await at_screen("olena")
    await page.goto(here.address + "/profile")
    await page.get_by_role("button", name="Log out everywhere else").click()
    dialog = page.get_by_role("alertdialog")
    await expect(dialog).to_be_visible()
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(dialog).to_be_hidden()
    await page.get_by_role("button", name="Log out everywhere else").click()
    await dialog.get_by_role("button", name="Yes, do it").click()
    await expect(page.locator("#toasts")).to_contain_text("Every other browser has been logged out.")
    other = await there.page("/profile")
    await other.wait_for_url("**/login?next=**")


async def test_theme_and_language_from_the_bar_stay_on_the_page(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await page.locator("summary.me").click()
    await page.get_by_role("button", name="Dark").click()
    await expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    await page.locator("summary.me").click()
    await page.get_by_role("button", name="Українська").click()
    await expect(page.locator("h1")).to_have_text("Співробітники")
    assert page.url.endswith("/people")


async def test_everything_works_without_scripts(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin", java_script_enabled=False)
    await page.goto(person.address + "/people/new")
    await page.get_by_label("Name").fill("Марта")
    await page.get_by_label("Login").fill("marta")
    await page.get_by_label("Password").fill("long enough")
    await page.get_by_role("button", name="Add").click()
    await page.wait_for_url("**/people")
    await expect(page.get_by_text("Марта")).to_be_visible()


async def test_no_connection_is_said_and_what_was_typed_stays(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people/new")
    await page.get_by_label("Name").fill("Марта")
    await page.get_by_label("Login").fill("marta")
    await page.get_by_label("Password").fill("long enough")
    async with person.offline():
        await page.get_by_role("button", name="Add").click()
        await expect(page.locator("#toasts")).to_contain_text("Nothing was saved")
        await expect(page.get_by_label("Name")).to_have_value("Марта")


async def test_a_server_that_comes_back_is_found_again_without_a_reload(
    app: Starlette, chromium: Browser, db: Database
) -> None:
    async with serving(app) as address:
        await until(lambda: app.state.parts.hub.online)
        person = Person(await chromium.new_context(locale="en-GB"), address)
        page = await person.log_in("admin", PASSWORD)
        await page.goto(f"{address}/people")
        await live(page)
    await expect(page.locator("#offline")).to_be_visible(timeout=10_000)
    hashed = await hash_password(PASSWORD)
    async with db.write() as session:
        await actions.add_user(session, login="marta", name="Марта Білик", role="seller", password_hash=hashed)
    async with serving(app, int(address.rpartition(":")[2])):
        await until(lambda: app.state.parts.hub.online)
        await expect(page.get_by_text("Марта Білик")).to_be_visible(timeout=20_000)
        await expect(page.locator("#offline")).to_be_hidden()
        await page.close()


async def test_a_question_before_an_htmx_act(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin")
    await page.goto(person.address + "/people")
    await page.evaluate(
        """() => { const button = document.createElement('button');
        Object.entries({'hx-post': '/logout', 'hx-confirm': 'Really leave?', 'data-danger': ''})
            .forEach(([name, value]) => button.setAttribute(name, value));
        button.textContent = 'Leave'; document.getElementById('page').append(button); htmx.process(button); }"""
    )
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url) if request.method == "POST" else None)
    dialog = page.get_by_role("alertdialog")
    await page.get_by_role("button", name="Leave").click()
    await expect(dialog).to_contain_text("Really leave?")
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    assert sent == []
    await page.get_by_role("button", name="Leave").click()
    await dialog.get_by_role("button", name="Yes, do it").click()
    await page.wait_for_url("**/login")


async def test_tabs_keep_their_height_above_a_page_that_is_longer_than_the_window(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin", viewport={"width": 1280, "height": 500})
    await page.goto(person.address + "/settings/callbacks")
    await page.locator(".tabs").get_by_role("link", name="Working hours").click()
    await page.wait_for_url("**/settings/calendars")
