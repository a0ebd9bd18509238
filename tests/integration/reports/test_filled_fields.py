"""Which fields of cards are filled in: by field, person and both, over what the viewer sees; each figure opens its cards."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Company, Contact, Email, Phone
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.queries import default_pipeline
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.value_actions import do_set_values
from pbxcrm.reports.filled_fields import FILLED_FIELDS
from pbxcrm.reports.queries import Filter, load_report
from pbxcrm.reports.report import Table
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.fields.making import make_deal, make_field, set_values
from tests.integration.reports.rows_of_figures import check
from tests.office import Office

KYIV = ZoneInfo("Europe/Kyiv")


async def fill(session: AsyncSession, office: Office) -> None:
    """Ivan has two deals, a client and a company; Olena a deal and a client."""
    admin = await office.viewer(session, "admin")
    await make_field(session, admin, ValueKind.TEXT, name="Size")
    elsewhere = Pipeline(name="Elsewhere", position=9)
    session.add(elsewhere)
    await session.flush()
    session.add(Stage(pipeline_id=elsewhere.id or 0, name="First", kind="open", position=0))
    await make_field(session, admin, ValueKind.TEXT, name="Hidden", key="hidden", pipeline_ids=[elsewhere.id or 0])
    await make_field(session, admin, ValueKind.TEXT, name="Hobby", key="hobby", entity=FieldEntity.CONTACT)
    full = await make_deal(session, office, "Full")
    full.amount, full.source = Decimal(5), "site"
    await set_values(session, admin, full, my_text="12 by 8")
    await make_deal(session, office, "Bare")
    await make_deal(session, office, "Hers", "olena")
    firm = Company(name="Bakery", responsible_id=office.id("ivan"), created_at=NOON)
    session.add(firm)
    await session.flush()
    known = Contact(name="Ada", company_id=firm.id, responsible_id=office.id("ivan"), birth_day=1231, created_at=NOON)
    unknown = Contact(responsible_id=office.id("olena"), created_at=NOON)
    session.add_all([known, unknown])
    await session.flush()
    session.add(Phone(contact_id=known.id or 0, number="+380671112233"))
    session.add(Email(contact_id=known.id or 0, address="ada@example.com"))
    await do_set_values(session, admin, FieldEntity.CONTACT, known, {"hobby": "Chess"}, region="UA")
    full.contact_id = known.id


async def table(database: Database, office: Office, by: str, login: str = "admin", **filters: int) -> Table:
    wanted = Filter(NOON - timedelta(days=1), NOON + timedelta(days=1), KYIV, by, **filters)
    async with database.read() as session:
        who = await office.viewer(session, login)
        found = (await load_report(session, who, FILLED_FIELDS, wanted, now=NOON))[1]
        assert check(FILLED_FIELDS, found) == 4 * (len(found.lines) + 1)
        return found


def figures(found: Table) -> dict[tuple[str, str], tuple[int, int, int]]:
    values = {(line.name, line.under): line.values for line in found.lines}
    return {key: (each["filled"], each["empty"], each["percent"]) for key, each in values.items()}


@pytest.fixture
async def filled(database: Database, office: Office) -> Database:
    async with database.write() as session:
        await fill(session, office)
    return database


async def test_by_field_person_and_both(filled: Database, office: Office) -> None:
    by_field = await table(filled, office, "field")
    assert figures(by_field) == {
        ("Client", "Deal"): (1, 2, 33),
        ("Amount", "Deal"): (1, 2, 33),
        ("Source", "Deal"): (1, 2, 33),
        ("Size", "Deal"): (1, 2, 33),  # "Hidden" is not shown at these stages: it is nobody's gap
        ("Name", "Client"): (1, 1, 50),
        ("Number", "Client"): (1, 1, 50),
        ("E-mail", "Client"): (1, 1, 50),
        ("Company", "Client"): (1, 1, 50),
        ("Birthday", "Client"): (1, 1, 50),
        ("Hobby", "Client"): (1, 1, 50),
        ("Clients of the company", "Company"): (1, 0, 100),
    }
    assert [line.name for line in by_field.lines][:4] == ["Client", "Amount", "Source", "Size"]
    gaps = next(line for line in by_field.lines if line.name == "Size").behind["empty"]
    assert [row.title for row in gaps] == ["Bare", "Hers"]

    by_person = figures(await table(filled, office, "owner"))
    assert by_person[office["ivan"].name, "Deal"] == (1, 1, 50)
    assert by_person[office["ivan"].name, "Client"] == (1, 0, 100)
    assert by_person[office["olena"].name, "Client"] == (0, 1, 0)

    by_both = figures(await table(filled, office, "owner_field"))
    assert by_both[office["ivan"].name, "Size"] == (1, 1, 50)
    assert by_both[office["olena"].name, "Size"] == (0, 1, 0)


async def test_only_what_the_viewer_sees_and_asks_for(filled: Database, office: Office) -> None:
    own = await table(filled, office, "owner", "ivan", user_id=office.id("ivan"))
    assert {line.name for line in own.lines} == {office["ivan"].name}
    of_olena = await table(filled, office, "field", user_id=office.id("olena"))
    assert figures(of_olena)["Size", "Deal"] == (0, 1, 0)
    async with filled.read() as session:
        default = await default_pipeline(session)
    assert default is not None
    of_pipeline = await table(filled, office, "field", pipeline_id=default.id or 0)
    assert {line.under for line in of_pipeline.lines} == {"Deal"}
