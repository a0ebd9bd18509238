"""The stage editor by keyboard alone, a checkpoint with it; and the counter of the rail, which follows lamps within a second."""

import asyncio
import statistics
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect
from redis.asyncio import Redis
from sqlmodel import col, select

from pbxcrm.access import Role, Viewer
from pbxcrm.calendars.actions import CalendarChange, change_calendar
from pbxcrm.calendars.queries import default_calendar
from pbxcrm.checkpoints.actions import create_checkpoint
from pbxcrm.checkpoints.drafts import CheckpointChange, StepChange
from pbxcrm.checkpoints.models import Checkpoint, CheckpointStep, Lamp, LampState
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Stage
from pbxcrm.shared.db import Database
from pbxcrm.shared.relay import Relay
from pbxcrm.tasks.models import Task
from tests.e2e.browser import live, overflow, small_targets, to, violations
from tests.e2e.conftest import AtScreen
from workers.work import WorkLoop

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
ADMIN = Viewer(5, "admin", "Адміністратор", Role.ADMIN, None)
OLENA_ID = 1
TIMES = 5
MINUTE = timedelta(seconds=60)


async def test_a_stage_and_its_checkpoint_are_edited_by_keyboard_alone(at_screen: AtScreen, db: Database) -> None:
    person, page = await at_screen("admin")
    await page.goto(f"{person.address}/settings/pipelines/1")
    await to(page, 'a[href$="/stages/new"]')
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/stages/new")
    await to(page, "#f-name")
    await page.keyboard.type("Sample sent")
    await to(page, "#f-norm")
    await page.keyboard.type("4")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/settings/pipelines/1")
    async with db.read() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Sample sent"))).one()
    assert stage.norm_minutes == 240

    await to(page, f'a.whole[href="/settings/stages/{stage.id}"]')
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/settings/stages/{stage.id}")
    await page.keyboard.press("l")  # add a checkpoint
    await page.wait_for_url("**/checkpoints/new")
    await to(page, "#whom-1")
    await page.keyboard.type("both")
    await to(page, "#steps > button")
    await page.keyboard.press("Enter")
    await expect(page.locator("#after-2")).to_be_focused()  # where one goes on typing
    await page.keyboard.type("2")
    await to(page, "#whom-2")
    await page.keyboard.type("their")
    await to(page, "#text-2")
    await page.keyboard.type("Look at the sample")
    await to(page, "#checklist-2")
    await page.keyboard.type("Ask the client")
    await page.keyboard.press("Enter")
    await page.keyboard.type("Ask the seller")
    await to(page, '[value="talked"]')
    await page.keyboard.press("Space")
    await expect(page.locator("#f-talked_seconds")).to_be_hidden()
    await to(page, ".buttons .btn:not(.primary)")
    await page.keyboard.press("Enter")
    await expect(page.locator("#trial")).to_contain_text("It touches 0 deals.")
    await to(page, ".buttons .primary", "Shift+Tab")
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"**/settings/stages/{stage.id}?job=*")
    await expect(page.locator("#watching")).to_contain_text("Look at the sample")
    async with db.read() as session:
        row = (await session.exec(select(Checkpoint).where(Checkpoint.stage_id == stage.id))).one()
        steps = (
            await session.exec(
                select(CheckpointStep)
                .where(CheckpointStep.checkpoint_id == row.id)
                .order_by(col(CheckpointStep.position))
            )
        ).all()
    assert [(step.after_minutes, step.whom, step.what) for step in steps] == [
        (None, "responsible", "task"),
        (60, "joint", "control"),
        (120, "manager", "control"),
    ]
    assert steps[2].checklist == ["Ask the client", "Ask the seller"]
    assert row.work == ["stage_moved", "next_task"]


async def test_the_editor_fits_a_phone_and_says_what_is_wrong_at_its_field(at_screen: AtScreen) -> None:
    person, page = await at_screen("admin", viewport={"width": 360, "height": 740}, color_scheme="dark")
    for path in ("/settings/stages/4/checkpoints/new", "/settings/stages/5", "/settings/pipelines/1"):
        await page.goto(person.address + path)
        assert (await overflow(page), await small_targets(page), await violations(page)) == (0, [], []), path
    await page.goto(f"{person.address}/settings/stages/4/checkpoints/new")
    await page.locator("#after-0").fill("0")
    await page.locator("#text-0").fill("Kept")
    for button in (".primary", ".buttons .btn:not(.primary, .ghost)"):  # what is wrong is said before it is tried, too
        await page.locator(f".checkpoint-form {button}").click()
        await person.expect_status(422)
        await expect(page.locator("#after-0-error")).to_contain_text("automatic task")
    await expect(page.locator("#after-0")).to_be_focused()
    await expect(page.locator("#text-0")).to_have_value("Kept")
    assert (await overflow(page), await violations(page)) == (0, [])


@pytest_asyncio.fixture(loop_scope="session")
async def _worker(db: Database, redis: Redis, redis_url: str) -> AsyncIterator[None]:
    """The real worker: it sweeps each second and tells the browsers. Everybody works at all times, so that lamps light now."""
    relay = Relay(db, redis)
    db.after_commit = relay.say
    async with db.write() as session:
        calendar = await default_calendar(session)
        assert calendar is not None
        always = CalendarChange(week=["00:00-24:00"] * 7)
        await change_calendar(session, ADMIN, calendar.id or 0, always, now=datetime.now(UTC))
    task = asyncio.create_task(WorkLoop(db, relay, redis_url).run())
    yield
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def shown_at(page: Page, number: int) -> datetime:
    """When the counter of tasks first said this number, by the clock of the machine."""
    at = await page.evaluate(
        """wanted => new Promise(resolve => {
             const said = () => Number(document.querySelector('#rail a[href="/tasks"] .count')?.textContent ?? 0) === wanted;
             const look = () => said() ? resolve(Date.now()) : setTimeout(look, 10);
             look();
           })""",
        number,
    )
    return datetime.fromtimestamp(at / 1000, UTC)


@pytest.mark.usefixtures("_worker")
async def test_a_lamp_on_the_board_opens_by_a_key_and_says_why(at_screen: AtScreen, db: Database) -> None:
    person, page = await at_screen("olena")
    await page.goto(f"{person.address}/board")
    await live(page)
    async with db.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Call held"))).one()
        change = CheckpointChange(
            name="At once",
            trigger="stage",
            steps=[StepChange(1, "responsible", "task")],
            work=["talked"],
            stage_id=stage.id,
        )
        await create_checkpoint(session, ADMIN, change, now=datetime.now(UTC))
    async with db.write() as session:
        at = datetime.now(UTC) - MINUTE
        new = {"title": "Fence", "currency": "UAH", "region": "UA", "stage_id": stage.id, "responsible_id": OLENA_ID}
        deal = await create_deal(session, ADMIN, now=at, **new)  # type: ignore[arg-type]  # as they are named
    card = page.locator(f"#deal-{deal.id}")
    await expect(card.locator(".lamp.first")).to_be_visible()
    await to(page, f"#deal-{deal.id} details.why > summary")
    await page.keyboard.press("Enter")
    said = card.locator("details.why .pop")
    await expect(said).to_contain_text("Nobody has worked on it in “Call held” for 1 working minute.")
    await expect(said).to_contain_text("norm 1\u00a0min of working time")
    assert (await overflow(page), await violations(page)) == (0, [])
    await page.keyboard.press("Escape")
    await expect(said).not_to_be_visible()
    await expect(page).to_have_url(f"{person.address}/board")


@pytest.mark.usefixtures("_worker")
async def test_an_escalation_is_done_together_by_a_key_and_its_dialogs_begin_inside(
    at_screen: AtScreen, db: Database
) -> None:
    person, page = await at_screen("iryna")
    await page.goto(f"{person.address}/escalations")
    await live(page)
    async with db.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Call held"))).one()
        steps = [StepChange(1, "responsible", "task"), StepChange(0, "manager", "control")]
        change = CheckpointChange(name="At once", trigger="stage", steps=steps, work=["talked"], stage_id=stage.id)
        await create_checkpoint(session, ADMIN, change, now=datetime.now(UTC))
    async with db.write() as session:
        at = datetime.now(UTC) - 2 * MINUTE
        new = {"title": "Fence", "currency": "UAH", "region": "UA", "stage_id": stage.id, "responsible_id": OLENA_ID}
        deal = await create_deal(session, ADMIN, now=at, **new)  # type: ignore[arg-type]  # as they are named
    await expect(page.locator("#escalations tr.now")).to_contain_text("Fence")
    for key, begins_at in (("r", "input[type=radio]"), ("m", "#f-text"), ("y", "#f-why")):
        await page.keyboard.press(key)
        await expect(page.locator(f"#ask {begins_at}").first).to_be_focused()
        await page.keyboard.press("Escape")
        await expect(page.locator("#ask")).not_to_be_visible()
    await page.keyboard.press("t")
    await expect(page.locator(".toast")).to_contain_text("has it too now")
    await expect(page.locator("#escalations tr.now")).to_contain_text("Fence")  # the next key acts on it, too
    async with db.read() as session:
        about = Task.deal_id == deal.id, Task.status == "open"
        tasks = (await session.exec(select(Task).where(*about).order_by(col(Task.id)))).all()
    assert [task.title.startswith("Together with") for task in tasks] == [True, False]


@pytest.mark.usefixtures("_worker")
async def test_the_counter_rises_within_a_second_of_the_lamp_and_falls_within_one_of_the_work(
    at_screen: AtScreen, db: Database
) -> None:
    """The middle of five: a busy machine may hold one of them up, and a counter that is polled would hold up all."""
    person, page = await at_screen("olena")
    await page.goto(f"{person.address}/board")
    await live(page)
    async with db.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Call held"))).one()
        step = StepChange(1, "responsible", "task")
        change = CheckpointChange(
            name="At once", trigger="stage", steps=[step], work=["stage_moved"], stage_id=stage.id
        )
        await create_checkpoint(session, ADMIN, change, now=datetime.now(UTC))
    rose, fell = [], []
    for number in range(TIMES):
        async with db.write() as session:
            deal = await create_deal(
                session,
                ADMIN,
                title=f"Deal {number}",
                now=datetime.now(UTC) - MINUTE,
                currency="UAH",
                region="UA",
                stage_id=stage.id,
                responsible_id=OLENA_ID,
            )
        shown = await shown_at(page, 1)
        async with db.read() as session:
            lamp = (await session.exec(select(Lamp).where(Lamp.deal_id == deal.id))).one()
        assert lamp.state == LampState.BURNING
        assert lamp.lit_at is not None
        rose.append((shown - lamp.lit_at).total_seconds())
        async with db.write() as session:
            done = datetime.now(UTC)
            await move_deal(session, ADMIN, deal.id or 0, 5, version=None, now=done)
        fell.append((await shown_at(page, 0) - done).total_seconds())
    assert statistics.median(rose) < 1, rose
    assert statistics.median(fell) < 1, fell
