"""The list of deals in a real Chromium: by keyboard, with bulk acts, columns and files; at 360 px, dark, in Ukrainian, beside the dock."""

import csv
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.e2e.browser import overflow, violations
from tests.e2e.test_board_of_two import DESK, KITCHEN, Shared, shared

__all__ = ["shared"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PICTURES = os.environ.get("PBXCRM_TEST_PICTURES")  # a folder for pictures to look at
Sit = Callable[..., Awaitable[Page]]


async def look(page: Page, name: str) -> None:
    assert await violations(page) == []
    assert await overflow(page) == 0
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"{name}.png"))


async def test_rows_are_chosen_and_moved_by_keys_and_the_rows_say_it(shared: Shared) -> None:
    maria = await shared.sit_down("maria", "/deals?status=open&sort=-amount")
    rows = maria.locator("tr[data-deal]")
    await rows.nth(0).locator("[data-card]").focus()
    await maria.keyboard.press("ArrowDown")
    await expect(rows.nth(1).locator("[data-card]")).to_be_focused()
    await maria.keyboard.press("x")
    await maria.keyboard.press("Shift+ArrowDown")
    bar = maria.locator("#chosen-bar")
    await expect(bar).to_contain_text("2 chosen")
    await expect(rows.nth(1).locator("[data-choose]")).to_be_checked()
    await look(maria, "table-chosen")
    await maria.keyboard.press("b")
    await expect(bar.get_by_role("button", name="Move")).to_be_focused()
    await bar.get_by_role("button", name="Tag").click()
    await maria.locator("#bulk-tag").get_by_label("Tag").fill("Dear")
    await maria.keyboard.press("Enter")
    await expect(maria.locator("#bulk-job")).to_contain_text("2 deals done")
    await expect(bar).to_be_hidden()
    await maria.goto(f"{shared.address}/deals?tag=dear")
    await expect(rows).to_have_count(2)
    await expect(maria.locator(".chip.on")).to_contain_text(["tag: dear"])


async def test_a_row_is_live_and_stays_chosen(shared: Shared) -> None:
    maria = await shared.sit_down("maria", "/deals")
    row = maria.locator(f"#deal-{shared.busy.deals[DESK]}")
    await row.locator("[data-choose]").check()
    ivan = await shared.sit_down("ivan", "/board")
    await shared.card(ivan, DESK).locator("[data-card]").focus()
    await ivan.keyboard.press("Shift+ArrowRight")
    await expect(row).not_to_contain_text("Proposal sent")
    await expect(row).to_have_class("chosen")
    await expect(maria.locator("#chosen-bar")).to_contain_text("1 chosen")


async def test_columns_are_chosen_put_in_order_and_taken_out(shared: Shared) -> None:
    ivan = await shared.sit_down("ivan", "/deals")
    await ivan.get_by_role("link", name="Columns").click()
    dialog = ivan.locator("dialog#columns")
    await dialog.get_by_label("Source", exact=True).check()
    await dialog.get_by_label("Client", exact=True).uncheck()
    await dialog.get_by_role("button", name="Move “Amount” up").click()
    await look(ivan, "table-columns")
    await dialog.get_by_role("button", name="Save").click()
    await expect(ivan.locator("thead th a").nth(1)).to_have_text("Amount")
    await expect(ivan.get_by_role("columnheader", name="Source")).to_be_visible()
    await expect(ivan.get_by_role("columnheader", name="Client")).to_have_count(0)
    async with ivan.expect_download() as download:
        await ivan.get_by_role("link", name="CSV").click()
    rows = list(csv.reader((await (await download.value).path()).read_text("utf-8-sig").splitlines()))
    assert rows[0][:2] == ["Deal", "Amount"]
    assert KITCHEN not in {row[0] for row in rows}  # Olena's
    await ivan.get_by_role("link", name="Board", exact=True).last.click()
    await expect(ivan.locator("#board")).to_be_visible()


@pytest.mark.parametrize(
    ("width", "theme", "language"),
    [(1440, "light", "en"), (1280, "dark", "uk"), (900, "light", "ru"), (360, "light", "uk")],
)
async def test_it_reads_well_and_fits(shared: Shared, width: int, theme: str, language: str) -> None:
    admin = await shared.sit_down("admin", width=width)
    for name, value in (("language", language), ("theme", theme)):
        await admin.evaluate(
            "([n, v]) => fetch('/profile/look', {method: 'POST', body: new URLSearchParams({[n]: v})})", [name, value]
        )
    for name, path in (("all", "/deals?sort=-amount"), ("narrow", "/deals?amount.min=9999999&lamp=any")):
        await admin.goto(shared.address + path)
        await look(admin, f"table-{name}-{width}-{theme}-{language}")
