"""The number of a deal: several at once, and a client with it that is somebody else's."""

from sqlmodel import select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal
from tests.calls import NOON
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def test_two_numbers_of_a_new_client_are_both_theirs_and_the_deal_has_the_first(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    ivan = await browsers("ivan")
    typed = {"title": "Windows", "contact": "Oksana", "number": "063 999 88 77 096 555 44 33", "contact_id": ""}
    assert (await ivan.post("/deals/new", data=typed)).status_code == 303
    async with desk.database.read() as session:
        assert (await session.exec(select(Deal.client_number).where(Deal.title == "Windows"))).one() == "+380639998877"
        assert set((await session.exec(select(Phone.number))).all()) >= {"+380639998877", "+380965554433"}


async def test_two_numbers_of_a_deal_without_a_client_are_an_error_at_the_field(browsers: Browsers) -> None:
    ivan = await browsers("ivan")
    typed = {"title": "Windows", "contact": "", "number": "063 999 88 77 096 555 44 33", "contact_id": ""}
    page = await ivan.post("/deals/new", data=typed)
    assert page.status_code == 422
    assert "is more than one number. Write one here; a client may have several." in page.text
    assert "063 999 88 77 096 555 44 33" in page.text


async def test_a_client_that_the_deal_got_by_mistake_is_taken_off_in_one_act(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    """The client is a colleague's and has the deal's number: the owner of the deal keeps the number without it."""
    async with desk.database.write() as session:
        ivan, petro, admin = [await desk.office.viewer(session, login) for login in ("ivan", "petro", "admin")]
        deal = await create_deal(
            session, ivan, title="T", now=NOON, currency="UAH", region="UA", client_number="0671112233", second=True
        )
        client = await create_contact(session, petro, name="Theirs", phones=["0671112233"], now=NOON, region="UA")
        await session.flush()
        deal_id, client_id = deal.id or 0, client.id or 0
        await edit_deal(session, admin, deal_id, version=None, now=NOON, contact_id=client_id, keep_contact=False)
    web_ivan = await browsers("ivan")
    page = (await web_ivan.get(f"/deals/{deal_id}")).text
    form = page[page.index(f'action="/deals/{deal_id}/edit" class="above"') :].partition("</form>")[0]
    assert "Not this client" in form
    version = form.partition('name="version" value="')[2].partition('"')[0]
    done = await web_ivan.post(f"/deals/{deal_id}/edit", data={"version": version, "contact_id": ""})
    assert done.status_code == 303
    async with desk.database.read() as session:
        assert (await session.get_one(Deal, deal_id)).contact_id is None
    assert "Not this client" not in (await web_ivan.get(f"/deals/{deal_id}")).text


async def test_a_name_of_nobody_typed_into_a_deal_is_a_new_client_with_its_number(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        deal = await create_deal(
            session, ivan, title="T", now=NOON, currency="UAH", region="UA", client_number="0509998877", second=True
        )
        await session.flush()
        deal_id = deal.id or 0
    web_maria = await browsers("maria")  # who leads Ivan: the client is his all the same
    typed = {"version": "1", "title": "T", "contact": "Oksana", "contact_id": ""}
    assert (await web_maria.post(f"/deals/{deal_id}/edit", data=typed)).status_code == 303
    async with desk.database.read() as session:
        found = await session.get_one(Deal, deal_id)
        client = await session.get_one(Contact, found.contact_id)
        assert (client.name, client.responsible_id) == ("Oksana", desk.office.users["ivan"].id)
        assert (await session.exec(select(Phone.number).where(Phone.contact_id == client.id))).all() == [
            "+380509998877"
        ]
    stale = await web_maria.post(f"/deals/{deal_id}/edit", data={**typed, "contact": "Marta"})
    assert stale.status_code == 409
    async with desk.database.read() as session:
        assert (await session.exec(select(Contact.id).where(Contact.name == "Marta"))).all() == []


async def test_a_number_that_is_anothers_stays_theirs_when_a_name_is_typed_into_a_deal(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    async with desk.database.write() as session:
        ivan, petro = [await desk.office.viewer(session, login) for login in ("ivan", "petro")]
        deal = await create_deal(
            session, ivan, title="T", now=NOON, currency="UAH", region="UA", client_number="0671112233", second=True
        )
        await create_contact(session, petro, name="Theirs", phones=["0671112233"], now=NOON, region="UA")
        await session.flush()
        deal_id, version = deal.id or 0, deal.version
    typed = {"version": str(version), "title": "T", "contact": "Oksana", "contact_id": ""}
    assert (await (await browsers("ivan")).post(f"/deals/{deal_id}/edit", data=typed)).status_code == 303
    async with desk.database.read() as session:
        found = await session.get_one(Deal, deal_id)
        client = await session.get_one(Contact, found.contact_id)
        assert client.name == "Oksana"
        assert (await session.exec(select(Phone.id).where(Phone.contact_id == client.id))).all() == []
