"""People, watchers and pinned notes of a deal over the API."""

from sqlmodel import select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.shared.db import Database
from pbxcrm.tasks.models import Task
from tests.calls import NOON
from tests.integration.api.conftest import Programs
from tests.office import Office


async def test_people_watchers_and_pins(programs: Programs, database: Database, office: Office) -> None:
    async with database.write() as session:
        viewer = await office.viewer(session, "ivan")
        deal = await create_deal(session, viewer, title="Door", now=NOON, currency="UAH", region="UA")
        boss = await create_contact(session, viewer, name="Boss", phones=["0501112233"], now=NOON, region="UA")
        deal_id, boss_id = deal.id, boss.id
    ivan, maria, kira, petro = [await programs.as_(login) for login in ("ivan", "maria", "kira", "petro")]
    people, watchers = f"/api/v1/deals/{deal_id}/people", f"/api/v1/deals/{deal_id}/watchers"
    made = await ivan.post(people, json={"contact_id": boss_id, "role": "decides"})
    assert made.status_code == 201, made.text
    one = f"{people}/{made.json()['id']}"
    assert made.headers["location"].endswith(one.removeprefix("/api/v1"))
    assert (await ivan.patch(one, json={"role": "pays"})).json()["role"] == "pays"
    assert (await ivan.post(people, json={"contact_id": boss_id})).status_code == 422
    assert (await kira.post(people, json={"contact_id": boss_id})).status_code == 403
    assert (await petro.get(people)).status_code == 404
    assert [each["contact_id"] for each in (await maria.get(people)).json()["items"]] == [boss_id]
    assert (await ivan.delete(one)).status_code == 204
    assert (await maria.get(people)).json()["items"] == []
    assert (await ivan.post(f"{one}/restore")).json()["role"] == "pays"

    assert (await kira.post(watchers, json={})).json()["login"] == "kira"  # everybody watches what they see
    assert (await kira.post(watchers, json={"login": "maria"})).status_code == 403
    assert (await ivan.post(watchers, json={"login": "maria"})).status_code == 200
    assert (await ivan.post(watchers, json={"login": "petro"})).status_code == 422  # he does not see it
    assert {each["login"] for each in (await ivan.get(watchers)).json()["items"]} == {"kira", "maria"}
    assert (await kira.delete(watchers)).status_code == 204
    assert (await ivan.delete(f"{watchers}/maria")).status_code == 204
    assert (await ivan.delete(f"{watchers}/maria")).status_code == 404
    assert (await ivan.get(watchers)).json()["items"] == []

    note = (await ivan.post("/api/v1/notes", json={"deal_id": deal_id, "text": "@maria a discount?"})).json()
    assert note["pinned_at"] is None
    pin = f"/api/v1/notes/{note['id']}"
    assert (await maria.patch(pin, json={"pinned": True})).json()["pinned_at"] is not None
    assert (await petro.patch(pin, json={"pinned": False})).status_code == 404
    async with database.read() as session:
        tasks = (await session.exec(select(Task.assignee_id).where(Task.deal_id == deal_id))).all()
    assert tasks == [office.id("maria")]
