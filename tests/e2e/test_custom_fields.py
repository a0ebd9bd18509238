"""Custom fields in a real Chromium: defined, put in order by keys, filled in where they stand, undone; a gate asks and the move is completed."""

import os
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from sqlmodel import select

from pbxcrm.deals.models import Deal
from pbxcrm.fields.models import FieldDefinition
from tests.e2e.browser import live, overflow, violations
from tests.e2e.test_pages import DESK, House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PICTURES = os.environ.get("PBXCRM_TEST_PICTURES")  # a folder for pictures to look at


async def look(page: Page, name: str) -> None:
    assert await violations(page) == []
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"{name}.png"), full_page=True)


async def define(page: Page, house: House, name: str, kind: str) -> None:
    await page.goto(f"{house.address}/settings/fields/new?of=deal")
    await page.locator("#f-name").fill(name)
    await page.locator("#f-field_kind").select_option(label=kind)


async def test_defined_filled_in_refused_and_completed(house: House) -> None:
    _, admin = await house.person("admin")
    await admin.goto(f"{house.address}/settings/fields")
    await expect(admin.get_by_text("No fields yet")).to_be_visible()
    await look(admin, "empty")
    await define(admin, house, "Material", "Choice of one")
    await expect(admin.get_by_label("Option 1")).to_be_visible()
    await expect(admin.get_by_text("Unique: no two")).to_be_hidden()
    await admin.get_by_label("Option 1").fill("Brick")
    await admin.get_by_label("Option 2").fill("Wood")
    await look(admin, "new-field")
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_role("link", name="Material")).to_be_visible()
    stage = house.busy.stages["Invoice issued"]
    await define(admin, house, "Area", "Whole or decimal number")
    await admin.locator(".field-stages summary").first.click()
    await admin.get_by_label(f"{stage.name}: required").check()
    await admin.get_by_label("Lists can be filtered").check()
    await admin.get_by_role("button", name="Save").click()
    await expect(admin.get_by_text("required in 1 stage")).to_be_visible()
    await admin.get_by_role("button", name="Area: up").focus()
    await admin.keyboard.press("Enter")
    await expect(admin.locator("[data-field] a.whole")).to_have_text(["Area", "Material"])
    await look(admin, "list")

    person, ivan = await house.person("ivan", width=1280)
    deal = await house.deal()
    await ivan.goto(f"{house.address}/deals/{deal.id}")
    await live(ivan)
    panel = ivan.locator("#fields")
    await panel.get_by_role("link", name="Change “Material”").focus()
    await ivan.keyboard.press("Enter")
    await panel.get_by_role("combobox", name="Material").select_option(label="Wood")
    await look(ivan, "editing")
    await panel.get_by_role("button", name="Save").click()
    await expect(panel.get_by_text("Wood")).to_be_visible()
    await expect(panel.get_by_role("link", name="Change “Material”")).to_be_focused()
    await look(ivan, "filled")
    await ivan.locator("#toasts").get_by_role("button", name="Undo").last.click()
    await expect(panel.get_by_text("Wood")).to_be_hidden()
    assert (await house.deal()).custom == {}

    await ivan.locator("#path").get_by_role("button", name=stage.name).click()
    dialog = ivan.locator("dialog#complete[open]")
    await expect(dialog.get_by_label("Area")).to_be_focused()
    await look(ivan, "gate")
    await ivan.keyboard.type("big")
    await ivan.keyboard.press("Enter")
    await expect(dialog.get_by_text("Write a number")).to_be_visible()
    await expect(dialog.get_by_label("Area")).to_have_value("big")
    await dialog.get_by_label("Area").fill("30,5")
    await ivan.keyboard.press("Enter")
    await expect(dialog).to_be_hidden()
    async with house.database.read() as session:
        field = (await session.exec(select(FieldDefinition).where(FieldDefinition.name == "Area"))).one()
        moved = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
    assert (moved.stage_id, moved.custom) == (stage.id, {str(field.id): 30_500_000})
    # One's own change of a field is no conflict for the move, and nothing failed; the gate's own 422 are meant.
    assert [each for each in person.troubles if "status of 409" in each or "status of 5" in each] == []

    _, phone = await house.person("ivan", width=360, height=740)
    await phone.goto(f"{house.address}/deals/{deal.id}")
    await live(phone)
    assert await overflow(phone) == 0
    await look(phone, "phone")
