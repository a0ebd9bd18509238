"""Flags: raised by quality control and managers on what they see, heard by exactly those who see it, resolved with a word."""

import re

from httpx2 import ASGITransport, AsyncClient
from sqlmodel import col, select
from starlette.applications import Starlette

from pbxcrm.calls.models import Call
from pbxcrm.flags.access import visible_flags
from pbxcrm.flags.models import Flag
from pbxcrm.people.api_tokens import create_token
from pbxcrm.people.models import User
from pbxcrm.people.queries import get_user_by_login, viewer_of
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.settings import Settings
from tests.calls import FactStory, batch
from tests.integration.web.conftest import HOME, Browsers, SetClock
from tests.integration.web.test_settings_pages import make_deal

HTMX = {"hx-request": "true", "hx-request-type": "partial"}


def flagged_in_rail(page: str) -> int:
    found = re.search(r'href="/flags" data-go="f".*?</a>', page, re.DOTALL)
    assert found
    number = re.search(r'class="count[^"]*">(\d+)<', found[0])
    return int(number[1]) if number else 0


async def test_a_flag_goes_from_quality_control_to_the_seller_and_back(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _contact, deal_id = await make_deal(database, clock)
    petro, olena, dmytro = await browser("petro"), await browser("olena"), await browser("dmytro")
    answer = await petro.post(f"/deals/{deal_id}/flag", data={"reason": " "}, headers=HTMX)
    assert (answer.status_code, "Write why you flag it" in answer.text) == (422, True)
    assert (await petro.post(f"/deals/{deal_id}/flag", data={"reason": "Обіцяли й не передзвонили"})).status_code == 303
    page = (await olena.get(f"/deals/{deal_id}")).text
    assert page.count("Обіцяли й не передзвонили") == 2  # on the card and in the timeline
    assert flagged_in_rail(page) == 1
    assert flagged_in_rail((await dmytro.get("/flags")).text) == 0
    assert "Обіцяли" not in (await dmytro.get("/flags")).text
    assert (await olena.post(f"/deals/{deal_id}/flag", data={"reason": "x"})).status_code == 403
    address = re.search(r'action="(/flags/\d+/resolve)"', page)
    assert address
    assert (await dmytro.post(address[1], data={"word": "x"})).status_code == 404
    assert (await olena.post(address[1], data={"word": ""}, headers=HTMX)).status_code == 422
    assert (await olena.post(address[1], data={"word": "Передзвонила, вибачилась"})).status_code == 303
    assert (await petro.post(address[1], data={"word": "Again"})).status_code == 409
    assert "Передзвонила, вибачилась" in (await petro.get("/flags?state=resolved")).text
    assert "Nothing is flagged" in (await petro.get("/flags")).text
    assert flagged_in_rail((await olena.get("/board")).text) == 0
    audit = (await (await browser("admin")).get(f"/settings/audit?kind=deal&q={deal_id}")).text
    assert "Flag resolved" in audit
    assert "Передзвонила, вибачилась" in audit


async def test_exactly_those_who_see_a_flag_hear_of_it(
    browser: Browsers, database: Database, settings: Settings, clock: SetClock
) -> None:
    _contact, deal_id = await make_deal(database, clock)
    await Intake(database, settings).apply(
        batch(FactStory(linkedid="1.1", client="+380671110009").ring("102").wait(5).end())
    )
    async with database.read() as session:
        call = (await session.exec(select(Call).where(Call.linkedid == "1.1"))).one()
    petro = await browser("petro")
    for path in (f"/deals/{deal_id}", f"/calls/{call.id}"):
        assert (await petro.post(f"{path}/flag", data={"reason": "Look at this"})).status_code == 303
        assert "Look at this" in (await petro.get(path)).text
    async with database.read() as session:
        flags = (await session.exec(select(Flag))).all()
        assert {(flag.deal_id, flag.call_id) for flag in flags} == {(deal_id, None), (None, call.id)}
        for flag in flags:
            said = (await session.exec(select(Outbox).where(Outbox.topic == "flag", Outbox.ref == str(flag.id)))).one()
            hears, sees = set(), set()
            for user in (await session.exec(select(User))).all():
                viewer = await viewer_of(session, user)
                if user.id in said.users or user.role in said.roles:
                    hears.add(user.login)
                if (await session.exec(select(Flag.id).where(col(Flag.id) == flag.id, visible_flags(viewer)))).first():
                    sees.add(user.login)
            assert hears == sees
            assert ("olena" in sees) == (flag.deal_id is not None)
            assert ("dmytro" in sees) == (flag.call_id is not None)


async def test_programs_raise_list_and_resolve_flags(app: Starlette, database: Database, clock: SetClock) -> None:
    _contact, deal_id = await make_deal(database, clock)
    tokens = {}
    async with database.write() as session:
        for login in ("petro", "olena"):
            user = await get_user_by_login(session, login)
            assert user is not None
            tokens[login] = await create_token(session, user, now=clock())
    async with AsyncClient(transport=ASGITransport(app), base_url=f"{HOME}/api/v1") as program:

        def of(login: str) -> dict[str, str]:
            return {"authorization": f"Bearer {tokens[login]}"}

        made = await program.post("/flags", json={"deal_id": deal_id, "reason": "Too slow"}, headers=of("petro"))
        assert made.status_code == 201, made.text
        assert made.json()["raised_by"] == "petro"
        assert (await program.post("/flags", json={"reason": "x"}, headers=of("petro"))).status_code == 422
        assert (
            await program.post("/flags", json={"deal_id": deal_id, "reason": "x"}, headers=of("olena"))
        ).status_code == 403
        listed = (await program.get("/flags?status=open", headers=of("olena"))).json()
        assert [flag["reason"] for flag in listed["items"]] == ["Too slow"]
        path = f"/flags/{made.json()['id']}/resolve"
        assert (await program.post(path, json={"word": "Called"}, headers=of("olena"))).json()["resolved_by"] == "olena"
        assert (await program.get("/flags?status=open", headers=of("petro"))).json()["items"] == []
        note = await program.post("/notes", json={"deal_id": deal_id, "text": "QC was here"}, headers=of("petro"))
        assert note.status_code == 201
