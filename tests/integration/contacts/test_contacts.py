"""What somebody may bring about with clients, companies and the lists of numbers, and what not."""

import pytest
from sqlmodel import col, select

from pbxcrm.contacts.actions import create_company, create_contact, mark_number, unmark_number
from pbxcrm.contacts.models import Company, Contact, NumberKind, Phone, SpecialNumber
from pbxcrm.contacts.queries import access_company
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from tests.calls import NOON
from tests.office import Office

NUMBER = "+380671112233"


async def settle(database: Database, office: Office, login: str) -> int:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        company = await create_company(session, viewer, name="Secret Ltd", now=NOON, note="margin 40%")
    assert company.id
    return company.id


async def name_it(database: Database, office: Office, login: str) -> Contact:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        return await create_contact(
            session, viewer, name="X", company_name=" secret  LTD ", now=NOON, region="UA", phones=[NUMBER]
        )


async def test_who_names_another_teams_company_gets_one_of_that_name(database: Database, office: Office) -> None:
    theirs = await settle(database, office, "petro")
    contact = await name_it(database, office, "ivan")
    assert contact.company_id != theirs
    async with database.read() as session:
        ivan = await office.viewer(session, "ivan")
        own = await session.get_one(Company, contact.company_id)
        assert (own.name, own.note, own.responsible_id) == ("secret LTD", "", ivan.user_id)
        with pytest.raises(NotFound):
            await access_company(session, ivan, theirs)
    assert (await name_it(database, office, "ivan")).company_id == contact.company_id


async def test_who_names_a_company_one_may_see_gets_that_one(database: Database, office: Office) -> None:
    known = await settle(database, office, "ivan")
    assert (await name_it(database, office, "ivan")).company_id == known
    assert (await name_it(database, office, "maria")).company_id == known


async def test_a_seller_does_not_take_a_number_off_the_list_of_our_own(database: Database, office: Office) -> None:
    async def mark(login: str, kind: NumberKind) -> None:
        async with database.write() as session:
            await mark_number(session, await office.viewer(session, login), NUMBER, kind, region="UA", now=NOON)

    async def kind() -> str:
        async with database.read() as session:
            return (await session.get_one(SpecialNumber, NUMBER)).kind

    await mark("maria", NumberKind.OWN)
    with pytest.raises(Conflict, match="list of our own"):
        await mark("ivan", NumberKind.SPAM)
    assert await kind() == "own"
    await mark("maria", NumberKind.SPAM)
    assert await kind() == "spam"
    async with database.write() as session:
        await unmark_number(session, await office.viewer(session, "maria"), NUMBER, now=NOON)
    await mark("ivan", NumberKind.SPAM)
    assert await kind() == "spam"


async def test_a_field_of_numbers_takes_several_with_extensions_and_names(database: Database, office: Office) -> None:
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        typed = ["0671112233, 0501112233 Taras", "044 200 10 20 ext. 12"]
        made = await create_contact(session, viewer, name="Olena", phones=typed, region="UA", now=NOON)
    async with database.read() as session:
        phones = (
            await session.exec(select(Phone).where(Phone.contact_id == made.id).order_by(col(Phone.number)))
        ).all()
    assert [(one.number, one.extension, one.label) for one in phones] == [
        ("+380442001020", "12", ""),
        ("+380501112233", "", "Taras"),
        ("+380671112233", "", ""),
    ]


@pytest.mark.parametrize(
    ("typed", "says"),
    [
        *((typed, "not a telephone number") for typed in ("+", "000000", "0", "#211#", "call me")),
        ("06711122330501112234999", "a telephone number has at most 15 digits"),
    ],
)
async def test_what_is_no_number_is_an_error_at_its_field(
    database: Database, office: Office, typed: str, says: str
) -> None:
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        with pytest.raises(Invalid, match=says) as error:
            await create_contact(session, viewer, name="Olena", phones=[typed], region="UA", now=NOON)
    assert error.value.field == "phones"


async def test_a_long_text_beside_a_number_is_an_error_and_not_cut(database: Database, office: Office) -> None:
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        with pytest.raises(Invalid, match="up to 50 characters") as error:
            await create_contact(
                session, viewer, name="Olena", phones=["Taras " * 10 + "0501112233"], region="UA", now=NOON
            )
    assert error.value.field == "phones"
