"""The people of a deal, its watchers, its pinned notes, and colleagues whom a note names."""

import re

from httpx2 import AsyncClient
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.deals.models import Deal, DealPerson
from pbxcrm.deals.people_actions import add_person
from pbxcrm.people.queries import get_user_by_login, viewer_of
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox
from pbxcrm.tasks.models import Task
from tests.integration.web.conftest import Browsers, SetClock
from tests.integration.web.test_settings_pages import make_deal

PART = {"hx-request": "true", "hx-request-type": "partial"}
HOSTILE = '<img src=x onerror=alert(1)>"\u202e'


async def viewer_of_login(session: AsyncSession, login: str) -> Viewer:
    user = await get_user_by_login(session, login)
    assert user is not None
    return await viewer_of(session, user)


async def contact_of(database: Database, login: str, name: str, number: str, clock: SetClock) -> int:
    async with database.write() as session:
        who = await viewer_of_login(session, login)
        made = await create_contact(session, who, name=name, phones=[number], now=clock(), region="UA")
        return made.id or 0


async def news_for(database: Database, user_id: int) -> list[str]:
    async with database.read() as session:
        rows = (await session.exec(select(Outbox).where(Outbox.topic == "news").order_by(col(Outbox.id)))).all()
    return [row.ref for row in rows if user_id in (row.users or [])]


async def test_whoever_sees_the_deal_sees_its_people_and_nobody_else(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    """Dmytro's client is put on Olena's deal by the administrator: Olena and her manager see the person, and may not change them."""
    _client, deal_id = await make_deal(database, clock)
    person = await contact_of(database, "dmytro", "Accountant", "+380501112233", clock)
    olena, iryna, admin = await browser("olena"), await browser("iryna"), await browser("admin")
    for seller in (olena, iryna):
        assert (await seller.get(f"/contacts/{person}")).status_code == 404
    path = f"/deals/{deal_id}/people"
    assert (await olena.post(path, data={"contact_id": str(person)}, headers=PART)).status_code == 422
    answer = await admin.post(path, data={"contact_id": str(person), "person_role": HOSTILE}, headers=PART)
    assert answer.status_code == 200
    assert "&lt;img src=x" in answer.text
    assert "<img src=x" not in answer.text
    page = (await olena.get(f"/deals/{deal_id}")).text
    assert "Accountant" in page
    assert 'data-copy="+380501112233"' in page
    for seller in (olena, iryna):
        assert (await seller.get(f"/contacts/{person}")).status_code == 200
        assert "Accountant" in (await seller.get("/contacts?q=Accountant")).text
    assert (await olena.get(f"/contacts/{person}/edit")).status_code == 403
    assert (await (await browser("dmytro")).get(path)).status_code == 404
    assert "Also on deals of other clients" in (await olena.get(f"/contacts/{person}")).text
    again = await admin.post(path, data={"contact_id": str(person)}, headers=PART)
    assert again.status_code == 422
    assert "on the deal already" in again.text

    row = await _one(database, DealPerson)
    role = await olena.post(f"{path}/{row}/role", data={"person_role": "pays"}, headers=PART)
    assert 'value="pays"' in role.text
    gone = await olena.post(f"{path}/{row}/remove", headers=PART)
    assert "Accountant has been taken off" in gone.text
    assert (await olena.get(f"/contacts/{person}")).status_code == 404
    assert (await olena.post(f"{path}/{row}/restore")).status_code == 303
    assert 'value="pays"' in (await olena.get(path, headers=PART)).text
    changes = (await olena.get(f"/deals/{deal_id}?kind=moves")).text
    assert changes.count("Put on the deal: Accountant") == 2
    assert "Taken off the deal: Accountant" in changes
    assert "pays" in changes


async def _one(database: Database, model: type[DealPerson]) -> int:
    async with database.read() as session:
        return (await session.exec(select(model))).one().id or 0


async def test_a_new_person_is_made_with_the_deal_s_role(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    path = f"/deals/{deal_id}/people"
    empty = await olena.post(path, data={"contact": "", "number": "", "person_role": "x"}, headers=PART)
    assert empty.status_code == 422
    assert 'aria-invalid="true"' in empty.text
    assert 'value="x"' in empty.text  # nothing typed is lost
    long = await olena.post(path, data={"contact": "A", "number": "", "person_role": "x" * 61}, headers=PART)
    assert long.status_code == 422
    made = await olena.post(
        path, data={"contact": "Boss", "number": "050 111 22 44", "person_role": "decides"}, headers=PART
    )
    assert made.status_code == 200, made.text
    assert "Boss" in made.text


async def test_two_people_who_are_merged_stand_once(browser: Browsers, database: Database, clock: SetClock) -> None:
    _client, deal_id = await make_deal(database, clock)
    admin = await browser("admin")
    this = await contact_of(database, "olena", "Boss", "+380501112201", clock)
    into = await contact_of(database, "olena", "Director", "+380501112202", clock)
    async with database.write() as session:
        who = await viewer_of_login(session, "olena")
        for contact_id in (this, into):
            await add_person(session, who, deal_id, contact_id, "decides", clock())
    async with database.write() as session:
        await merge_contacts(session, await viewer_of_login(session, "admin"), this, into, now=clock())
    page = (await admin.get(f"/deals/{deal_id}/people", headers=PART)).text
    assert len(re.findall(r'id="person-\d', page)) == 1


async def test_who_watches_is_told_of_moves_and_notes_of_others(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena, iryna, dmytro = await browser("olena"), await browser("iryna"), await browser("dmytro")
    assert (await dmytro.post(f"/deals/{deal_id}/watch")).status_code == 404
    refused = await olena.post(f"/deals/{deal_id}/watch", data={"user_id": "2"}, headers=PART)
    assert refused.status_code == 422  # Dmytro does not see it
    assert (await iryna.post(f"/deals/{deal_id}/watch", headers=PART)).status_code == 200
    assert "Ірина Мельник" in (await olena.get(f"/deals/{deal_id}")).text.partition('id="watchers"')[2]
    await iryna.post(f"/deals/{deal_id}/note", data={"text": "my own note"})
    assert await news_for(database, 3) == []
    await olena.post(f"/deals/{deal_id}/note", data={"text": HOSTILE})
    await _move(olena, deal_id)
    told = await news_for(database, 3)
    assert [ref.partition("-")[0] for ref in told] == ["note", "move"]
    assert await news_for(database, 1) == []
    for ref in told:
        said = await iryna.get(f"/news?what={ref}")
        assert said.status_code == 200
        assert said.headers["content-type"].startswith("application/json")
        assert said.json()["href"] == f"/deals/{deal_id}"
        assert (await dmytro.get(f"/news?what={ref}")).status_code == 404
    for junk in ("", "move-", "move-999999", "watch-1", "x-1", "note-99999999999999999999"):
        assert (await dmytro.get("/news", params={"what": junk})).status_code == 404
    page = (await iryna.get("/watching")).text
    assert "&lt;img src=x" in page
    assert "moved it to" in page
    assert "my own note" not in page
    assert "You watch no deals" in (await dmytro.get("/watching")).text
    clock.forward(days=20)
    iryna = await browser("iryna")
    assert "Nothing: nobody else" in (await iryna.get("/watching")).text
    assert (await iryna.post(f"/deals/{deal_id}/unwatch", headers=PART)).status_code == 200
    assert "You watch no deals" in (await iryna.get("/watching")).text


async def test_a_watcher_who_no_longer_sees_the_deal_hears_nothing(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    iryna, admin = await browser("iryna"), await browser("admin")
    await iryna.post(f"/deals/{deal_id}/watch")
    async with database.write() as session:
        deal = await session.get_one(Deal, deal_id)
        deal.responsible_id = 2  # Dmytro, of another team
    await admin.post(f"/deals/{deal_id}/note", data={"text": "a secret"})
    assert await news_for(database, 3) == []
    assert "a secret" not in (await iryna.get("/watching")).text


async def test_a_note_that_names_a_colleague_gives_them_a_task(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena = await browser("olena")
    text = "@Ірина Мельник, дайте знижку? @dmytro теж. mail@iryna.example " + HOSTILE
    answer = await olena.post(f"/deals/{deal_id}/note", data={"text": text}, headers=PART)
    assert answer.status_code == 200
    assert "do not see this deal: Dmytro Koval" in answer.text
    assert '<b class="mention" title="Ірина Мельник">@Ірина Мельник</b>' in answer.text
    assert "<img src=x" not in answer.text
    async with database.read() as session:
        tasks = (await session.exec(select(Task).where(col(Task.about).startswith("mention:")))).all()
    assert [(task.assignee_id, task.deal_id) for task in tasks] == [(3, deal_id)]
    assert await news_for(database, 3) == [f"mention-{tasks[0].about.split(':')[1]}"]
    page = (await (await browser("iryna")).get(f"/tasks/{tasks[0].id}")).text
    assert "Олена Шевченко named you in a note on the deal." in page
    # A question to a colleague is no next step with the client.
    assert "asks you in a note" in (await olena.get(f"/deals/{deal_id}")).text


async def test_quality_control_names_a_colleague_and_gives_no_task(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    petro = await browser("petro")
    answer = await petro.post(f"/deals/{deal_id}/note", data={"text": "@Ірина Мельник, why?"}, headers=PART)
    assert answer.status_code == 200
    assert [ref.partition("-")[0] for ref in await news_for(database, 3)] == ["mention"]
    async with database.read() as session:
        assert (await session.exec(select(Task).where(col(Task.about).startswith("mention:")))).all() == []


async def test_a_note_is_pinned_with_undo_and_not_more_than_five(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _client, deal_id = await make_deal(database, clock)
    olena, dmytro, petro = await browser("olena"), await browser("dmytro"), await browser("petro")
    for n in range(6):
        clock.forward(minutes=1)
        await olena.post(f"/deals/{deal_id}/note", data={"text": f"note {n}"})
    page = (await olena.get(f"/deals/{deal_id}")).text
    pins = sorted(set(re.findall(r'action="(/notes/\d+)/pin"', page)))
    assert len(pins) == 6
    assert (await dmytro.post(f"{pins[0]}/pin")).status_code == 404
    assert (await petro.post(f"{pins[0]}/pin")).status_code == 403  # quality control changes nothing
    for pin in pins[:5]:
        assert (await olena.post(f"{pin}/pin")).status_code == 303
    full = await olena.post(f"{pins[5]}/pin", headers=PART)
    assert full.status_code == 409
    pinned = await olena.get(f"/deals/{deal_id}?kind=calls")
    assert pinned.text.count('id="pinned-') == 5
    answer = await olena.post(f"{pins[0]}/unpin", headers=PART)
    assert f"{pins[0]}/pin" in answer.text  # the toast offers to pin it again
    assert (await olena.get(f"/deals/{deal_id}")).text.count('id="pinned-') == 4


async def _move(client: AsyncClient, deal_id: int) -> None:
    page = (await client.get(f"/deals/{deal_id}")).text
    stage, version = re.findall(
        r'name="stage_id" value="(\d+)"><input type="hidden" name="version" value="(\d+)"', page
    )[0]
    moved = await client.post(f"/deals/{deal_id}/move", data={"stage_id": stage, "version": version})
    assert moved.status_code == 303, moved.text
