"""Settings that look after the whole: everybody's tokens, the audit log, the list of settings, the page of the API; notes of QC."""

import re

from sqlmodel import select

from pbxcrm.callbacks.actions import change_options
from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Note
from pbxcrm.deals.seed import seed
from pbxcrm.people.queries import get_user_by_login, viewer_of
from pbxcrm.shared.db import Database
from tests.integration.web.conftest import Browsers, SetClock


async def make_deal(database: Database, clock: SetClock, login: str = "olena") -> tuple[int, int]:
    """A client and a deal of ``login``: their ids."""
    async with database.write() as session:
        await seed(session, "Europe/Kyiv")
        user = await get_user_by_login(session, login)
        assert user is not None
        viewer = await viewer_of(session, user)
        contact = await create_contact(session, viewer, name="Бойко", now=clock(), region="UA", phones=["0671110001"])
        deal = await create_deal(
            session, viewer, title="Двері", now=clock(), currency="UAH", region="UA", contact_id=contact.id
        )
        return contact.id or 0, deal.id or 0


async def test_quality_control_writes_notes_on_what_it_sees(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    contact_id, deal_id = await make_deal(database, clock)
    petro = await browser("petro")
    for path in (f"/deals/{deal_id}", f"/contacts/{contact_id}"):
        assert f'action="{path}/note"' in (await petro.get(path)).text
        assert (await petro.post(f"{path}/note", data={"text": f"Heard on {path}"})).status_code in {200, 303}
        assert f"Heard on {path}" in (await petro.get(path)).text
    async with database.read() as session:
        assert len((await session.exec(select(Note))).all()) == 2
    assert (await petro.post(f"/deals/{deal_id}/edit", data={"title": "x"})).status_code == 403


async def test_everybodys_tokens_are_listed_and_end_there(browser: Browsers) -> None:
    olena, admin = await browser("olena"), await browser("admin")
    assert "No program has a token" in (await admin.get("/settings/tokens")).text
    await olena.post("/profile/tokens", data={"token_name": "Склад 1С", "days": "30"})
    page = (await admin.get("/settings/tokens")).text
    assert "Склад 1С" in page
    assert "Олена Шевченко" in page
    assert 'href="/api/docs"' in page
    address = re.search(r'action="(/settings/tokens/\d+/end)"', page)
    assert address
    assert (await olena.post(address[1])).status_code == 403
    assert (await admin.post(address[1])).status_code == 303
    assert "No program has a token" in (await admin.get("/settings/tokens")).text


async def test_the_audit_log_says_who_changed_what_from_what_to_what(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    _contact, deal_id = await make_deal(database, clock)
    async with database.write() as session:
        user = await get_user_by_login(session, "admin")
        assert user is not None
        admin_viewer = await viewer_of(session, user)
        await change_options(session, admin_viewer, {"claim_minutes": 25}, now=clock())
    admin = await browser("admin")
    page = (await admin.get("/settings/audit")).text
    assert "A claim holds, minutes: 15 → 25" in page
    assert f'href="/deals/{deal_id}"' in page
    only = (await admin.get("/settings/audit?kind=options")).text
    assert "A claim holds" in only
    assert "Deal made" not in only.partition("<tbody>")[2]
    olena_id = re.search(r'<option value="(\d+)">Олена Шевченко', page)
    assert olena_id
    hers = (await admin.get(f"/settings/audit?who={olena_id[1]}&kind=deal&q={deal_id}")).text.partition("<tbody>")[2]
    assert "Deal made" in hers
    assert "A claim holds" not in hers
    assert "Nothing of this kind" in (await admin.get("/settings/audit?period=yesterday")).text
    assert (await (await browser("iryna")).get("/settings/audit")).status_code == 403


async def test_the_audit_log_goes_on_without_losing_or_doubling_a_row(
    browser: Browsers, database: Database, clock: SetClock
) -> None:
    for minutes in range(60):
        async with database.write() as session:
            user = await get_user_by_login(session, "admin")
            assert user is not None
            await change_options(session, await viewer_of(session, user), {"claim_minutes": 100 + minutes}, now=clock())
    admin = await browser("admin")
    seen: list[str] = []
    path = "/settings/audit?kind=options"
    while path:
        text = (await admin.get(path)).text
        seen += re.findall(r'id="audit-(\d+)"', text)
        more = re.search(r'hx-get="([^"]*cursor=[\w-]+)"', text)
        path = more[1].replace("&amp;", "&") if more else ""
    assert len(seen) == len(set(seen)) == 60


async def test_settings_are_one_list_and_the_api_page_is_found_from_them(browser: Browsers) -> None:
    admin = await browser("admin")
    page = (await admin.get("/settings/lines")).text
    for path in ("/settings/callbacks", "/settings/calendars", "/settings/tokens", "/settings/audit"):
        assert f'href="{path}"' in page
        shown = (await admin.get(path)).text
        assert f'href="{path}" aria-current="page"' in shown, path
    assert 'href="/api/docs"' in (await admin.get("/profile")).text
    described = (await admin.get("/api/docs")).text
    assert "`" not in described
    assert "<code>Authorization: Bearer TOKEN</code>" in described
