"""Stages change while others look at them: a board that is open takes them over, and a card is not lost on a stage that is gone."""

from functools import partial

import pytest
from playwright.async_api import Page, expect
from redis.asyncio import Redis
from sqlmodel import select

from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish
from tests.calls import NOON
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
WIDE = {"width": 1800, "height": 900}


async def _deal_of(db: Database, login: str) -> int:
    async with db.write() as session:
        user = (await session.exec(select(User).where(User.login == login))).one()
        stage = (await session.exec(select(Stage).where(Stage.name == "New request"))).one()
        deal = await create_deal(
            session,
            await viewer_of(session, user),
            title="Oak table",
            now=NOON,
            currency="UAH",
            region="UA",
            stage_id=stage.id,
        )
        return deal.id or 0


async def _stage_of(db: Database, deal_id: int) -> str:
    async with db.read() as session:
        deal = await session.get_one(Deal, deal_id)
        return (await session.get_one(Stage, deal.stage_id)).name


async def _open(page: Page, path: str) -> None:
    await page.goto(page.url.split("/", 3)[0] + "//" + page.url.split("/", 3)[2] + path)
    await live(page)


async def test_an_open_board_takes_over_what_becomes_of_its_stages(
    at_screen: AtScreen, db: Database, redis: Redis
) -> None:
    db.after_commit = partial(publish, redis)
    deal_id = await _deal_of(db, "olena")
    _, editor = await at_screen("admin")
    _, board = await at_screen("olena", viewport=WIDE)
    await _open(board, "/board")
    await board.evaluate("window.neverLoadedAgain = true")
    _, colleague = await at_screen("admin")
    await _open(colleague, "/settings/pipelines/1")

    await _open(editor, "/settings/pipelines/1")
    await editor.keyboard.press("n")  # the page's own key, not the bar's for a new deal
    await expect(editor).to_have_url(editor.url.split("/settings")[0] + "/settings/pipelines/1/stages/new")
    await editor.locator("[name=name]").focus()
    await editor.keyboard.type("Sample sent")
    await editor.keyboard.press("Enter")
    column = board.locator(".col", has=board.get_by_role("heading", name="Sample sent"))
    await expect(column).to_be_attached()
    await expect(colleague.locator("#stages").get_by_role("link", name="Sample sent")).to_be_visible()

    stage_id = await column.get_attribute("data-stage")
    await _open(editor, f"/settings/stages/{stage_id}")
    await editor.locator("[name=name]").fill("Sample tried")
    await editor.get_by_role("button", name="Save", exact=True).click()
    await expect(board.get_by_role("heading", name="Sample tried")).to_be_attached()

    card = board.locator(f"#deal-{deal_id}")
    await card.locator("[data-card]").focus()
    await board.keyboard.press("m")
    choice = board.locator("#move").get_by_role("button", name="Sample tried")
    await expect(choice).to_be_visible()
    await _open(editor, f"/settings/stages/{stage_id}/remove")
    await editor.get_by_role("button", name="Remove the stage").click()
    await expect(editor.get_by_text("Removed stages: 1")).to_be_visible()
    await expect(choice).to_have_count(0)
    await expect(board.locator(f'.col[data-stage="{stage_id}"]')).to_have_count(0)
    await board.keyboard.press("Escape")
    await expect(card).to_be_visible()
    assert await board.evaluate("window.neverLoadedAgain")


async def test_a_card_is_moved_to_another_pipeline_and_back(at_screen: AtScreen, db: Database) -> None:
    deal_id = await _deal_of(db, "olena")
    _, editor = await at_screen("admin")
    await _open(editor, "/settings/pipelines/new")
    await editor.get_by_text("Complaints", exact=True).click()
    await editor.get_by_role("button", name="Make it").click()
    await expect(editor.get_by_role("heading", name="Complaints")).to_be_visible()
    _, board = await at_screen("olena", viewport=WIDE)
    await _open(board, "/board")
    card = board.locator(f"#deal-{deal_id}")
    await card.locator("[data-card]").focus()
    await board.keyboard.press("m")
    dialog = board.locator("#move")
    await dialog.get_by_text("Complaints", exact=True).click()
    await dialog.get_by_role("button", name="Looked into").click()
    await expect(board.locator("#toasts")).to_contain_text("Moved to “Complaints: Looked into”.")
    await expect(card).to_have_count(0)
    assert await _stage_of(db, deal_id) == "Looked into"
    await board.locator("#toasts").get_by_role("button", name="Undo").click()
    await expect(card).to_be_visible()
    assert await _stage_of(db, deal_id) == "New request"


async def test_a_message_about_a_long_form_is_in_the_window(at_screen: AtScreen, db: Database) -> None:
    """Its first empty field is far below: there the message would be out of sight."""
    person, page = await at_screen("admin", viewport={"width": 1280, "height": 700})
    await _open(page, "/settings/stages/4")
    await page.locator("[name=instruction]").fill("Ask for the measures")
    async with db.write() as session:
        (await session.get_one(Stage, 4)).archived_at = NOON
    await page.get_by_role("button", name="Save", exact=True).click()
    await person.expect_status(409)
    await expect(page.get_by_role("alert")).to_be_in_viewport()
    await expect(page.get_by_role("alert")).to_be_focused()
    assert await page.locator("[name=instruction]").input_value() == "Ask for the measures"
