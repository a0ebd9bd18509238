"""Each template of a rule (G1) does what it says after one click, on the engine: the scenarios of the articles that need no messages."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_templates import TEMPLATES, draft_of_template
from pbxcrm.calendars.actions import CalendarChange, change_calendar
from pbxcrm.calendars.models import Calendar
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.models import Deal, Stage, StageKind
from pbxcrm.deals.pipeline_actions import change_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.deals.queries import load_funnel
from pbxcrm.money.line_actions import add_line
from pbxcrm.money.line_drafts import LineDraft
from pbxcrm.money.queries import lines_of, load_templates
from pbxcrm.money.template_actions import AskedValue, TemplateDraft, TemplateLine, save_template
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from tests.calls import FactStory, batch, outbound
from tests.forms import make_form, send
from tests.integration.automation.conftest import REGION, RuleDesk

CLIENT = "+380501110001"
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def use(desk: RuleDesk, code: str) -> None:
    """One click: the rule of the template, switched on."""
    template = next(each for each in TEMPLATES if each.code == code)
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "admin")
        funnel = await load_funnel(session)
        known = await load_templates(session)
        draft = draft_of_template(template, funnel, owner_id=viewer.user_id, state="on", say=str, line_templates=known)
        assert draft is not None
        await save_rule(session, viewer, None, draft, version=None, region=REGION, now=desk.now)


async def made(desk: RuleDesk) -> list[str]:
    """Titles of the tasks that rules have made."""
    return [reasons.text(task.title_code) for task in await desk.tasks() if "did it" in reasons.text(task.reason)]


async def to(desk: RuleDesk, deal_id: int, kind: StageKind, **more: str) -> None:
    async with desk.database.read() as session:
        funnel = await load_funnel(session)
        stage = funnel.stage_of_kind(funnel.default_id, kind)
    assert stage is not None
    await desk.move(deal_id, stage.name, login="admin", **more)
    await desk.work()


async def request_of(desk: RuleDesk, form: str = "Shop", **more: str) -> None:
    async with desk.database.read() as session:
        admin = await desk.office.viewer(session, "admin")
    await send(desk.database, await make_form(desk.database, admin, desk.now, name=form), desk.now, **more)
    await desk.work()


async def add_client(desk: RuleDesk, name: str, numbers: Sequence[str] = ()) -> int:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        found = await create_contact(session, viewer, name=name, phones=numbers, now=desk.now, region=REGION)
    return found.id or 0


async def not_reached(desk: RuleDesk, intake: Intake) -> None:
    await intake.apply(batch(FactStory("17.0", client=CLIENT).ring("101").wait(3).answer("101").wait(9).end()))
    await desk.work()
    assert await made(desk) == []
    await intake.apply(batch(outbound("17.1", "101", CLIENT).ring("101").wait(20).end()))
    await desk.work()
    assert await made(desk) == ["Call again: nobody answered"]
    await intake.apply(batch(outbound("17.2", "101", CLIENT).ring("101").wait(20).end()))
    await desk.work()
    assert len(await made(desk)) == 1, "only the first one in a row"


async def request(desk: RuleDesk, _intake: Intake) -> None:
    await request_of(desk)
    assert await made(desk) == ["Answer the request"]


async def known_client(desk: RuleDesk, _intake: Intake) -> None:
    await request_of(desk)
    assert await made(desk) == [], "somebody new"
    await add_client(desk, "Petro", numbers=("+380671112299",))
    await request_of(desk, form="Other", number="+380671112299")
    told = await made(desk)
    assert told == ["Your client has written: answer them", "A known client has written through a form"]


async def request_on_contact(desk: RuleDesk, _intake: Intake) -> None:
    contact_id = await add_client(desk, "Petro")
    await desk.work()
    await request_of(desk)
    async with desk.database.read() as session:
        deals = (await session.exec(select(Deal).order_by(col(Deal.id)))).all()
    assert [deal.title for deal in deals if deal.contact_id == contact_id] == ["Petro"]
    assert (deals[0].responsible_id, deals[0].currency) == (desk.office.id("ivan"), "UAH")
    assert len(deals) == 2, "the form has made one for the other client"
    assert [status for status, _ in await desk.told()] == ["done", "done"]


async def new_client(desk: RuleDesk, _intake: Intake) -> None:
    await request_of(desk)
    assert await made(desk) == ["Fill in the card of the new client"]


async def big_deal(desk: RuleDesk, _intake: Intake) -> None:
    deal_id = await desk.deal()
    await desk.edit(deal_id, amount="49999")
    await desk.work()
    assert (await desk.row(deal_id)).responsible_id == desk.office.id("ivan")
    await desk.edit(deal_id, amount="50000")
    await desk.work()
    assert (await desk.row(deal_id)).responsible_id == desk.office.id("maria")


async def experienced(desk: RuleDesk, _intake: Intake) -> None:
    for login, many in (("ivan", 1), ("olena", 2)):
        for _ in range(many):
            await to(desk, await desk.deal(login=login, second=True), StageKind.WON)
    deal_id = await desk.deal(second=True)
    await desk.edit(deal_id, amount="50000")
    await desk.work()
    assert (await desk.row(deal_id)).responsible_id == desk.office.id("olena")


async def next_date(desk: RuleDesk, _intake: Intake) -> None:
    await to(desk, deal_id := await desk.deal(), StageKind.WON)
    assert (await desk.row(deal_id)).event_at == desk.now + timedelta(days=365)


async def service(desk: RuleDesk, _intake: Intake) -> None:
    dates: dict[str, Any] = {"event_at": desk.now + timedelta(days=30)}
    await desk.edit(deal_id := await desk.deal(), **dates)
    await to(desk, deal_id, StageKind.WON)
    await desk.edit(await desk.deal(second=True), **dates)
    await desk.tick()
    await desk.tick(timedelta(days=15))
    assert await made(desk) == []
    await desk.tick(timedelta(days=1))
    assert await made(desk) == ["In two weeks: renew the contract, or agree on the service or the visit"]


async def sum_reached(desk: RuleDesk, _intake: Intake) -> None:
    deal_id = await desk.deal()
    await desk.edit(deal_id, amount="50000", login="admin")
    await desk.tick()
    async with desk.database.read() as session:
        funnel = await load_funnel(session)
    last = [stage for stage in funnel.stages_of(funnel.default_id) if stage.kind == StageKind.OPEN][-1]
    assert (await desk.row(deal_id)).stage_id == last.id


def _before(column: str, title: str, days: int) -> Callable[[RuleDesk, Intake], Awaitable[None]]:
    async def story(desk: RuleDesk, _intake: Intake) -> None:
        dates: dict[str, Any] = {column: desk.now + timedelta(days=10)}
        await desk.edit(await desk.deal(), **dates)
        await desk.tick()
        await desk.tick(timedelta(days=10 - days - 1))
        assert await made(desk) == []
        await desk.tick(timedelta(days=1))
        assert await made(desk) == [title]

    return story


async def silence(desk: RuleDesk, _intake: Intake) -> None:
    await desk.deal()
    await desk.tick()
    await desk.tick(timedelta(days=13))
    assert await made(desk) == []
    await desk.tick(timedelta(days=2))
    assert await made(desk) == ["Nothing has happened for two weeks: call them"]


async def next_steps(desk: RuleDesk, _intake: Intake) -> None:
    await to(desk, await desk.deal(), StageKind.OPEN)
    assert await made(desk) == ["What to do at this stage"]


async def lost_why(desk: RuleDesk, _intake: Intake) -> None:
    await to(desk, await desk.deal(), StageKind.LOST, lost_reason="Too dear")
    assert await made(desk) == ["Find out why we lost them"]


async def win_back(desk: RuleDesk, _intake: Intake) -> None:
    for why in ("Too dear", "Bought elsewhere"):
        await to(desk, await desk.deal(second=True), StageKind.LOST, lost_reason=why)
    await desk.work(timedelta(days=88))
    assert await made(desk) == []
    await desk.work(timedelta(days=6))
    assert await made(desk) == ["Ask again: a quarter has passed since they said no"]


async def repeat_sale(desk: RuleDesk, _intake: Intake) -> None:
    await to(desk, await desk.deal(client_number=CLIENT), StageKind.WON)
    await desk.work(timedelta(days=60))
    async with desk.database.read() as session:
        deals = (await session.exec(select(Deal.title, Stage.kind).join(Stage).order_by(col(Deal.id)))).all()
    assert [tuple(each) for each in deals] == [("Roof", "won"), ("Repeat sale", "open")]


async def past_client(desk: RuleDesk, _intake: Intake) -> None:
    async with desk.database.write() as session:  # they work round the clock: half a year is one all the same
        admin = await desk.office.viewer(session, "admin")
        (calendar,) = (await session.exec(select(Calendar))).all()
        always = CalendarChange(week=["00:00-24:00"] * 7)
        await change_calendar(session, admin, calendar.id or 0, always, version=None, now=desk.now)
    await to(desk, await desk.deal(), StageKind.WON)
    (run,) = await desk.runs()
    assert reasons.text(run.reason) == "Waits 6 months"
    await desk.work(timedelta(days=179))
    assert await made(desk) == []
    await desk.work(timedelta(days=6))
    assert await made(desk) == ["A past client: ask how they are and what they need"]


async def products(desk: RuleDesk, _intake: Intake) -> None:
    await to(desk, deal_id := await desk.deal(), StageKind.OPEN)
    async with desk.database.read() as session:
        found = await lines_of(session, deal_id)
    # The room of the article: 5 × 6 m, its ceiling at 3 m.
    assert [(line.name, line.quantity) for line in found.lines] == [("Plaster", Decimal(66)), ("Floor", Decimal(30))]
    assert found.price.total == 66 * 200 + 30 * 500
    assert (await desk.row(deal_id)).amount == found.price.total


async def discount(desk: RuleDesk, _intake: Intake) -> None:
    small, large = await desk.deal(), await desk.deal(second=True)
    for deal_id, price in ((small, 49_000), (large, 60_000)):
        async with desk.database.write() as session:
            viewer = await desk.office.viewer(session, "ivan")
            draft = LineDraft(name="Roof", price=Decimal(price), quantity=Decimal(1))
            await add_line(session, viewer, deal_id, draft, desk.now)
        await desk.work()
    assert (await desk.row(small)).amount == 49_000
    assert (await desk.row(large)).amount == 57_000


async def room(desk: RuleDesk) -> None:
    """What rules about products need beforehand: a template of lines, and amounts that are the sums of lines."""
    asked = (AskedValue("width", "Width", "m", "5"), AskedValue("length", "Length", "m", "6"))
    lines = (
        TemplateLine("2 * (width + length) * 3", None, "Plaster", "m²", Decimal(200)),
        TemplateLine("width * length", None, "Floor", "m²", Decimal(500)),
    )
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        await save_template(session, admin, None, TemplateDraft("Room", asked, (), lines), desk.now)
        pipeline_id = (await load_funnel(session)).default_id or 0
        await change_pipeline(session, admin, pipeline_id, PipelineChange(amount_by_lines=True), now=desk.now)


STORIES: dict[str, Callable[[RuleDesk, Intake], Awaitable[None]]] = {
    each.__name__: each
    for each in (
        not_reached, request, known_client, request_on_contact, new_client, big_deal, experienced, sum_reached, next_date, service, silence, next_steps, lost_why, win_back, repeat_sale, past_client, products, discount,
    )
}  # fmt: skip
STORIES |= {
    "event": _before("event_at", "The event is tomorrow: call the client", 1),
    "proposal": _before("proposal_until", "The proposal expires in two days: ask what they think", 2),
    "invoice": _before("invoice_until", "The invoice expires tomorrow: ask about the payment", 1),
}


@pytest.mark.parametrize("code", STORIES)
async def test_a_template_does_what_it_says(desk: RuleDesk, intake: Intake, code: str) -> None:
    if code in {"products", "discount"}:
        await room(desk)
    await use(desk, code)
    await STORIES[code](desk, intake)
    assert {status for status, _why in await desk.told()} <= {"done", "skipped"}


async def test_where_nobody_has_won_a_deal_nobody_is_experienced(desk: RuleDesk) -> None:
    await use(desk, "experienced")
    deal_id = await desk.deal()
    await desk.edit(deal_id, amount="60000")
    await desk.work()
    assert (await desk.row(deal_id)).responsible_id == desk.office.id("ivan")
    (run,) = await desk.runs()
    said = "It stays where it is: nobody who is at work has won a deal of this pipeline within a year."
    assert await desk.steps(run.id) == [("assign", "done", said)]


def test_every_template_has_its_story(database_url: str) -> None:
    assert {
        each.code for each in TEMPLATES if not each.sample
    } == STORIES.keys()  # the others: tests/integration/messages
