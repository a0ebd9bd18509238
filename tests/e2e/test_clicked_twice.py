"""A double click is one act, and what was done is taken back whole."""

from typing import Any

import pytest
from playwright.async_api import expect
from sqlmodel import SQLModel, select

from pbxcrm.deals.models import Deal, Note, Stage, StageKind
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.calls import batch
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings
from tests.e2e.test_dock_many import call, owe
from tests.waiting import until

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def rows(db: Database, model: type[SQLModel]) -> list[Any]:
    async with db.read() as session:
        return list((await session.exec(select(model))).all())


async def test_a_card_is_finished_once_and_its_task_is_taken_back_with_it(
    at_screen: AtScreen, intake: Intake, db: Database
) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 1)
    await page.locator("#call-1").get_by_role("button", name="in 2 hours").dblclick()
    toast = page.locator(".toast", has_text="The call is finished")
    await expect(toast).to_have_count(1)
    assert len(await rows(db, Task)) == 1
    await toast.get_by_role("button", name="Undo").click()
    await expect(page.locator("#call-1")).to_be_visible()
    assert await rows(db, Task) == []


async def test_a_lost_deal_stands_again_where_it_stood(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    _, page = await at_screen("olena")
    await live(page)
    await owe(intake, 1)
    before = (await rows(db, Deal))[0].stage_id
    await page.locator("#call-1 .chip", has_text="Not interested").click()
    await page.locator("#call-1").get_by_role("button", name="Too expensive").dblclick()
    toast = page.locator(".toast", has_text="The call is finished")
    await expect(toast).to_have_count(1)
    lost = {stage.id for stage in await rows(db, Stage) if stage.kind == StageKind.LOST}
    assert (await rows(db, Deal))[0].stage_id in lost
    await toast.get_by_role("button", name="Undo").click()
    await expect(page.locator("#call-1")).to_be_visible()
    deal = (await rows(db, Deal))[0]
    assert (deal.stage_id, deal.closed_at, deal.lost_reason) == (before, None, "")


async def test_a_click_that_meets_what_has_just_come_under_the_pointer_counts_for_nothing(
    at_screen: AtScreen, db: Database
) -> None:
    """Where "Call" was clicked, "Reached" stands a moment later."""
    _, page = await at_screen("olena")
    await page.evaluate(
        """() => {
        window.pressed = [];
        const at = document.querySelector("main");
        const put = (word, next) => {
            at.innerHTML = `<button hx-post="/nowhere">${word}</button>`;
            Object.assign(at.firstChild.style, { position: "fixed", left: "300px", top: "300px" });
            at.firstChild.addEventListener("click", () => { window.pressed.push(word); if (next) put(next); });
        };
        put("Call", "Reached");
    }"""
    )
    for _ in range(2):
        await page.mouse.click(310, 310, delay=5)
    assert await page.evaluate("window.pressed") == ["Call"]
    await page.mouse.move(330, 318)
    await page.mouse.click(320, 312)
    assert await page.evaluate("window.pressed") == ["Call", "Reached"]


async def test_a_form_sent_twice_makes_one_thing(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    person, page = await at_screen("olena")
    await intake.apply(batch(call(1, 1).answer("101").wait(5).end()))
    await page.goto(f"{person.address}/deals/1")
    await live(page)
    note = page.get_by_role("button", name="Save note")
    await page.locator("textarea[name=text]").first.fill("Wants oak")
    await note.dblclick()
    await until(lambda: _count(db, Note, 1))
    await page.goto(f"{person.address}/deals/new")
    await page.get_by_label("Title").first.fill("By hand")
    await page.get_by_role("button", name="Make the deal").dblclick()
    await page.wait_for_url("**/deals/2*")
    assert len(await rows(db, Deal)) == 2
    assert len(await rows(db, Note)) == 1


async def _count(db: Database, model: type[SQLModel], count: int) -> bool:
    return len(await rows(db, model)) == count
