"""A rule from an empty installation by keyboard (G2): template, form, steps, log, undo, in a real Chromium."""

import re

import pytest
from playwright.async_api import Page, expect
from sqlmodel import col, func, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.automation.models import AutomationEvent, AutomationRule, RuleRun
from pbxcrm.automation.runner import run_due
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.models import Deal, Pipeline, Stage
from pbxcrm.messages.models import Delivery
from pbxcrm.people.models import User
from pbxcrm.people.queries import viewer_of
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from pbxcrm.shared.timers import Timer
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch, outbound
from tests.e2e.browser import cut_words, live, overflow, small_targets, violations
from tests.e2e.conftest import AtScreen
from tests.e2e.test_pages import House, house

__all__ = ["house"]
_UNTOUCHED = (Task, AuditEntry, RuleRun, AutomationEvent, Delivery, Timer)  # rows that a rule which works would make
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def redrawn(page: Page, name: str) -> None:
    """The form was drawn again, with the focus in this field."""
    await expect(page.locator(f'[name="{name}"]')).to_be_focused()


async def rules(house: House) -> list[AutomationRule]:
    async with house.database.read() as session:
        return list((await session.exec(select(AutomationRule).order_by(col(AutomationRule.id)))).all())


async def test_a_template_and_a_rule_of_ones_own_by_keyboard(house: House) -> None:
    _, page = await house.person("admin", width=1280)
    await page.goto(f"{house.address}/automation")
    await live(page)
    await expect(page.get_by_role("heading", name="No rules yet")).to_be_visible()
    await page.keyboard.press("t")
    await expect(page.locator("#templates tr.now")).to_have_attribute("id", "template-not_reached")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("w")
    await expect(page.locator("#rules tr.now")).to_contain_text("Answer each request")
    await live(page)  # another page: it takes keys when its scripts have begun
    await page.keyboard.press("o")
    await expect(page.locator(".toast", has_text="works now")).to_be_visible()
    await page.keyboard.press("n")
    await page.wait_for_url("**/automation/new")
    await page.keyboard.type("Offer sent")
    await page.keyboard.press("Tab")
    await page.keyboard.press("ArrowDown")
    await redrawn(page, "when.kind")
    stage = str(house.busy.stages["Call held"].id)
    await page.locator('[name="when.stage_id"]').select_option(stage)
    await page.locator("#if").get_by_role("button", name="Add a condition").press("Enter")
    await redrawn(page, "if.0.field")
    await page.locator('[name="if.0.field"]').select_option("title")
    await redrawn(page, "if.0.field")
    await page.locator('[name="if.0.op"]').select_option("filled")
    await redrawn(page, "if.0.op")
    await page.locator('[name="then.0.kind"]').focus()
    await page.keyboard.press("ArrowDown")
    await redrawn(page, "then.0.kind")
    await page.locator('[name="then.0.title"]').focus()
    await page.keyboard.type("Call about the offer")
    await expect(page.locator("#said")).to_contain_text("if Title is filled in → Make a task: “Call about the offer”")
    await page.reload()
    await expect(page.locator('[name="then.0.title"]')).to_have_value("Call about the offer")
    await expect(page.locator('[name="if.0.op"]')).to_have_value("filled")
    await page.get_by_role("button", name="Add a step").press("Enter")
    await redrawn(page, "then.1.kind")
    await page.locator('[name="then.1.kind"]').select_option("note")
    await redrawn(page, "then.1.kind")
    await page.get_by_role("button", name="Step 2: Move it up").press("Enter")
    await expect(page.locator('[name="then.0.kind"]')).to_have_value("note")
    await page.get_by_role("button", name="Save").press("Enter")
    await expect(page.locator('[name="then.0.text"]')).to_be_focused()
    await expect(page.locator('[name="then.1.title"]')).to_have_value("Call about the offer")
    await page.keyboard.type("The offer is on its way.")
    await page.locator("#f-state").select_option("on")
    await page.get_by_role("button", name="Save").press("Enter")
    await page.wait_for_url("**/automation#rule-*")
    assert [(rule.name, rule.state) for rule in await rules(house)] == [
        ("Answer each request", "on"),
        ("Offer sent", "on"),
    ]

    deal = await house.deal()
    async with house.database.write() as session:
        admin = await viewer_of(session, (await session.exec(select(User).where(User.login == "admin"))).one())
        await move_deal(session, admin, deal.id or 0, int(stage), version=None, now=NOON)
    assert await run_due(house.database, NOON, "UA") > 0
    await page.goto(f"{house.address}/deals/{deal.id}")
    await page.get_by_role("link", name="Rule “Offer sent”").press("Enter")
    await expect(page.locator("#run")).to_contain_text("Task: Call about the offer")
    await page.get_by_role("button", name="Undo").press("Enter")
    await expect(page.locator(".toast", has_text="taken back")).to_be_visible()
    await page.goto(f"{house.address}/automation/{(await rules(house))[1].id}/log")
    await expect(page.locator("#log")).to_contain_text(re.compile("Undone"))


async def test_keys_pressed_quickly_on_a_select_choose_what_they_say(house: House) -> None:
    """Each arrow is a change, and the form is drawn again behind the last one; also when one goes on while it is on its way."""
    _, page = await house.person("admin", width=1280)
    await page.goto(f"{house.address}/automation/new")
    await live(page)
    then = page.locator('[name="then.0.kind"]')
    options: list[str] = await then.evaluate("select => [...select.options].map(each => each.value)")
    drawn: list[str] = []
    page.on("request", lambda sent: drawn.extend(re.findall(r"act=focus[^&]*", sent.post_data or "")))
    await then.focus()
    async with page.expect_request(lambda sent: "act=focus" in (sent.post_data or "")):
        for _ in range(5):
            await page.keyboard.press("ArrowDown", delay=40)
        await expect(then).to_have_value(options[5])
    await page.keyboard.press("ArrowDown")  # the answer is on its way
    await expect(page.locator(f'[name="then.0.kind"] option[value="{options[6]}"][selected]')).to_be_attached()
    await expect(then).to_have_value(options[6])
    await redrawn(page, "then.0.kind")
    assert len(drawn) < 6, "not for each key"


async def test_a_client_is_found_by_the_name_in_a_condition(house: House) -> None:
    _, page = await house.person("admin", width=360)
    async with house.database.read() as session:
        known = select(Contact).where(Contact.name != "").order_by(col(Contact.id))
        client = (await session.exec(known)).first()
    assert client is not None
    await page.goto(f"{house.address}/automation/new?stage={house.busy.stages['Call held'].id}")
    await live(page)
    await page.locator("#if").get_by_role("button", name="Add a condition").press("Enter")
    await redrawn(page, "if.0.field")
    await page.locator('[name="if.0.field"]').select_option("contact")
    await redrawn(page, "if.0.field")
    asked = page.locator('[id="f-if.0.value"]')
    await asked.press_sequentially(client.name[:4])
    await expect(page.locator('[id="found-if.0.value"] .item').first).to_be_visible()
    await asked.press("ArrowDown")
    await page.keyboard.press("Enter")
    await expect(page.locator('[name="if.0.value"]')).to_have_value(re.compile(r"\d+"))
    await page.locator('[name="then.0.kind"]').select_option("note")
    await redrawn(page, "then.0.kind")
    await expect(asked).not_to_have_value("")
    await expect(page.locator("#said")).to_contain_text(f"if Client = {await asked.input_value()}")
    faults = [await violations(page), await overflow(page), await cut_words(page), await small_targets(page)]
    assert not any(faults), faults


@pytest.mark.parametrize(("language", "theme", "width"), [("en", "dark", 1280), ("uk", "light", 360)])
async def test_its_pages_read_well_and_fit(house: House, language: str, theme: str, width: int) -> None:
    admin, page = await house.person("admin", width=width)
    post = "([path, fields]) => fetch(path, {method: 'POST', body: new URLSearchParams(fields)})"
    for name, value in (("language", language), ("theme", theme)):
        await page.evaluate(post, ["/profile/look", {name: value}])
    for code in ("not_reached", "big_deal", "win_back"):
        await page.evaluate(post, ["/automation/templates", {"template": code, "to": "on"}])
    last = (await rules(house))[-1].id
    found = {}
    for path in ("", "/templates", "/new", f"/{last}", f"/{last}/log", f"/{last}/versions", f"/{last}/pause"):
        await page.goto(f"{house.address}/automation{path}")
        faults = [await violations(page), await overflow(page), await cut_words(page), await small_targets(page)]
        if any(faults):
            found[path] = faults
    assert found == {}
    assert admin.troubles == []


async def state_of(house: House) -> dict[str, object]:
    """What a dry run must leave as it is."""
    async with house.database.read() as session:
        deals = (await session.exec(select(Deal.id, Deal.stage_id, Deal.version).order_by(col(Deal.id)))).all()
        counts = [(await session.exec(select(func.count()).select_from(table))).one() for table in _UNTOUCHED]
    return {"deals": [tuple(deal) for deal in deals], "counts": counts}


async def test_a_rule_is_tried_on_the_last_days_and_nothing_is_changed(house: House) -> None:
    """The form is tried before it is saved: progress, figures, and the rows behind them, each of which leads to its deal."""
    _, page = await house.person("admin", width=1280)
    await page.goto(f"{house.address}/automation/new")
    await live(page)
    await page.locator("#f-name").fill("Every deal gets a task")
    await page.locator('[name="when.kind"]').select_option("deal_created")
    await redrawn(page, "when.kind")
    await page.locator('[name="then.0.kind"]').select_option("task")
    await redrawn(page, "then.0.kind")
    tried = page.get_by_role("button", name="Try it on the last")
    await tried.press("Enter")
    await expect(page.locator("#trial")).to_contain_text("Step 1: ")  # what is wrong, and nothing was begun
    await page.locator('[name="then.0.title"]').fill("Greet them")
    await page.locator("select[name=days]").select_option("90")
    before = await state_of(house)
    await tried.press("Enter")
    await expect(page.locator("#trial progress")).to_be_visible()
    await work_on(house.database, NOON)
    await expect(page.get_by_role("heading", name="What it would have done")).to_be_visible()
    async with house.database.read() as session:
        made = {f"/deals/{deal_id}" for deal_id in (await session.exec(select(Deal.id))).all()}
    rows = page.locator("#trial tbody tr")
    links = await rows.locator("a[href^='/deals/']").evaluate_all("all => all.map((each) => each.getAttribute('href'))")
    assert set(links) == made
    count = len(made)
    await expect(page.locator("#trial [role=status]")).to_contain_text(
        f"It would have fired {count} times on {count} deals."
    )
    await expect(rows.first).to_contain_text("Task: Greet them")
    assert await state_of(house) == before
    assert await rules(house) == []
    await rows.first.locator("a").press("Enter")
    await page.wait_for_url("**/deals/*")
    await expect(page.locator("main")).not_to_contain_text("Greet them")


async def go_to(page: Page, name: str) -> None:
    """Press Tab until this control has the focus."""
    wanted = page.locator(f'[name="{name}"]').first
    await expect(wanted).to_be_visible()
    for _ in range(120):
        if await wanted.evaluate("(control) => control === document.activeElement"):
            return
        await page.keyboard.press("Tab")
    raise AssertionError(f"Tab does not reach {name}")


async def choose_by_arrows(page: Page, name: str, words: str) -> None:
    """Walk down the options to this one; after each the form is drawn again, with the focus there."""
    await go_to(page, name)
    control = page.locator(f'[name="{name}"]')
    while await control.locator("option:checked").inner_text() != words:
        async with page.expect_response("**/automation/shape"):
            await page.keyboard.press("ArrowDown")
        await live(page)
        await redrawn(page, name)


async def test_scenarios_from_an_empty_installation_by_keyboard(
    at_screen: AtScreen, db: Database, settings: Settings
) -> None:
    """A pipeline, a template, and a rule of one's own are made with no mouse; then a call is missed, and the client does not answer ours."""
    _, page = await at_screen("admin", viewport={"width": 1280, "height": 800})
    base = re.match(r"https?://[^/]+", page.url)
    assert base is not None
    await page.goto(f"{base[0]}/settings/pipelines/new")
    await live(page)
    await go_to(page, "template")
    await page.keyboard.press("ArrowDown")
    await go_to(page, "name")
    await page.keyboard.type("Callers")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Callers")).to_be_visible()
    await live(page)

    await page.keyboard.press("g")
    await page.keyboard.press("a")
    await page.wait_for_url("**/automation")
    await live(page)
    await page.keyboard.press("t")
    await expect(page.locator("#templates tr.now")).to_have_attribute("id", "template-not_reached")
    await live(page)
    await page.keyboard.press("o")
    await expect(page.locator("#rules tr.now")).to_contain_text("Call again in two hours")
    await live(page)
    await page.keyboard.press("n")
    await page.wait_for_url("**/automation/new")
    await live(page)
    await go_to(page, "name")
    await page.keyboard.type("A deal for each missed call")
    await choose_by_arrows(page, "when.kind", "A call is missed")
    await choose_by_arrows(page, "then.0.kind", "Make a deal of the client")
    await go_to(page, "then.0.stage_id")
    async with db.read() as session:
        (made,) = (await session.exec(select(Pipeline).where(Pipeline.name == "Callers"))).all()
        stages = (await session.exec(select(Stage).where(Stage.pipeline_id == made.id, Stage.kind == "open"))).all()
    first = min(stages, key=lambda each: each.position)
    chosen = page.locator('[name="then.0.stage_id"]')
    for _ in range(60):
        if await chosen.input_value() == str(first.id):
            break
        await page.keyboard.press("ArrowDown")
    assert await chosen.input_value() == str(first.id)
    await go_to(page, "state")
    await page.keyboard.press("End")
    await expect(page.locator("#f-state")).to_have_value("on")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("button", name="Save")).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/automation#rule-*")

    client = "+380501110001"
    missed = batch(FactStory("18.0", client=client).ring("101").wait(9).end())
    failed = batch(outbound("18.1", "101", client).ring("101").wait(20).end())
    for call in (missed, failed):
        await Intake(db, settings).apply(call)
        assert await run_due(db, NOON, "UA") > 0
    async with db.read() as session:
        known = select(Deal).where(Deal.client_number == client).order_by(col(Deal.id))
        began, made_by_rule = (await session.exec(known)).all()
        (run,) = (await session.exec(select(RuleRun).where(RuleRun.act == "call.over", RuleRun.rule_id == 1))).all()
    assert (made_by_rule.pipeline_id, made_by_rule.stage_id) == (made.id, first.id)
    await page.goto(f"{base[0]}/deals/{run.deal_id}")
    await expect(page.locator("main")).to_contain_text("Call again: nobody answered")
    await expect(page.get_by_role("link", name="Rule “Call again in two hours”")).to_be_visible()
    await page.goto(f"{base[0]}/deals/{began.id}")
    await expect(page.locator("main")).to_contain_text("Rule “A deal for each missed call”")
