"""Files are attached by choosing and by dropping, each with its own word when it is wrong; a removed one comes back."""

import os
from pathlib import Path

import pytest
from playwright.async_api import FilePayload, Page, expect
from sqlmodel import select

from pbxcrm.deals.models import Deal
from tests.e2e.browser import live, still, violations
from tests.e2e.test_pages import DESK, House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PNG: FilePayload = {
    "name": "План <b>кухні</b>.png",
    "mimeType": "image/png",
    "buffer": b"\x89PNG\r\n\x1a\n" + bytes(64),
}
EMPTY: FilePayload = {"name": "nothing.txt", "mimeType": "text/plain", "buffer": b""}
OFFER: FilePayload = {"name": "offer.pdf", "mimeType": "application/pdf", "buffer": b"%PDF-1.7\n" + bytes(300_000)}
DROP = """(zone) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File(["dropped"], "dropped.txt", { type: "text/html" }));
  zone.dispatchEvent(new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true }));
}"""


async def picture(page: Page, name: str) -> None:
    """Kept where PBXCRM_TEST_PICTURES says, for whoever wants to look at the page."""
    if folder := os.environ.get("PBXCRM_TEST_PICTURES"):
        await still(page)
        await page.locator("#callcards, .dock").evaluate_all("all => all.forEach((each) => each.hidden = true)")
        await page.locator("#files").screenshot(path=Path(folder) / f"files-{name}.png")


async def test_files_of_a_deal(house: House) -> None:
    async with house.database.read() as session:
        deal_id = (await session.exec(select(Deal.id).where(Deal.title == DESK))).one()
    _ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/deals/{deal_id}")
    await live(page)
    files = page.locator("#files")
    await expect(files.get_by_text("No files yet.")).to_be_visible()
    await expect(files.get_by_role("button", name="Send")).to_be_hidden()
    await files.locator("input[type=file]").set_input_files([PNG, EMPTY, OFFER])
    await expect(files.locator("#files-list li")).to_have_count(2)
    await expect(files.get_by_role("alert")).to_have_text("The file is empty: it has 0 bytes. Choose another one.")
    await files.evaluate(DROP)
    await expect(files.locator("#files-list li")).to_have_count(3)
    await expect(files.get_by_role("alert")).to_have_count(0)
    assert await violations(page) == []
    await picture(page, "light")
    await files.locator("li", has_text="offer.pdf").get_by_role("button", name="Remove").click()
    await expect(files.locator("#files-list li")).to_have_count(2)
    await page.locator(".toast", has_text="offer.pdf").get_by_role("button", name="Undo").click()
    await expect(files.locator("#files-list li")).to_have_count(3)  # by the live hint
    async with page.expect_download() as saving:
        await files.locator("li", has_text="dropped.txt").get_by_role("link", name="Save").click()
    assert (await (await saving.value).path()).read_bytes() == b"dropped"
    await page.set_viewport_size({"width": 360, "height": 740})
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    await picture(page, "360")
