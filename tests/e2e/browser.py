"""A real Chromium: found on the machine, started once per session, watched for anything that goes wrong in a page."""

import json
import os
import shutil
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.resources import files
from typing import Any

from playwright.async_api import Browser, BrowserContext, Page, async_playwright

from tests.needs import need
from tests.waiting import children_of, until

# The shell without windows first: the whole browser draws its own tabs and menus for nobody, which takes most of a core.
CHROMIUM = (
    "/usr/bin/chromium-headless-shell",
    "/usr/bin/chromium",
    "/usr/bin/chromium-browser",
    "/usr/bin/google-chrome",
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
OFFLINE = ("net::ERR_INTERNET_DISCONNECTED", "Failed to fetch")  # how Chromium complains that there is no network
WCAG = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def chromium() -> str:
    """The program; skips (or fails in CI) where there is none."""
    found = next((path for path in CHROMIUM if shutil.which(path)), None)
    need(found, "Chromium is missing (apt-get install chromium-headless-shell)")
    assert found
    return found


@asynccontextmanager
async def running_browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium(), args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@contextmanager
def asleep() -> Iterator[None]:
    """As if the lid of the laptop was closed: nothing of the browsers of this process runs."""
    browsers = [pid for pid, line in descendants(os.getpid()) if "chrom" in line.split(" ", 1)[0]]
    assert browsers
    for pid in browsers:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in browsers:
            os.kill(pid, signal.SIGCONT)


def descendants(pid: int) -> Iterator[tuple[int, str]]:
    """The running children of a process and theirs: pid and command line."""
    for child, line in children_of(pid).items():
        yield child, line
        yield from descendants(child)


@asynccontextmanager
async def forgetful(browser: Browser) -> AsyncIterator[Browser]:
    """The browser for a while, after which every window of it is closed and everything in them forgotten."""
    try:
        yield browser
    finally:
        for context in browser.contexts:
            await context.close()


class Person:
    """Somebody at a browser. ``troubles`` collects what a page complains about: it must stay empty.

    An error status that a test provokes is a trouble too; take it out with ``expect_status``.
    """

    def __init__(self, context: BrowserContext, address: str) -> None:
        self.context = context
        self.address = address
        self.troubles: list[str] = []
        self._was_offline = False
        context.on("console", self._console)
        context.on("weberror", lambda error: self.troubles.append(str(error.error)))

    def _console(self, message: Any) -> None:  # playwright's ConsoleMessage; its type is not exported
        if self._was_offline and any(words in message.text for words in OFFLINE):
            return
        if message.type in {"error", "warning"}:
            self.troubles.append(f"{message.text} {message.location['url']}")

    async def page(self, path: str = "/") -> Page:
        page = await self.context.new_page()
        await page.goto(self.address + path)
        return page

    async def log_in(self, login: str, password: str) -> Page:
        """Log in and open the front page. The form is sent without being shown; ``type_log_in`` does as people do."""
        sent: dict[str, str | float | bool] = {"login": login, "password": password}
        await self.context.request.post(f"{self.address}/login", form=sent, headers={"Origin": self.address})
        page = await self.page("/")
        await page.wait_for_selector("#rail")
        return page

    async def type_log_in(self, login: str, password: str) -> Page:
        page = await self.page("/login")
        await page.locator("#f-login").fill(login)
        await page.locator("#f-password").fill(password)
        await page.locator(".panel button").click()
        await page.wait_for_selector("#rail")
        return page

    @asynccontextmanager
    async def offline(self) -> AsyncIterator[None]:
        """Meanwhile there is no network. What the browser says of that is no trouble, also when it comes later."""
        self._was_offline = True
        await self.context.set_offline(True)
        yield
        await self.context.set_offline(False)

    async def expect_status(self, status: int) -> None:
        """Wait for a complaint about an answer with this status, and forget it; fails when none comes.

        The browser complains on a way of its own, maybe after the page has shown what the answer said.
        """

        def complaint() -> str | None:
            return next((trouble for trouble in self.troubles if f"status of {status}" in trouble), None)

        await until(complaint)
        self.troubles.remove(complaint() or "")


async def live(page: Page) -> None:
    """Until the page hears what happens."""
    await page.wait_for_selector("html[data-stream='ok']", state="attached")


async def to(page: Page, css: str, key: str = "Tab", most: int = 120) -> None:
    """Press a key until what has the focus is of this kind."""
    for _ in range(most):
        await page.keyboard.press(key)
        if await page.evaluate("css => document.activeElement?.matches(css) ?? false", css):
            return
    focus = await page.evaluate("() => document.activeElement?.outerHTML.slice(0, 200)")
    raise AssertionError(f"{key} never came to {css}; it stands at {focus}")


async def still(page: Page) -> None:
    """Wait until everything that moves for a while has come to rest; what moves for ever is left alone."""
    await page.evaluate(
        """() => Promise.allSettled(document.getAnimations()
             .filter((one) => one.effect.getComputedTiming().iterations !== Infinity).map((one) => one.finished))"""
    )


async def violations(page: Page) -> list[str]:
    """What axe finds against WCAG 2.2 AA, one line a fault.

    The content policy lets no script in, so axe is run by the debugger's hand, beside the page.
    """
    await still(page)  # what is half faded in has not the contrast it will have
    axe = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    session = await page.context.new_cdp_session(page)
    options = {"runOnly": {"type": "tag", "values": WCAG}, "resultTypes": ["violations"]}
    call = f"{axe};axe.run(document, {json.dumps(options)}).then(found => JSON.stringify(found.violations))"
    answer = await session.send("Runtime.evaluate", {"expression": call, "awaitPromise": True, "returnByValue": True})
    await session.detach()
    assert "exceptionDetails" not in answer, answer
    return [
        f"{rule['id']}: {node['html'][:160]} ({node['failureSummary'].splitlines()[-1].strip()})"
        for rule in json.loads(answer["result"]["value"])
        for node in rule["nodes"]
    ]


async def overflow(page: Page) -> int:
    """How many pixels the page is wider than its window; 0 is right."""
    await still(page)
    wide: int = await page.evaluate("() => Math.max(0, document.documentElement.scrollWidth - innerWidth)")
    return wide


async def small_targets(page: Page) -> list[str]:
    """What is pressed and is smaller than 24 px one way or the other; a box counts with its label (WCAG 2.2, 2.5.8).

    Links inside a sentence are left out, as the criterion leaves them out.
    """
    await still(page)
    found: list[str] = await page.evaluate(
        """() => [...document.querySelectorAll('button, summary, select, input:not([type=hidden]), a.btn, a.chip, a.item, a.section, .tabs a, .list td > a, .card h3 a, .card .next a, .plain-link, .whole, th > a, dd > a, .head > a, .sum > a, .deal-line > a, .tall > a, [role=button]')]
            .filter(e => e.checkVisibility({visibilityProperty: true, opacityProperty: false}) && !e.matches('.hidden-text, [inert] *') && !e.closest('.hidden-text'))
            .map(e => [e, (e.matches('[type=checkbox], [type=radio]') && e.closest('label') || e).getBoundingClientRect()])
            .filter(([, box]) => box.width && (box.width < 23.9 || box.height < 23.9))
            .map(([e, box]) => `${e.outerHTML.slice(0, 110)} ${Math.round(box.width)}x${Math.round(box.height)}`)"""
    )
    return found


async def broken_words(page: Page) -> list[str]:
    """Words of cards that are broken in the middle although they would fit on a line of their own."""
    found: list[str] = await page.evaluate(
        r"""() => [...document.querySelectorAll('.callcard, .card')].filter(e => e.checkVisibility()).flatMap(card => {
            const broken = [], walker = document.createTreeWalker(card, NodeFilter.SHOW_TEXT);
            while (walker.nextNode()) {
                const text = walker.currentNode;
                if (!text.parentElement.checkVisibility() || text.parentElement.closest('.hidden-text')) continue;
                for (const word of text.data.matchAll(/[\p{L}\p{N}]{2,16}/gu)) {
                    const range = document.createRange();
                    range.setStart(text, word.index);
                    range.setEnd(text, word.index + word[0].length);
                    if (new Set([...range.getClientRects()].map(box => Math.round(box.top))).size > 1) broken.push(word[0]);
                }
            }
            return broken;
        })"""
    )
    return found


async def cut_words(page: Page) -> list[str]:
    """Words of the shell and in empty fields that do not fit where they stand (cut, or running out of their box)."""
    found: list[str] = await page.evaluate(
        """() => {
            const pen = document.createElement('canvas').getContext('2d');
            const room = (e, s) => e.clientWidth - parseFloat(s.paddingLeft) - parseFloat(s.paddingRight);
            const cut = (e) => {
                const s = getComputedStyle(e);
                pen.font = s.font;
                return pen.measureText(e.placeholder).width > room(e, s) + 1;
            };
            return [
                ...[...document.querySelectorAll('.btn, .chip, .mark, .section .word, th, h1, h2, .lamp, .count')]
                    .filter(e => e.checkVisibility() && e.clientWidth > 2 && e.scrollWidth > e.clientWidth + 1)
                    .map(e => e.textContent.trim()),
                ...[...document.querySelectorAll('#dock input[placeholder]')]
                    .filter(e => !e.value && e.checkVisibility() && cut(e))
                    .map(e => e.placeholder),
            ];
        }"""
    )
    return found
