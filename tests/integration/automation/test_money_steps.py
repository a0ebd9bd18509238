"""Steps of rules that change what a deal costs, on both databases: products by formula, templates of lines, discounts within a limit."""

from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.access import Role
from pbxcrm.audit.models import AuditEntry
from pbxcrm.automation.undo_actions import undo_run
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.pipeline_actions import change_pipeline
from pbxcrm.deals.pipeline_drafts import PipelineChange
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.money.line_actions import change_line
from pbxcrm.money.line_drafts import LineDraft
from pbxcrm.money.line_rules import DealLines
from pbxcrm.money.product_actions import ProductDraft, add_product, retire_product
from pbxcrm.money.queries import lines_of
from pbxcrm.money.template_actions import AskedValue, TemplateDraft, TemplateLine, save_template
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from tests.integration.automation.conftest import RuleDesk

D = Decimal
TITLE = {"kind": "field_changed", "fields": ["title"]}


async def do(desk: RuleDesk, login: str, act: Any, *args: Any, **more: Any) -> Any:
    async with desk.database.write() as session:
        return await act(session, await desk.office.viewer(session, login), *args, **more)


async def product(desk: RuleDesk, name: str = "Plaster", price: str = "100", sku: str = "KN-30") -> int:
    draft = ProductDraft(name, D(price), sku, "Walls", "goods", "bag", None)
    found: int = (await do(desk, "admin", add_product, draft, desk.now, currency="UAH")).id
    return found


async def a_number(desk: RuleDesk, key: str) -> None:
    """A field of deals that holds a number."""
    asked: dict[str, Any] = {"entity": FieldEntity.DEAL, "kind": "number", "draft": FieldDraft(key), "currency": "UAH"}
    await do(desk, "admin", create_field, **asked, now=desk.now, key=key)


async def by_lines(desk: RuleDesk, deal_id: int) -> None:
    """The amount of deals is the sum of their lines from now on."""
    pipeline_id = (await desk.row(deal_id)).pipeline_id
    await do(desk, "admin", change_pipeline, pipeline_id, PipelineChange(amount_by_lines=True), now=desk.now)


async def lines(desk: RuleDesk, deal_id: int) -> DealLines:
    async with desk.database.read() as session:
        return await lines_of(session, deal_id)


async def fire(desk: RuleDesk, deal_id: int, title: str = "New") -> list[str]:
    """Something that rules hear. What the steps of the last run said."""
    await desk.edit(deal_id, title=title, login="admin")
    await desk.work()
    return [said for _kind, _status, said in await desk.steps((await desk.runs())[-1].id)]


async def take_back(desk: RuleDesk, login: str = "ivan") -> int:
    """Undo the last run. How many steps stay."""
    run_id = (await desk.runs())[-1].id or 0
    stay: list[Any] = await do(desk, login, undo_run, run_id, desk.now)
    return len(stay)


async def test_a_quantity_by_formula_follows_the_deal_and_is_taken_back(desk: RuleDesk) -> None:
    await product(desk)
    await a_number(desk, "walls")
    deal_id = await desk.deal(custom={"walls": "30"})
    await by_lines(desk, deal_id)
    await desk.rule(TITLE, {"kind": "lines", "product_id": "KN-30", "quantity": "walls / 10"})
    assert await fire(desk, deal_id) == ["Products: Plaster × 3"]
    assert ((await desk.row(deal_id)).amount, len((await lines(desk, deal_id)).lines)) == (D(300), 1)
    async with desk.database.read() as session:
        (entry,) = (await session.exec(select(AuditEntry).where(AuditEntry.action == "deal.lines"))).all()
    assert (entry.actor_id, reasons.text(entry.reason)) == (None, "The rule “Rule” did it.")
    assert await fire(desk, deal_id, "Again") == ["The deal has these products already."]
    await do(desk, "ivan", edit_deal, deal_id, version=None, now=desk.now, values={}, custom={"walls": "50"})
    assert (await desk.row(deal_id)).amount == D(500), "the formula stays on the line"
    first = (await desk.runs())[0].id or 0
    assert await do(desk, "ivan", undo_run, first, desk.now) == []
    assert ((await lines(desk, deal_id)).lines, (await desk.row(deal_id)).amount) == ((), D(500))


@pytest.mark.parametrize(("same", "quantities"), [("skip", [2]), ("sum", [4]), ("add", [2, 2])])
async def test_what_happens_with_a_product_that_is_there(desk: RuleDesk, same: str, quantities: list[int]) -> None:
    product_id = await product(desk)
    deal_id = await desk.deal()
    step = {"kind": "lines", "product_id": product_id, "quantity": 2, "same": same}
    await desk.rule(TITLE, step)
    await fire(desk, deal_id)
    await fire(desk, deal_id, "Again")
    assert [line.quantity for line in (await lines(desk, deal_id)).lines] == quantities
    if same != "skip":
        assert await take_back(desk) == 0
        assert [line.quantity for line in (await lines(desk, deal_id)).lines] == [2]


async def test_a_template_of_lines_with_values_by_formula(desk: RuleDesk) -> None:
    await product(desk)
    draft = TemplateDraft(
        "Room",
        (AskedValue("width", "Width", "m", "5"), AskedValue("length", "Length", "m")),
        (("walls", "2 * (width + length) * 3"),),
        (
            TemplateLine("walls / 30", product_id=await product(desk, "Paint", "50", "P-1")),
            TemplateLine("1", None, "Work", "", D(700)),
        ),
    )
    template_id = (await do(desk, "admin", save_template, None, draft, desk.now)).id
    await a_number(desk, "side")
    deal_id = await desk.deal(custom={"side": "5"})
    step = {"kind": "lines", "template_id": template_id}
    for wrong, place in (
        ({}, "then.0.inputs"),
        ({"inputs": {"length": "=sides"}}, "then.0.inputs"),
        ({"inputs": {"height": "3", "length": "5"}}, "then.0.inputs"),
        ({"product_id": "KN-30"}, "then.0.product_id"),
        ({"same": "never"}, "then.0.same"),
    ):
        with pytest.raises(Invalid) as refused:
            await desk.rule(TITLE, {**step, **wrong})
        assert refused.value.field == place
    await desk.rule(TITLE, {**step, "inputs": {"length": "=side"}})
    assert await fire(desk, deal_id) == ["Products: Paint × 2, Work × 1"]
    found = await lines(desk, deal_id)
    assert found.price.total == D(800)
    line = found.lines[0]
    await do(desk, "ivan", change_line, deal_id, line.id, LineDraft(quantity=D(9)), desk.now, version=None)
    assert await take_back(desk) == 1, "somebody has changed it since"
    assert len((await lines(desk, deal_id)).lines) == 2


async def test_a_discount_within_the_limit_is_given_and_a_larger_one_stays(desk: RuleDesk) -> None:
    product_id = await product(desk)
    deal_id = await desk.deal()
    await by_lines(desk, deal_id)
    await desk.rule(
        TITLE, {"kind": "lines", "product_id": product_id, "quantity": 10}, {"kind": "discount", "discount": "5 %"}
    )
    assert await fire(desk, deal_id) == ["Products: Plaster × 10", "Discount on the whole deal: 5 %"]
    assert (await desk.row(deal_id)).amount == D(950)
    told = await fire(desk, deal_id, "Again")
    assert told[1] == "A discount of 5 % would not be more than there is, or is asked for."
    assert await do(desk, "ivan", undo_run, (await desk.runs())[0].id or 0, desk.now) == []
    assert (await lines(desk, deal_id)).lines == ()


async def test_above_the_limit_of_its_owner_a_manager_is_asked_with_the_rule_as_the_reason(desk: RuleDesk) -> None:
    product_id = await product(desk)
    deal_id = await desk.deal()
    await by_lines(desk, deal_id)
    step = {"kind": "discount", "discount": "30 %"}
    async with desk.database.read() as session:
        assert (await desk.office.viewer(session, "ivan")).role == Role.SELLER
    rule_id = await desk.rule(
        TITLE, {"kind": "lines", "product_id": product_id}, step, owner_id=desk.office.id("ivan"), name="A third less"
    )
    said = await fire(desk, deal_id)
    assert said[1] == "A discount of 30 % is asked for: it is above the limit of the rule."
    found = await lines(desk, deal_id)
    assert (found.whole.asked_percent, found.whole.asked_why, found.price.total) == (D(30), "A third less", D(100))
    (task,) = await desk.tasks()
    assert (task.assignee_id, reasons.text(task.reason)) == (
        desk.office.id("maria"),
        "The rule “A third less” asks for a discount of 30 % on the whole deal.",
    )
    assert (await fire(desk, deal_id, "Again"))[1].startswith("A discount of 30 % would not be more")
    await desk.change(rule_id, state="watch")
    await desk.edit(deal_id, title="Third", login="admin")
    other = await desk.deal(second=True)
    assert await fire(desk, other) == ["Products: Plaster × 1", said[1]], "a rule that watches foretells the request"
    assert await do(desk, "ivan", undo_run, (await desk.runs())[0].id or 0, desk.now) == []
    assert {each.status for each in await desk.tasks()} == {"done"}, "nothing is asked for any more"


async def test_what_is_gone_fails_in_plain_words(desk: RuleDesk) -> None:
    product_id = await product(desk)
    await desk.rule(TITLE, {"kind": "lines", "product_id": product_id})
    deal_id = await desk.deal()
    await do(desk, "admin", retire_product, product_id, desk.now)
    await desk.edit(deal_id, title="New")
    await desk.work()
    assert await desk.told() == [("failed", "A step could not be taken: This product is offered no more.")]
    with pytest.raises(Invalid) as refused:
        await desk.rule(TITLE, {"kind": "lines", "product_id": product_id})
    assert refused.value.field == "then.0.product_id"
    for step, place in (
        ({"kind": "lines", "product_id": "Nails"}, "then.0.product_id"),
        ({"kind": "lines"}, "then.0.product_id"),
        ({"kind": "lines", "template_id": 77}, "then.0.template_id"),
        ({"kind": "lines", "product_id": 2**70}, "then.0.product_id"),
        ({"kind": "discount", "discount": "101 %"}, "then.0.discount"),
        ({"kind": "discount", "discount": "much"}, "then.0.discount"),
        ({"kind": "discount"}, "then.0.discount"),
    ):
        with pytest.raises(Invalid) as refused:
            await desk.rule(TITLE, step)
        assert refused.value.field == place
