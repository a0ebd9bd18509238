"""The page of unsorted deals: accept, merge, attach to another client, not a client; each is taken back."""

import re
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from httpx2 import AsyncClient, Response
from sqlalchemy import func
from sqlmodel import col, select

from pbxcrm.audit.models import AuditEntry
from pbxcrm.callbacks.models import Episode
from pbxcrm.calls.models import Call
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.models import Company, Contact, Phone, SpecialNumber
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.notes.actions import add_note
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.events import Outbox
from tests.calls import NOON, FactStory, batch
from tests.integration.web.desks import HTMX, BrowserDesk, Browsers, browsers, count_queries, desk

__all__ = ["browsers", "desk"]
NUMBER = "+380671119977"


@pytest.fixture
async def unsorted(desk: BrowserDesk) -> int:
    """A deal that Ivan's call with an unknown client made, with a note; its id."""
    await call(desk, NUMBER, 1)
    async with desk.database.write() as session:
        deal = (await session.exec(select(Deal).where(Deal.client_number == NUMBER))).one()
        await add_note(session, await desk.office.viewer(session, "ivan"), "Wants <b>tiles</b>", desk.now, deal=deal)
    return deal.id or 0


async def call(desk: BrowserDesk, number: str, count: int) -> None:
    story = FactStory(f"77.{count}", number, at=desk.now - timedelta(minutes=30)).ring("101").answer("101").wait(60)
    await Intake(desk.database, desk.settings).apply(batch(story.end(), position=100 + count))


async def get(desk: BrowserDesk, deal_id: int) -> tuple[Deal, str]:
    async with desk.database.read() as session:
        deal = await session.get_one(Deal, deal_id)
        return deal, (await session.get_one(Stage, deal.stage_id)).kind


async def act(client: AsyncClient, desk: BrowserDesk, deal_id: int, what: str, **more: str) -> Response:
    deal, _ = await get(desk, deal_id)
    answer = await client.post(f"/unsorted/{deal_id}/{what}", data={"version": str(deal.version), **more}, headers=HTMX)
    assert answer.status_code == 200, answer.text
    return answer


async def undo(client: AsyncClient, answer: Response) -> None:
    """Press "Undo" of the toast."""
    path = re.search(r'hx-post="(/unsorted/[^"]+)"', answer.text.partition("#toasts")[2])
    assert path
    assert (await client.post(path[1], headers=HTMX)).status_code == 200


def listed(page: str) -> list[int]:
    return [int(found) for found in re.findall(r'<tr id="unsorted-(\d+)"', page)]


async def client_with_deal(desk: BrowserDesk, phones: list[str]) -> tuple[int, int]:
    async with desk.database.write() as session:
        ivan = await desk.office.viewer(session, "ivan")
        client = await create_contact(session, ivan, name="Known", phones=phones, now=desk.now, region="UA")
        same: dict[str, Any] = {
            "now": desk.now,
            "currency": "UAH",
            "second": True,
            "region": "UA",
            "contact_id": client.id,
        }
        deal = await create_deal(session, ivan, title="Kitchen", **same)
    return client.id or 0, deal.id or 0


async def test_the_list_shows_what_is_known_and_is_counted(
    browsers: Browsers, desk: BrowserDesk, unsorted: int
) -> None:
    client = await browsers("ivan")
    page = (await client.get("/unsorted")).text
    assert unsorted in listed(page)
    assert "Wants &lt;b&gt;tiles" in page
    assert f'<span class="count amber">{len(listed(page))}</span>' in page.partition('href="/unsorted"')[2]
    assert unsorted not in listed((await (await browsers("petro")).get("/unsorted")).text)
    assert 'data-do="accept"' not in (await (await browsers("kira")).get("/unsorted")).text
    few = await count_queries(desk.database, client, "/unsorted")
    for count in range(5):
        await call(desk, f"+38067111880{count}", 10 + count)
    assert await count_queries(desk.database, client, "/unsorted") <= few
    assert len(listed((await client.get("/unsorted")).text)) >= 6


async def test_accepting_moves_through_the_door_and_is_taken_back(
    browsers: Browsers, desk: BrowserDesk, unsorted: int
) -> None:
    client = await browsers("ivan")
    answer = await act(client, desk, unsorted, "accept")
    assert unsorted not in listed(answer.text)
    assert (await get(desk, unsorted))[1] == "open"
    await undo(client, answer)
    assert (await get(desk, unsorted))[1] == "unsorted"
    async with desk.database.write() as session:
        deal = await session.get_one(Deal, unsorted)
        stages = await session.exec(
            select(Stage)
            .where(Stage.pipeline_id == deal.pipeline_id, Stage.kind == "open")
            .order_by(col(Stage.position))
        )
        first = stages.first()
        assert first
        first.requires = {"fields": ["amount"]}
    refused = await client.post(f"/unsorted/{unsorted}/accept", data={"version": str(deal.version)}, headers=HTMX)
    assert (refused.status_code, refused.headers["x-gate"]) == (422, "refused")
    done = await client.post(
        f"/unsorted/{unsorted}/accept", data={"asked": "field.amount", "amount": "70"}, headers=HTMX
    )
    assert done.status_code == 200, done.text
    found, kind = await get(desk, unsorted)
    assert (found.amount, kind) == (Decimal(70), "open")


async def test_a_deal_is_merged_into_the_clients_open_deal(
    browsers: Browsers, desk: BrowserDesk, unsorted: int
) -> None:
    _client, into = await client_with_deal(desk, [NUMBER])
    client = await browsers("ivan")
    assert "The client has 1 open deal" in (await client.get("/unsorted")).text
    asked = (await client.get(f"/unsorted/{unsorted}/ask?what=merge", headers=HTMX)).text
    assert f'name="into_deal_id" value="{into}" data-digit="1"' in asked
    answer = await act(client, desk, unsorted, "merge", into_deal_id=str(into))
    assert unsorted not in listed(answer.text)
    assert (await get(desk, unsorted))[0].merged_into_id == into
    await undo(client, answer)
    found, kind = await get(desk, unsorted)
    assert (found.merged_into_id, found.closed_at, kind) == (None, None, "unsorted")


async def test_a_deal_is_attached_to_a_known_client_with_its_number_and_calls(
    browsers: Browsers, desk: BrowserDesk, unsorted: int
) -> None:
    contact, other = await client_with_deal(desk, ["+380501110000"])
    async with desk.database.write() as session:
        session.add(
            Episode(client_key=f"number:{NUMBER}", client_number=NUMBER, first_missed_at=NOON, last_missed_at=NOON)
        )
    client = await browsers("ivan")
    deal, _ = await get(desk, unsorted)
    chosen = {"contact_id": str(contact), "version": str(deal.version)}
    asked = await client.post(f"/unsorted/{unsorted}/attach", data=chosen, headers=HTMX)
    assert asked.status_code == 422, "the client has an open deal in the pipeline"
    assert 'name="second"' in asked.text
    assert f'name="into_deal_id" value="{other}"' in asked.text
    answer = await act(client, desk, unsorted, "attach", contact_id=str(contact), second="1")
    assert unsorted in listed(answer.text), "it is still to be sorted"
    assert f'<a href="/deals/{other}">Kitchen</a>' in answer.text, "and now it can be merged"

    async def whose() -> tuple[int | None, list[int | None], list[str]]:
        async with desk.database.read() as session:
            key = (await session.exec(select(Episode.client_key).where(Episode.client_number == NUMBER))).one()
            given = (await session.get_one(Deal, unsorted)).contact_id
            assert key == (f"contact:{contact}" if given == contact else f"number:{NUMBER}"), "the next miss finds it"
            calls = await session.exec(select(Call.contact_id).where(Call.client_number == NUMBER))
            phones = await session.exec(select(Phone.number).where(Phone.contact_id == contact).order_by(Phone.number))
            return (await session.get_one(Deal, unsorted)).contact_id, list(calls.all()), list(phones.all())

    assert await whose() == (contact, [contact], ["+380501110000", NUMBER])
    await undo(client, answer)
    assert await whose() == (None, [None], ["+380501110000"])
    nobody = await client.post(f"/unsorted/{unsorted}/attach", data={"version": "9"}, headers=HTMX)
    assert nobody.status_code == 409
    deal, _ = await get(desk, unsorted)
    nobody = await client.post(f"/unsorted/{unsorted}/attach", data={"version": str(deal.version)}, headers=HTMX)
    assert (nobody.status_code, "Choose a client from the list." in nobody.text) == (422, True)


async def test_a_deal_is_attached_and_merged_at_once(browsers: Browsers, desk: BrowserDesk, unsorted: int) -> None:
    contact, other = await client_with_deal(desk, ["+380501110000"])
    client = await browsers("ivan")
    answer = await act(client, desk, unsorted, "attach", contact_id=str(contact), into_deal_id=str(other))
    assert unsorted not in listed(answer.text)
    assert (await get(desk, unsorted))[0].merged_into_id == other
    await undo(client, answer)
    found, kind = await get(desk, unsorted)
    assert (found.merged_into_id, found.contact_id, kind) == (None, contact, "unsorted"), "the client stays"


async def test_what_went_along_with_an_attached_number_goes_back_with_version_entry_and_hint(
    browsers: Browsers, desk: BrowserDesk, unsorted: int
) -> None:
    contact, _other = await client_with_deal(desk, ["+380501110000"])
    async with desk.database.write() as session:
        company = Company(name="Tiles Ltd", created_at=desk.now)
        session.add(company)
        await session.flush()
        (await session.get_one(Contact, contact)).company_id = company.id
        ivan = await desk.office.viewer(session, "ivan")
        made = await create_deal(
            session, ivan, title="Bath", client_number=NUMBER, now=desk.now, currency="UAH", region="UA", second=True
        )
        along = made.id or 0
    client = await browsers("ivan")
    answer = await act(client, desk, unsorted, "attach", contact_id=str(contact), second="1")
    (given, _), (deal, _) = await get(desk, along), await get(desk, unsorted)
    assert (given.contact_id, given.company_id, deal.company_id) == (contact, company.id, company.id)
    async with desk.database.read() as session:
        seen = (await session.exec(select(func.max(AuditEntry.id)))).one()
        heard = (await session.exec(select(func.max(Outbox.id)))).one() or 0
    await undo(client, answer)
    async with desk.database.read() as session:
        entries = await session.exec(select(AuditEntry).where(col(AuditEntry.id) > seen).order_by(col(AuditEntry.id)))
        said = [(entry.action, entry.entity_id, entry.data.get("changed")) for entry in entries.all()]
        hints = await session.exec(select(Outbox.topic, Outbox.ref).where(col(Outbox.id) > heard))
        told = {(topic, str(ref)) for topic, ref in hints.all()}
    taken = {"contact_id": {"before": contact, "after": None}}
    assert ("deal.edited", str(along), taken) in said
    assert ("deal.edited", str(unsorted), taken) in said
    assert ("contact.number_unlinked", str(contact), None) in said
    assert told >= {("deal", str(along)), ("deal", str(unsorted)), ("contact", str(contact))}
    (back, _), (left, _) = await get(desk, along), await get(desk, unsorted)
    assert (back.contact_id, back.company_id, left.company_id) == (None, None, None), "the company went with the client"
    assert (back.version, left.version) == (given.version + 1, deal.version + 1)


@pytest.mark.parametrize("why", ["spam", "wrong_number", "supplier", "other"])
async def test_not_a_client_is_said_and_taken_back(
    browsers: Browsers, desk: BrowserDesk, unsorted: int, why: str
) -> None:
    client = await browsers("ivan")
    answer = await act(client, desk, unsorted, "refuse", why=why, text="A survey")
    found, kind = await get(desk, unsorted)
    assert (kind, found.lost_reason) == ("lost", "Wrong number" if why == "wrong_number" else "Not a client")

    async def on_the_list() -> list[str]:
        async with desk.database.read() as session:
            marked = await session.exec(select(SpecialNumber.note).where(SpecialNumber.number == NUMBER))
            return list(marked.all())

    notes = {"spam": ["Spam"], "wrong_number": [], "supplier": ["Supplier"], "other": ["A survey"]}
    assert await on_the_list() == notes[why]
    await undo(client, answer)
    found, kind = await get(desk, unsorted)
    assert (kind, found.closed_at, await on_the_list()) == ("unsorted", None, [])
    again = await client.post(f"/unsorted/{unsorted}/take-back", headers=HTMX)
    assert again.status_code == 409


async def test_what_somebody_else_sorted_meanwhile_is_said(
    browsers: Browsers, desk: BrowserDesk, unsorted: int
) -> None:
    deal, _ = await get(desk, unsorted)
    await act(await browsers("maria"), desk, unsorted, "accept")
    late = await (await browsers("ivan")).post(
        f"/unsorted/{unsorted}/refuse", data={"version": str(deal.version), "why": "spam"}, headers=HTMX
    )
    assert late.status_code == 409
    assert (await get(desk, unsorted))[1] == "open"
