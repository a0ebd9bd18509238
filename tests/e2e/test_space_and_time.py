"""What stays and what goes on in a real Chromium: folded rail and dock, drafts over a reload, ages, a card that opens anywhere."""

import re
from datetime import timedelta

import pytest
from playwright.async_api import expect

from tests.calls import NOON
from tests.e2e.browser import live, overflow
from tests.e2e.test_daily_acts import DESK, IRYNA, STRANGER, Day, day
from tests.waiting import until

__all__ = ["day"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def test_rail_and_dock_fold_and_stay_so_and_four_columns_are_seen(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board", width=1280)
    page = hand.page
    await day.talk(IRYNA, 8)
    await day.talk(STRANGER, 9)
    await page.locator(".callcard").nth(1).wait_for()
    await page.locator(".card .number").first.wait_for()
    edge = await page.locator("#dock").bounding_box()
    assert edge
    boxes = [await column.bounding_box() for column in await page.locator(".col").all()]
    whole = [box for box in boxes if box and box["x"] + box["width"] <= edge["x"]]
    assert len(whole) >= 4
    numbers = page.locator(".card .number h3")
    assert await numbers.count() > 0
    broken = "(all) => all.filter((one) => one.offsetHeight > 22 || one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
    assert await numbers.evaluate_all(broken) == []  # a number does not break in the middle
    assert await page.evaluate("document.documentElement.dataset.rail") == "folded"  # too narrow for both
    await page.locator("[data-fold=rail]").click()
    await page.locator("[data-fold=dock]").click()
    await page.reload()
    await live(page)
    assert await page.evaluate("({...document.documentElement.dataset})") | {"rail": "open", "dock": "folded"} == (
        await page.evaluate("({...document.documentElement.dataset})")
    )
    await expect(page.locator("#rail .section .word").first).to_be_visible()
    await expect(page.locator(".callcard").first).to_be_hidden()
    assert await overflow(page) == 0


async def test_on_a_phone_an_empty_column_is_narrow_and_one_with_cards_is_as_wide_as_the_screen(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board", width=390)
    page = hand.page
    await page.locator(".card").first.wait_for()
    wide = "(all) => all.map((one) => one.getBoundingClientRect().width)"
    empty = await page.locator(".col.empty").evaluate_all(wide)
    assert empty
    assert max(empty) < 60
    assert min(await page.locator(".col:not(.empty)").evaluate_all(wide)) > 300
    assert (
        await page.locator(".col.empty [data-none]").evaluate_all("(all) => all.some((one) => one.checkVisibility())")
        is False
    )
    assert await overflow(page) == 0


async def test_what_is_typed_survives_a_reload_until_it_is_sent(day: Day) -> None:
    hand = await day.sit_down("ivan", f"/deals/{day.busy.deals[DESK]}")
    note = hand.page.get_by_label("New note")
    await note.fill("They want it by Christmas")
    await hand.page.reload()
    await expect(note).to_have_value("They want it by Christmas")
    await hand.page.get_by_role("button", name="Save note").click()
    await hand.page.locator("#timeline", has_text="by Christmas").wait_for()
    await hand.page.reload()
    await expect(note).to_have_value("")


@pytest.mark.parametrize(("path", "label"), [("/deals/new", "Title"), ("/contacts/new", "Name")])
async def test_what_a_form_asks_meanwhile_does_not_forget_what_is_typed(day: Day, path: str, label: str) -> None:
    hand = await day.sit_down("ivan", path)
    field = hand.page.locator("#page").get_by_label(label).first
    async with hand.page.expect_response("**/contacts/whose*"):
        await field.press_sequentially("Forty chairs")
    await hand.page.evaluate("new Promise((done) => requestAnimationFrame(() => setTimeout(done)))")
    await hand.page.reload()
    await expect(field).to_have_value("Forty chairs")


async def test_a_step_of_the_path_is_taken_back(day: Day) -> None:
    hand = await day.sit_down("ivan", f"/deals/{day.busy.deals[DESK]}")
    await hand.page.locator("#path").get_by_role("button", name=re.compile("Invoice issued")).click()
    await hand.page.locator(".toast", has_text="Moved to “Invoice issued”").get_by_role("button", name="Undo").click()
    await expect(hand.page.locator("#path [aria-current=step] b")).to_have_text("Proposal sent")


async def test_a_card_opens_by_a_click_anywhere_on_it(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board")
    await hand.page.locator(".card", has_text=DESK).locator(".line").click()
    await hand.page.wait_for_url(re.compile(rf"/deals/{day.busy.deals[DESK]}$"))


async def test_ages_on_the_board_go_on(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board")
    time = hand.page.locator(".card", has_text=DESK).locator("time[data-age]")
    await expect(time).to_have_text("7\N{NO-BREAK SPACE}d")
    later = (NOON - timedelta(hours=3)).isoformat()
    await time.evaluate("(time, at) => { time.dateTime = at; }", later)
    await expect(time).to_have_text(
        re.compile("^3\N{NO-BREAK SPACE}h")
    )  # by the clock of the server, within ten seconds


async def test_a_card_let_go_beside_the_last_column_lands_in_it(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board", width=3000)
    page = hand.page
    card = await page.locator(".card", has_text=DESK).bounding_box()
    last = await page.locator('.col[data-kind="lost"]').bounding_box()
    assert card
    assert last
    await page.mouse.move(card["x"] + 60, card["y"] + 40)
    await page.mouse.down()
    x, y = last["x"] + last["width"] + 30, last["y"] + 300
    await page.mouse.move(x, y, steps=15)

    async def shown_there() -> bool:
        await page.mouse.move(x + 1, y)
        await page.mouse.move(x, y)
        return await page.locator('.col[data-kind="lost"] .card', has_text=DESK).count() == 1

    await until(shown_there)
    await page.mouse.up()
    await page.locator("dialog[open]", has_text="lost").wait_for()  # why it is lost: it landed where it showed


async def test_a_number_typed_into_a_new_deal_names_its_client(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board")
    await hand.page.locator(".bar a[href='/deals/new']").click()
    await hand.page.get_by_role("textbox", name="Number", exact=True).press_sequentially("067 222 33 44")
    await (
        hand.page.locator("#new-deal-form-known", has_text="Ірина Мельник")
        .get_by_role("button", name="The deal is theirs")
        .click()
    )
    await expect(hand.page.locator("#f-contact")).to_have_value("Ірина Мельник")


@pytest.mark.parametrize("page", ["deal", "client", "board"])
async def test_the_key_c_calls_whom_one_has_in_hand(day: Day, page: str) -> None:
    paths = {"deal": f"/deals/{day.busy.deals[DESK]}", "client": f"/contacts/{day.busy.contacts['Ірина Мельник']}"}
    hand = await day.sit_down("ivan", paths.get(page, "/board"))
    if page == "board":
        await hand.page.locator(".card", has_text=DESK).locator("[data-card]").focus()
    await hand.press("c")
    await until(lambda: day.ordered(IRYNA))


async def test_the_rules_of_a_line_are_said_in_plain_words_as_one_types(day: Day) -> None:
    hand = await day.sit_down("admin", "/settings/lines/new")
    await expect(hand.page.locator("#preview")).not_to_contain_text("vip")
    await hand.page.locator("#f-queue").fill("vip")
    await expect(hand.page.locator("#preview")).to_contain_text("vip")
