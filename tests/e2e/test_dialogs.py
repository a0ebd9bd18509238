"""Dialogs lie over the page, but not over the dock: who fills in a form can still take a call."""

import re
from typing import Any

import pytest
from playwright.async_api import Locator, Page, expect
from redis.asyncio import Redis

from pbxcrm.people import actions
from pbxcrm.people.passwords import hash_password
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import relay
from tests.calls import batch
from tests.e2e.browser import cut_words, live, overflow, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story
from tests.integration.web.conftest import PASSWORD

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
NEW_DEAL = 'header.bar a[href="/deals/new"]'


async def new_deal(page: Page) -> Locator:
    """The dialog of a new deal with something typed into it."""
    await page.locator(NEW_DEAL).click()
    dialog = page.get_by_role("dialog")
    await dialog.locator("#f-title").fill("Oak doors")
    return dialog


async def uncovered(one: Locator) -> bool:
    """Whether a click in the middle of it is a click on it."""
    await one.scroll_into_view_if_needed()
    found: bool = await one.evaluate(
        """(one) => { const box = one.getBoundingClientRect();
        return one.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2)); }"""
    )
    return found


async def test_a_call_is_taken_while_a_form_is_filled_in(at_screen: AtScreen, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    dialog = await new_deal(page)
    title = dialog.locator("#f-title")
    call = story(1).ring("101")
    await intake.apply(batch(call))
    await expect(page.locator("#call-1.ringing")).to_be_visible()
    await expect(title).to_be_focused()
    await intake.apply(batch(call.answer("101")))
    for name in ("Open deal", "New deal"):  # neither the page nor the form goes for it
        async with page.context.expect_page() as opened:
            await page.locator("#call-1").get_by_role("link", name=name).click()
        await (await opened.value).close()
    await page.locator("#call-1-note").click()
    await page.keyboard.type("Wants oak")
    await page.locator("#call-1-more > summary").click()
    await page.keyboard.press("Escape")  # closes the menu of the card, not the dialog
    await expect(page.locator("#call-1-more")).not_to_have_attribute("open", "")
    await expect(dialog).to_be_visible()
    await intake.apply(batch(call.wait(9).end()))
    await page.locator("#call-1").get_by_role("button", name="in 2 hours").click()
    await expect(page.locator("#dock .callcard")).to_have_count(0)
    await expect(title).to_have_value("Oak doors")
    await title.click()
    await page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()
    await expect(page.locator(NEW_DEAL)).to_be_focused()


async def test_keys_stay_within_dialog_and_dock_also_after_the_rest_came_anew(
    at_screen: AtScreen, intake: Intake, db: Database, redis: Redis
) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await intake.apply(batch(story(1).ring("101").answer("101")))
    await new_deal(page)
    hashed = await hash_password(PASSWORD)
    async with page.expect_response(re.compile("/shell/rail")):  # the rail is drawn again
        async with db.write() as session:
            await actions.add_user(session, login="marta", name="Marta", role="seller", password_hash=hashed)
        await relay(db, redis)
    await page.evaluate("() => navigator.locks.query()")
    been: set[str] = set()
    for _ in range(30):
        await page.keyboard.press("Tab")
        been.add(
            await page.evaluate(
                "() => document.activeElement.closest('dialog, #dock, body')?.id || document.activeElement.tagName"
            )
        )
    assert been <= {"new-deal", "dock", "BODY"}
    assert been >= {"new-deal", "dock"}
    for part in ("#rail", ".bar", "#page"):
        await expect(page.locator(part)).to_have_attribute("inert", "")
    await page.locator("#new-deal [data-close]").first.click()
    await expect(page.locator("[inert]")).to_have_count(0)


async def test_a_dialog_of_the_page_itself_is_over_the_page(at_screen: AtScreen, intake: Intake) -> None:
    """Its own ancestors stay, all beside them is out of reach; what is asked on the dock lies upon it."""
    person, page = await at_screen("olena")
    await intake.apply(batch(story(1).ring("101").answer("101")))
    await page.goto(person.address + "/board")
    await live(page)
    card = page.locator("#board [data-card]").first
    await card.focus()
    await page.keyboard.press("m")
    moving = page.get_by_role("dialog", name="+380 67 111 22 33")  # called as its card is
    await expect(moving).to_be_visible()
    assert await violations(page) == []
    await expect(page.locator("#board")).to_have_attribute("inert", "")
    await page.locator("#call-1-more > summary").click()
    await page.get_by_role("button", name="Not a client").click()
    asked = page.get_by_role("alertdialog")
    await expect(asked).to_be_visible()
    await expect(page.locator("#shade")).to_have_css("z-index", "44")
    await expect(page.locator("#move")).to_have_css("z-index", "43")
    assert await violations(page) == []
    await page.keyboard.press("Escape")
    await expect(asked).to_be_hidden()
    await expect(moving).to_be_visible()
    assert await uncovered(moving.get_by_role("button", name="Lost", exact=True))
    await moving.get_by_role("button", name="Close").focus()
    await page.keyboard.press("Escape")
    await expect(moving).to_be_hidden()
    await expect(card).to_be_focused()
    await expect(page.locator("[inert]")).to_have_count(0)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize(("locale", "width"), [("en-GB", 1280), ("uk-UA", 1040), ("uk-UA", 360)])
async def test_with_a_dialog_and_a_ring_axe_passes_and_nothing_is_covered(
    at_screen: AtScreen, intake: Intake, theme: str, locale: str, width: int
) -> None:
    look: dict[str, Any] = {"color_scheme": theme, "locale": locale, "viewport": {"width": width, "height": 640}}
    _, page = await at_screen("olena", **look)
    await live(page)
    await intake.apply(batch(story(1).ring("101").answer("101").wait(9).end()))
    fold = page.locator(".dock-fold")
    await expect(page.locator("#call-1.after")).to_be_attached()
    if width < 1024:
        await fold.click()  # a sheet over the page: it folds for the dialog
        await expect(page.locator("#call-1-note")).to_be_visible()
        await page.evaluate("() => document.querySelector('a[href=\"/deals/new\"]').click()")
    else:
        await page.locator(NEW_DEAL).click()
    dialog = page.get_by_role("dialog")
    await expect(dialog).to_be_visible()
    await intake.apply(batch(story(2, "+380501110002", "Олена Довгопольська-Криворучко").ring("101")))
    await expect(page.locator("#call-2.ringing")).to_be_attached()
    assert await violations(page) == []
    assert await overflow(page) == 0
    assert await cut_words(page) == []
    for button in await dialog.locator("button").all():
        if await button.is_visible():
            assert await uncovered(button), await button.inner_text()
    if width < 1024:
        await expect(fold).to_contain_text(re.compile(r" · (ще )?1( more)?"))
        await fold.click()
        assert await uncovered(page.locator("#call-2 .state"))
        await fold.click()
        await page.keyboard.press("Escape")  # at the dock
        await expect(dialog).to_be_visible()
        await dialog.locator("#f-title").click()
        await page.keyboard.press("Escape")
        await expect(dialog).to_be_hidden()
        await expect(fold).to_have_attribute("aria-expanded", "true")  # as it was
    else:
        assert await uncovered(page.locator("#call-2 .state"))


async def test_the_focus_goes_back_to_the_menu_a_dialog_was_opened_from(at_screen: AtScreen) -> None:
    _, page = await at_screen("olena")
    await page.locator("summary.me").click()
    await page.get_by_role("button", name=re.compile("^Keys")).click()
    await expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    await page.locator("#shade").click(
        position={"x": 20, "y": 20}
    )  # nothing to lose in it: a click beside it closes it
    await expect(page.get_by_role("dialog")).to_have_count(0)
    await expect(page.locator("summary.me")).to_be_focused()
