"""The dock where the browser lacks what tabs share a stream by: shared workers (Chrome on Android), and locks, too."""

import re

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette

from pbxcrm.reactions.intake import Intake
from tests.calls import batch
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story
from tests.waiting import until
from web.middleware import LANGUAGE_COOKIE

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
NO_WORKERS = "delete window.SharedWorker;"
NO_LOCKS = "Object.defineProperty(Navigator.prototype, 'locks', { get: () => undefined });"


async def two_tabs(at_screen: AtScreen, lacks: str) -> tuple[Page, Page]:
    person, page = await at_screen("olena")
    await person.context.add_init_script(lacks)
    await page.close()
    tabs = (await person.page("/"), await person.page("/tasks"))
    for tab in tabs:
        assert not await tab.evaluate("'SharedWorker' in window")
        await live(tab)
    return tabs


async def shows(tabs: tuple[Page, ...], state: str) -> None:
    """Every tab has the one card in this state; none at all for an empty state."""
    for tab in tabs:
        card = tab.locator("#dock-cards .callcard")
        if state:
            await expect(card).to_have_class(re.compile(f"callcard {state}"))
        else:
            await expect(card).to_have_count(0)


@pytest.mark.parametrize("lacks", [NO_WORKERS, NO_WORKERS + NO_LOCKS])
async def test_the_dock_follows_the_call_in_every_tab(
    at_screen: AtScreen, app: Starlette, intake: Intake, lacks: str
) -> None:
    tabs = await two_tabs(at_screen, lacks)
    streams = 1 if lacks == NO_WORKERS else 2
    hub = app.state.parts.hub
    await until(lambda: hub.open_streams == streams)
    call = story(1).ring("101")
    await intake.apply(batch(call))
    await shows(tabs, "ringing")
    await intake.apply(batch(call.answer("101")))
    await shows(tabs, "talking")
    await tabs[0].locator("#call-1-note").fill("oak, not ash")
    await expect(tabs[1].locator("#call-1-note")).to_have_value("oak, not ash")
    # The link breaks while the call ends: what was missed is made up for.
    for ears in hub._ears.values():
        for ear in ears:
            ear.deaf = True
    await intake.apply(batch(call.wait(9).end()))
    await shows(tabs, "after")
    await until(lambda: hub.open_streams == streams)
    await tabs[1].locator("#call-1").get_by_role("button", name="in 2 hours").click()
    await shows(tabs, "")


async def test_another_tab_leads_when_the_first_is_closed(at_screen: AtScreen, app: Starlette, intake: Intake) -> None:
    first, second = await two_tabs(at_screen, NO_WORKERS)
    hub = app.state.parts.hub
    call = story(1).ring("101")
    await intake.apply(batch(call))
    await shows((first, second), "ringing")
    led = next(iter(next(iter(hub._ears.values()))))
    await first.close()
    await until(lambda: hub.open_streams == 1 and led not in next(iter(hub._ears.values())))
    await intake.apply(batch(call.wait(2).answer("101")))
    await shows((second,), "talking")
    await live(second)


@pytest.mark.parametrize("lacks", ["", NO_WORKERS, NO_WORKERS + NO_LOCKS])
async def test_each_tab_is_pushed_to_in_the_language_it_is_in(at_screen: AtScreen, intake: Intake, lacks: str) -> None:
    """A browser that prefers Ukrainian, a person who has chosen nothing; then they choose Russian in another tab."""
    person, page = await at_screen("olena", locale="uk-UA")
    await person.context.add_init_script(lacks)
    await page.close()
    first, second = await person.page("/callbacks"), await person.page("/tasks")
    for tab in (first, second):
        await live(tab)
        await expect(tab.locator("html")).to_have_attribute("lang", "uk")
    await second.locator("#me > summary").click()
    async with second.expect_navigation():
        await second.locator("#me [name=language][value=ru]").click()
    await live(second)
    ringing = story(1).ring("101")
    await intake.apply(batch(ringing))
    for tab, state, phone in ((first, "Дзвонить", "дзвонить"), (second, "Звонит", "звонит")):
        await expect(tab.locator("#call-1 .state")).to_contain_text(state)
        await expect(tab.locator("#dock-phone")).to_have_attribute("data-word", phone)
    await intake.apply(batch(ringing.wait(9).end()))  # what a page asks for itself is in its language, too
    await expect(first.locator("#queue td.reason")).to_contain_text("Клієнт")
    await expect(first.locator("#queue")).not_to_contain_text("Клиент")


async def test_cards_speak_the_language_of_the_page(at_screen: AtScreen, intake: Intake) -> None:
    """Who chose a language on the login page and none in the profile has it in the pushed cards, too."""
    person, page = await at_screen("olena")
    await person.context.add_cookies([{"name": LANGUAGE_COOKIE, "value": "uk", "url": person.address}])
    await page.goto(person.address + "/")
    await live(page)
    await expect(page.locator("html")).to_have_attribute("lang", "uk")
    await intake.apply(batch(story(1).ring("101")))
    await expect(page.locator("#call-1 .state")).to_contain_text("Дзвонить")
