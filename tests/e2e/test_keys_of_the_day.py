"""The day, the week, the stages and the quiet hours worked by keys alone; a task of the week is dragged with the mouse, too."""

from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import pytest_asyncio
from playwright.async_api import Locator, Page, expect
from redis.asyncio import Redis
from sqlmodel import col, select
from starlette.applications import Starlette

from pbxcrm.access import Role, Viewer
from pbxcrm.checkpoints.actions import create_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Stage
from pbxcrm.people.models import User
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import publish
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.models import Task, TaskComment, TaskKind
from tests.e2e.browser import Person, live, to
from tests.e2e.conftest import AtScreen
from web.app import create_app

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
OLENA = Viewer(1, "olena", "Олена Шевченко", Role.SELLER, 1)
ADMIN = Viewer(5, "admin", "Адміністратор", Role.ADMIN, None)
KYIV = ZoneInfo("Europe/Kyiv")
DAY = timedelta(days=1)


@pytest_asyncio.fixture(loop_scope="session")
async def app(settings: Settings, db: Database, redis: Redis) -> Starlette:
    """What is committed is published at once, so that the pages follow it."""
    db.after_commit = partial(publish, redis)
    return create_app(settings, db, redis)


async def give(
    db: Database, title: str, due_at: datetime, giver: Viewer = OLENA, kind: TaskKind = TaskKind.TODO
) -> int:
    """A task of Olena."""
    async with db.write() as session:
        task = await create_task(
            session, giver, title=title, due_at=due_at, now=datetime.now(UTC), assignee_id=OLENA.user_id, kind=kind
        )
    return task.id or 0


async def stored(db: Database, task_id: int) -> Task:
    async with db.read() as session:
        return (await session.exec(select(Task).where(Task.id == task_id))).one()


async def at_my_day(at_screen: AtScreen) -> tuple[Person, Page]:
    person, page = await at_screen("olena", timezone_id="Europe/Kyiv")
    await page.goto(f"{person.address}/tasks")
    await live(page)
    return person, page


def now_in_hand(page: Page) -> Locator:
    return page.locator("#tasks tr.now")


async def test_my_day_is_worked_by_keys_alone(at_screen: AtScreen, db: Database) -> None:
    start = datetime.now(UTC)
    late = await give(db, "Send the offer", start - DAY)
    put_off = await give(db, "Ask about the oak", start - timedelta(hours=1))
    given = await give(db, "Count the samples", start + 9 * DAY, ADMIN, TaskKind.ASSIGNMENT)
    _, page = await at_my_day(at_screen)
    await expect(now_in_hand(page)).to_contain_text("Send the offer")
    await page.keyboard.press("ArrowDown")
    await expect(now_in_hand(page)).to_contain_text("Ask about the oak")
    await page.keyboard.press("ArrowDown")
    await expect(now_in_hand(page)).to_contain_text("Count the samples")  # from one group of days into the next
    await page.keyboard.press("ArrowUp")
    await expect(now_in_hand(page)).to_contain_text("Ask about the oak")

    await page.keyboard.press("s")
    dialog = page.locator("#ask")
    await expect(dialog.locator("#f-until")).to_be_focused()
    await page.keyboard.type("in 3 days")
    await to(page, "#f-reason")
    await page.keyboard.type("They are at a fair")
    await page.keyboard.press("Enter")
    await expect(dialog).not_to_be_visible()
    await expect(page.locator("section[aria-labelledby=group-overdue]")).not_to_contain_text("Ask about the oak")
    await expect(page.locator("section[aria-labelledby=group-later]")).to_contain_text("Ask about the oak")
    moved = await stored(db, put_off)
    assert moved.due_at > start + DAY
    assert moved.postponed == 1
    async with db.read() as session:
        said = (await session.exec(select(TaskComment).where(TaskComment.task_id == put_off))).one()
    assert said.text == "They are at a fair"

    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowDown")
    await expect(now_in_hand(page)).to_contain_text("Count the samples")
    await page.keyboard.press("y")
    await expect(page.locator(".toast", has_text="The assignment is accepted.")).to_be_visible()
    await expect(page.locator(f"#task-{given} [data-do=accept]")).to_have_count(0)
    assert (await stored(db, given)).accepted_at is not None
    await expect(now_in_hand(page)).to_contain_text("Count the samples")

    await page.keyboard.press("k")
    await page.keyboard.press("k")
    await expect(now_in_hand(page)).to_contain_text("Send the offer")
    await page.keyboard.press("Space")
    await page.wait_for_url(f"**/tasks/{late}")


async def test_a_task_is_done_by_a_key_and_taken_back(at_screen: AtScreen, db: Database) -> None:
    start = datetime.now(UTC)
    first = await give(db, "Send the offer", start - 2 * DAY)
    await give(db, "Ask about the oak", start - DAY)
    _, page = await at_my_day(at_screen)
    await expect(now_in_hand(page)).to_contain_text("Send the offer")
    await page.keyboard.press("d")
    field = page.locator(f"#task-{first} input[name=result]")
    await expect(field).to_be_focused()
    await page.keyboard.press("Escape")  # not yet
    await expect(field).not_to_be_focused()
    await page.keyboard.press("d")
    await expect(field).to_be_focused()
    await page.keyboard.press("Enter")  # without a word
    await expect(page.locator(f"#task-{first}")).to_have_count(0)
    await expect(now_in_hand(page)).to_contain_text("Ask about the oak")  # the next is in hand
    await expect(now_in_hand(page)).to_be_focused()  # itself: the next key is an act, not a letter of its result
    assert (await stored(db, first)).status == "done"
    await to(page, ".toast .undo, .toast button[hx-post$='/reopen']")
    await page.keyboard.press("Enter")
    await expect(page.locator(f"#task-{first}")).to_have_count(1)
    assert (await stored(db, first)).status == "open"


async def test_a_task_is_done_with_its_result_by_keys(at_screen: AtScreen, db: Database) -> None:
    task = await give(db, "Ask about the oak", datetime.now(UTC) - DAY)
    _, page = await at_my_day(at_screen)
    await page.keyboard.press("d")
    await expect(page.locator(f"#task-{task} input[name=result]")).to_be_focused()
    await page.keyboard.type("Oak it is")
    await page.keyboard.press("Enter")
    await expect(page.locator(f"#task-{task}")).to_have_count(0)
    done = await stored(db, task)
    assert (done.status, done.result) == ("done", "Oak it is")


def next_week(weekday: int, hour: int = 15) -> datetime:
    """A day of the next week by the clock of the office."""
    today = datetime.now(KYIV).date()
    day = today + (7 - today.weekday() + weekday) * DAY
    return datetime.combine(day, time(hour), KYIV)


def day_of(page: Page, day: date) -> Locator:
    return page.locator(f"[data-day='{day.isoformat()}']")


async def at_week(at_screen: AtScreen) -> Page:
    person, page = await at_screen("olena", timezone_id="Europe/Kyiv", viewport={"width": 1600, "height": 900})
    await page.goto(f"{person.address}/tasks/week?week=1")
    await live(page)
    return page


async def say_why(page: Page, words: str) -> None:
    """A later day opens the dialog that puts a task off, with that day in it."""
    await expect(page.locator("#ask #f-until")).to_be_focused()
    await page.keyboard.press("Tab")
    await page.keyboard.type(words)
    await page.keyboard.press("Enter")
    await expect(page.locator("#ask")).to_be_hidden()


async def test_a_task_moves_to_another_day_by_keys(at_screen: AtScreen, db: Database) -> None:
    wednesday = next_week(2)
    task = await give(db, "Measure the hall", wednesday)
    page = await at_week(at_screen)
    await to(page, f"#week-{task} a")
    for step in (1, 2):  # the focus goes along, so the next key moves it on
        await page.keyboard.press("Alt+ArrowRight")
        await say_why(page, "They asked for it")
        await expect(page.locator(".toast", has_text="Put off until")).to_have_count(step)
        await expect(day_of(page, wednesday.date() + step * DAY).locator(f"#week-{task}")).to_have_count(1)
        await expect(page.locator(f"#week-{task} a")).to_be_focused()
        assert (await stored(db, task)).due_at == wednesday + step * DAY
    await page.reload()
    await live(page)
    await expect(day_of(page, wednesday.date() + 2 * DAY)).to_contain_text("Measure the hall")
    await to(page, f"#week-{task} a")
    await page.keyboard.press("Alt+ArrowRight")
    await expect(page.locator("#ask")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(page.locator("#ask")).to_be_hidden()
    await expect(day_of(page, wednesday.date() + 2 * DAY).locator(f"#week-{task}")).to_have_count(1)
    await expect(page.locator(f"#week-{task} a")).to_be_focused()
    await page.keyboard.press("Alt+ArrowLeft")
    await expect(page.locator(".toast", has_text="Moved to")).to_have_count(1)
    await page.reload()
    await expect(day_of(page, wednesday.date() + DAY)).to_contain_text("Measure the hall")
    assert (await stored(db, task)).due_at == wednesday + DAY


async def test_a_task_is_dragged_to_another_day(at_screen: AtScreen, db: Database) -> None:
    wednesday = next_week(2)
    task = await give(db, "Measure the hall", wednesday)
    page = await at_week(at_screen)
    friday = day_of(page, wednesday.date() + 2 * DAY)
    await page.locator(f"#week-{task}").drag_to(friday)
    await say_why(page, "They asked for it")
    await expect(page.locator(".toast", has_text="Put off until")).to_be_visible()
    await page.reload()
    await expect(friday).to_contain_text("Measure the hall")
    assert (await stored(db, task)).due_at == wednesday + 2 * DAY


async def test_a_task_is_dragged_to_another_day_with_a_finger(at_screen: AtScreen, db: Database) -> None:
    """The finger rests on it first; a swipe over it scrolls and moves nothing."""
    wednesday = next_week(2)
    task = await give(db, "Measure the hall", wednesday)
    size: dict[str, Any] = {"viewport": {"width": 360, "height": 1600}, "has_touch": True, "is_mobile": True}
    person, page = await at_screen("olena", timezone_id="Europe/Kyiv", **size)
    await page.goto(f"{person.address}/tasks/week?week=1")
    await live(page)
    friday = day_of(page, wednesday.date() + 2 * DAY)
    finger = await page.context.new_cdp_session(page)

    async def touch(kind: str, *points: tuple[float, float]) -> None:
        known = [{"x": x, "y": y} for x, y in points]
        await finger.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": known})

    held, goal = await page.locator(f"#week-{task}").bounding_box(), await friday.bounding_box()
    assert held
    assert goal
    x, begin, end = held["x"] + 60, held["y"] + held["height"] / 2, goal["y"] + goal["height"] / 2
    await touch("touchStart", (x, begin))
    await page.wait_for_selector(f"#week-{task}.sortable-chosen")
    for step in range(1, 11):
        await touch("touchMove", (x, begin + (end - begin) * step / 10))
    await friday.locator(f"#week-{task}").wait_for()
    await touch("touchEnd")
    await say_why(page, "They asked for it")
    await expect(page.locator(".toast", has_text="Put off until")).to_be_visible()
    await page.reload()
    await expect(friday).to_contain_text("Measure the hall")
    assert (await stored(db, task)).due_at == wednesday + 2 * DAY


async def test_a_stage_is_renamed_and_its_norm_changed_by_keys(at_screen: AtScreen, db: Database) -> None:
    now = datetime.now(UTC)
    async with db.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Call held"))).one()
        stage.norm_minutes = 40 * 9 * 60  # so that nothing is late yet
        step = StepChange(None, "responsible", "task")
        change = CheckpointChange(name="Held", trigger="stage", steps=[step], work=["stage_moved"], stage_id=stage.id)
        await create_checkpoint(session, ADMIN, change, now=now)
        for title in ("Oak floor", "Pine floor"):
            await create_deal(
                session,
                ADMIN,
                title=title,
                now=now - 21 * DAY,
                currency="UAH",
                region="UA",
                stage_id=stage.id,
                responsible_id=OLENA.user_id,
            )
    person, page = await at_screen("admin")
    await page.goto(f"{person.address}/settings/pipelines/{stage.pipeline_id}")
    await to(page, f'a.whole[href="/settings/stages/{stage.id}"]')
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/settings/stages/{stage.id}")
    await to(page, "#f-name")  # Tab selects what is there, so typing replaces it
    await page.keyboard.type("Talk held")
    await to(page, "#f-norm")
    await page.keyboard.type("3")
    await to(page, "#f-norm_unit")
    await page.keyboard.press("Home")
    await page.keyboard.press("ArrowDown")
    await expect(page.locator("#f-norm_unit")).to_have_value("h")
    await to(page, "#stage-form .buttons .btn:not(.primary)")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trial")).to_contain_text("It touches 2 deals.")
    await expect(page.locator("#trial")).to_contain_text("2 lamps would light at once.")
    await expect(page.locator("#stage-form .buttons .btn:not(.primary)")).to_be_focused()
    await to(page, "#stage-form .buttons .primary", "Shift+Tab")
    await page.keyboard.press("Enter")
    await person.expect_status(422)  # what happens to the two is asked first
    await expect(page.locator("#begin")).to_contain_text("It touches 2 deals.")
    await expect(page.locator("#begin [value=now]")).to_be_focused()
    await expect(page.locator("#f-name")).to_have_value("Talk held")
    await page.keyboard.press("Space")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/settings/pipelines/{stage.pipeline_id}**")
    await expect(page.locator(f"[data-stage='{stage.id}']")).to_contain_text("Talk held")
    await expect(page.locator(f"[data-stage='{stage.id}']")).to_contain_text("2 deals")
    async with db.read() as session:
        saved = (await session.exec(select(Stage).where(Stage.id == stage.id))).one()
    assert (saved.name, saved.norm_minutes) == ("Talk held", 180)


async def test_stages_change_places_by_keys_and_the_focus_stays(at_screen: AtScreen, db: Database) -> None:
    async def order() -> list[int | None]:
        async with db.read() as session:
            rows = select(Stage).where(Stage.pipeline_id == 1, col(Stage.archived_at).is_(None))
            return [stage.id for stage in (await session.exec(rows.order_by(col(Stage.position)))).all()]

    before = await order()
    moved = before[2]
    person, page = await at_screen("admin")
    await page.goto(f"{person.address}/settings/pipelines/1")
    places = page.locator("#stages > li")
    await to(page, f"[data-stage='{moved}'] [data-up]")
    await page.keyboard.press("Enter")
    await expect(places.nth(1)).to_have_attribute("data-stage", str(moved))
    await expect(page.locator(f"[data-stage='{moved}'] [data-up]")).to_be_focused()
    await page.keyboard.press("Space")
    await expect(places.nth(0)).to_have_attribute("data-stage", str(moved))
    await expect(page.locator(f"[data-stage='{moved}'] [data-down]")).to_be_focused()  # no further up
    assert await order() == [moved, *(each for each in before if each != moved)]
    for place in (1, 2, 3):  # pressed again and again, without looking for the button
        await page.keyboard.press("Enter")
        await expect(places.nth(place)).to_have_attribute("data-stage", str(moved))
        await expect(page.locator(f"[data-stage='{moved}'] [data-down]")).to_be_focused()
    await page.reload()
    await expect(places.nth(3)).to_have_attribute("data-stage", str(moved))
    assert (await order())[3] == moved


async def test_quiet_hours_are_set_by_keys_and_shown_again(at_screen: AtScreen, db: Database) -> None:
    person, page = await at_screen("olena")
    await page.goto(f"{person.address}/profile")
    await to(page, "#f-quiet_desktop")
    await page.keyboard.type("20:00-")
    await page.keyboard.press("Enter")
    await person.expect_status(422)
    await expect(
        page.locator("#f-quiet_desktop")
    ).to_be_focused()  # what is wrong is at hand, and nothing typed is lost
    await expect(page.locator("#f-quiet_desktop")).to_have_value("20:00-")
    await page.keyboard.press("End")
    await page.keyboard.type("08:00")
    await to(page, "#f-quiet_digest")
    await page.keyboard.type("12:00-13:00")
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast")).to_be_visible()
    await page.goto(f"{person.address}/profile")
    await expect(page.locator("#f-quiet_desktop")).to_have_value("20:00-08:00")
    await expect(page.locator("#f-quiet_digest")).to_have_value("12:00-13:00")
    await expect(page.locator("body")).to_have_attribute("data-quiet", "20:00-08:00")  # the pages keep to it
    async with db.read() as session:
        olena = (await session.exec(select(User).where(User.login == "olena"))).one()
    assert (olena.quiet_desktop, olena.quiet_digest) == ("20:00-08:00", "12:00-13:00")
