"""Fields that are computed by a formula: checked when they are made, computed again when their sources change, on both databases."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from sqlmodel import select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.contacts.actions import create_contact, edit_contact
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.fields.actions import FieldDraft, archive_field, change_field, create_field
from pbxcrm.fields.formula_queries import problems_of
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import as_entered, stored_in
from pbxcrm.shared.background_jobs import work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid
from tests.calls import NOON
from tests.integration.fields.making import make_deal, make_field
from tests.office import Office


class FormulaCard:
    """A deal of Ivan's whose fields the administrator makes."""

    def __init__(self, database: Database, office: Office) -> None:
        self.database, self.office, self.deal_id = database, office, 0

    async def make(self, key: str, kind: ValueKind = ValueKind.NUMBER, formula: str = "", **more: Any) -> int:
        async with self.database.write() as session:
            admin = await self.office.viewer(session, "admin")
            return (await make_field(session, admin, kind, name=key, key=key, formula=formula, **more)).id or 0

    async def set(self, *, values: Any = None, **custom: Any) -> None:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, "ivan")
            await edit_deal(
                session, viewer, self.deal_id, version=None, now=NOON, values=values or {}, custom=custom, region="UA"
            )

    async def values(self) -> dict[str, Any]:
        async with self.database.read() as session:
            deal = await session.get_one(Deal, self.deal_id)
            known = (await load_fields(session)).of(FieldEntity.DEAL)
            return {each.key: as_entered(each, stored_in(deal.custom, each)) for each in known}

    async def problems(self) -> list[str]:
        async with self.database.read() as session:
            deal = await session.get_one(Deal, self.deal_id)
            return [each.code for each in (await problems_of(session, FieldEntity.DEAL, deal)).values()]


@pytest.fixture
async def card(database: Database, office: Office) -> FormulaCard:
    found = FormulaCard(database, office)
    async with database.write() as session:
        found.deal_id = (await make_deal(session, office, "Room")).id or 0
    return found


async def test_the_room_of_the_article(card: FormulaCard) -> None:
    for key in ("length_m", "width_m", "height_m"):
        await card.make(key)
    await card.make("walls", formula="2 * (length_m + width_m) * height_m")
    await card.make("rolls", formula="ceil(walls / 5.3)")
    await card.make("cost", ValueKind.MONEY, "walls * 380.005")
    await card.set(length_m="5", width_m="6")
    assert (await card.values())["walls"] is None
    assert await card.problems() == []  # one is not filled in yet: that is no fault
    await card.set(height_m="3")
    found = await card.values()
    assert (found["walls"], found["rolls"], found["cost"]) == ("66", "13", "25080.33")
    await card.set(width_m="6.5")
    assert (await card.values())["rolls"] == "14"  # 69 / 5.3
    async with card.database.read() as session:
        told = (await session.exec(select(AuditEntry).where(AuditEntry.action == "deal.edited"))).all()[-1]
    assert set(told.data["changed"]) == {"fields.width_m", "fields.walls", "fields.rolls", "fields.cost"}
    await card.set(height_m="")
    assert (await card.values())["cost"] is None


async def test_a_formula_reads_the_deal_s_own_values_and_gives_every_kind(card: FormulaCard) -> None:
    async with card.database.write() as session:
        deal = await session.get_one(Deal, card.deal_id)
        deal.responsible_id = None  # then dates count by the hours of the office
    for key, kind, formula in (
        ("prepaid", ValueKind.MONEY, "default(amount, 0) * 30 / 100"),
        ("code", ValueKind.TEXT, "join(upper(title), '-', text(year(event_at)))"),
        ("is_big", ValueKind.YES_NO, "default(amount, 0) >= 100000"),
        ("ready", ValueKind.DATE, "addworkdays(event_at, -2)"),
        ("warned", ValueKind.MOMENT, "dateadd(event_at, '-1d')"),
        ("made_of", ValueKind.CHOICE, "if(default(amount, 0) > 5, 'Brick', 'Wood')"),
    ):
        await card.make(key, kind, formula)
    async with card.database.write() as session:
        admin = await card.office.viewer(session, "admin")
        values: dict[str, Any] = {"amount": Decimal(100000), "event_at": NOON + timedelta(days=2)}
        await edit_deal(session, admin, card.deal_id, version=None, now=NOON, values=values)
    found = await card.values()
    event = NOON + timedelta(days=2)
    assert found["prepaid"] == "30000.00"
    assert found["code"] == f"ROOM-{event.year}"
    assert (found["is_big"], found["made_of"]) == (1, 1)
    assert found["warned"] == f"{event - timedelta(days=1):%Y-%m-%dT%H:%M:%SZ}"
    assert found["ready"] < f"{event:%Y-%m-%d}"


@pytest.mark.parametrize(
    ("formula", "code"),
    [
        ("missing + 1", "no_field"),
        ("sum", "circle"),
        ("other * 2", "circle"),
        ("now()", "not_kept"),
        ("if(1 = 1, today(), today())", "not_kept"),
        ("1 +", "no_value_after"),
        ("(" * 100 + "1" + ")" * 100, "too_deep"),
        ("1" * 100_000, "too_long"),
        ("__import__('os')", None),
        ("area.real", None),
    ],
)
async def test_what_a_formula_cannot_be(card: FormulaCard, formula: str, code: str | None) -> None:
    await card.make("area")
    await card.make("sum", formula="area * 2")
    await card.make("other", formula="sum + 1")
    async with card.database.write() as session:
        admin = await card.office.viewer(session, "admin")
        field = (await session.exec(select(FieldDefinition).where(FieldDefinition.key == "sum"))).one()
        with pytest.raises(Invalid) as refused:
            await change_field(session, admin, field.id or 0, FieldDraft(formula=formula), version=None, now=NOON)
    assert refused.value.field == "formula"
    if code is not None:
        assert refused.value.code == f"formulas.{code}"


async def test_nobody_fills_it_in_and_its_sources_stay(card: FormulaCard) -> None:
    area = await card.make("area")
    with pytest.raises(Invalid):
        await card.make("cells", ValueKind.FILE, "area")
    with pytest.raises(Invalid):
        await card.make("only", formula="area", is_unique=True)
    await card.make("double", formula="area * 2")
    await card.set(area="3", double="")  # a form that had it empty
    with pytest.raises(Invalid) as refused:
        await card.set(double="7")
    assert (refused.value.field, refused.value.code) == ("fields.double", "fields.reckoned")
    await card.set(double="6")  # a program returns what it read
    async with card.database.write() as session:
        admin = await card.office.viewer(session, "admin")
        with pytest.raises(Conflict) as kept:
            await archive_field(session, admin, area, version=None, now=NOON)
        assert kept.value.code == "fields.read"
        with pytest.raises(Invalid):
            await change_field(session, admin, area, FieldDraft(formula="1 + 1"), version=None, now=NOON)


async def test_a_division_by_zero_empties_it_and_says_so(card: FormulaCard) -> None:
    await card.make("people")
    await card.make("each", formula="100 / people")
    await card.set(people="4")
    assert (await card.values())["each"] == "25"
    await card.set(people="0")
    assert (await card.values())["each"] is None
    assert await card.problems() == ["by_zero"]
    await card.make("far", formula="people * 10 ^ 14")
    await card.set(people="900000")
    assert await card.problems() == ["too_large"]
    await card.make("wrong", ValueKind.DATE, "people + 1")
    assert "other_kind" in await card.problems()


async def test_a_new_formula_is_computed_for_all_rows_by_the_worker(card: FormulaCard) -> None:
    await card.make("area")
    await card.set(area="3")
    field = await card.make("double", formula="area * 2")
    assert (await card.values())["double"] is None
    assert await work_on(card.database, NOON) > 0
    assert (await card.values())["double"] == "6"
    async with card.database.write() as session:
        admin = await card.office.viewer(session, "admin")
        await change_field(session, admin, field, FieldDraft(formula="area * 3"), version=None, now=NOON)
    await work_on(card.database, NOON)
    assert (await card.values())["double"] == "9"


async def test_a_deal_that_makes_itself_has_them_from_the_beginning(card: FormulaCard) -> None:
    await card.make("where_from", ValueKind.TEXT, "upper(title)")
    async with card.database.write() as session:
        card.deal_id = (await make_deal(session, card.office, "Call of today")).id or 0
    assert (await card.values())["where_from"] == "CALL OF TODAY"


async def test_clients_have_them_too(database: Database, office: Office) -> None:
    async with database.write() as session:
        admin, ivan = [await office.viewer(session, login) for login in ("admin", "ivan")]
        for key, formula in (("orders", ""), ("level", "if(default(orders, 0) >= 3, 2, 1)")):
            await create_field(
                session, admin, entity=FieldEntity.CONTACT, kind="number", key=key, currency="UAH",
                draft=FieldDraft(name=key, formula=formula), now=NOON,
            )  # fmt: skip
        made = await create_contact(session, ivan, name="Olha", region="UA", now=NOON)
        await edit_contact(session, ivan, made.id or 0, version=None, now=NOON, region="UA", custom={"orders": "3"})
    async with database.read() as session:
        contact = await session.get_one(Contact, made.id)
        level = (await load_fields(session)).by_key(FieldEntity.CONTACT)["level"]
        assert as_entered(level, stored_in(contact.custom, level)) == "2"
