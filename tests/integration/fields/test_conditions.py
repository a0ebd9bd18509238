"""One condition, two evaluations: what SQL finds is what Python says of each row, on both databases."""

import random
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.models import Checkpoint, Lamp, LampState, Subject
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.filters import LAMPS, STATUSES
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.tag_actions import add_tag
from pbxcrm.deals.term_facts import load_term_facts
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.conditions import Op, Shape, Term, from_query, holds, parse, to_sql
from pbxcrm.fields.explained import explain
from pbxcrm.fields.models import ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks.models import Task, TaskStatus
from tests.calls import NOON
from tests.integration.fields.making import KINDS, KYIV, checking, make_deal, make_field, set_values, some_value
from tests.office import Office

DEALS = 60


def some_test(term: Term, draw: random.Random, office: Office) -> dict[str, Any]:
    op = draw.choice(term.ops)
    if op in {Op.EMPTY, Op.FILLED}:
        return {"field": term.name, "op": op.value}
    if term.shape in {Shape.DATE, Shape.MOMENT}:
        value: Any = draw.choice(["today", "today-2d", "today+1w", "now", "now-30h", "2026-11-20", "today-1m"])
        if term.shape is Shape.MOMENT and draw.random() < 0.3:
            value = "2026-11-21T10:00:00+00:00"
    elif op in {Op.BEGINS, Op.CONTAINS}:
        value = draw.choice(["boik", "Бойк", "elm", "зел", "майс", "cmd", "order", "67123"])
    elif term.name.startswith("field."):
        kind = ValueKind(term.name.removeprefix("field.my_"))
        value = None
        while value is None:
            value = some_value(kind, draw, office)
        value = value[0] if isinstance(value, list) else value
    else:
        value = {
            "amount": "100.5", "responsible": "ivan", "source": "Site", "lost_reason": "dear", "title": "Order 3",
            "status": draw.choice(STATUSES), "lamp": draw.choice(LAMPS), "stage_kind": draw.choice(["open", "won"]),
            "tag": draw.choice(["urgent", "VIP", "Терміново"]), "number": draw.choice(["067 123 45 67", "+380501112233"]),
        }.get(term.name, 1)  # fmt: skip
    return {"field": term.name, "op": op.value, "value": [value] if op is Op.IN else value}


def some_tree(terms: dict[str, Term], draw: random.Random, office: Office, depth: int = 2) -> dict[str, Any]:
    if depth == 0 or draw.random() < 0.4:
        return some_test(draw.choice(list(terms.values())), draw, office)
    parts = [some_tree(terms, draw, office, depth - 1) for _ in range(draw.randrange(1, 4))]
    return {draw.choice(["all", "any", "none"]): parts}


async def surround(session: AsyncSession, admin: Viewer, office: Office, deal: Deal, draw: random.Random) -> None:
    """Give the deal what stands beside deals: a client with numbers, tags, a task, a lamp, another stage, nobody."""
    if draw.random() < 0.4:
        client = Contact(name=draw.choice(["Стефанія Бойко", "Elm & Sons", "order desk"]), created_at=NOON)
        session.add(client)
        await session.flush()
        session.add(Phone(contact_id=client.id or 0, number=draw.choice(["+380671234567", "+380631234567"])))
        deal.contact_id = client.id
    deal.client_number = draw.choice([None, None, "+380501112233", "+380671234567"])
    for tag in ("Urgent", "vip"):
        if draw.random() < 0.3:
            await add_tag(session, admin, deal.id or 0, tag, NOON)
    for status in (TaskStatus.OPEN, TaskStatus.DONE):
        if draw.random() < 0.4:
            due_at = NOON + timedelta(hours=draw.randrange(-100, 100))
            session.add(
                Task(kind="todo", title="Call", deal_id=deal.id, due_at=due_at, created_at=NOON, status=status.value)
            )
    if draw.random() < 0.4:
        checkpoint_id = (await session.exec(select(Checkpoint.id))).first() or 0
        lamp = Lamp(
            checkpoint_id=checkpoint_id, step=9, subject=Subject.DEAL.value, deal_id=deal.id, entry=f"test:{deal.id}",
            state=LampState.BURNING.value, entered_at=NOON, minutes=1, due_at=NOON, lit_at=NOON, is_escalation=draw.random() < 0.5,
        )  # fmt: skip
        session.add(lamp)
    if draw.random() < 0.4:
        kind = draw.choice(["won", "lost", "unsorted"])
        stage = (
            await session.exec(select(Stage).where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == kind))
        ).one()
        deal.stage_id, deal.closed_at = stage.id or 0, None if kind == "unsorted" else NOON
    if draw.random() < 0.2:
        deal.responsible_id = draw.choice([None, office.id("petro"), office.id("admin")])


async def test_sql_and_python_agree(database: Database, office: Office) -> None:
    draw = random.Random(11)
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        for kind in KINDS:
            await make_field(session, admin, kind, filterable=True)
        for number in range(DEALS):
            deal = await make_deal(session, office, f"Order {number}", draw.choice(["ivan", "olena"]))
            await surround(session, admin, office, deal, draw)
            deal.amount, deal.source = (
                draw.choice([None, Decimal(100), Decimal("200.50")]),
                draw.choice(["", "Site", "Ads"]),
            )
            values = {f"my_{kind.value}": some_value(kind, draw, office) for kind in KINDS}
            await set_values(session, admin, deal, **values)
    asked = found_some = 0
    async with database.read() as session:
        deals = await load_term_facts(session, (await session.exec(select(Deal))).all())
        terms = deal_terms(await load_fields(session), await checking(session))
        each_op = [
            {"field": term.name, "op": op.value, "value": test.get("value")}
            for term in terms.values()
            for op in term.ops
            for test in [some_test_of(term, op, draw, office)]
        ]
        for tree in [*each_op, *(some_tree(terms, draw, office) for _ in range(400))]:
            condition = parse(tree, terms)
            found = set((await session.exec(select(Deal.id).where(to_sql(condition, KYIV)))).all())
            assert found == {deal.deal.id for deal in deals if holds(condition, deal, KYIV)}, tree
            assert found == {deal.deal.id for deal in deals if explain(condition, deal, KYIV)[0]}, tree
            asked += 1
            found_some += 0 < len(found) < len(deals)
    assert found_some > asked / 3  # the conditions are neither always nor never true


def some_test_of(term: Term, op: Op, draw: random.Random, office: Office) -> dict[str, Any]:
    while True:
        found = some_test(term, draw, office)
        if found["op"] == op.value:
            return found


@pytest.mark.parametrize(
    ("tree", "place"),
    [
        ({"field": "field.nothing", "op": "=", "value": 1}, "if.field"),
        ({"field": "amount", "op": "~", "value": 1}, "if.op"),
        ({"field": "amount", "op": "contains", "value": "1"}, "if.op"),
        ({"all": [{"field": "amount", "op": ">"}]}, "if.all.0.value"),
        ({"all": [{"any": [{"field": "amount", "op": ">", "value": "much"}]}]}, "if.all.0.any.0.value"),
        ({"field": "created_at", "op": ">", "value": "yesterday"}, "if.value"),
        ({"field": "created_at", "op": ">", "value": "today-99999y"}, "if.value"),
        ({"field": "closed_at", "op": ">", "value": "now+9999m"}, "if.value"),
        ({"field": "lamp", "op": "has", "value": "green"}, "if.value"),
        ({"field": "words", "op": "=", "value": "desk"}, "if.op"),
        ({"all": [], "any": []}, "if"),
        ({"field": "amount", "op": "=", "value": "1", "extra": 1}, "if"),
        ([], "if"),
        ("amount > 5", "if"),
    ],
)
async def test_a_mistake_is_said_at_its_place(database: Database, office: Office, tree: Any, place: str) -> None:
    async with database.read() as session:
        terms = deal_terms(await load_fields(session), await checking(session))
    with pytest.raises(Invalid) as caught:
        parse(tree, terms)
    assert caught.value.field == place


async def test_an_address_asks_the_same(database: Database, office: Office) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        await make_field(session, admin, ValueKind.CHOICE, filterable=True)
        await make_field(session, admin, ValueKind.NUMBER, filterable=True)
        await make_field(session, admin, ValueKind.TEXT)  # not for filtering
        for number, choice in ((1, "Brick"), (5, "Wood"), (9, "Steel"), (None, None)):
            deal = await make_deal(session, office, f"Order {number}")
            await set_values(session, admin, deal, my_choice=choice, my_number=number)
    async with database.read() as session:
        terms = deal_terms(await load_fields(session), await checking(session))

        async def titles(*pairs: tuple[str, str]) -> set[str]:
            query = select(Deal.title).where(to_sql(from_query(pairs, terms), KYIV))
            return {title.removeprefix("Order ") for title in (await session.exec(query)).all()}

        assert await titles() == {"1", "5", "9", "None"}
        assert await titles(("field.my_choice", "Brick"), ("field.my_choice", "2")) == {"1", "5"}
        assert await titles(("field.my_number.min", "2"), ("field.my_number.max", "8")) == {"5"}
        assert await titles(("field.my_number.empty", "1")) == {"None"}
        assert await titles(("field.my_choice.not", "Brick")) == {"5", "9", "None"}
        for name in ("field.nothing", "field.my_text", "field.my_number.most", "field.my_choice.min", "x"):
            with pytest.raises(Invalid) as caught:
                from_query([(name, "1")], terms)
            assert caught.value.field == name
        with pytest.raises(Invalid):
            from_query([("field.my_number.min", "many")], terms)


def test_the_clock_of_the_test_is_noon() -> None:
    assert KYIV.now == NOON
