"""Kinds of numbers and addresses and the main ones, also after a merge and its undo; birthdays in lists; consents and their texts."""

from datetime import date

import pytest
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.contacts.actions import edit_contact
from pbxcrm.contacts.consent_actions import keep_consent
from pbxcrm.contacts.consent_queries import consent_now, consents_of
from pbxcrm.contacts.filters import ContactFilter
from pbxcrm.contacts.kind_rules import ChosenKinds, WayChoice
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import list_contacts, with_numbers
from pbxcrm.forms.actions import Arrival, Surroundings, receive
from pbxcrm.forms.queries import access_consent, consent_rows
from pbxcrm.forms.rules import Answers
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid, NotAllowed, NotFound
from pbxcrm.shared.numbers import Written
from tests.calls import NOON
from tests.forms import make_form
from tests.integration.contacts.merging import Clients
from tests.office import Office

MOBILE, OFFICE, OTHER = "+380671112233", "+380442001020", "+380501112233"


@pytest.fixture
def clients(database: Database, office: Office) -> Clients:
    return Clients(database, office)


async def ways(database: Database, contact_id: int) -> list[tuple[str, str, bool]]:
    """Numbers and addresses as they are shown: each with its kind, and whether it was said to be the main one."""
    async with database.read() as session:
        [row] = await with_numbers(session, [await session.get_one(Contact, contact_id)])
        phones = [(phone.number, phone.kind, phone.is_main) for phone in row.phones]
        return [*phones, *((email.address, email.kind, email.is_main) for email in row.emails)]


async def test_kinds_are_read_chosen_and_kept(database: Database, office: Office, clients: Clients) -> None:
    one = await clients.make("Marta", "067 111 22 33", "044 200 10 20 роб.", emails=("m@example.com", "o@example.com"))
    first = [
        (MOBILE, "mobile", False),
        (OFFICE, "work", False),
        ("m@example.com", "", False),
        ("o@example.com", "", False),
    ]
    assert await ways(database, one) == first
    chosen = ChosenKinds({OFFICE: WayChoice("home", is_main=True)}, {"o@example.com": WayChoice("work", is_main=True)})
    async with database.write() as session:
        maria = await office.viewer(session, "maria")
        await edit_contact(session, maria, one, version=None, now=NOON, region="UA", kinds=chosen)
    now = [
        (OFFICE, "home", True),
        (MOBILE, "mobile", False),
        ("o@example.com", "work", True),
        ("m@example.com", "", False),
    ]
    assert await ways(database, one) == now
    async with (
        database.write() as session
    ):  # another main one: there is never a second; what is typed again keeps its kind
        other = ChosenKinds({MOBILE: WayChoice(None, is_main=True)})
        await edit_contact(
            session, maria, one, version=None, now=NOON, region="UA", phones=[OFFICE, MOBILE], kinds=other
        )
    assert (await ways(database, one))[:2] == [(MOBILE, "mobile", True), (OFFICE, "home", False)]
    async with database.write() as session:
        await edit_contact(session, maria, one, version=None, now=NOON, region="UA", birthday="31.12", name="Marta K.")
    async with database.read() as session:
        edits = select(AuditEntry.data).where(AuditEntry.action == "contact.edited").order_by(col(AuditEntry.id))
        first_edit, second, third = [data["changed"] for data in (await session.exec(edits)).all()]
    assert first_edit == {
        "phones": {
            "before": [f"{MOBILE} (mobile)", f"{OFFICE} (work)"], "after": [f"{MOBILE} (mobile)", f"{OFFICE} (home, main)"],
        },
        "emails": {
            "before": ["m@example.com", "o@example.com"], "after": ["m@example.com", "o@example.com (work, main)"],
        },
    }  # fmt: skip
    assert list(second) == ["phones"]
    assert third == {
        "name": {"before": "Marta", "after": "Marta K."},
        "birthday": {"before": None, "after": "--12-31"},
    }
    async with database.write() as session:
        wrong = ChosenKinds(emails={"o@example.com": WayChoice("mobile")})
        with pytest.raises(Invalid):
            await edit_contact(session, maria, one, version=None, now=NOON, region="UA", kinds=wrong)


async def test_a_merge_keeps_kinds_and_one_main_and_its_undo_gives_them_back(
    database: Database, office: Office, clients: Clients
) -> None:
    one = await clients.make("Marta", "067 111 22 33", "044 200 10 20", birthday="29.2.2000")
    two = await clients.make("Marta", "044 200 10 20", "050 111 22 33", birthday="1.3")
    mine = ChosenKinds({OFFICE: WayChoice("work", is_main=True)})
    theirs = ChosenKinds({OTHER: WayChoice("home", is_main=True)})
    async with database.write() as session:
        maria = await office.viewer(session, "maria")
        await edit_contact(session, maria, one, version=None, now=NOON, region="UA", kinds=mine)
        await edit_contact(session, maria, two, version=None, now=NOON, region="UA", kinds=theirs)
    before = await ways(database, one), await ways(database, two)
    merge_id = await clients.merge(one, two)
    assert await ways(database, two) == [(OTHER, "home", True), (MOBILE, "mobile", False), (OFFICE, "work", False)]
    await clients.undo(merge_id)
    assert sorted(await ways(database, one)) == sorted(before[0])
    assert sorted(await ways(database, two)) == sorted(before[1])
    merge_id = await clients.merge(one, two, chosen={"birth_day": "this"})
    async with database.read() as session:
        into = await session.get_one(Contact, two)
        assert (into.birth_year, into.birth_day) == (2000, 229)
    await clients.undo(merge_id)
    async with database.read() as session:
        into = await session.get_one(Contact, two)
        assert (into.birth_year, into.birth_day) == (None, 301)


async def test_whose_birthday_is_near(database: Database, office: Office, clients: Clients) -> None:
    leap = await clients.make("Leap", MOBILE, birthday="29.2.2000")
    new_year = await clients.make("Year", OFFICE, birthday="1.1")
    await clients.make("None", OTHER)

    async def near(today: date, days: int) -> list[int]:
        async with database.read() as session:
            maria = await office.viewer(session, "maria")
            asked = ContactFilter(birthday=(today, days)).conditions()
            return [row.contact.id or 0 for row in (await list_contacts(session, maria, *asked)).rows]

    assert await near(date(2026, 2, 28), 0) == [leap]
    assert await near(date(2028, 2, 28), 0) == []
    assert await near(date(2028, 2, 29), 0) == [leap]
    assert await near(date(2026, 12, 30), 2) == [new_year]
    assert await near(date(2026, 12, 30), 62) == [new_year, leap]


async def test_consent_by_a_form_and_by_word_of_mouth(database: Database, office: Office, clients: Clients) -> None:
    async with database.read() as session:
        ivan, maria = await office.viewer(session, "ivan"), await office.viewer(session, "maria")
        petro, kira = await office.viewer(session, "petro"), await office.viewer(session, "kira")
        admin = await office.viewer(session, "admin")
    form = await make_form(database, admin, NOON, consent="We keep your number to call you back.")
    came = Arrival(Answers(name="Robert", numbers=[Written(OTHER)]), "x" * 64, consent_version=form.consent_version)
    async with database.write() as session:
        request = await receive(session, form, came, Surroundings("UA", "UAH", 1), NOON)
        contact_id = request.contact_id or 0
    async with database.read() as session:
        [row] = await consent_rows(session, await consents_of(session, contact_id))
        assert (row.consent.is_given, row.consent.source, row.version, row.consent.by_id) == (True, form.name, 1, None)
        assert await consent_now(session, [contact_id]) == {contact_id: True}
        consent, text = await access_consent(session, admin, row.consent.id or 0)
        assert (consent.contact_id, text.text) == (contact_id, "We keep your number to call you back.")
    async with database.write() as session:
        await keep_consent(session, admin, contact_id, is_given=False, source="by telephone", now=NOON)
    async with database.read() as session:
        assert await consent_now(session, [contact_id]) == {contact_id: False}
        assert [each.is_given for each in await consents_of(session, contact_id)] == [False, True]
    theirs = await clients.make("Petro's", MOBILE, login="petro")
    async with database.write() as session:
        with pytest.raises(NotFound):
            await keep_consent(session, ivan, theirs, is_given=True, source="x", now=NOON)
        with pytest.raises(NotAllowed):
            await keep_consent(session, kira, theirs, is_given=True, source="x", now=NOON)
        with pytest.raises(Invalid):
            await keep_consent(session, petro, theirs, is_given=True, source=" ", now=NOON)
        with pytest.raises(NotFound):
            await access_consent(session, maria, 999)
    both = await clients.make("Robert", MOBILE)
    async with database.write() as session:
        await keep_consent(session, maria, both, is_given=True, source="on paper", now=NOON)
    clients.login = "admin"
    merge_id = await clients.merge(contact_id, both)  # what either said goes along, and comes back
    async with database.read() as session:
        assert len(await consents_of(session, both)) == 3
    await clients.undo(merge_id)
    async with database.read() as session:
        assert [each.source for each in await consents_of(session, both)] == ["on paper"]
