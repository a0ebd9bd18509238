"""A rule from an empty installation by keyboard (G2): template, form, steps, log, undo, in a real Chromium."""

import re

import pytest
from playwright.async_api import Page, expect
from sqlmodel import col, select

from pbxcrm.automation.models import AutomationRule
from pbxcrm.automation.runner import run_due
from pbxcrm.deals.actions import move_deal
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from tests.calls import NOON
from tests.e2e.browser import cut_words, live, overflow, small_targets, violations
from tests.e2e.test_pages import House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def redrawn(page: Page, name: str) -> None:
    """The form was drawn again, with the focus in this field."""
    await expect(page.locator(f'[name="{name}"]')).to_be_focused()


async def rules(house: House) -> list[AutomationRule]:
    async with house.database.read() as session:
        return list((await session.exec(select(AutomationRule).order_by(col(AutomationRule.id)))).all())


async def test_a_template_and_a_rule_of_ones_own_by_keyboard(house: House) -> None:
    _, page = await house.person("admin", width=1280)
    await page.goto(f"{house.address}/automation")
    await live(page)
    await expect(page.get_by_role("heading", name="No rules yet")).to_be_visible()
    await page.keyboard.press("t")
    await expect(page.locator("#templates tr.now")).to_have_attribute("id", "template-not_reached")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("w")
    await expect(page.locator("#rules tr.now")).to_contain_text("Answer each request")
    await live(page)  # another page: it takes keys when its scripts have begun
    await page.keyboard.press("o")
    await expect(page.locator(".toast", has_text="works now")).to_be_visible()
    await page.keyboard.press("n")
    await page.wait_for_url("**/automation/new")
    await page.keyboard.type("Offer sent")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await redrawn(page, "when.kind")
    stage = str(house.busy.stages["Call held"].id)
    await page.locator('[name="when.stage_id"]').select_option(stage)
    await page.locator("#if").get_by_role("button", name="Add a condition").press("Enter")
    await redrawn(page, "if.0.field")
    await page.locator('[name="if.0.field"]').select_option("title")
    await redrawn(page, "if.0.field")
    await page.locator('[name="if.0.op"]').select_option("filled")
    await redrawn(page, "if.0.op")
    await page.locator('[name="then.0.kind"]').focus()
    await page.keyboard.press("ArrowDown")
    await redrawn(page, "then.0.kind")
    await page.locator('[name="then.0.title"]').focus()
    await page.keyboard.type("Call about the offer")
    await expect(page.locator("#said")).to_contain_text("if Title is filled in → Make a task: “Call about the offer”")
    await page.reload()
    await expect(page.locator('[name="then.0.title"]')).to_have_value("Call about the offer")
    await expect(page.locator('[name="if.0.op"]')).to_have_value("filled")
    await page.get_by_role("button", name="Add a step").press("Enter")
    await redrawn(page, "then.1.kind")
    await page.locator('[name="then.1.kind"]').select_option("note")
    await redrawn(page, "then.1.kind")
    await page.get_by_role("button", name="Step 2: Move it up").press("Enter")
    await expect(page.locator('[name="then.0.kind"]')).to_have_value("note")
    await page.get_by_role("button", name="Save").press("Enter")
    await expect(page.locator('[name="then.0.text"]')).to_be_focused()
    await expect(page.locator('[name="then.1.title"]')).to_have_value("Call about the offer")
    await page.keyboard.type("The offer is on its way.")
    await page.locator("#f-state").select_option("on")
    await page.get_by_role("button", name="Save").press("Enter")
    await page.wait_for_url("**/automation#rule-*")
    assert [(rule.name, rule.state) for rule in await rules(house)] == [
        ("Answer each request", "on"),
        ("Offer sent", "on"),
    ]

    deal = await house.deal()
    async with house.database.write() as session:
        admin = await viewer_of(session, (await session.exec(select(User).where(User.login == "admin"))).one())
        await move_deal(session, admin, deal.id or 0, int(stage), version=None, now=NOON)
    assert await run_due(house.database, NOON, "UA") > 0
    await page.goto(f"{house.address}/deals/{deal.id}")
    await page.get_by_role("link", name="Rule “Offer sent”").press("Enter")
    await expect(page.locator("#run")).to_contain_text("Task: Call about the offer")
    await page.get_by_role("button", name="Undo").press("Enter")
    await expect(page.locator(".toast", has_text="taken back")).to_be_visible()
    await page.goto(f"{house.address}/automation/{(await rules(house))[1].id}/log")
    await expect(page.locator("#log")).to_contain_text(re.compile("Undone"))


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "dark", 1280), ("uk", "light", 360)])
async def test_its_pages_read_well_and_fit(house: House, language: str, theme: str, width: int) -> None:
    admin, page = await house.person("admin", width=width)
    post = "([path, fields]) => fetch(path, {method: 'POST', body: new URLSearchParams(fields)})"
    for name, value in (("language", language), ("theme", theme)):
        await page.evaluate(post, ["/profile/look", {name: value}])
    for code in ("not_reached", "big_deal", "win_back"):
        await page.evaluate(post, ["/automation/templates", {"template": code, "to": "on"}])
    last = (await rules(house))[-1].id
    found = {}
    for path in ("", "/templates", "/new", f"/{last}", f"/{last}/log", f"/{last}/versions", f"/{last}/pause"):
        await page.goto(f"{house.address}/automation{path}")
        faults = [await violations(page), await overflow(page), await cut_words(page), await small_targets(page)]
        if any(faults):
            found[path] = faults
    assert found == {}
    assert admin.troubles == []
