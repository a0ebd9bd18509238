"""No page shows a form that whoever sees it may not send: what is refused with 403 is not offered."""

import re
from typing import Any

import pytest
from httpx2 import AsyncClient
from sqlmodel import select

from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Deal
from pbxcrm.tasks.models import Task
from tests.integration.web.desks import BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]
PAGES: tuple[tuple[Any, str], ...] = (
    (Contact, "/contacts/{}"), (Contact, "/contacts/{}/edit"), (Company, "/companies/{}"), (Deal, "/deals/{}"),
    (Task, "/tasks/{}"), (Call, "/calls/{}"),
)  # fmt: skip


def targets(page: str) -> set[str]:
    """Where the forms and buttons of the page itself are sent to."""
    main = page.partition('id="page"')[2].partition('id="dock"')[0]
    forms = re.findall(r'<form[^>]*method="post"[^>]*action="([^"]+)"', main) + re.findall(r'hx-post="([^"]+)"', main)
    return {target for target in forms if not target.startswith("/phone/")}


async def refused(client: AsyncClient, paths: list[str]) -> list[str]:
    wrong, sent = [], set[str]()
    for path in paths:
        page = await client.get(path)
        if page.status_code != 200:
            continue
        for target in targets(page.text) - sent:
            sent.add(target)
            # Nothing that could be kept: where it may be sent at all, it is refused for what is in it, or it is done.
            answer = await client.post(target, data={"version": "0"})
            if answer.status_code in {401, 403, 404}:
                said = re.sub(r"<[^>]+>|\\s+", " ", answer.text.partition("<main")[2])
                wrong.append(f"{path} offers {target}: {answer.status_code} {' '.join(said.split())[:160]}")
    assert sent
    return wrong


@pytest.mark.parametrize("login", ["ivan", "olena", "petro", "maria", "oksana", "kira", "admin"])
async def test_what_is_offered_is_not_refused(browsers: Browsers, desk: BrowserDesk, login: str) -> None:
    paths: list[str] = []
    async with desk.database.read() as session:
        for table, path in PAGES:
            paths += [path.format(row_id) for row_id in (await session.exec(select(table.id).order_by(table.id))).all()]
    assert await refused(await browsers(login), paths) == []


async def test_who_may_not_save_a_client_gets_no_form(browsers: Browsers, desk: BrowserDesk) -> None:
    """Seen by a call alone: read, not changed."""
    asked = 0
    for login in ("ivan", "olena", "petro", "maria", "oksana", "kira"):
        client = await browsers(login)
        for contact in desk.busy.contacts.values():
            shown = await client.get(f"/contacts/{contact}/edit")
            saved = await client.post(f"/contacts/{contact}/edit", data={"version": "0", "name": ""})
            may = {200: {409, 422}, 403: {403}, 404: {404}}
            assert saved.status_code in may[shown.status_code], (login, contact, shown.status_code, saved.status_code)
            asked += shown.status_code == 403
    assert asked
