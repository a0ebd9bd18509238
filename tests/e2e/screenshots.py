"""``make screenshots``: the pictures of the documentation, taken from a demo as users start it.

It starts ``pbxcrm run --demo`` in a folder of its own, logs in as the sample people, waits until the simulated PBX has
made what a picture shows, and writes PNGs into ``docs/images``. It takes about five minutes: a client must wait too
long before anything can burn.
"""

import asyncio
import re
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Locator, Page

from tests.asterisk.server import free_port
from tests.e2e.browser import Person, live, running_browser, still
from tests.e2e.packing import packed
from tests.running import START_SECONDS, Running, running
from tests.waiting import until

IMAGES = Path(__file__).parents[2] / "docs" / "images"
CALLS_A_MINUTE = "12"
PATIENCE = 400_000  # ms; calls come by chance
LARGEST = 120  # KB; all of them take less than 2 MB in the repository
# Press "Put the card away" wherever it is folded; and at once, for the next push may draw the card again.
HIDE = "(card) => card.querySelector(\"[hx-post$='/hide']\").click()"
DESK: dict[str, Any] = {"viewport": {"width": 1280, "height": 800}}
PHONE: dict[str, Any] = {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True}


class Studio:
    """Takes pictures of one running demo."""

    def __init__(self, run: Running, browser: Browser) -> None:
        self._run = run
        self._browser = browser
        shown = re.findall(r"^ {3}(\w+) +((?:\w{4}-){2}\w{4}) ", run.said, re.MULTILINE)
        self._passwords: dict[str, str] = dict(shown)

    @asynccontextmanager
    async def person(self, login: str, **context: Any) -> AsyncIterator[Page]:
        """A page of somebody who is logged in."""
        browser = await self._browser.new_context(**{"locale": "en-GB", **DESK, **context})
        person = Person(browser, self._run.address.rstrip("/"))
        try:
            yield await person.log_in(login, self._passwords[login])
            if person.troubles:
                raise RuntimeError(f"{login}: {person.troubles}")
        finally:
            await browser.close()

    async def go(self, page: Page, path: str) -> None:
        await page.goto(self._run.address.rstrip("/") + path)
        await live(page)


async def take(page: Page, name: str, shown: Locator | None = None) -> None:
    """Take the picture; again when ``shown`` (what it is about) came or went while it was taken."""
    path = IMAGES / f"{name}.png"
    while True:
        if shown is not None:
            await shown.first.wait_for(timeout=PATIENCE)
        await page.evaluate("() => document.querySelectorAll('.toast').forEach((toast) => toast.remove())")
        # Until the bar says what the phone does.
        await page.wait_for_selector("#line-state:not([data-state])", state="detached")
        await still(page)
        taken = await page.screenshot(animations="disabled")
        if shown is None or await shown.count():
            break
    path.write_bytes(await asyncio.to_thread(packed, taken))
    size = path.stat().st_size // 1024
    print(f"{path.name}: {size} KB", flush=True)
    if size > LARGEST:
        raise RuntimeError(f"{name} is larger than {LARGEST} KB")


async def without_cards(studio: Studio, page: Page) -> None:
    """No call comes between the photographer and the page."""
    await studio.go(page, "/profile")
    await page.locator("[name=popup]").select_option("off")
    async with page.expect_navigation():
        await page.locator("form[action='/profile'] .btn.primary").click()


async def put_cards_away(page: Page, keep: str = "") -> None:
    """Cards of calls that ended, except the one with the id ``keep``, so that what comes next stands alone."""
    cards = page.locator(f".callcard.after:not([id='{keep}'])")
    while await cards.count():
        card = page.locator(f"#{await cards.first.get_attribute('id')}")
        await card.evaluate(HIDE)
        await card.wait_for(state="detached")  # an older one may come up in its place


async def speak_ukrainian(page: Page) -> None:
    """In the profile: what is pushed into the dock is in the language of the profile, too."""
    await page.locator("#me > summary").click()
    async with page.expect_navigation():
        await page.locator("#me [name=language][value=uk]").click()
    await live(page)


async def shorten_the_norm(studio: Studio) -> None:
    """A client who waits one minute burns, and another minute later it is the manager's."""
    async with studio.person("admin") as page:
        await studio.go(page, "/settings/callbacks")
        await page.locator("[name=callback_due_minutes]").fill("1")
        await page.locator("[name=callback_pause_minutes]").fill("1")
        async with page.expect_navigation():
            await page.locator("form.panel button").click()


async def calls_of_a_seller(studio: Studio) -> None:
    """The card of one call: it rings, it is talked, it ends."""
    async with studio.person("olena", color_scheme="light") as page:
        await studio.go(page, "/board")
        await put_cards_away(page)
        somebody_known = page.locator(".callcard.ringing:first-of-type:has(.dealchip)")
        await take(page, "board-light", somebody_known)
        await put_cards_away(page)
        talking = page.locator(".callcard.talking:first-of-type")
        await talking.wait_for(timeout=PATIENCE)
        id_ = await talking.get_attribute("id")
        await page.locator(f"#{id_} textarea").fill("Wants the samples on Thursday, after three.")
        await take(page, "call-talking", page.locator(f"#{id_}.talking"))
        await page.locator(f"#{id_}.after").wait_for(timeout=PATIENCE)
        alone = page.locator(f"#dock-cards > #{id_}:only-of-type:has(details[open])")
        while not await alone.count():  # others have rung meanwhile: their cards go first
            await page.locator("#dock-cards:not(:has(.ringing, .talking))").wait_for(timeout=PATIENCE)
            await put_cards_away(page, keep=id_ or "")
        await take(page, "call-after", alone)
        await without_cards(studio, page)
        await studio.go(page, "/calls?direction=inbound&outcome=answered")
        await page.locator("td a[href^='/calls/']").first.click()
        await page.wait_for_selector(".gantt")
        await take(page, "call")


async def work_of_a_seller(studio: Studio) -> None:
    async with studio.person("taras", color_scheme="light") as page:
        await without_cards(studio, page)
        await studio.go(page, "/callbacks")
        await page.locator("#queue tr[data-row]").nth(3).wait_for(timeout=PATIENCE)
        await page.locator("#queue .wait.red").first.wait_for(timeout=PATIENCE)
        await take(page, "callbacks-light")
        await studio.go(page, "/tasks")
        await take(page, "tasks")
        await studio.go(page, "/board")
        await page.locator(".board .card a", has_text="Doors").first.click()
        await page.wait_for_selector("#timeline, .timeline")
        await take(page, "deal")
    async with studio.person("taras", color_scheme="light", **PHONE) as page:
        await studio.go(page, "/callbacks")
        await page.wait_for_selector("#queue tr[data-row]")
        await take(page, "callbacks-phone")


async def watch_of_a_manager(studio: Studio) -> None:
    async with studio.person("maksym", color_scheme="dark") as page:
        await without_cards(studio, page)
        await studio.go(page, "/board")
        await take(page, "board-dark")
    async with studio.person("maksym", color_scheme="light") as page:
        await studio.go(page, "/escalations")
        await page.locator("#escalations .btn.call").nth(1).wait_for(timeout=PATIENCE)
        await take(page, "escalations")
        await studio.go(page, "/calls")
        await take(page, "calls")
    async with studio.person("iryna", color_scheme="light", locale="uk-UA") as page:
        await studio.go(page, "/board")
        await speak_ukrainian(page)
        await put_cards_away(page)
        await take(page, "board-ukrainian", page.locator(".callcard:is(.ringing, .talking):first-of-type:has(.mark)"))
        said = await page.locator("#dock").inner_text()
        if re.search(r"Ringing|Talking|New deal|Task", said):
            raise RuntimeError(f"the dock speaks English: {said}")


async def house_of_the_administrator(studio: Studio) -> None:
    async with studio.person("admin", color_scheme="light") as page:
        for path, name in (
            ("/people", "people"),
            ("/status", "status"),
            ("/settings/callbacks", "rules-of-callbacks"),
            ("/settings/calendars/1", "working-hours"),
        ):
            await studio.go(page, path)
            await take(page, name)


async def rules_of_the_administrator(studio: Studio) -> None:
    """Templates that are switched on, the form of a rule, what it would have done, and the log of one that has fired."""
    async with studio.person("admin", color_scheme="light") as page:
        for code in ("not_reached", "request", "sum_reached", "status_message", "win_back", "next_steps", "silence"):
            await studio.go(page, "/automation/templates")
            async with page.expect_navigation():
                await page.locator(f"#template-{code} [name=to][value=on]").click()
        silent = page.locator("#rules tr[data-row]", has_text="A deal is silent").locator('a[href$="state=done"]')
        log = (await silent.get_attribute("href") or "").partition("?")[0]
        await studio.go(page, "/automation")
        await take(page, "automation")
        await studio.go(page, "/automation/new?template=sum_reached")
        await take(page, "rule-form")
        await page.locator(".try button").click()
        await page.locator("#trial section").wait_for(timeout=PATIENCE)
        await page.locator("#trial").evaluate("(trial) => trial.scrollIntoView()")
        await take(page, "rule-trial")
        await studio.go(page, log)
        while not await page.locator("#log tr[data-row]").count():  # its timers are set by the worker
            await page.wait_for_timeout(500)
            await studio.go(page, log)
        await page.locator("#log .why summary").first.click()
        await take(page, "rule-log")


def check_that_all_differ() -> None:
    contents = [path.read_bytes() for path in IMAGES.glob("*.png")]
    if len(set(contents)) < len(contents):
        raise RuntimeError("two pictures are the same")


async def main() -> None:
    IMAGES.mkdir(parents=True, exist_ok=True)
    agi = f"127.0.0.1:{free_port(socket.SOCK_STREAM)}"  # a demo beside this one may have the usual port
    with tempfile.TemporaryDirectory(prefix="pbxcrm-screenshots-") as folder:
        async with (
            running("--demo", "--rate", CALLS_A_MINUTE, PBXCRM_DATA_DIR=folder, PBXCRM_AGI_BIND=agi) as run,
            running_browser() as browser,
        ):
            await until(lambda: run.address, START_SECONDS)
            await until(run.well, START_SECONDS)
            studio = Studio(run, browser)
            await shorten_the_norm(studio)
            await house_of_the_administrator(studio)
            await rules_of_the_administrator(studio)
            await work_of_a_seller(studio)
            await watch_of_a_manager(studio)
            await calls_of_a_seller(studio)
            check_that_all_differ()


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
