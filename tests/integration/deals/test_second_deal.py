"""Never a second open deal of one client in one pipeline silently: a form, a program, the dock and two at once are asked before."""

import asyncio
import re
from typing import Any

import pytest
from sqlmodel import col, select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.lost import do_lose_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.second_deal_queries import SECOND_DEAL
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Invalid
from tests.calls import NOON
from tests.integration.api.conftest import Programs, programs
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk
from tests.office import Office

__all__ = ["browsers", "desk", "programs"]
NUMBER = "+380671112233"


async def make_client(database: Database, office: Office, login: str = "ivan") -> int:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        made = await create_contact(session, viewer, name="Marta", phones=[NUMBER], now=NOON, region="UA")
    return made.id or 0


async def make(database: Database, office: Office, login: str = "ivan", **more: Any) -> int:
    async with database.write() as session:
        viewer = await office.viewer(session, login)
        return (
            await create_deal(session, viewer, title="Kitchen", now=NOON, currency="UAH", region="UA", **more)
        ).id or 0


async def test_the_second_is_refused_until_it_is_meant(database: Database, office: Office) -> None:
    client = await make_client(database, office)
    first = await make(database, office, contact_id=client)
    for also in ({"contact_id": client}, {"client_number": NUMBER}):
        with pytest.raises(Invalid) as refused:
            await make(database, office, **also)
        assert (refused.value.code, refused.value.params["id"]) == (SECOND_DEAL, first)
    with pytest.raises(Invalid) as refused:  # a colleague's deal is not shown, but whose it is
        await make(database, office, "petro", contact_id=await shared_with_petro(database, office, client))
    assert refused.value.params == {"who": "Ivan Kravets"}
    second = await make(database, office, contact_id=client, second=True)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        for each in (first, second):
            deal = await session.get_one(Deal, each)
            await do_lose_deal(session, deal, "Too dear", NOON, actor=ivan, people=await load_directory(session))
    await make(database, office, contact_id=client)  # none is open any more


async def shared_with_petro(database: Database, office: Office, contact_id: int) -> int:
    """Petro has a deal with Ivan's client that is closed already, so that he sees the client."""
    theirs = await make(database, office, "admin", contact_id=contact_id, second=True)
    async with database.write() as session:
        deal = await session.get_one(Deal, theirs)
        deal.responsible_id, deal.closed_at = (await office.viewer(session, "petro")).user_id, NOON
    return contact_id


async def test_a_number_without_a_client_has_one_deal_too(database: Database, office: Office) -> None:
    first = await make(database, office, client_number=NUMBER)
    with pytest.raises(Invalid) as refused:
        await make(database, office, client_number="067 111 22 33")
    assert (refused.value.field, refused.value.params["id"]) == ("client_number", first)


async def test_of_two_at_once_one_is_made(database: Database, office: Office) -> None:
    client = await make_client(database, office)
    done = await asyncio.gather(*(make(database, office, contact_id=client) for _ in range(4)), return_exceptions=True)
    assert sum(isinstance(each, int) for each in done) == 1
    assert {each.code for each in done if isinstance(each, Invalid)} == {SECOND_DEAL}
    async with database.read() as session:
        assert len((await session.exec(select(Deal).where(col(Deal.contact_id) == client))).all()) == 1


async def test_the_form_shows_the_first_one_and_asks(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan = await browsers("ivan")
    client = await make_client(desk.database, desk.office)
    first = await make(desk.database, desk.office, contact_id=client)
    page = (await ivan.get(f"/deals/new?contact={client}")).text  # before anything was typed
    assert f'href="/deals/{first}"' in page.partition('id="open-already"')[2]
    data = {"contact_id": str(client), "contact": "Marta", "title": "Bath", "number": ""}
    answer = await ivan.post("/deals/new", data=data, headers=HTMX)
    assert answer.status_code == 422
    assert 'name="second"' in answer.text
    assert 'value="Bath"' in answer.text
    made = await ivan.post("/deals/new", data={**data, "second": "1"}, headers=HTMX)
    assert re.search(r"/deals/\d+", made.headers["hx-redirect"] if "hx-redirect" in made.headers else str(made.headers))
    assert made.status_code in {200, 204, 303}


async def test_a_program_is_told_which_deal_it_is(programs: Programs) -> None:
    async with await programs.as_("ivan") as client:
        contact = (await client.post("/api/v1/contacts", json={"name": "Marta", "phones": [NUMBER]})).json()["id"]
        body = {"title": "Kitchen", "contact_id": contact}
        first = (await client.post("/api/v1/deals", json=body)).json()["id"]
        refused = await client.post("/api/v1/deals", json={**body, "second": False})
        assert (refused.status_code, refused.json()["code"], refused.json()["field"]) == (
            422,
            SECOND_DEAL,
            "contact_id",
        )
        assert f"(deal {first})" in refused.json()["detail"]
        assert (await client.post("/api/v1/deals", json=body)).status_code == 201
