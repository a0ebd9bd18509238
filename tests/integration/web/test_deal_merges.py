"""Merging two open deals of one client in the browser and by the API: it is offered, done, seen in the history, and undone."""

import re
from decimal import Decimal
from typing import Any

from sqlmodel import col, select

from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, DealMerge
from tests.calls import NOON
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, desk

__all__ = ["browsers", "desk"]


async def two_deals(desk: BrowserDesk, login: str = "ivan") -> tuple[int, int]:
    """Two open deals of one new client; the ids."""
    async with desk.database.write() as session:
        viewer = await desk.office.viewer(session, login)
        client = await create_contact(session, viewer, name="Twice", phones=["+380671119988"], now=NOON, region="UA")
        same: dict[str, Any] = {"now": NOON, "currency": "UAH", "second": True, "region": "UA", "contact_id": client.id}
        older = await create_deal(session, viewer, title="Older <b>", values={"amount": "100"}, **same)
        newer = await create_deal(session, viewer, title="Newer", values={"amount": "7", "source": "Radio"}, **same)
    return older.id or 0, newer.id or 0


async def test_a_second_open_deal_of_a_client_is_said_and_merged(browsers: Browsers, desk: BrowserDesk) -> None:
    older, newer = await two_deals(desk)
    client = await browsers("ivan")
    for deal_id in (older, newer):
        page = (await client.get(f"/deals/{deal_id}")).text
        assert "The client has another open deal in this pipeline." in page
        assert f"/deals/{newer}/merge?into_deal_id={older}" in page, "the newer goes into the older"
    chosen = (await client.get(f"/deals/{newer}/merge")).text
    assert "Older &lt;b&gt;" in chosen
    page = (await client.get(f"/deals/{newer}/merge?into_deal_id={older}")).text
    ticked = re.findall(r'name="(take_\w+)" value="(\w+)"[^>]*checked', page)
    assert dict(ticked) == {"take_title": "into", "take_amount": "into", "take_source": "this"}
    sent = {"into_deal_id": str(older), "take_amount": "this", "version": "1", "into_version": "1"}
    answer = await client.post(f"/deals/{newer}/merge", data=sent, headers=HTMX)
    assert answer.headers["hx-redirect"] == f"/deals/{older}"
    page = (await client.get(f"/deals/{older}")).text
    assert "Merged with “Newer”" in page
    assert "another open deal" not in page
    assert (await client.get(f"/deals/{newer}", follow_redirects=False)).headers["location"] == f"/deals/{older}"
    again = await client.post(f"/deals/{newer}/merge", data=sent, headers=HTMX)
    assert again.status_code == 409

    async with desk.database.read() as session:
        merge = (await session.exec(select(DealMerge))).one()
    told = (await client.get(f"/deal-merges/{merge.id}")).text
    assert "Nothing was changed since." in told
    answer = await client.post(f"/deal-merges/{merge.id}/undo", headers=HTMX)
    assert answer.headers["hx-redirect"] == f"/deals/{newer}"
    async with desk.database.read() as session:
        found = await session.exec(select(Deal).where(col(Deal.id).in_([older, newer])).order_by(col(Deal.id)))
        assert [(deal.amount, deal.source, deal.merged_into_id) for deal in found.all()] == [
            (Decimal(100), "", None),
            (Decimal(7), "Radio", None),
        ]


async def test_deals_of_different_clients_are_refused_at_the_form(browsers: Browsers, desk: BrowserDesk) -> None:
    _, newer = await two_deals(desk)
    other = desk.busy.deals["Reception desk"]
    answer = await (await browsers("ivan")).post(
        f"/deals/{newer}/merge", data={"into_deal_id": str(other)}, headers=HTMX
    )
    assert answer.status_code == 422
    assert "different clients" in answer.text


async def test_a_colleagues_second_deal_is_said_without_showing_it(browsers: Browsers, desk: BrowserDesk) -> None:
    older, _newer = await two_deals(desk)
    async with desk.database.write() as session:
        olena = await desk.office.viewer(session, "olena")
        await create_deal(
            session,
            olena,
            title="Secret",
            now=NOON,
            currency="UAH",
            second=True,
            region="UA",
            client_number="+380671119988",
        )
    page = (await (await browsers("ivan")).get(f"/deals/{older}")).text
    assert "Olena Hryhorenko" in page.partition('id="others"')[2].partition("</p>")[0]
    assert "Secret" not in page.partition('id="others"')[2].partition('id="facts"')[0]
