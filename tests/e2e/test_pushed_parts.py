"""What a push does to the dock: it swaps only the card that changed, and a message that was lost is made up for."""

import json
from typing import Any

import pytest
from playwright.async_api import Page, expect
from starlette.applications import Starlette

from pbxcrm.reactions.intake import Intake
from tests.calls import batch
from tests.e2e.browser import live
from tests.e2e.conftest import AtScreen
from tests.e2e.test_dock import app, intake, settings, story
from web.live import Ear
from web.regions import SentRegion

__all__ = ["app", "intake", "settings"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

# Counts what changes within each card.
WATCH = """() => {
  window.touched = {};
  new MutationObserver((changes) => { for (const { target } of changes) {
    const card = (target.closest ? target : target.parentElement).closest("[data-part]");
    if (card && !target.parentElement?.closest("time")  && !target.matches?.("time")) window.touched[card.dataset.part] = (window.touched[card.dataset.part] ?? 0) + 1;
  } }).observe(document.getElementById("dock-cards"), { childList: true, subtree: true, attributes: true, characterData: true });
}"""


async def test_only_the_card_that_changed_is_swapped(
    at_screen: AtScreen, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    pushed: list[dict[str, Any]] = []
    changes = SentRegion.changes

    def noted(self: SentRegion, now: Any) -> dict[str, Any] | None:
        if message := changes(self, now):
            pushed.append(message)
        return message

    monkeypatch.setattr(SentRegion, "changes", noted)
    person, page = await at_screen("olena")
    await live(page)
    await intake.apply(batch(story(1).ring("101").answer("101").wait(9).end()))
    await expect(page.locator("#call-1.after")).to_be_visible()
    await intake.apply(batch(story(2).ring("101").answer("101").wait(9).end()))
    await expect(page.locator("#dock-cards .callcard.after")).to_have_count(2)
    assert set(pushed[-1]["parts"]) == {"call-2"}
    await page.locator("#call-2-next").fill("send the offer")
    await page.evaluate(WATCH)
    pushed.clear()
    other = await person.page("/tasks")
    await other.locator("#call-1-card > summary").click()
    await other.locator("#call-1-note").fill("oak, not ash")
    await expect(page.locator("#call-1-note")).to_have_value("oak, not ash")
    await expect(page.locator("#call-2-next")).to_have_value("send the offer")
    await expect(page.locator("#call-2-next")).to_be_focused()
    assert [(set(message["parts"]), "outline" in message) for message in pushed] == [({"call-1"}, False)]
    assert set(await page.evaluate("window.touched")) == {"call-1"}


async def test_a_lost_message_is_made_up_for(at_screen: AtScreen, app: Starlette, intake: Intake) -> None:
    _, page = await at_screen("olena")
    await live(page)
    call = story(1).ring("101")
    await intake.apply(batch(call))
    await expect(page.locator("#dock-cards .callcard.ringing")).to_have_count(1)
    (ear,) = [ear for ears in app.state.parts.hub._ears.values() for ear in ears]
    _lose_one(ear)
    await intake.apply(batch(call.answer("101")))  # lost on the way
    await intake.apply(batch(call.wait(9).end()))
    await expect(page.locator("#dock-cards .callcard.after")).to_have_count(1)
    await expect(page.locator("#call-1-next")).to_be_attached()


def _lose_one(ear: Ear) -> None:
    """Count one message that never arrives."""
    sent = ear._sent["dock"]
    assert sent._last is not None
    sent._count += 1


MESSAGES = [
    {"region": "dock", "number": 1, "outline": "<!--part a-->|<!--part b-->", "parts": {"a": "1", "b": "1"}},
    {"region": "dock", "number": 2, "parts": {"b": "2"}},
    {"region": "dock", "number": 3, "outline": "<!--part b-->|<!--part c-->", "parts": {"c": "<!--part b-->"}},
    {"region": "dock", "number": 4, "outline": "<!--part c-->", "parts": {}},
]


async def regions(page: Page, messages: list[dict[str, Any] | None]) -> list[Any]:
    """Whether each message was taken, and what the region is after it. None stands for the start of a new stream."""
    found: list[Any] = await page.evaluate(
        """async (messages) => {
          const { Regions, whole } = await import(document.body.dataset.worker.replace("live-worker", "regions"));
          const regions = new Regions();
          return messages.map((message) => message ? [regions.take(message), whole(regions.push("dock"))] : regions.restart());
        }""",
        messages,
    )
    return found


async def test_messages_in_order_and_out_of_order(at_screen: AtScreen) -> None:
    _, page = await at_screen("olena")
    first, second, third, fourth = json.loads(json.dumps(MESSAGES))
    assert await regions(page, [first, second, third, fourth]) == [
        [True, "1|1"],
        [True, "1|2"],
        [True, "2|<!--part b-->"],
        [True, "<!--part b-->"],
    ]
    # One is missing, one comes twice, or one comes too late: nothing is shown of it, and the stream starts over.
    assert await regions(page, [first, third]) == [[True, "1|1"], [False, "1|1"]]
    assert await regions(page, [first, second, second]) == [[True, "1|1"], [True, "1|2"], [False, "1|2"]]
    # A new stream counts from 1; before its first message nothing else of it is taken.
    assert await regions(page, [first, second, None, third, first]) == [
        [True, "1|1"],
        [True, "1|2"],
        None,
        [False, "1|2"],
        [True, "1|1"],
    ]
