"""The dock of call cards in a real Chromium: by keyboard, for everybody's eyes, and with a caller who means harm."""

import re
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect
from redis.asyncio import Redis
from starlette.applications import Starlette

from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish
from pbxcrm.shared.settings import Pbx, Settings
from tests.calls import FactStory, batch
from tests.e2e.browser import cut_words, live, overflow, violations
from tests.e2e.conftest import AtScreen
from web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
CLIENT = "+380671112233"
HOSTILE = ["<img src=x onerror=alert(1)>", "</h2><script>alert(1)</script>", "{{ 7*7 }} %s %(num)d"]

# Notifications as the page makes them, in a tab that nobody is at (a headless browser shows none).
OVERHEARD = """
window.told = [];
class Told { constructor(title, options) { window.told.push([title, options.body]); } static permission = "granted"; close() {} }
window.Notification = Told;
Document.prototype.hasFocus = () => false;
"""


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    pbx = Pbx(name="default", ami_url="ami://u:s@127.0.0.1")
    return Settings(data_dir=tmp_path, database_url=sqlite_url, pbxs=(pbx,))


@pytest_asyncio.fixture(loop_scope="session")
async def app(settings: Settings, db: Database, redis: Redis) -> Starlette:
    db.after_commit = partial(publish, redis)
    return create_app(settings, db, redis)


@pytest.fixture
def intake(db: Database, settings: Settings) -> Intake:
    return Intake(db, settings)


def story(number: int, client: str = CLIENT, name: str | None = None) -> FactStory:
    return FactStory(f"7.{number}", client, name, at=datetime.now(UTC))


async def test_outcome_and_next_task_by_keys_alone(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    call = story(1).ring("101")
    await intake.apply(batch(call))
    card = page.locator("#call-1")
    await expect(card).to_have_class(re.compile("ringing"))
    await intake.apply(batch(call.answer("101").wait(3).end()))
    await expect(card).to_have_class(re.compile("after"))
    await card.get_by_label("Note").focus()
    await page.keyboard.type("Call after lunch")
    await page.keyboard.press("Tab")  # to the outcomes: one stop, arrows choose
    await expect(page.locator("#call-1-next_step")).to_be_focused()
    await page.keyboard.press("ArrowRight")
    await expect(page.locator("#call-1-done")).to_be_checked()
    await expect(card.get_by_role("button", name="Finish")).to_be_visible()
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("Tab")
    await expect(card.get_by_label("What is to be done")).to_be_focused()  # left empty: to call again
    await page.keyboard.press("Tab")
    await expect(card.get_by_role("button", name="in 10 min")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#dock .callcard")).to_have_count(0)
    await page.locator(".toast").get_by_role("button", name="Undo").click()
    await expect(page.locator("#call-1").get_by_label("Note")).to_have_value("Call after lunch")


async def test_a_push_takes_nothing_out_of_the_hands(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    first = story(1).ring("101").answer("101")
    await intake.apply(batch(first))
    note = page.locator("#call-1-note")
    await note.click()
    await page.keyboard.type("abcdef")
    await page.keyboard.press("ArrowLeft")
    await page.keyboard.press("ArrowLeft")
    second = story(2, "+380501110001").ring("101")
    await intake.apply(batch(second))
    await expect(page.locator("#call-2")).to_be_visible()
    await expect(note).to_be_focused()
    await page.keyboard.type("X")
    await expect(note).to_have_value("abcdXef")
    # What was chosen and opened stays so, too.
    await intake.apply(batch(first.wait(5).end()))
    await page.locator("label[for=call-1-done]").click()
    await page.locator("#call-1-more > summary").click()
    await intake.apply(batch(second.wait(1).end()))
    await expect(page.locator("#call-2")).to_have_count(0)
    await expect(page.locator("#call-1-done")).to_be_checked()
    await expect(page.locator("#call-1-more")).to_have_attribute("open", "")
    await expect(note).to_have_value("abcdXef")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1440), ("uk-UA", 360)])
async def test_each_state_passes_axe_and_its_words_fit(
    at_screen: AtScreen, intake: Intake, theme: str, locale: str, width: int
) -> None:
    look: dict[str, Any] = {"color_scheme": theme, "locale": locale, "viewport": {"width": width, "height": 800}}
    _, page = await at_screen("olena", **look)
    await live(page)
    known = story(1, name="Олена Довгопольська-Криворучко з Верхньодніпровська").ring("101").answer("101").wait(9).end()
    await intake.apply(batch(known))
    talking = story(2, "+380501110002").ring("101").answer("101")
    await intake.apply(batch(talking))
    await intake.apply(batch(story(3).ring("101")))
    for number, state in ((1, "after"), (2, "talking"), (3, "ringing")):
        await expect(page.locator(f"#call-{number}")).to_have_class(re.compile(state))
    if width < 1024:
        await expect(page.locator("[data-dock-line]")).to_contain_text(re.compile(r" · (ще )?2( more)?$"))
        assert await violations(page) == []
        await page.locator(".dock-fold").click()
    await page.locator("#call-2-more > summary").click()
    assert await violations(page) == []
    assert await overflow(page) == 0
    assert await cut_words(page) == []


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_name_is_only_a_name(at_screen: AtScreen, intake: Intake, name: str) -> None:
    person, page = await at_screen("olena")
    await person.context.add_init_script(OVERHEARD)
    await page.close()  # a tab that somebody is at needs no notification
    page = await person.page("/")
    await live(page)
    call = story(1, name=name).ring("101")
    await intake.apply(batch(call))
    await expect(page.locator("#call-1 [data-dock-title]")).to_have_text(name)
    await expect(page.locator("[data-dock-line]")).to_contain_text(name)
    await page.wait_for_function("() => window.told.length")
    assert [title for title, _ in await page.evaluate("() => window.told")] == [name]
    await intake.apply(batch(call.answer("101").wait(2).end()))
    await expect(page.locator("#call-1 .dealchip")).to_contain_text(name)
    assert await page.locator(".callcard img, .callcard script").count() == 0
