"""What a refused act lacks is asked for at once, also from the dock and from the callback queue; then the act itself is done."""

from datetime import timedelta
from decimal import Decimal

import pytest
from playwright.async_api import Page, expect
from sqlmodel import select

from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.reactions.intake import Intake
from tests.calls import NOON, FactStory, batch
from tests.e2e.browser import live, violations
from tests.e2e.test_pages import DESK, House, house

__all__ = ["house"]
pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
IRYNA = "+380672223344"


async def tell(house: House, story: FactStory) -> None:
    await Intake(house.database, house.settings).apply(batch(story))


async def require_amount(house: House) -> None:
    """A deal is lost only with an amount, and the desk has none."""
    async with house.database.write() as session:
        for stage in await session.exec(select(Stage).where(Stage.kind == StageKind.LOST.value)):
            stage.requires = Requirements(fields=("amount",)).stored()
        (await session.exec(select(Deal).where(Deal.title == DESK))).one().amount = None


async def say_amount(page: Page) -> None:
    """The form has the focus in its first field, and keeps what was typed when it is wrong."""
    amount = page.locator("dialog#complete[open]").get_by_label("Amount")
    await expect(amount).to_be_focused()
    assert await violations(page) == []
    await page.keyboard.type("much")
    await page.keyboard.press("Enter")
    await expect(page.locator("dialog#complete").get_by_text("Write the amount as a number")).to_be_visible()
    await expect(amount).to_have_value("much")
    await amount.fill("12 400,50")


async def test_from_the_dock(house: House) -> None:
    """The card says that the client is not interested; but the last try to reach them failed and nothing is planned."""
    talked = FactStory("1700000001.1", IRYNA, at=NOON - timedelta(minutes=5)).ring("101").answer("101").wait(60).end()
    await tell(house, talked)
    async with house.database.read() as session:
        call_id = (await session.exec(select(Call.id).where(Call.linkedid == "1700000001.1"))).one()
    await house.fail_to_reach()
    await require_amount(house)
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    await live(page)
    card = page.locator(f"#call-{call_id}")
    await expect(card.locator("h2")).to_have_text("Ірина Мельник")
    await card.locator(".chip", has_text="Not interested").click()
    await card.get_by_role("button", name="Too expensive").click()
    dialog = page.locator("dialog#complete")
    await expect(dialog).to_be_visible()
    await ivan.expect_status(422)
    await page.keyboard.press("Escape")  # thought better of it: the card and the deal are as they were
    await expect(dialog).to_be_hidden()
    await expect(card.get_by_role("radio", name="Not interested")).to_be_checked()
    assert await house.in_stage("Proposal sent")

    await card.get_by_role("button", name="Too expensive").click()
    await expect(dialog.get_by_label("What is to be done")).to_have_value("Call again")  # what is proposed
    await ivan.expect_status(422)
    await say_amount(page)
    await ivan.expect_status(422)
    await dialog.get_by_label("What is to be done").fill("Ask in spring")
    await page.keyboard.press("Enter")  # no time yet: said at its field
    await expect(dialog.locator("#f-next_due_at[aria-invalid=true]")).to_be_visible()
    await ivan.expect_status(422)
    await expect(dialog.get_by_label("Amount")).to_have_value("12 400,50")
    assert await house.planned() == []
    await dialog.get_by_role("button", name="tomorrow morning").click()
    await expect(page.locator(".toast", has_text="The call is finished")).to_be_visible()
    await expect(dialog).to_be_hidden()
    await expect(card).to_have_count(0)
    assert await house.in_stage("Lost")
    deal = await house.deal()
    assert (deal.lost_reason, deal.amount) == ("Too expensive", Decimal("12400.50"))
    assert await house.planned() == ["Ask in spring"]
    assert ivan.troubles == []


async def test_from_the_callback_queue(house: House) -> None:
    await tell(house, FactStory("1700000001.2", IRYNA, at=NOON - timedelta(minutes=9)).ring("101").wait(20).end())
    await require_amount(house)
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/callbacks")
    await live(page)
    row = page.locator("#queue tr[data-row]", has_text="Ірина Мельник")
    await row.locator("td.reason").click()
    await page.keyboard.press("n")
    asked, dialog = page.locator("dialog#ask"), page.locator("dialog#complete")
    await asked.get_by_role("textbox", name="Reason").fill("Too expensive")
    await asked.get_by_label("Without a call, because…").fill("By mail")
    await page.keyboard.press("Enter")
    await expect(dialog).to_be_visible()
    await ivan.expect_status(422)
    await page.keyboard.press("Escape")  # back to what was typed, and nothing is done
    await expect(dialog).to_be_hidden()
    await expect(asked.get_by_role("textbox", name="Reason")).to_have_value("Too expensive")
    assert await house.in_stage("Proposal sent")

    await asked.get_by_role("button", name="Close the callback").click()
    await say_amount(page)
    await ivan.expect_status(422)
    await ivan.expect_status(422)
    await page.keyboard.press("Enter")
    await expect(page.locator(".toast", has_text="not interested")).to_be_visible()
    await expect(page.locator("dialog[open]")).to_have_count(0)
    await expect(row).to_have_count(0)
    assert await house.in_stage("Lost")
    deal = await house.deal()
    assert (deal.lost_reason, deal.amount) == ("Too expensive", Decimal("12400.50"))
    assert ivan.troubles == []


async def test_from_the_form_of_a_new_deal(house: House) -> None:
    """A new deal in a later stage is asked what that stage asks; what was typed stays in the form until the deal is there."""
    async with house.database.write() as session:
        stage = (await session.exec(select(Stage).where(Stage.name == "Proposal sent"))).one()
        stage.requires = Requirements(fields=("source",), next_task=True).stored()
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/deals/new")
    await live(page)
    await page.get_by_label("Title").fill("A hall")
    await page.get_by_label("Amount").fill("700")
    await page.get_by_label("Stage").select_option(label="Proposal sent")
    await page.get_by_role("button", name="Make the deal").click()
    dialog = page.locator("dialog#complete")
    await expect(dialog.get_by_label("Source")).to_be_focused()
    await ivan.expect_status(422)
    assert await violations(page) == []
    await page.keyboard.press("Escape")  # back to what was typed
    await expect(dialog).to_be_hidden()
    await expect(page.get_by_label("Title")).to_have_value("A hall")
    await page.get_by_role("button", name="Make the deal").click()
    await ivan.expect_status(422)
    await dialog.get_by_label("Source").fill("Fair")
    await dialog.get_by_label("What is to be done").fill("Send the plan")
    await dialog.get_by_role("button", name="tomorrow morning").click()
    await page.wait_for_url("**/deals/*")
    await expect(page.locator("h1")).to_contain_text("A hall")
    async with house.database.read() as session:
        deal = (await session.exec(select(Deal).where(Deal.title == "A hall"))).one()
    assert (deal.source, deal.amount, deal.stage_id) == ("Fair", Decimal(700), stage.id)
    assert ivan.troubles == []


async def test_a_client_that_the_board_asks_for_is_found_or_made(house: House) -> None:
    """The form that the board opens searches like that of the card does, and a name of nobody is a new client."""
    async with house.database.write() as session:
        stage = await session.get_one(Stage, house.busy.stages["Invoice issued"].id)
        stage.requires = Requirements(fields=("contact_id",)).stored()
        desk = (await session.exec(select(Deal).where(Deal.title == DESK))).one()
        client_id, desk.contact_id, desk.client_number = desk.contact_id, None, "+380501112299"
    ivan, page = await house.person("ivan")
    await page.goto(f"{house.address}/board")
    await live(page)
    card = page.locator(f"#deal-{house.busy.deals[DESK]}")
    await card.drag_to(page.locator(f'.col[data-stage="{stage.id}"] .cards'))
    dialog = page.locator("dialog#complete[open]")
    client = dialog.get_by_role("combobox")
    await expect(client).to_have_attribute("required", "")
    await client.press_sequentially("Ірина")
    await expect(dialog.get_by_role("option")).to_have_count(1)
    async with page.expect_response("**/contacts/find*"):
        await client.fill("Оксана Новенька")
    await expect(dialog.get_by_text("A new client of this name will be made")).to_be_visible()
    await page.keyboard.press("Enter")
    await expect(page.locator(f'.col[data-stage="{stage.id}"] #deal-{house.busy.deals[DESK]}')).to_be_visible()
    await ivan.expect_status(422)
    deal = await house.deal()
    assert (deal.stage_id, deal.contact_id not in {None, client_id}) == (stage.id, True)
    async with house.database.read() as session:
        made = await session.get_one(Contact, deal.contact_id)
        numbers = (await session.exec(select(Phone.number).where(Phone.contact_id == made.id))).all()
    assert (made.name, made.responsible_id, list(numbers)) == (
        "Оксана Новенька",
        deal.responsible_id,
        ["+380501112299"],
    )
    assert ivan.troubles == []
