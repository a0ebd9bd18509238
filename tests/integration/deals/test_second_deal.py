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
NUMBER, FREE = "+380671112233", "+380671110099"


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


async def test_a_program_that_says_nothing_leaves_a_task(programs: Programs) -> None:
    """Made, opened again, or given a client; with `second` false each is refused, with true nobody is told."""
    async with await programs.as_("ivan") as client:

        async def told() -> int:
            found = (await client.get("/api/v1/tasks")).json()["items"]
            return sum("Two open deals of one client" in each["title"] for each in found)

        contact = (await client.post("/api/v1/contacts", json={"name": "Marta", "phones": [NUMBER]})).json()["id"]
        await client.post("/api/v1/deals", json={"title": "Kitchen", "contact_id": contact})
        await client.post("/api/v1/deals", json={"title": "Bath", "contact_id": contact, "second": True})
        assert await told() == 0
        await client.post("/api/v1/deals", json={"title": "Hall", "contact_id": contact})
        assert await told() == 1
        free = (await client.post("/api/v1/deals", json={"title": "Roof"})).json()["id"]
        path = f"/api/v1/deals/{free}"
        refused = await client.patch(path, json={"contact_id": contact, "second": False})
        assert (refused.status_code, refused.json()["code"]) == (422, SECOND_DEAL)
        assert (await client.patch(path, json={"contact_id": contact})).status_code == 200
        assert await told() == 2
        stages = (await client.get("/api/v1/pipelines")).json()["items"][0]["stages"]
        lost, opened = (next(each["id"] for each in stages if each["kind"] == kind) for kind in ("lost", "open"))
        assert (await client.patch(path, json={"stage_id": lost, "lost_reason": "Too dear"})).status_code == 200
        refused = await client.patch(path, json={"stage_id": opened, "second": False})
        assert (refused.status_code, [each["kind"] for each in refused.json()["missing"]]) == (422, ["second_deal"])
        assert (await client.patch(path, json={"stage_id": opened, "second": True})).status_code == 200


async def test_two_clients_merged_by_a_program_leave_a_task(programs: Programs) -> None:
    async with await programs.as_("ivan") as client:
        ids = []
        for name in ("Marta", "Marta K"):
            contact = (await client.post("/api/v1/contacts", json={"name": name})).json()["id"]
            await client.post("/api/v1/deals", json={"title": f"Of {name}", "contact_id": contact})
            ids.append(contact)
        merged = await client.post(f"/api/v1/contacts/{ids[1]}/merge", json={"into": ids[0]})
        assert merged.status_code == 201, merged.text
        found = (await client.get("/api/v1/tasks")).json()["items"]
        assert any("Two open deals of one client" in each["title"] for each in found)


async def test_the_card_asks_before_a_lost_deal_is_opened_again(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, client = await browsers("ivan"), await make_client(desk.database, desk.office)
    lost = await make(desk.database, desk.office, contact_id=client)
    async with desk.database.write() as session:
        viewer, deal = await desk.office.viewer(session, "ivan"), await session.get_one(Deal, lost)
        opened = deal.stage_id
        people = await load_directory(session)
        await do_lose_deal(session, deal, "Too dear", NOON, actor=viewer, people=people)
        version = str(deal.version)
    first = await make(desk.database, desk.office, contact_id=client)
    asked = await ivan.post(f"/deals/{lost}/move", data={"stage_id": str(opened), "version": version}, headers=HTMX)
    assert (asked.status_code, asked.headers.get("x-gate")) == (422, "refused"), asked.text
    assert f'href="/deals/{first}"' in asked.text
    assert 'name="second"' in asked.text
    again = {"stage_id": str(opened), "version": version, "asked": "second_deal"}
    assert (await ivan.post(f"/deals/{lost}/move", data=again, headers=HTMX)).status_code == 422
    done = await ivan.post(f"/deals/{lost}/move", data={**again, "second": "1"}, headers=HTMX)
    assert done.status_code in {200, 204, 303}, done.text
    async with desk.database.read() as session:
        assert (await session.get_one(Deal, lost)).closed_at is None


async def test_the_card_asks_where_a_colleague_has_the_open_deal_of_the_number(
    browsers: Browsers, desk: BrowserDesk
) -> None:
    """The dialog names the colleague and has the box, so that it is no dead end; their deal is not shown."""
    ivan = await browsers("ivan")
    lost = await make(desk.database, desk.office, client_number=FREE)
    async with desk.database.write() as session:
        viewer, deal = await desk.office.viewer(session, "ivan"), await session.get_one(Deal, lost)
        opened, people = deal.stage_id, await load_directory(session)
        await do_lose_deal(session, deal, "Too dear", NOON, actor=viewer, people=people)
        version = str(deal.version)
        petro = await desk.office.viewer(session, "petro")
        await create_deal(
            session, petro, title="Secret", now=NOON, currency="UAH", region="UA", client_number=FREE, second=True
        )
    data = {"stage_id": str(opened), "version": version}
    asked = await ivan.post(f"/deals/{lost}/move", data=data, headers=HTMX)
    assert (asked.status_code, asked.headers.get("x-gate")) == (422, "refused"), asked.text
    said = asked.text.partition('id="open-already"')[2]
    assert "It is a deal of Petro" in said
    assert 'name="second"' in said
    assert "Secret" not in asked.text
    done = await ivan.post(f"/deals/{lost}/move", data={**data, "asked": "second_deal", "second": "1"}, headers=HTMX)
    assert done.status_code in {200, 204, 303}, done.text
    async with desk.database.read() as session:
        assert (await session.get_one(Deal, lost)).closed_at is None


async def test_the_dialog_tells_nobody_whose_a_strange_client_is(browsers: Browsers, desk: BrowserDesk) -> None:
    """What a form asks for comes from outside: a client whom the asker may not see has no open deals for them."""
    ivan = await browsers("ivan")
    async with desk.database.write() as session:
        petro = await desk.office.viewer(session, "petro")
        made = await create_contact(session, petro, name="Olha", phones=[FREE], now=NOON, region="UA")
        await create_deal(session, petro, title="Secret", now=NOON, currency="UAH", region="UA", contact_id=made.id)
    mine = await make(desk.database, desk.office)
    data = {
        "stage_id": "1", "version": "1", "asked": "second_deal field.contact_id next_task", "next_title": "",
        "contact_id": str(made.id), "contact": "Olha",
    }  # fmt: skip
    asked = await ivan.post(f"/deals/{mine}/move", data=data, headers=HTMX)
    assert (asked.status_code, asked.headers.get("x-gate")) == (422, "refused")
    assert 'id="open-already"' not in asked.text
    assert "Secret" not in asked.text


async def test_the_card_asks_before_a_deal_gets_such_a_client(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, client = await browsers("ivan"), await make_client(desk.database, desk.office)
    first = await make(desk.database, desk.office, contact_id=client)
    other = await make(desk.database, desk.office)
    data = {"title": "Roof", "contact_id": str(client), "contact": "Marta", "version": "1"}
    asked = await ivan.post(f"/deals/{other}/edit", data=data, headers=HTMX)
    assert asked.status_code == 422
    assert f'href="/deals/{first}"' in asked.text.partition('id="open-already"')[2]
    assert 'value="Roof"' in asked.text, "what was typed is still there"
    done = await ivan.post(f"/deals/{other}/edit", data={**data, "second": "1"}, headers=HTMX)
    assert done.status_code in {200, 204, 303}, done.text
