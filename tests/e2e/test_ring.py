"""How a ringing phone is told of beyond the card: sound and notification, each in one tab of however many.

Whatever Playwright asks a page counts as a click in it. So what tabs do that nobody has clicked in, they say themselves.
"""

from collections import Counter
from datetime import UTC, datetime

import pytest
from playwright.async_api import ConsoleMessage, Page, expect
from sqlmodel import col, update

from pbxcrm.people.models import User
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import batch, outbound
from tests.e2e.browser import Person, live, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import HOSTILE, app, intake, settings, story
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


async def test_who_calls_somebody_is_not_told_that_it_rings(at_screen: AtScreen, intake: Intake) -> None:
    tabs = await tabs_of_olena(at_screen, 1)
    await tabs.pages[0].mouse.click(700, 700)
    call = outbound("7.1", "101", at=datetime.now(UTC)).ring("101")
    await intake.apply(batch(call))
    await tabs.all_say("call-1 ringing")
    await intake.apply(batch(call.wait(1).answer("101").wait(1).end()))
    await ring_once(tabs, intake, 2)
    await until(lambda: tabs.who_said("tone") == {0: 2})
    assert tabs.who_said("begins") == {0: 2}


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


# No browser without a screen shows a notification; its own class would only say that something went wrong. Nobody is at a tab
# unless the test says so.
NOBODY = """
window.shown = [];
window.at = false;
Document.prototype.hasFocus = () => window.at;
window.Notification = class {
  static permission = "granted";
  constructor(title, { body, tag }) { Object.assign(this, { title, body, tag, open: true }); window.shown.push(this); }
  close() { this.open = false; }
};
"""


async def two_tabs(at_screen: AtScreen) -> list[Page]:
    person, page = await at_screen("olena")
    await person.context.add_init_script(NOBODY)
    await page.close()
    pages = [await person.page("/"), await person.page("/tasks")]
    for page in pages:
        await live(page)
    return pages


async def shown(pages: list[Page]) -> list[tuple[str, bool]]:
    """Title and whether it is still there, of every notification of these tabs."""
    notes = [await page.evaluate("() => shown.map((note) => [note.title, note.open])") for page in pages]
    return [(title, there) for tab in notes for title, there in tab]


async def shows(pages: list[Page], expected: list[tuple[str, bool]]) -> None:
    async def so() -> bool:
        return await shown(pages) == expected

    await until(so)


async def see(pages: list[Page], selector: str, count: int = 1) -> None:
    for page in pages:
        await expect(page.locator(selector)).to_have_count(count)


async def considered(pages: list[Page]) -> None:
    """Until each tab has decided: it asks for a lock, then who is there, as is done here thrice."""
    for page in pages:
        for _ in range(3):
            await page.evaluate("() => navigator.locks.query()")


async def sit_down_at(page: Page, *, at: bool = True) -> None:
    await page.evaluate("(at) => { window.at = at; dispatchEvent(new Event(at ? 'focus' : 'blur')); }", at)
    await page.wait_for_function(
        """async (at) => (await navigator.locks.query()).held.some((lock) => lock.name.startsWith('pbxcrm-focus')) === at""",
        arg=at,
    )


@pytest.mark.parametrize("end", ["colleague", "oneself", "caller"])
async def test_one_notification_comes_with_the_ring_and_goes_with_it(
    at_screen: AtScreen, intake: Intake, end: str
) -> None:
    pages = await two_tabs(at_screen)
    call = story(1, name=HOSTILE[0]).ring("101", "102")
    await intake.apply(batch(call))
    await see(pages, "#call-1.ringing")
    await shows(pages, [(HOSTILE[0], True)])
    call.wait(2)
    await intake.apply(batch(call.end() if end == "caller" else call.answer("102" if end == "colleague" else "101")))
    await see(pages, ".ringing", 0)
    await shows(pages, [(HOSTILE[0], False)])


async def test_who_is_at_one_of_the_tabs_needs_no_notification(at_screen: AtScreen, intake: Intake) -> None:
    pages = await two_tabs(at_screen)
    await sit_down_at(pages[0])
    await intake.apply(batch(story(1, name="Seen").ring("101")))
    await see(pages, "#call-1.ringing")
    await considered(pages)
    await sit_down_at(pages[0], at=False)
    await intake.apply(batch(story(2, "+380501110001", name="Missed").ring("101")))
    await see(pages, "#call-2.ringing")
    await shows(pages, [("Missed", True)])


async def test_a_notification_that_is_switched_off_in_the_profile_is_not_shown(
    at_screen: AtScreen, intake: Intake
) -> None:
    person, page = await at_screen("olena")
    await person.context.add_init_script(NOBODY)
    for number, ticked in ((1, False), (2, True)):
        await page.goto(person.address + "/profile")
        await page.get_by_label("A desktop notification").set_checked(ticked)
        await page.get_by_role("button", name="Save").first.click()
        await expect(page.locator("#toasts")).to_contain_text("Saved.")
        await live(page)
        await intake.apply(batch(story(number, f"+38050111000{number}", name=f"Ring {number}").ring("101")))
        await see([page], f"#call-{number}.ringing")
        await considered([page])
        await shows([page], [("Ring 2", True)] if ticked else [])


async def test_the_profile_says_what_the_browser_allows_and_asks_it(at_screen: AtScreen) -> None:
    person, page = await at_screen("olena")
    await person.context.add_init_script(
        NOBODY.replace('"granted"', '"default"')
        + "Notification.requestPermission = async () => (Notification.permission = 'granted');"
    )
    await page.goto(person.address + "/profile")
    alerts = page.locator("[data-alerts]")
    await expect(alerts.get_by_role("status")).to_have_text(
        "This browser shows no notifications yet: allow them.", use_inner_text=True
    )
    assert await violations(page) == []
    await alerts.get_by_role("button", name="Allow in this browser").click()
    await expect(alerts.get_by_role("status")).to_have_text("This browser shows notifications.", use_inner_text=True)
    await expect(alerts.get_by_role("button", name="Allow")).to_be_hidden()
    await alerts.get_by_role("button", name="Try it").click()
    await shows([page], [("pbxcrm", True)])


@pytest.mark.parametrize(
    ("lacks", "says"),
    [
        ("", "This browser blocks notifications."),  # what a browser without a screen says by itself
        ("delete window.Notification;", "This browser cannot show notifications"),
        (
            "Object.defineProperty(window, 'isSecureContext', { value: false });",
            "only where the address begins with https",
        ),
    ],
)
async def test_the_profile_says_why_there_are_no_notifications(at_screen: AtScreen, lacks: str, says: str) -> None:
    person, page = await at_screen("olena")
    await person.context.add_init_script(lacks)
    await page.goto(person.address + "/profile")
    await expect(page.locator("[data-alerts] [role=status] > :visible")).to_contain_text([says])
    await page.get_by_role("button", name="Try it").click()  # the sound alone
    await expect(page.locator("[data-alerts] [role=status] > :visible")).to_contain_text([says])
