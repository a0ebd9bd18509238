"""Whoever asks for rows that point to one finds those that still point to what was merged into it: in lists, in rules, until it is undone."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.automation.facts import load_facts
from pbxcrm.automation.queries import load_active
from pbxcrm.automation.rule_actions import save_rule
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.contacts.company_merge_actions import merge_companies, undo_company_merge
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.models import Deal
from pbxcrm.deals.terms import deal_terms
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.fields.conditions import holds, parse, to_sql
from pbxcrm.fields.merged_links import with_merged_links
from pbxcrm.fields.models import ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.shared.db import Database
from tests.calls import NOON
from tests.integration.fields.making import KYIV, REGION, checking, make_deal, make_field, set_values
from tests.office import Office

ACTS: dict[str, tuple[Callable[..., Awaitable[Any]], Callable[..., Awaitable[Any]]]] = {
    "contact": (merge_contacts, undo_merge),
    "company": (merge_companies, undo_company_merge),
    "deal": (merge_deals, undo_deal_merge),
}


async def _rows(session: AsyncSession, office: Office, target: str) -> list[int]:
    """Three rows that may be merged."""
    rows: list[Contact | Company | Deal]
    if target == "deal":
        client = Contact(name="Client", created_at=NOON, responsible_id=office.id("ivan"))
        session.add(client)
        await session.flush()
        rows = [await make_deal(session, office, f"Target {n}") for n in range(3)]
        for row in rows:
            row.contact_id = client.id
    else:
        table: type[Contact | Company] = Contact if target == "contact" else Company
        rows = [table(name=f"Target {n}", created_at=NOON, responsible_id=office.id("ivan")) for n in range(3)]
    session.add_all(rows)
    await session.flush()
    return [row.id or 0 for row in rows]


async def _found(session: AsyncSession, op: str, value: Any) -> set[str]:
    """The titles that the database finds, and the same in Python."""
    terms = deal_terms(await load_fields(session), await checking(session))
    condition = parse({"field": "field.to", "op": op, "value": value}, terms)
    ours = col(Deal.title).startswith("To ")
    deals = (await session.exec(select(Deal).where(ours))).all()
    found = set((await session.exec(select(Deal.title).where(ours, to_sql(condition, KYIV)))).all())
    asked = await with_merged_links(session, condition)
    assert found == {deal.title for deal in deals if holds(asked, deal, KYIV)}
    return found


@pytest.mark.parametrize("target", list(ACTS))
async def test_a_link_to_a_merged_row_counts_as_one_to_its_survivor(
    database: Database, office: Office, target: str
) -> None:
    merge, undo = ACTS[target]

    async def viewer(session: AsyncSession) -> Viewer:
        return await office.viewer(session, "admin")

    async with database.write() as session:
        admin = await viewer(session)
        await make_field(session, admin, ValueKind.LINK, key="to", target=target, filterable=True)
        first, second, third = await _rows(session, office, target)
        for row_id, title in ((first, "To 1"), (second, "To 2"), (third, "To 3"), (None, "To nothing")):
            await set_values(session, admin, await make_deal(session, office, title), to=row_id)
        draft = RuleDraft(
            name="Rule", state="on", when={"kind": "deal_created"}, owner_id=office.id("admin"),
            conditions={"field": "field.to", "op": "=", "value": third}, steps=[{"kind": "task", "title": "Call them", "due": "2h"}],
        )  # fmt: skip
        rule = await save_rule(session, admin, None, draft, version=None, region=REGION, now=NOON)

    async def rule_means(title: str) -> bool:
        async with database.read() as session:
            ready = (await load_active(session)).by_id[rule.id or 0]
            deal = (await session.exec(select(Deal).where(Deal.title == title))).one()
            assert ready.condition is not None
            return holds(ready.condition, await load_facts(session, deal, None), KYIV)

    merges = []
    assert not await rule_means("To 1")
    for this, into in ((first, second), (second, third)):
        async with database.write() as session:
            merges.append(await merge(session, await viewer(session), this, into, now=NOON))
    async with database.read() as session:
        assert await _found(session, "=", third) == {"To 1", "To 2", "To 3"}
        assert await _found(session, "=", second) == {"To 1", "To 2"}
        assert await _found(session, "in", [first, third]) == {"To 1", "To 2", "To 3"}
        assert await _found(session, "!=", third) == {"To nothing"}
    assert await rule_means("To 1")
    async with database.write() as session:
        await undo(session, await viewer(session), merges[1].id, now=NOON)
    async with database.read() as session:
        assert await _found(session, "=", third) == {"To 3"}
        assert await _found(session, "=", second) == {"To 1", "To 2"}
    assert not await rule_means("To 1")
