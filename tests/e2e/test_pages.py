"""The pages of work in a real Chromium: by mouse, by keys, live, on a phone, and read by axe."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect
from redis.asyncio import Redis
from sqlmodel import col, select

from pbxcrm.callbacks.models import Episode
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish, relay
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.models import Task, TaskStatus
from tests.busy import Busy
from tests.calls import NOON, FactStory, batch, outbound
from tests.e2e.browser import Person, cut_words, forgetful, live, overflow, small_targets, violations
from tests.filled import Filled
from tests.integration.web.serving import serving
from tests.lamps import lamp_of_callback
from tests.office import PASSWORD, Office
from tests.waiting import until
from web.app import create_app
from web.pages.board import FIRST

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
DESK = "Reception desk"


@dataclass
class House:
    """A busy office behind a real server, and a browser to look at it."""

    address: str
    database: Database
    busy: Busy
    browser: Browser
    settings: Settings

    async def person(self, login: str, **size: int) -> tuple[Person, Page]:
        viewport = {"width": size.get("width", 1440), "height": size.get("height", 860)}
        person = Person(await self.browser.new_context(viewport=viewport), self.address)  # type: ignore[arg-type]
        return person, await person.log_in(login, PASSWORD)

    async def deal(self, title: str = DESK) -> Deal:
        async with self.database.read() as session:
            return (await session.exec(select(Deal).where(Deal.title == title))).one()

    async def fail_to_reach(self) -> None:
        """Ivan has just called the client of the desk, who did not answer; nothing else is planned."""
        story = outbound("1700000000.99", "101", "+380672223344", at=NOON - timedelta(minutes=1)).ring("101")
        await Intake(self.database, self.settings).apply(batch(story.wait(20).end()))
        async with self.database.write() as session:
            for task in await session.exec(select(Task).where(Task.deal_id == self.busy.deals[DESK])):
                task.status = TaskStatus.DONE.value

    async def planned(self) -> list[str]:
        """Titles of what is to be done for the desk."""
        async with self.database.read() as session:
            found = await session.exec(
                select(Task.title).where(Task.deal_id == self.busy.deals[DESK], Task.status == TaskStatus.OPEN.value)
            )
            return list(found)

    async def in_stage(self, stage: str, title: str = DESK) -> bool:
        return (await self.deal(title)).stage_id == self.busy.stages[stage].id


@pytest_asyncio.fixture(loop_scope="session")
async def house(
    sqlite_url: str,
    redis_url: str,
    tmp_path: Path,
    chromium: Browser,
    begins_with_busy_office: Filled[tuple[Office, Busy]],
) -> AsyncIterator[House]:
    chosen = Settings(data_dir=tmp_path, database_url=sqlite_url, recordings_dir=tmp_path)
    async with Redis.from_url(redis_url) as redis:
        database = Database(sqlite_url)
        _, busy = begins_with_busy_office.found(database)
        await relay(database, redis)

        database.after_commit = partial(publish, redis)
        app = create_app(chosen, database, redis, clock=lambda: NOON)
        async with serving(app) as address, forgetful(chromium) as browser:
            yield House(address, database, busy, browser, chosen)
        await database.close()


def column(page: Page, stage: str) -> str:
    return f'.col[data-name="{stage}"]'


async def test_a_card_is_dragged_and_moves_on_a_colleagues_board_too(house: House) -> None:
    ivan, mine = await house.person("ivan", width=2600)
    maria, hers = await house.person("maria")
    for page in (mine, hers):
        await page.goto(f"{house.address}/board")
        await live(page)
    await drag(mine, "Call held")
    await until(lambda: house.in_stage("Call held"))
    for page in (mine, hers):
        await page.locator(f"{column(page, 'Call held')} .card", has_text=DESK).wait_for()
        count = page.locator(f"{column(page, 'Proposal sent')} [data-count]")
        await until(lambda page=page, count=count: _text(count, "0" if page is mine else "1"))
    first = hers.locator(f"{column(hers, 'Call held')} .card").first
    assert DESK in await first.inner_text()  # the newest on top
    await mine.locator(".toast", has_text="Moved to").get_by_role("button", name="Undo").click()
    await until(lambda: house.in_stage("Proposal sent"))
    await hers.locator(f"{column(hers, 'Proposal sent')} .card", has_text=DESK).wait_for()
    assert ivan.troubles == maria.troubles == []


async def _text(locator: object, wanted: str) -> bool:
    return await locator.inner_text() == wanted  # type: ignore[attr-defined, no-any-return]


async def test_the_board_by_keys_alone_with_the_reason_a_lost_deal_asks_for(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    await page.locator(".card", has_text=DESK).locator("[data-card]").focus()
    await page.keyboard.press("Shift+ArrowRight")
    await until(lambda: house.in_stage("Invoice issued"))
    await page.wait_for_function("t => document.activeElement.textContent.trim() === t", arg=DESK)  # still in hand
    await page.keyboard.press("m")
    await page.wait_for_selector("dialog#move[open]")
    await page.locator("dialog#move").get_by_role("button", name="Lost", exact=True).press("Enter")
    await page.wait_for_selector("dialog#complete[open]")
    await ivan.expect_status(422)
    await page.keyboard.press("Enter")  # nothing written: the dialog stays
    assert await page.locator("dialog#complete").get_attribute("open") is not None
    await page.keyboard.type("Too expensive")
    await page.keyboard.press("Enter")
    await until(lambda: house.in_stage("Lost"))
    assert (await house.deal()).lost_reason == "Too expensive"
    await page.locator(f"{column(page, 'Lost')} .card", has_text=DESK).wait_for()
    assert ivan.troubles == []


async def test_a_stale_card_says_so_and_shows_where_it_is_now(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    async with house.database.write() as session:  # a colleague moves it and no hint reaches this browser
        deal = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
        deal.stage_id, deal.version = house.busy.stages["Shipped"].id or 0, deal.version + 1
    await page.locator(".card", has_text=DESK).locator("[data-card]").focus()
    await page.keyboard.press("Shift+ArrowLeft")
    await page.get_by_text("Somebody changed this deal meanwhile").wait_for()
    await page.locator(f"{column(page, 'Shipped')} .card", has_text=DESK).wait_for()
    assert await house.in_stage("Shipped")
    await ivan.expect_status(409)
    assert ivan.troubles == []


async def test_columns_load_as_one_scrolls(house: House) -> None:
    async with house.database.write() as session:
        first = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
        session.add_all(Deal(**{**first.model_dump(exclude={"id"}), "title": f"Deal {n:02}"}) for n in range(70))
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    cards = page.locator(f"{column(page, 'Proposal sent')} .card")
    assert await cards.count() == FIRST
    while (before := await cards.count()) < 71:  # one that is reached may bring the next at once
        await until(lambda before=before: _more(page, before))
    assert await cards.count() == 71
    assert ivan.troubles == []


async def _more(page: Page, before: int) -> bool:
    """Look at the column and scroll it to its end, as whoever sees nothing come does once more."""
    shown = page.locator(f"{column(page, 'Proposal sent')} [data-cards]")
    await shown.locator(".card").last.scroll_into_view_if_needed()
    await shown.evaluate("e => e.scrollTo(0, e.scrollHeight)")
    return await shown.locator(".card").count() > before


async def test_a_deal_card_by_keys_a_note_a_task_and_undo(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/deals/{house.busy.deals[DESK]}")
    await page.get_by_label("New note").fill("asks about <b>oak</b>")
    await page.keyboard.press("Control+Enter")
    await page.locator("#timeline li").first.get_by_text("asks about <b>oak</b>").wait_for()
    assert await page.get_by_label("New note").input_value() == ""
    await page.locator("#next").get_by_label("Result").fill("sent")
    await page.keyboard.press("Enter")
    await page.get_by_role("button", name="Undo").click()

    async def is_open() -> bool:
        async with house.database.read() as session:
            task = await session.get(Task, house.busy.tasks["Send the drawings"])
        return task is not None and task.status == "open" and task.version >= 3

    await until(is_open)
    await page.locator("#facts").get_by_role("link", name="Edit").click()
    await page.get_by_label("Amount", exact=True).fill("much")
    await page.keyboard.press("Enter")
    await page.get_by_text("Write the amount as a number").wait_for()
    assert await page.get_by_label("Amount", exact=True).input_value() == "much"
    await page.get_by_label("Amount", exact=True).fill("12 400,50")
    await page.keyboard.press("Enter")
    await page.locator("#facts").get_by_text("12,400.50").wait_for()
    await ivan.expect_status(422)
    assert ivan.troubles == []


async def test_lost_on_the_card_asks_why(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/deals/{house.busy.deals[DESK]}")
    await page.locator(".path").get_by_role("button", name="Lost").click()
    await page.locator("dialog#complete[open] input[name=lost_reason]").fill("Never answered")
    await page.get_by_role("button", name="Mark as lost").click()
    await until(lambda: house.in_stage("Lost"))
    await page.locator(".path [aria-current=step]", has_text="Lost").wait_for()
    await ivan.expect_status(422)
    assert ivan.troubles == []


async def test_the_board_asks_for_the_next_task_after_a_failed_attempt_and_completes_the_move(house: House) -> None:
    await house.fail_to_reach()
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    dialog = page.locator("dialog#complete[open]")

    async def lose() -> None:
        await page.locator(".card", has_text=DESK).locator("[data-card]").focus()
        await page.keyboard.press("m")
        await page.locator("dialog#move[open]").get_by_role("button", name="Lost", exact=True).press("Enter")
        await dialog.wait_for()
        await ivan.expect_status(422)
        await dialog.get_by_label("Why is it lost?").fill("Never reached")

    await lose()
    assert await violations(page) == []
    assert await dialog.get_by_label("What is to be done").input_value() == "Call again"
    await page.keyboard.press("Escape")  # thought better of it: nothing has changed
    await dialog.wait_for(state="hidden")
    assert not await house.in_stage("Lost")
    assert await house.planned() == []

    await lose()
    await dialog.get_by_label("What is to be done").fill("Ask in spring")
    await page.keyboard.press("Enter")  # no time yet: the dialog says so at the field
    await dialog.locator("#f-next_due_at[aria-invalid=true]").wait_for()
    await ivan.expect_status(422)
    assert await dialog.get_by_label("What is to be done").input_value() == "Ask in spring"
    await dialog.get_by_role("button", name="tomorrow morning").click()
    await until(lambda: house.in_stage("Lost"))
    await page.locator(f"{column(page, 'Lost')} .card", has_text=DESK).wait_for()
    assert await house.planned() == ["Ask in spring"]
    assert (await house.deal()).lost_reason == "Never reached"
    assert ivan.troubles == []


@pytest.mark.parametrize("beside_the_dock", [False, True])
async def test_people_stand_in_one_line_and_no_list_is_cut(house: House, beside_the_dock: bool) -> None:
    """At 1280 px in Ukrainian: a name that is too long ends in dots and is told by its title, beside the dock by its initials."""
    async with house.database.write() as session:
        ivan = (await session.exec(select(User).where(User.login == "ivan"))).one()
        ivan.name = "Костянтин Верхньодніпровський-Григоренко"
        episode = (await session.exec(select(Episode).order_by(col(Episode.id)))).first()
        assert episode
        why = reason("escalation.callback", minutes=20, who=ivan.name).stored()
        episode.owner_id = ivan.id
        await lamp_of_callback(session, episode, NOON, reason=why)
        maria = (await session.exec(select(User).where(User.login == "maria"))).one()
        maria.language = "uk"
    if beside_the_dock:
        story = FactStory("1700000001.1", "+380671112233", at=NOON).ring("103").answer("103")
        await Intake(house.database, house.settings).apply(batch(story))
    maria_, page = await house.person("maria", width=1280)
    for path in ("/calls", "/escalations", "/tasks?who=team"):
        await page.goto(house.address + path)
        await live(page)
        await expect(page.locator("#dock .callcard")).to_have_count(int(beside_the_dock))
        people = page.locator(".list td > .person")
        assert await people.count() > 0, path
        assert (
            await people.evaluate_all("(all) => all.map((one) => one.offsetHeight).filter((high) => high > 24)") == []
        )
        assert ivan.name in await people.evaluate_all("(all) => all.map((one) => one.title)"), path
        if path != "/escalations":
            cut = await page.locator(".list").evaluate_all(
                "(all) => all.map((one) => one.scrollWidth - one.clientWidth)"
            )
            assert set(cut) == {0}, path
    assert maria_.troubles == []


async def nothing() -> None: ...


async def drag(page: Page, stage: str, meanwhile: Callable[[], Awaitable[object]] = nothing) -> None:
    """Take the card by the mouse to another column, and let go; ``meanwhile`` it is in the hand."""
    start = await page.locator(".card", has_text=DESK).bounding_box()
    end = await page.locator(f"{column(page, stage)} [data-cards]").bounding_box()
    assert start
    assert end
    await page.mouse.move(start["x"] + 60, start["y"] + 40)
    await page.mouse.down()
    await meanwhile()
    x, y = end["x"] + end["width"] / 2, end["y"] + 60  # a column without cards is a narrow one
    await page.mouse.move(x, y, steps=12)

    async def lies_there() -> bool:  # a hand that still trembles: the browser tells the page of each place it comes to
        await page.mouse.move(x + 1, y)
        await page.mouse.move(x, y)
        return await page.locator(f"{column(page, stage)} .card", has_text=DESK).count() == 1

    await until(lies_there)
    await page.mouse.up()


async def test_a_dragged_card_goes_back_until_the_next_task_is_set(house: House) -> None:
    await house.fail_to_reach()
    ivan, page = await house.person("ivan", width=3500)
    await page.goto(f"{house.address}/board")
    await live(page)
    was = f"{column(page, 'Proposal sent')} .card"
    order = await page.locator(f"{was} [data-card]").all_inner_texts()
    dialog = page.locator("dialog#complete[open]")
    await drag(page, "Received")
    await dialog.wait_for()
    await ivan.expect_status(422)
    await page.keyboard.press("Escape")
    await dialog.wait_for(state="hidden")
    assert await page.locator(f"{was} [data-card]").all_inner_texts() == order  # where it was, among the same cards
    assert await page.locator(f"{column(page, 'Received')} .card", has_text=DESK).count() == 0
    assert await house.in_stage("Proposal sent")
    assert await house.planned() == []

    await drag(page, "Received")
    await dialog.get_by_role("button", name="tomorrow morning").click()
    await ivan.expect_status(422)
    await page.locator(f"{column(page, 'Received')} .card", has_text=DESK).wait_for()
    assert await house.in_stage("Received")
    assert await house.planned() == ["Call again"]
    assert ivan.troubles == []


async def test_nothing_is_taken_out_of_a_hand_that_drags(house: House) -> None:
    """The board is drawn again while the card is held: it goes where the hand takes it all the same."""
    ivan, page = await house.person("ivan", width=3500)
    await page.goto(f"{house.address}/board")
    await live(page)

    async def board_comes_anew() -> None:
        async with page.expect_response(lambda answer: answer.url.endswith("/board")) as coming:
            await page.evaluate("document.dispatchEvent(new CustomEvent('live:refresh-all'))")
        await (await coming.value).finished()

    await drag(page, "Call held", board_comes_anew)
    await until(lambda: house.in_stage("Call held"))
    await page.locator(f"{column(page, 'Call held')} .card", has_text=DESK).wait_for()
    assert ivan.troubles == []


async def test_the_deals_card_asks_for_the_next_task_and_the_reason_at_once(house: House) -> None:
    await house.fail_to_reach()
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/deals/{house.busy.deals[DESK]}")
    await (
        page.locator(".path").get_by_role("button", name="Received —", exact=True).click()
    )  # won asks for the task alone
    dialog = page.locator("dialog#complete[open]")
    await dialog.wait_for()
    assert await dialog.get_by_label("Why is it lost?").count() == 0
    await dialog.get_by_role("link", name="Cancel").click()
    await dialog.wait_for(state="hidden")
    await ivan.expect_status(422)
    await page.locator(".path").get_by_role("button", name="Lost").click()
    await dialog.wait_for()
    await ivan.expect_status(422)
    assert await violations(page) == []
    await dialog.get_by_role("button", name="in 2 hours").click()  # the browser itself misses the reason
    await dialog.get_by_label("Why is it lost?").fill("Never reached")
    async with page.expect_navigation():
        await dialog.get_by_role("button", name="in 2 hours").click()
    await page.locator(".path [aria-current=step]", has_text="Lost").wait_for()
    assert await house.in_stage("Lost")
    assert await house.planned() == ["Call again"]
    assert ivan.troubles == []


async def test_a_new_deal_from_any_page_with_the_client_chosen_by_keys(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/calls")
    await page.keyboard.press("n")
    dialog = page.locator("dialog#new-deal")
    await dialog.get_by_role("combobox", name="Client").press_sequentially("мельн", delay=15)
    await dialog.get_by_role("option").first.wait_for()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    assert await dialog.get_by_role("combobox", name="Client").input_value() == "Ірина Мельник"
    assert await dialog.get_by_label("Number").input_value() == "+380672223344"
    await dialog.get_by_label("Title").fill("Second desk")
    await page.keyboard.press("Enter")
    second = dialog.get_by_role("checkbox", name="It is about something else")  # the client has an open deal
    await second.focus()
    await page.keyboard.press("Space")
    await ivan.expect_status(422)
    await dialog.get_by_label("Title").press("Enter")
    await page.wait_for_url("**/deals/*")
    assert (await house.deal("Second desk")).contact_id == house.busy.contacts["Ірина Мельник"]
    assert ivan.troubles == []


async def test_search_by_keys(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/tasks")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("мельник", delay=15)
    await page.locator("#found .item").first.wait_for()
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/contacts/{house.busy.contacts['Ірина Мельник']}")
    assert ivan.troubles == []


async def test_a_recording_that_is_missing_says_so_in_the_player(house: House) -> None:
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/deals/{house.busy.deals[DESK]}")
    await page.locator("audio").first.evaluate("audio => audio.play().catch(() => {})")
    await page.get_by_text("There is no recording of this call").wait_for()
    ivan.troubles.clear()  # the browser itself reports each refused request


PAGES = {
    "deals": ("/board", "/deals", "/deals?amount.min=99999999&q=x", "/calls", "/calls/{talk}", "/deals/{desk}", "/deals/{desk}?edit=1", "/deals/new", "/tasks", "/tasks/new"),
    "clients": ("/contacts", "/contacts/3", "/contacts/3/edit", "/contacts/new", "/companies", "/companies/1", "/companies/new", "/search?q=desk"),
    "work": ("/callbacks", "/escalations", "/people", "/people/new", "/people/1", "/people/leaves", "/teams/new", "/profile"),
    "settings": ("/numbers", "/status", "/settings/lines", "/settings/lines/new", "/settings/callbacks", "/settings/calendars", "/settings/calendars/new", "/settings/pipelines", "/api/docs"),
    "day": ("/tasks?view=all", "/tasks/week", "/tasks/team", "/burning", "/contacts/duplicates", "/contacts/3/merge", "/contacts/3/merge?contact_id=2", "/settings/stages/4", "/settings/stages/4/checkpoints/new", "/automation", "/automation/new"),
}  # fmt: skip


@pytest.mark.parametrize("group", PAGES)
@pytest.mark.parametrize(
    ("language", "theme", "width"), [("en", "light", 1440), ("uk", "dark", 1180), ("ru", "light", 360)]
)
async def test_every_page_reads_well_and_fits(house: House, group: str, language: str, theme: str, width: int) -> None:
    admin, page = await house.person("admin", width=width)
    for name, value in (("language", language), ("theme", theme)):
        await page.evaluate(
            "([n, v]) => fetch('/profile/look', {method: 'POST', body: new URLSearchParams({[n]: v})})", [name, value]
        )
    names = {"talk": house.busy.calls["1700000000.2"], "desk": house.busy.deals[DESK]}
    faults: dict[str, object] = {}
    for path in PAGES[group]:
        await page.goto(house.address + path.format(**names))
        found = [await violations(page), await overflow(page), await cut_words(page), await small_targets(page)]
        if any(found):
            faults[path] = found
    assert not faults, json.dumps(faults, indent=1, ensure_ascii=False)
    assert admin.troubles == []


@pytest.mark.parametrize("width", [900, 360])
async def test_the_acts_of_a_card_stand_at_the_top_right_also_of_a_number(house: House, width: int) -> None:
    """Where columns are narrowest, the number stays in one piece beside them."""
    async with house.database.write() as session:
        deal = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
        deal.title = "+380 67 888 88 88"
    ivan, page = await house.person("ivan", width=width)
    await page.goto(f"{house.address}/board")
    await live(page)
    card = page.locator(".card", has=page.locator(".number")).first
    await card.scroll_into_view_if_needed()
    places = await page.locator(".card:visible").evaluate_all(
        """(all) => all.map((card) => {
          const at = (part) => card.querySelector(part).getBoundingClientRect(), own = card.getBoundingClientRect();
          const acts = at('[data-move]'), title = document.createRange();
          title.selectNodeContents(card.querySelector('h3 a'));
          return [Math.round(acts.top - own.top), acts.right <= own.right, title.getBoundingClientRect().right <= acts.left + 1];
        })"""
    )
    assert {top < 20 for top, _, _ in places} == {True}
    assert [place for place in places if not (place[1] and place[2])] == []
    assert await overflow(page) == 0
    assert ivan.troubles == []
