"""What a refused act lacks is asked for at once, also from the dock and from the callback queue; then the act itself is done."""

from datetime import timedelta

import pytest
from playwright.async_api import Page, expect
from sqlmodel import select

from pbxcrm.calls.models import Call
from pbxcrm.reactions.intake import Intake
from tests.calls import NOON, FactStory, batch
from tests.e2e.browser import live, violations
from tests.e2e.test_pages import House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
IRYNA = "+380672223344"


async def tell(house: House, story: FactStory) -> None:
    await Intake(house.database, house.settings).apply(batch(story))


async def ask_on(page: Page) -> None:
    """The form says what is missing, proposes what is to be done, and keeps it when there is no time yet."""
    dialog = page.locator("dialog#complete[open]")
    await expect(dialog.get_by_label("What is to be done")).to_be_focused()
    await expect(dialog.get_by_label("What is to be done")).to_have_value("Call again")
    assert await violations(page) == []
    await page.keyboard.type("Ask in spring")  # what is proposed is written over
    await page.keyboard.press("Enter")
    await expect(dialog.locator("#f-next_due_at[aria-invalid=true]")).to_be_visible()
    await expect(dialog.get_by_label("What is to be done")).to_have_value("Ask in spring")


async def test_from_the_dock(house: House) -> None:
    """The card says that the client is not interested; but the last try to reach them failed and nothing is planned."""
    talked = FactStory("1700000001.1", IRYNA, at=NOON - timedelta(minutes=5)).ring("101").answer("101").wait(60).end()
    await tell(house, talked)
    async with house.database.read() as session:
        call_id = (await session.exec(select(Call.id).where(Call.linkedid == "1700000001.1"))).one()
    await house.fail_to_reach()
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    await live(page)
    card = page.locator(f"#call-{call_id}")
    await expect(card.locator("h2")).to_have_text("Ірина Мельник")
    await card.get_by_label("Note").fill("Bought elsewhere")
    await card.locator(".chip", has_text="Not interested").click()
    await card.get_by_role("button", name="Too expensive").click()
    await ask_on(page)
    await ivan.expect_status(422)
    await ivan.expect_status(422)
    dialog = page.locator("dialog#complete")
    await page.keyboard.press("Escape")  # thought better of it: the card and the deal are as they were
    await expect(dialog).to_be_hidden()
    await expect(card.get_by_role("radio", name="Not interested")).to_be_checked()
    assert await house.in_stage("Proposal sent")
    assert await house.planned() == []
    await card.get_by_role("button", name="Too expensive").click()
    await ivan.expect_status(422)
    await dialog.get_by_label("What is to be done").fill("Ask in spring")
    await dialog.get_by_role("button", name="tomorrow morning").click()
    await expect(page.locator(".toast", has_text="The call is finished")).to_be_visible()
    await expect(dialog).to_be_hidden()
    await expect(card).to_have_count(0)
    assert await house.in_stage("Lost")
    assert (await house.deal()).lost_reason == "Too expensive"
    assert await house.planned() == ["Ask in spring"]
    assert ivan.troubles == []


async def test_from_the_callback_queue(house: House) -> None:
    missed = FactStory("1700000001.2", IRYNA, at=NOON - timedelta(minutes=9)).ring("101").wait(20).end()
    await tell(house, missed)
    await house.fail_to_reach()
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/callbacks")
    await live(page)
    row = page.locator("#queue tr[data-row]", has_text="Ірина Мельник")
    await row.locator("td.reason").click()
    await page.keyboard.press("n")
    why = page.locator("dialog#ask[open]")
    await why.get_by_role("textbox", name="Reason").fill("Too expensive")
    if await why.get_by_label("Without a call, because…").count():
        await why.get_by_label("Without a call, because…").fill("By mail")
    await page.keyboard.press("Enter")
    await ask_on(page)
    await expect(page.locator("dialog[open]")).to_have_count(1)
    await page.locator("dialog#complete").get_by_role("button", name="tomorrow morning").click()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await expect(page.locator(".toast", has_text="not interested")).to_be_visible()
    await expect(row).to_have_count(0)
    await ivan.expect_status(422)
    await ivan.expect_status(422)
    assert await house.in_stage("Lost")
    assert (await house.deal()).lost_reason == "Too expensive"
    assert await house.planned() == ["Ask in spring"]
    assert ivan.troubles == []
