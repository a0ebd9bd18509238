"""Ten things everybody does every day, in a real Chromium, with what they cost: clicks, typed fields, pages loaded.

The most that each may cost stands beside it, with what the same act costs in other CRMs. A field that is typed into counts as a field; whatever
is pressed by the mouse as a click; a page that is loaded again as a page.
"""

import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, Page, Request, expect
from redis.asyncio import Redis
from sqlmodel import col, select

from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Deal, Note
from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish, relay
from pbxcrm.shared.settings import Pbx, Settings
from pbxcrm.tasks.models import Task
from tests.busy import Busy
from tests.calls import NOON, FactStory, batch, outbound
from tests.e2e.browser import Person, forgetful, live
from tests.filled import Filled
from tests.integration.web.serving import serving
from tests.lamps import lamp_of_callback
from tests.office import PASSWORD, Office
from tests.waiting import until
from web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
STRANGER, IRYNA, DESK = "+380631234567", "+380672223344", "Reception desk"


@dataclass
class Hand:
    """Somebody's hand at a page, which counts."""

    page: Page
    clicks: int = 0
    fields: int = 0
    keys: int = 0
    drags: int = 0
    pages: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.page.on("request", self._loads)

    def _loads(self, request: Request) -> None:
        if request.is_navigation_request() and request.method == "GET":
            self.pages.append(request.url)

    async def click(self, what: Locator) -> None:
        self.clicks += 1
        await what.click()

    async def write(self, what: Locator, text: str) -> None:
        self.fields += 1
        await what.focus()
        await self.page.keyboard.type(text)

    async def press(self, key: str) -> None:
        self.keys += 1
        await self.page.keyboard.press(key)

    async def drag(self, what: Locator, onto: Locator) -> None:
        self.drags += 1
        start, end = await what.bounding_box(), await onto.bounding_box()
        assert start
        assert end
        await self.page.mouse.move(start["x"] + 60, start["y"] + 40)
        await self.page.mouse.down()
        x, y = end["x"] + end["width"] / 2, end["y"] + 60
        await self.page.mouse.move(x, y, steps=12)

        async def lies_there() -> bool:
            await self.page.mouse.move(x + 1, y)
            await self.page.mouse.move(x, y)
            return await onto.locator(".card").count() > 0

        await until(lies_there)
        await self.page.mouse.up()

    def cost(self, *, c: int = 0, f: int = 0, p: int = 0, k: int = 0, drags: int = 0) -> None:
        """What it may cost at most."""
        spent = (self.clicks, self.fields, len(self.pages), self.keys, self.drags)
        assert all(had <= may for had, may in zip(spent, (c, f, p, k, drags), strict=True)), (spent, self.pages)


@dataclass
class Day:
    """A busy office behind a real server; ``tell`` is what the PBX says."""

    address: str
    database: Database
    settings: Settings
    busy: Busy
    office: Office
    browser: Browser
    stack: AsyncExitStack

    async def sit_down(self, login: str, path: str, *, width: int = 1440) -> Hand:
        context = await self.browser.new_context(viewport={"width": width, "height": 900}, locale="en-GB")
        person = Person(context, self.address)
        page = await person.log_in(login, PASSWORD)
        await page.goto(self.address + path)
        await live(page)
        return Hand(page)

    async def tell(self, story: FactStory) -> None:
        await Intake(self.database, self.settings).apply(batch(story))

    async def talk(self, number: str, n: int) -> FactStory:
        """A call that Ivan has just taken and finished."""
        story = FactStory(f"91.{n}", number, at=NOON - timedelta(minutes=2)).ring("101").answer("101").wait(40).end()
        await self.tell(story)
        return story

    async def ordered(self, number: str) -> bool:
        async with self.database.read() as session:
            found = await session.exec(select(PhoneCommand).where(PhoneCommand.client_number == number))
            return found.first() is not None


@pytest_asyncio.fixture(loop_scope="session")
async def day(
    sqlite_url: str,
    redis_url: str,
    tmp_path: Path,
    chromium: Browser,
    begins_with_busy_office: Filled[tuple[Office, Busy]],
) -> AsyncIterator[Day]:
    pbx = Pbx(name="default", ami_url="ami://u:s@127.0.0.1")
    settings = Settings(data_dir=tmp_path, database_url=sqlite_url, pbxs=(pbx,))
    async with Redis.from_url(redis_url) as redis, AsyncExitStack() as stack:
        database = Database(sqlite_url)
        office, busy = begins_with_busy_office.found(database)
        async with database.write() as session:
            status = await session.get(PbxStatus, "default") or PbxStatus(pbx="default")
            status.state, status.reported_at, status.lease_until = "listening", NOON, NOON + timedelta(days=1)
            session.add(status)
        await relay(database, redis)
        database.after_commit = partial(publish, redis)
        app = create_app(settings, database, redis, clock=lambda: NOON)
        async with serving(app) as address, forgetful(chromium) as browser:
            yield Day(address, database, settings, busy, office, browser, stack)
        await database.close()


async def test_client_and_deal_from_an_unknown_caller_with_note_and_next_task(day: Day) -> None:
    """11 clicks, 5 fields and 5 pages before; the best elsewhere 5 and 3."""
    hand = await day.sit_down("ivan", "/board")
    await day.talk(STRANGER, 1)
    card = hand.page.locator(".callcard", has_text="63 123 45 67")
    await hand.write(card.get_by_role("combobox"), "Hanna Lysenko")
    await hand.click(card.get_by_role("button", name="New client"))
    card = hand.page.locator(".callcard", has_text="Hanna Lysenko").first
    await card.get_by_label("your client").or_(card.get_by_text("your client")).first.wait_for()
    await hand.write(card.get_by_label("Note"), "Three tables, delivery to Lviv")
    await hand.write(card.get_by_label("What is to be done"), "Send the price list")
    await hand.click(card.get_by_role("button", name="next morning"))
    await hand.page.locator(".toast", has_text="The call is finished").wait_for()

    async def all_of_it() -> bool:
        async with day.database.read() as session:
            client = (await session.exec(select(Contact).where(Contact.name == "Hanna Lysenko"))).first()
            deal = (await session.exec(select(Deal).where(Deal.title == "Hanna Lysenko"))).first()
            note = (await session.exec(select(Note).where(Note.text == "Three tables, delivery to Lviv"))).first()
            task = (await session.exec(select(Task).where(Task.title == "Send the price list"))).first()
        assert client
        assert deal
        assert task
        return note is not None and note.deal_id == deal.id == task.deal_id and deal.contact_id == client.id

    await until(all_of_it)
    hand.cost(c=3, f=3)


async def test_the_most_urgent_miss_is_returned_and_recorded(day: Day) -> None:
    """3 before."""
    hand = await day.sit_down("ivan", "/callbacks")
    row = hand.page.locator("#queue tr[data-row]").first
    row_id = await row.get_attribute("id")
    assert row_id
    async with day.database.read() as session:
        episode = await session.get(Episode, int(row_id.removeprefix("callback-")))
    assert episode
    assert episode.client_number
    await hand.click(row.locator("[data-do=call]"))
    await until(lambda: day.ordered(episode.client_number or ""))
    await day.tell(outbound("92.1", "101", episode.client_number, at=NOON).ring("101").answer("101").wait(50).end())
    await hand.click(hand.page.locator(f"#{row_id}").get_by_role("button", name="Reached").first)

    async def recorded() -> bool:
        async with day.database.read() as session:
            now = await session.get(Episode, episode.id)
            return now is not None and now.status == EpisodeStatus.REACHED

    await until(recorded)
    hand.cost(c=2)


async def test_a_deal_is_moved_two_stages(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board", width=2600)
    card = hand.page.locator(".card", has_text=DESK)
    await hand.drag(card, hand.page.locator('.col[data-name="Prepayment received"] [data-cards]'))

    async def moved() -> bool:
        async with day.database.read() as session:
            deal = await session.get(Deal, day.busy.deals[DESK])
            return deal is not None and deal.stage_id == day.busy.stages["Prepayment received"].id

    await until(moved)
    hand.cost(drags=1)


async def test_a_client_is_found_by_four_digits_and_called(day: Day) -> None:
    """3 clicks and a field before."""
    hand = await day.sit_down("ivan", "/board")
    await hand.write(hand.page.locator("#search"), "3344")
    await hand.click(hand.page.locator("#found").get_by_role("button", name="Call Ірина Мельник"))
    await until(lambda: day.ordered(IRYNA))
    hand.cost(c=2, f=1)


async def test_a_deal_is_lost_with_a_reason(day: Day) -> None:
    hand = await day.sit_down("ivan", "/board")
    await hand.click(hand.page.locator(".card", has_text=DESK).locator("[data-move]"))
    await hand.click(hand.page.locator("dialog#move").get_by_role("button", name="Lost…"))
    await hand.click(hand.page.locator("dialog[open]").get_by_role("button", name="Too expensive"))

    async def lost() -> bool:
        async with day.database.read() as session:
            deal = await session.get(Deal, day.busy.deals[DESK])
            return deal is not None and deal.lost_reason == "Too expensive"

    await until(lost)
    hand.cost(c=3)


@pytest.mark.parametrize("by_keys", [False, True])
async def test_a_callback_in_two_hours_on_a_deal(day: Day, by_keys: bool) -> None:
    """2 clicks and a field before, by keys 32."""
    hand = await day.sit_down("ivan", f"/deals/{day.busy.deals[DESK]}")
    if by_keys:
        await hand.press("2")
    else:
        await hand.click(hand.page.locator(".quick-task").get_by_role("button", name="in 2 hours"))

    async def planned() -> bool:
        async with day.database.read() as session:
            found = await session.exec(
                select(Task).where(Task.deal_id == day.busy.deals[DESK], Task.title == "Call back")
            )
            task = found.first()
            return task is not None and task.due_at == NOON + timedelta(hours=2)

    await until(planned)
    await hand.page.locator("#next", has_text="Call back").wait_for()
    hand.cost(c=1, k=2, p=1)


async def test_three_escalations_are_given_to_somebody(day: Day) -> None:
    """10 clicks before; the best elsewhere 6."""
    for n in range(3):
        miss = FactStory(f"93.{n}", f"+38050777000{n}", at=NOON - timedelta(hours=3)).ring("101").wait(20).end()
        await day.tell(miss)
    async with day.database.write() as session:
        wanted = col(Episode.client_number).startswith("+38050777")
        for episode in (await session.exec(select(Episode).where(wanted))).all():
            episode.owner_id = day.office.id("ivan")
            at = NOON - timedelta(hours=1)
            await lamp_of_callback(session, episode, at, addressee_id=day.office.id("maria"))
    hand = await day.sit_down("maria", "/escalations")
    picks = hand.page.locator(".pick input")
    await expect(picks).to_have_count(3)
    for n in range(3):
        await hand.click(picks.nth(n))
    await hand.click(hand.page.locator("#bulk").get_by_role("button", name=re.compile("Olena")))
    await hand.page.locator(".toast", has_text="3 given to Olena").wait_for()
    async with day.database.read() as session:
        owners = (await session.exec(select(Episode.owner_id).where(wanted))).all()
    assert set(owners) == {day.office.id("olena")}
    hand.cost(c=4)


async def test_who_has_most_overdue_and_which(day: Day) -> None:
    """5 clicks and 5 pages before; the best elsewhere 3."""
    async with day.database.write() as session:
        late = (await session.exec(select(Task).where(Task.title == "Send the drawings"))).one()
        copy = late.model_dump(exclude={"id"})
        session.add_all(Task(**{**copy, "title": f"Late {n}", "assignee_id": day.office.id("olena")}) for n in range(3))
    hand = await day.sit_down("maria", "/escalations")
    await hand.click(hand.page.locator("#rail a[href='/tasks']"))
    chips = hand.page.get_by_role("navigation", name="Whose").locator("a")
    await chips.filter(has_text="Olena").wait_for()
    said = [" ".join(text.split()) for text in await chips.all_inner_texts()]
    assert [text for text in said if text[-1:].isdigit()][:1] == ["Olena Hryhorenko 3"], (
        said
    )  # the first of them has most
    await hand.click(chips.filter(has_text="Olena"))
    await expect(hand.page.locator("#tasks tbody tr")).to_have_count(3)
    await expect(hand.page.locator("#group-overdue")).to_contain_text("3")
    hand.cost(c=2, p=2)


async def test_the_second_number_of_a_known_caller(day: Day) -> None:
    """5 clicks, a field and 2 pages before."""
    hand = await day.sit_down("ivan", "/board")
    await day.talk(STRANGER, 2)
    card = hand.page.locator(".callcard", has_text="63 123 45 67")
    await hand.write(card.get_by_role("combobox"), "melnyk")  # in Latin, as the keyboard stands
    await hand.click(card.get_by_role("option", name="Ірина Мельник"))
    await hand.page.locator(".callcard h2", has_text="Ірина Мельник").first.wait_for()
    async with day.database.read() as session:
        phone = (await session.exec(select(Phone).where(Phone.number == STRANGER))).one()
    assert phone.contact_id == day.busy.contacts["Ірина Мельник"]
    hand.cost(c=2, f=1)


async def test_what_was_agreed_after_a_call(day: Day) -> None:
    """3 clicks and a field before."""
    hand = await day.sit_down("ivan", "/board")
    await day.talk(IRYNA, 3)
    card = hand.page.locator("details[open] > .inside", has_text="Ірина Мельник")
    await hand.write(card.get_by_label("Note"), "Oak it is, sends the plan")
    await hand.click(card.get_by_role("button", name="in 2 hours"))
    await hand.page.locator(".toast", has_text="The call is finished").wait_for()

    async def kept() -> bool:
        async with day.database.read() as session:
            note = (await session.exec(select(Note).where(Note.text == "Oak it is, sends the plan"))).first()
            task = (await session.exec(select(Task).where(Task.due_at == NOON + timedelta(hours=2)))).first()
            return note is not None and task is not None and task.deal_id == note.deal_id is not None

    await until(kept)
    hand.cost(c=2, f=1)
