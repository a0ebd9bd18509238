"""The calendar of one's tasks: under a secret address that can be ended, and only one's own."""

import re

from sqlmodel import select

from pbxcrm.people.models import User
from pbxcrm.tasks.models import CalendarFeed
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk

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
