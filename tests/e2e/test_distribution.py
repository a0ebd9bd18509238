"""The rules of distribution in a real Chromium (D11): made by keys alone, said in words while one types, tried on last week, on a phone, in three languages."""

import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect
from sqlmodel import select

from pbxcrm.distribution.models import DistributionRule
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from tests.calls import NOON, FactStory, batch
from tests.e2e.browser import broken_words, cut_words, overflow, small_targets, to, violations
from tests.e2e.test_pages import House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
PICTURES = os.environ.get("PBXCRM_TEST_PICTURES")  # a folder for pictures to look at
PATH = "/settings/distribution"


async def look(page: Page, name: str) -> None:
    assert await violations(page) == []
    assert await overflow(page) == 0
    assert await small_targets(page) == []
    assert await broken_words(page) == []
    assert await cut_words(page) == []
    if PICTURES:
        await page.screenshot(path=str(Path(PICTURES) / f"distribution-{name}.png"), full_page=True)


async def rules(house: House) -> list[DistributionRule]:
    async with house.database.read() as session:
        return list((await session.exec(select(DistributionRule))).all())


async def test_a_rule_by_keys_alone_and_tried_on_last_week(house: House) -> None:
    for number in range(5):
        at = NOON - timedelta(days=1, minutes=number)
        story = FactStory(f"1711{number}.1", client=f"+38063000000{number}", at=at).ring("101").wait(9).end()
        await Intake(house.database, house.settings).apply(batch(story))
    admin, page = await house.person("admin")
    await page.goto(f"{house.address}{PATH}")
    await expect(page.get_by_text("No rules yet")).to_be_visible()
    await look(page, "empty")
    await page.keyboard.press("r")
    await page.wait_for_url(f"**{PATH}/new")
    await expect(page.locator("#f-name")).to_be_focused()
    await page.keyboard.type("New clients")
    await to(page, "#members input[name=members]")
    while "Olena" not in await page.evaluate("() => document.activeElement.closest('label').innerText"):
        await to(page, "#members input[name=members]")
    await page.keyboard.press("Space")
    await expect(page.locator("#preview")).to_contain_text("by turns — Olena Hryhorenko")
    await expect(page.get_by_placeholder("from any amount").first).to_be_hidden()
    await page.get_by_label("By value: the bigger deals to the experienced").check()
    await expect(page.get_by_placeholder("from any amount").first).to_be_visible()
    await page.get_by_label("Olena Hryhorenko: from which amount").fill("many")
    await page.get_by_role("button", name="Save").click()
    await expect(page.get_by_text("Write the amount as a number, for example 12400.50.").first).to_be_visible()
    await admin.expect_status(422)
    await expect(page.get_by_label("Olena Hryhorenko: from which amount")).to_have_value("many")
    await page.get_by_label("By turns").check()
    await page.get_by_label("Petro Other", exact=True).check()
    await look(page, "form")
    await page.get_by_role("button", name="Try it on last week").click()
    await expect(page.locator("#trial")).to_contain_text("Would have got")
    await expect(page.locator("#trial tbody tr").first).to_be_visible()
    await look(page, "tried")
    assert await rules(house) == []
    await page.get_by_role("button", name="Save").click()
    await page.wait_for_url(f"**{PATH}")
    await expect(page.locator("ol.lines li")).to_have_count(1)
    await look(page, "list")
    await page.keyboard.press("t")
    await page.wait_for_url(f"**{PATH}/trial")
    await page.locator("#trial details.why summary").first.click()
    await expect(page.get_by_text("whose turn it was").first).to_be_visible()
    await look(page, "trial")
    await page.goto(f"{house.address}{PATH}")
    await page.get_by_role("button", name="Delete “New clients”").click()
    await expect(page.get_by_text("No rules yet")).to_be_visible()
    await page.locator(".toast").get_by_role("button", name="Undo").click()
    await expect(page.locator("ol.lines li")).to_have_count(1)
    assert admin.troubles == []


@pytest.mark.parametrize(
    ("name", "language", "theme", "width"),
    [
        ("phone", "en", "light", 360),
        ("dark", "en", "dark", 1280),
        ("uk", "uk", "light", 1280),
        ("ru-phone", "ru", "dark", 360),
    ],
)
async def test_the_pages_on_a_phone_in_the_dark_and_in_three_languages(
    house: House, name: str, language: str, theme: str, width: int
) -> None:
    async with house.database.write() as session:
        user = (await session.exec(select(User).where(User.login == "admin"))).one()
        user.language, user.theme = language, theme
        common: dict[str, Any] = {"method": "value", "otherwise": "next"}
        members = [
            {"kind": "team", "id": 1, "since": None},
            {"kind": "user", "id": 3, "since": "10000"},
        ]
        query = "source=Site&amount.min=1000&number.begins=%2B380"
        session.add(
            DistributionRule(name="Big ones from the site", members=members, query=query, most_open=30, **common)
        )
        session.add(DistributionRule(name="The rest", members=members[:1], position=1, is_on=False, **common))
        session.add(DistributionRule(name="Broken", members=members[:1], position=2, query="field.gone=1", **common))
    story = FactStory("17119.1", client="+380630000009", at=NOON - timedelta(hours=2)).ring("101").wait(9).end()
    await Intake(house.database, house.settings).apply(batch(story))
    _, page = await house.person("admin", width=width)
    for path, picture in ((PATH, "list"), (f"{PATH}/1", "form"), (f"{PATH}/trial", "trial")):
        await page.goto(f"{house.address}{path}")
        await look(page, f"{picture}-{name}")
