"""How a ringing phone is told of beyond the card: sound and notification, each in one tab of however many.

Whatever Playwright asks a page counts as a click in it. So what tabs do that nobody has clicked in, they say themselves.
"""

from collections import Counter

import pytest
from playwright.async_api import ConsoleMessage, Page
from sqlmodel import col, update

from pbxcrm.calls.intake import Intake
from pbxcrm.db import Database
from pbxcrm.people.models import User
from tests.calls import batch
from tests.e2e.browser import Person, live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story
from tests.e2e.test_live_without import NO_LOCKS
from tests.waiting import until

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# The sound is the browser's own: what is said is that a tone begins, and that it has been played to its end.
SAYS = """
const create = BaseAudioContext.prototype.createOscillator;
BaseAudioContext.prototype.createOscillator = function () {
  const tone = create.call(this);
  console.info("begins");
  tone.addEventListener("ended", () => console.info("tone"));
  return tone;
};
addEventListener("DOMContentLoaded", () => {
  const seen = new Set();
  new MutationObserver(() => {
    const live = document.documentElement.dataset.stream === "ok" ? ["live"] : [];
    const cards = [...document.querySelectorAll("#dock .callcard")].map((card) => `${card.id} ${card.classList[1]}`);
    for (const word of [...live, ...cards]) if (!seen.has(word)) { seen.add(word); console.info(word); }
  }).observe(document, { subtree: true, childList: true, attributes: true });
});
"""


class Tabs:
    """Tabs of one person, nobody has clicked in any; ``said`` counts what each has said."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.pages: list[Page] = []
        self.said: Counter[tuple[int, str]] = Counter()

    async def open(self, count: int) -> None:
        self.person.context.on("console", self._hear)
        await self.person.context.add_init_script(SAYS)
        for _ in range(count):
            page = await self.person.context.new_page()
            self.pages.append(page)
            await page.goto(self.person.address + "/")
        await self.all_say("live")

    def _hear(self, message: ConsoleMessage) -> None:
        if message.page in self.pages:
            self.said[self.pages.index(message.page), message.text] += 1

    async def all_say(self, word: str) -> None:
        await until(lambda: all(self.said[number, word] for number in range(len(self.pages))))

    def who_said(self, word: str) -> dict[int, int]:
        return {number: times for (number, said), times in self.said.items() if said == word}


async def tabs_of_olena(at_screen: AtScreen, count: int, lacks: str = "") -> Tabs:
    person, page = await at_screen("olena")
    await page.close()
    await person.context.add_init_script(lacks)
    tabs = Tabs(person)
    await tabs.open(count)
    return tabs


async def ring_once(tabs: Tabs, intake: Intake, number: int) -> None:
    call = story(number).ring("101")
    await intake.apply(batch(call))
    await tabs.all_say(f"call-{number} ringing")
    await intake.apply(batch(call.wait(1).answer("101").wait(1).end()))
    await tabs.all_say(f"call-{number} after")


@pytest.mark.parametrize("clicked", [0, 3])
async def test_of_four_tabs_the_one_that_may_plays_each_ring(at_screen: AtScreen, intake: Intake, clicked: int) -> None:
    tabs = await tabs_of_olena(at_screen, 4)
    await tabs.pages[clicked].mouse.click(700, 700)
    for number in (1, 2, 3):
        await ring_once(tabs, intake, number)
        await until(lambda: tabs.who_said("tone") == {clicked: 2 * number})  # noqa: B023  # awaited in the loop


@pytest.mark.parametrize("lacks", ["", NO_LOCKS])  # over plain http there are no locks
async def test_of_four_tabs_that_may_one_plays(at_screen: AtScreen, intake: Intake, lacks: str) -> None:
    tabs = await tabs_of_olena(at_screen, 4, lacks)
    for page in tabs.pages:
        await page.mouse.click(700, 700)
    for number in (1, 2):
        await ring_once(tabs, intake, number)
        await until(lambda: sum(tabs.who_said("tone").values()) == 2 * number)  # noqa: B023  # awaited in the loop
        assert tabs.who_said("begins") == tabs.who_said("tone")


async def test_who_goes_on_to_another_page_is_not_told_again(at_screen: AtScreen, intake: Intake) -> None:
    tabs = await tabs_of_olena(at_screen, 1)
    page = tabs.pages[0]
    await page.mouse.click(700, 700)
    await intake.apply(batch(story(1).ring("101")))
    await until(lambda: tabs.who_said("tone") == {0: 2})
    tabs.said.clear()
    await page.locator("#rail").get_by_role("link", name="Tasks").click()
    await page.wait_for_url("**/tasks")
    await tabs.all_say("call-1 ringing")
    await ring_once(tabs, intake, 2)
    await until(lambda: tabs.who_said("tone") == {0: 2})
    assert tabs.who_said("begins") == {0: 2}


async def test_a_sound_that_is_switched_off_is_heard_nowhere(at_screen: AtScreen, intake: Intake, db: Database) -> None:
    async with db.write() as session:
        await session.exec(update(User).where(col(User.id) == 1).values(sound=False))
    tabs = await tabs_of_olena(at_screen, 2)
    for page in tabs.pages:
        await page.mouse.click(700, 700)
    await ring_once(tabs, intake, 1)
    async with db.write() as session:
        await session.exec(update(User).where(col(User.id) == 1).values(sound=True))
    await tabs.pages[0].reload()
    await live(tabs.pages[0])
    await ring_once(tabs, intake, 2)
    await until(lambda: tabs.who_said("tone") == {0: 2})
