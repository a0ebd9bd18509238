"""Formulas in the texts and deadlines of steps: checked when a rule is saved, computed when it runs."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Note
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.definition_rules import OptionDraft
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import stored_in
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from tests.integration.automation.conftest import REGION, RuleDesk

TITLE = {"kind": "field_changed", "fields": ["title"]}
pytestmark = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)


async def client(desk: RuleDesk, name: str = "Petro") -> int:
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, "ivan")
        made = await create_contact(session, viewer, name=name, region=REGION, now=desk.now)
    return made.id or 0


async def test_texts_and_deadlines_by_formula(desk: RuleDesk) -> None:
    task = {
        "kind": "task",
        "title": "Call {= client_name} about {= title}",
        "instruction": "Prepay {= amount / 2}, {= responsible} in {= stage}",
        "due": "= addworkdays(event_at, -2)",
    }
    await desk.rule(TITLE, task, {"kind": "note", "text": "The event: {= event_at}"})
    deal_id = await desk.deal(contact_id=await client(desk), stage="Unsorted")
    monday = datetime(2026, 11, 23, 9, 30, tzinfo=UTC)
    await desk.edit(deal_id, title="Hall", amount="1500.50", event_at=monday)
    await desk.work()
    (made,) = await desk.tasks()
    assert reasons.text(made.title_code) == "Call Petro about Hall"
    assert made.instruction == "Prepay 750.25, Ivan Kravets in Unsorted"
    assert made.due_at == datetime(2026, 11, 19, 9, 30, tzinfo=UTC), "two working days before Monday is Thursday"
    async with desk.database.read() as session:
        (note,) = (await session.exec(select(Note))).all()
    assert note.text == "The event: 23.11.2026 11:30"


async def test_a_date_without_a_time_is_due_as_if_it_were_typed(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "task", "title": "Look", "due": '=date("2026-11-20")'})
    typed = await desk.rule(TITLE, {"kind": "task", "title": "Look", "due": "2026-11-20"})
    assert typed
    await desk.edit(await desk.deal(), title="Hall")
    await desk.work()
    by_formula, by_words = await desk.tasks()
    assert by_formula.due_at == by_words.due_at


async def test_a_rule_on_clients_names_the_client(desk: RuleDesk) -> None:
    rule = {"kind": "contact_created"}
    await desk.rule(rule, {"kind": "task", "title": "Greet {= client_name}"})
    await client(desk, "Olena")
    await desk.work()
    (task,) = await desk.tasks()
    assert reasons.text(task.title_code) == "Greet Olena"
    with pytest.raises(Invalid) as refused:
        await desk.rule(rule, {"kind": "task", "title": "Greet {= title}"})
    assert refused.value.field == "then.0.title"


@pytest.mark.parametrize(
    ("step", "place"),
    [
        ({"kind": "note", "text": "For {= clinet_name}"}, "text"),
        ({"kind": "note", "text": "For {= client_name"}, "text"),
        ({"kind": "task", "title": "T", "instruction": "{= 1 +}"}, "instruction"),
        ({"kind": "task", "title": "T", "due": "= workdateadd(event)"}, "due"),
        ({"kind": "task", "title": "T", "due": "=" + "1+" * 600 + "1"}, "due"),
        ({"kind": "task", "title": "T", "checklist": ["Measure", "{= lenght}"]}, "checklist"),
        ({"kind": "field", "field": "source", "value": "From {= client}"}, "value"),
        ({"kind": "field", "field": "amount", "value": "= amuont * 2"}, "value"),
        ({"kind": "field", "field": "amount", "value": "{= amount *}"}, "value"),
        ({"kind": "field", "field": "amount", "value": "about {= amount}"}, "value"),
    ],
)
async def test_a_wrong_formula_is_refused_at_its_place(desk: RuleDesk, step: dict[str, Any], place: str) -> None:
    with pytest.raises(Invalid) as refused:
        await desk.rule(TITLE, step)
    assert refused.value.field == f"then.0.{place}"


async def test_a_formula_that_gives_nothing_fails_in_plain_words(desk: RuleDesk) -> None:
    await desk.rule(TITLE, {"kind": "note", "text": "Half is {= amount / 2}"})
    await desk.rule(TITLE, {"kind": "task", "title": "T", "due": "= amount + 1"})
    deal_id = await desk.deal()
    await desk.edit(deal_id, title="Hall")
    await desk.work()
    assert {said for _status, said in await desk.told()} == {"A step could not be taken: “amount” is empty."}
    await desk.edit(deal_id, title="Roof", amount="5")
    await desk.work()
    assert [said for _status, said in await desk.told()][-1] == "A step could not be taken: The formula gives no date."
    async with desk.database.read() as session:
        assert (await session.exec(select(Contact))).all() == []


FIELDS = {
    "walls": "number",
    "price": "money",
    "room": "choice",
    "big": "yes_no",
    "where": "long_text",
    "day": "date",
    "who": "person",
}


async def with_fields(desk: RuleDesk) -> None:
    async with desk.database.write() as session:
        admin = await desk.office.viewer(session, "admin")
        for key, kind in FIELDS.items():
            options = [OptionDraft("Hall"), OptionDraft("Attic")] if kind == "choice" else None
            draft = FieldDraft(key, options=options)
            await create_field(
                session, admin, entity=FieldEntity.DEAL, kind=kind, draft=draft, currency="UAH", key=key, now=desk.now
            )


async def test_fields_of_every_kind_are_set_by_formulas(desk: RuleDesk) -> None:
    await with_fields(desk)
    set_to = {
        "amount": "= amount * 1.2 / 7",
        "source": "Fair, {= client_name}",
        "field.walls": "{= 2 * (5 + 6) * 3}",
        "field.price": "= 10 / 3",
        "field.room": '= if(amount > 100, "Attic", "Hall")',
        "field.big": "= amount > 100",
        "field.where": "To {= client_name}:\n{= title} <b>",
        "field.day": '= date("2026-12-24")',
    }
    await desk.rule(TITLE, *({"kind": "field", "field": name, "value": value} for name, value in set_to.items()))
    deal_id = await desk.deal(contact_id=await client(desk, "{= amount} <i>"), values={"amount": "1500"})
    await desk.edit(deal_id, title="Hall")
    await desk.work()
    deal = await desk.row(deal_id)
    assert (deal.amount, deal.source) == (Decimal("257.14"), "Fair, {= amount} <i>"), "a value is no formula"
    async with desk.database.read() as session:
        known = (await load_fields(session)).of(FieldEntity.DEAL)
    stored = {each.key: stored_in(deal.custom, each) for each in known}
    assert stored == {
        "walls": 66_000_000,
        "price": 333,
        "room": 2,
        "big": 1,
        "where": "To {= amount} <i>:\nHall <b>",
        "day": "2026-12-24",
        "who": None,
    }
    (run,) = await desk.runs()
    assert [said for *_, said in await desk.steps(run.id)][:2] == [
        "“Amount” set to “257.14”",
        "“Source” set to “Fair, {= amount} <i>”",
    ]


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("amount", "= title", "The formula gives a value of another kind."),
        ("amount", "= 1 / amount", "A division by zero."),
        ("field.walls", "= title", "The formula gives a value of another kind."),
        ("field.room", '= "Cellar"', "This choice is no longer offered. Choose another one."),
        ("source", '{= replace("x", "x", title)}' * 200, "Write at most 100 characters."),
    ],
)
async def test_a_value_that_the_field_cannot_hold_fails_in_plain_words(
    desk: RuleDesk, name: str, value: str, said: str
) -> None:
    await with_fields(desk)
    await desk.rule(TITLE, {"kind": "field", "field": name, "value": value})
    deal_id = await desk.deal(values={"amount": "0"})
    await desk.edit(deal_id, title="Hall")
    await desk.work()
    assert await desk.told() == [("failed", f"A step could not be taken: {said}")]
    with pytest.raises(Invalid) as refused:
        await desk.rule(TITLE, {"kind": "field", "field": "field.who", "value": "= 1"})
    assert refused.value.field == "then.0.value"


async def test_checklists_by_formula(desk: RuleDesk) -> None:
    """An item of which nothing is left is left out; whether one is required stays."""
    items = ["Measure {= title}", {"text": "Ask {= client_name} about {= amount}", "required": True}, "{= source}"]
    await desk.rule(TITLE, {"kind": "task", "title": "Visit", "checklist": items})
    deal_id = await desk.deal(contact_id=await client(desk), values={"amount": "1500"})
    await desk.edit(deal_id, title="Hall")
    await desk.work()
    (task,) = await desk.tasks()
    assert [(each["text"], each["required"]) for each in task.checklist] == [
        ("Measure Hall", False),
        ("Ask Petro about 1500", True),
    ]
