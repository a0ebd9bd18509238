"""Rules on both databases (G1): what they hear, conditions with the values they saw, each kind of step, and the log of it."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.automation.runner import run_due
from pbxcrm.automation.triggers import CALL_OVER
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.tag_actions import set_tags
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared import reasons
from tests.calls import FactStory, batch
from tests.forms import make_form, send
from tests.integration.automation.conftest import A_TASK, REGION, RuleDesk

ENTERED = {"kind": "stage_entered"}


async def test_a_rule_hears_what_was_committed_and_tells_why(desk: RuleDesk) -> None:
    when = {**ENTERED, "stage_id": desk.stages["Invoice issued"]}
    rule_id = await desk.rule(when, A_TASK, conditions={"all": [{"field": "amount", "op": ">=", "value": "1000"}]})
    small, large = await desk.deal(), await desk.deal(title="Hall", second=True)
    await desk.work()  # they begin in a stage, but in another one
    await desk.edit(large, amount=Decimal(2500))
    await desk.edit(small, amount=Decimal(900))
    assert await desk.events() == 0, "nobody listens to that"
    for deal_id in (small, large):
        await desk.move(deal_id, "Invoice issued")
    assert await desk.events() == 2
    assert await desk.work() == 2
    assert await desk.events() == 0
    skipped, done = await desk.runs(rule_id)
    assert (skipped.deal_id, skipped.status) == (small, "skipped")
    assert reasons.text(skipped.reason) == "Skipped: its condition did not hold. Amount is 900.00, asked: >= 1000.00."
    assert (done.deal_id, done.status, done.by_id, done.act) == (large, "done", desk.office.id("ivan"), "deal.moved")
    assert done.seen == [
        {"field": "amount", "title": "Amount", "op": ">=", "value": "1000.00", "saw": "2500.00", "held": True}
    ]
    assert await desk.steps(done.id) == [("task", "done", "Task: Call them")]
    (task,) = await desk.tasks()
    assert (task.deal_id, task.assignee_id, task.due_at) == (
        large,
        desk.office.id("ivan"),
        desk.now + timedelta(hours=2),
    )
    assert reasons.text(task.reason) == "The rule “Rule” did it."


async def test_every_kind_of_step_goes_through_the_door_of_its_context(desk: RuleDesk) -> None:
    steps: list[dict[str, Any]] = [
        {"kind": "field", "field": "source", "value": "Fair"},
        {"kind": "field", "field": "amount", "value": "1500.50"},
        {"kind": "tag", "add": ["large"], "remove": ["new"]},
        {"kind": "note", "text": "Send the samples"},
        {"kind": "assign", "to": "user:olena"},
        {"kind": "move", "stage_id": desk.stages["Invoice issued"]},
        {"kind": "stop"},
        A_TASK,
    ]
    deal_id = await desk.deal()
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        await set_tags(session, viewer, deal_id, ["new"], desk.now, version=None)
    await desk.rule({"kind": "field_changed", "fields": ["title"]}, *steps)
    await desk.edit(deal_id, title="New roof")
    await desk.work()
    deal = await desk.row(deal_id)
    assert (deal.source, deal.amount, deal.responsible_id) == ("Fair", Decimal("1500.50"), desk.office.id("olena"))
    assert deal.stage_id == desk.stages["Invoice issued"]
    async with desk.database.read() as session:
        (note,) = (await session.exec(select(Note))).all()
    assert (note.text, note.author_id, note.deal_id) == ("Send the samples", None, deal_id)
    (run,) = await desk.runs()
    assert (run.status, reasons.text(run.reason)) == ("done", "The rule ends here.")
    assert [said for _kind, _status, said in await desk.steps(run.id)] == [
        "“Source” set to “Fair”",
        "“Amount” set to “1500.50”",
        "Tags: + large, − new",
        "Note: Send the samples",
        "Given to Olena Hryhorenko",
        "Moved to “Invoice issued”",
    ]
    assert not await desk.tasks()


async def test_a_new_deal_carries_fields_and_is_never_the_second_open_one(desk: RuleDesk) -> None:
    step = {
        "kind": "deal",
        "stage_id": desk.stages["Invoice issued"],
        "title": "Again",
        "carry": ["amount", "responsible"],
    }
    await desk.rule({"kind": "stage_entered", "stage_id": desk.stages["Received"]}, step)
    deal_id = await desk.deal(client_number="+380671112233", values={"amount": Decimal(70)})
    for _ in range(2):
        await desk.move(deal_id, "Received")
        await desk.work()
        await desk.move(deal_id, "Invoice issued", second=True)
        await desk.work()
    async with desk.database.read() as session:
        made = (await session.exec(select(Deal).where(Deal.id != deal_id).order_by(col(Deal.id)))).all()
    assert [(deal.title, deal.amount, deal.responsible_id) for deal in made] == [
        ("Again", Decimal("70.00"), desk.office.id("ivan"))
    ]
    assert [status for status, _ in await desk.told()] == ["done", "done"]
    assert (await desk.steps((await desk.runs())[1].id))[0][2] == "The client has an open deal there already: “Again”."


async def test_a_gate_refuses_a_rule_as_it_refuses_everybody(desk: RuleDesk) -> None:
    await desk.rule(
        {"kind": "field_changed", "fields": ["source"]},
        {"kind": "move", "stage_id": desk.stages["Lost"]},
        A_TASK,
    )
    deal_id = await desk.deal()
    await desk.edit(deal_id, source="Fair")
    await desk.work()
    assert (await desk.row(deal_id)).stage_id != desk.stages["Lost"]
    (run,) = await desk.runs()
    assert run.status == "failed"
    assert [(kind, status) for kind, status, _ in await desk.steps(run.id)] == [("move", "refused")]
    (task,) = await desk.tasks()  # of the responsible person, as after every automatic move that a gate refuses
    assert task.about == f"gate:{deal_id}"


async def test_a_new_deal_enters_its_stage_and_is_heard_whole(desk: RuleDesk) -> None:
    there, _elsewhere = [
        await desk.rule({**ENTERED, "stage_id": desk.stages[name]}, A_TASK) for name in ("Invoice issued", "Received")
    ]
    await desk.deal(stage="Invoice issued", values={"amount": Decimal(5)})
    await desk.work()
    assert [run.rule_id for run in await desk.runs()] == [there]


@pytest.mark.parametrize(
    ("asked", "heard"),
    [
        ({}, True),
        ({"direction": "inbound", "outcome": "answered", "talk_seconds": 9}, True),
        ({"talk_seconds": 10}, False),
        ({"outcome": "missed"}, False),
        ({"direction": "outbound"}, False),
    ],
)
async def test_a_call_is_heard_when_it_is_over(
    desk: RuleDesk, intake: Intake, asked: dict[str, Any], *, heard: bool
) -> None:
    conditions = {"field": "call.talk_seconds", "op": ">=", "value": 9}
    await desk.rule({"kind": "call", **asked}, A_TASK, conditions=conditions)
    story = FactStory("17.1", client="+380501110001").ring("102").wait(3).answer("102").wait(9).end()
    await intake.apply(batch(story))
    await intake.apply(batch(story))
    await desk.work()
    runs = await desk.runs()
    assert [(run.act, run.status) for run in runs] == ([(CALL_OVER, "done")] if heard else [])
    assert len(await desk.tasks()) == len(runs)


async def test_a_request_is_heard_whether_it_joins_a_deal_or_makes_one(desk: RuleDesk) -> None:
    async with desk.database.read() as session:
        admin = await desk.office.viewer(session, "admin")
    shop, fair = [await make_form(desk.database, admin, desk.now, name=name) for name in ("Shop", "Fair")]
    await desk.rule({"kind": "request", "form_id": shop.id}, {"kind": "tag", "add": ["shop"]})
    await send(desk.database, shop, desk.now)
    await send(desk.database, shop, desk.now + timedelta(days=2))
    await send(desk.database, fair, desk.now, number="+380671112299")
    await desk.work()
    assert [run.event["joined"] for run in await desk.runs()] == [False, True]


async def test_a_rule_on_new_clients_works_on_the_client(desk: RuleDesk) -> None:
    async with desk.database.read() as session:
        admin = await desk.office.viewer(session, "admin")
    form = await make_form(desk.database, admin, desk.now, name="Shop")
    await desk.rule({"kind": "contact_created"}, A_TASK, conditions={"field": "client.name", "op": "filled"})
    await send(desk.database, form, desk.now)
    await desk.work()
    (run,) = await desk.runs()
    assert (run.status, run.deal_id, run.subject) == ("done", None, f"contact:{run.contact_id}")
    made = [task for task in await desk.tasks() if task.contact_id == run.contact_id and task.deal_id is None]
    assert [reasons.text(task.reason) for task in made] == ["The rule “Rule” did it."]


async def test_the_first_deal_of_a_client_is_in_the_currency_of_the_settings(desk: RuleDesk) -> None:
    await desk.rule({"kind": "contact_created"}, {"kind": "deal", "stage_id": desk.stages["Invoice issued"]})
    await desk.deal(currency="USD")
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        await create_contact(session, viewer, name="Petro Oliinyk", region=REGION, now=desk.now)
    await run_due(desk.database, desk.now, REGION, "EUR")
    async with desk.database.read() as session:
        deals = (await session.exec(select(Deal).order_by(col(Deal.id)))).all()
    assert [(deal.title, deal.currency) for deal in deals] == [("Roof", "USD"), ("Petro Oliinyk", "EUR")]


async def test_a_rule_that_watches_says_what_it_would_do(desk: RuleDesk) -> None:
    steps: list[dict[str, Any]] = [
        A_TASK,
        {"kind": "wait", "minutes": 60},
        {"kind": "move", "stage_id": desk.stages["Lost"]},
    ]
    await desk.rule({"kind": "deal_created"}, *steps, state="watch")
    deal_id = await desk.deal()
    await desk.work()
    (run,) = await desk.runs()
    assert (run.status, reasons.text(run.reason)) == ("watch", "The rule only watches: nothing was done.")
    told = await desk.steps(run.id)
    assert [(kind, status) for kind, status, _ in told] == [("task", "would"), ("wait", "would"), ("move", "would")]
    assert told[2][2].startswith("Not moved to “Lost”")
    assert not await desk.tasks()
    assert (await desk.row(deal_id)).stage_id != desk.stages["Lost"]
