"""The calendar of one's tasks: under a secret address that can be ended, and only one's own."""

import re

import pytest
from sqlmodel import select

from pbxcrm.people.models import User
from pbxcrm.tasks.models import CalendarFeed
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk
from tests.office import PASSWORD

__all__ = ["browsers", "desk"]


async def test_the_address_is_made_read_and_ended(browsers: Browsers, desk: BrowserDesk) -> None:
    ivan, olena = await browsers("ivan"), await browsers("olena")
    page = (await ivan.post("/profile/feed")).text
    [address] = set(re.findall(r"/feeds/([\w-]+)\.ics", page))
    assert address not in (await ivan.get("/profile")).text
    async with desk.database.read() as session:
        kept = (await session.exec(select(CalendarFeed))).one()
    assert address not in kept.secret_hash
    ivan.cookies.clear()  # a calendar program is not logged in
    stream = await ivan.get(f"/feeds/{address}.ics")
    assert stream.status_code == 200
    assert stream.headers["content-type"] == "text/calendar; charset=utf-8"
    assert "SUMMARY:Send the drawings" in stream.text
    assert (await ivan.get("/feeds/other.ics")).status_code == 404
    other = (await olena.post("/profile/feed")).text
    [hers] = set(re.findall(r"/feeds/([\w-]+)\.ics", other))
    assert "Send the drawings" not in (await olena.get(f"/feeds/{hers}.ics")).text
    await olena.post("/profile/feed/end")
    assert (await olena.get(f"/feeds/{hers}.ics")).status_code == 404
    async with desk.database.write() as session:
        user = (await session.exec(select(User).where(User.login == "ivan"))).one()
        user.is_active = False
    assert (await ivan.get(f"/feeds/{address}.ics")).status_code == 404


@pytest.mark.parametrize("by", ["themselves", "the administrator"])
async def test_the_address_ends_with_the_password(browsers: Browsers, desk: BrowserDesk, by: str) -> None:
    ivan, admin = await browsers("ivan"), await browsers("admin")
    [address] = set(re.findall(r"/feeds/([\w-]+)\.ics", (await ivan.post("/profile/feed")).text))
    assert (await ivan.get(f"/feeds/{address}.ics")).status_code == 200
    if by == "themselves":
        data = {"old": PASSWORD, "new": "new password", "again": "new password"}
        assert (await ivan.post("/profile/password", data=data)).status_code == 303
    else:
        person = f"/people/{desk.office.id('ivan')}"
        form = {"name": "Ivan", "role": "seller", "is_active": "1", "password": "set by the admin"}
        assert (await admin.post(person, data=form)).status_code == 303
    assert (await admin.get(f"/feeds/{address}.ics")).status_code == 404


async def test_the_address_of_an_act_leads_to_the_page_above_it(browsers: Browsers) -> None:
    """A restored tab, or Enter in the address bar, asks for it with GET."""
    ivan = await browsers("ivan")
    asks = {"accept": "text/html,*/*;q=0.8"}
    for act, page in (
        ("/profile/feed", "/profile"),
        ("/profile/feed/end", "/profile"),
        ("/contacts/1/numbers", "/contacts/1"),
        ("/tasks/7/done", "/tasks/7"),
        ("/logout", None),
    ):
        answer = await ivan.get(act, headers=asks)
        assert (answer.status_code, answer.headers.get("location")) == (303 if page else 405, page), act
    assert (await ivan.get("/profile/feed", headers={"accept": "application/json"})).status_code == 405
