"""Two companies become one, nothing is lost, and a month later they are two again."""

import asyncio
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select as columns
from sqlmodel import SQLModel, col, select

from pbxcrm import tables
from pbxcrm.contacts.actions import create_company, create_contact, edit_company
from pbxcrm.contacts.company_duplicates import (
    companies_alike,
    list_company_duplicates,
    say_companies_differ,
    take_back_companies_differ,
)
from pbxcrm.contacts.company_merge_actions import merge_companies, undo_company_merge
from pbxcrm.contacts.company_merge_queries import COMPANIES, access_company_merge
from pbxcrm.contacts.likely_pairs import Alike
from pbxcrm.contacts.models import Company, CompanyMerge, Contact, NumberKind, SpecialNumber
from pbxcrm.contacts.name_likeness import company_key, domain_key
from pbxcrm.contacts.queries import access_company, list_companies, names_of_companies
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict, Invalid, NotAllowed, NotFound
from pbxcrm.shared.events import Outbox
from pbxcrm.shared.relinking import SETTLE_AFTER, SeenVersions
from pbxcrm.shared.timers import sweep
from tests.calls import NOON
from tests.office import Office

MONTH = timedelta(days=31)


@dataclass
class Companies:
    """Makes, merges and looks at companies as ``login`` does, unless somebody else is named."""

    database: Database
    office: Office
    login: str = "maria"

    async def make(self, name: str, *, login: str = "", **more: Any) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            made = await create_company(session, viewer, name=name, now=NOON, same_name=True, region="UA", **more)
        return made.id or 0

    async def client(self, company_id: int, name: str, *, login: str = "", **more: Any) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            made = await create_contact(
                session, viewer, name=name, company_id=company_id, now=NOON, region="UA", **more
            )
        return made.id or 0

    async def deal(self, company_id: int, title: str) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, self.login)
            made = await create_deal(
                session, viewer, title=title, now=NOON, currency="UAH", second=True, region="UA", company_id=company_id
            )
        return made.id or 0

    async def merge(self, this: int, into: int, *, login: str = "", **more: Any) -> int:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            merge = await merge_companies(session, viewer, this, into, now=NOON, **more)
        return merge.id or 0

    async def undo(self, merge_id: int, *, login: str = "", now: datetime = NOON + MONTH) -> list[dict[str, Any]]:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            return (await undo_company_merge(session, viewer, merge_id, now=now)).left

    async def edit(self, company_id: int, *, login: str = "", **more: Any) -> None:
        async with self.database.write() as session:
            viewer = await self.office.viewer(session, login or self.login)
            await edit_company(session, viewer, company_id, version=None, now=NOON, region="UA", **more)

    async def get(self, company_id: int) -> Company:
        async with self.database.read() as session:
            return await session.get_one(Company, company_id)

    async def pairs(self, *, login: str = "", limit: int = 50) -> list[tuple[int, int, list[Alike]]]:
        """All pages of the list."""
        found, after = [], None
        while True:
            async with self.database.read() as session:
                viewer = await self.office.viewer(session, login or self.login)
                pairs, after = await list_company_duplicates(session, viewer, after=after, limit=limit)
            assert len(pairs) <= limit
            found += [(pair.low.id or 0, pair.high.id or 0, [kind for kind, _ in pair.same]) for pair in pairs]
            if after is None:
                return found

    async def picture(self) -> dict[str, Any]:
        """Who has what, but for versions."""
        async with self.database.read() as session:
            connection = await session.connection()
            found: dict[str, Any] = {
                link.name: sorted(map(tuple, await connection.execute(columns(link.table.c.id, link.column))))
                for link in COMPANIES.links
            }
            rows = (await session.exec(select(Company).order_by(col(Company.id)))).all()
            found["companies"] = [
                (row.id, row.name, row.responsible_id, row.note, row.custom, row.merged_into_id) for row in rows
            ]
            return found


@pytest.fixture
def companies(database: Database, office: Office) -> Companies:
    return Companies(database, office)


def test_every_table_that_names_a_company_is_minded() -> None:
    assert tables.metadata is SQLModel.metadata
    named = {
        table.name
        for table in SQLModel.metadata.tables.values()
        for key in table.foreign_keys
        if key.column.table.name == "companies"
    }
    assert named == {link.table.name for link in COMPANIES.links} | COMPANIES.own
    assert {"contacts", "deals"} <= {link.table.name for link in COMPANIES.links}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ТОВ «Агро-Тех»", "Agrotekh LLC"),
        ("Ромашка", 'ООО "Ромашка"'),
        ("Kyiv Bud", "Київ Буд"),
        ("Brick  Ltd.", "BRICK"),
    ],
)
def test_spellings_of_one_company_have_one_key(one: str, other: str) -> None:
    assert company_key(one) == company_key(other) != ""


def test_what_says_too_little_has_no_key() -> None:
    assert company_key("ТОВ") == company_key("AB") == company_key("«»") == ""
    assert company_key("Shop 5") != company_key("Shop 7")
    assert domain_key("Ivan@Brick.COM.ua") == "brick.com.ua"
    assert domain_key("ivan@gmail.com") == domain_key("ivan@yandex.ua") == domain_key("ivan@ukr.net") == ""


async def test_everything_of_the_one_becomes_the_others_and_goes_back(companies: Companies) -> None:
    async with companies.database.write() as session:
        admin = await companies.office.viewer(session, "admin")
        field = await create_field(
            session,
            admin,
            entity=FieldEntity.COMPANY,
            kind=ValueKind.TEXT,
            draft=FieldDraft("Tax number"),
            currency="UAH",
            now=NOON,
        )
    this = await companies.make("ТОВ Цегла", note="Pays late", custom={field.key: "12345678"})
    into = await companies.make("Tsehla")
    client, deal = await companies.client(this, "Ірина"), await companies.deal(this, "Bricks")
    before = await companies.picture()
    merge = await companies.merge(this, into)
    after = await companies.picture()
    assert after["contacts.company_id"] == [(client, into)]
    assert after["deals.company_id"] == [(deal, into)]
    survivor = await companies.get(into)
    assert (survivor.name, survivor.note, survivor.custom[str(field.id)]) == ("Tsehla", "Pays late", "12345678")
    assert await companies.undo(merge) == []
    assert await companies.picture() == before


async def test_a_merged_company_is_found_as_the_survivor_only(companies: Companies) -> None:
    this, into = await companies.make("Brick"), await companies.make("Bricks and more")
    await companies.merge(this, into)
    async with companies.database.read() as session:
        for login in ("maria", "admin"):
            viewer = await companies.office.viewer(session, login)
            assert [row.id for row in (await list_companies(session, viewer)).rows] == [into]
            assert (await access_company(session, viewer, this)).id == into
            assert await names_of_companies(session, viewer, [this, into]) == dict.fromkeys(
                (this, into), "Bricks and more"
            )
        petro = await companies.office.viewer(session, "petro")
        with pytest.raises(NotFound):
            await access_company(session, petro, this)
    with pytest.raises(Conflict):
        await companies.edit(this, name="Brick again")


async def test_what_was_edited_since_is_named_and_stays(companies: Companies) -> None:
    this, into = await companies.make("Brick", note="Old"), await companies.make("Wall")
    client = await companies.client(this, "Ірина")
    merge = await companies.merge(this, into, chosen={"name": "this"})
    await companies.edit(into, name="Brick and Wall")
    newer = await companies.client(into, "Petro")
    left = await companies.undo(merge)
    assert [(each["why"], each["what"], each["ids"]) for each in left] == [
        ("field", "name", []),
        ("new", "contacts", [newer]),
    ]
    assert ((await companies.get(into)).name, (await companies.get(into)).note) == ("Brick and Wall", "")
    async with companies.database.read() as session:
        assert (await session.get_one(Contact, client)).company_id == this
        assert (await session.get_one(Contact, newer)).company_id == into


async def test_a_chain_is_undone_from_its_end(companies: Companies) -> None:
    ids = [await companies.make(name) for name in ("A1", "B2", "C3")]
    client = await companies.client(ids[0], "Ірина")
    before = await companies.picture()
    first, second = await companies.merge(ids[0], ids[1]), await companies.merge(ids[1], ids[2])
    with pytest.raises(Conflict) as refused:
        await companies.undo(first)
    assert refused.value.params == {"company": "B2", "survivor": "C3"}
    async with companies.database.read() as session:
        assert (await session.get_one(Contact, client)).company_id == ids[2]
    assert await companies.undo(second) == []
    assert await companies.undo(first) == []
    assert await companies.picture() == before
    with pytest.raises(Conflict):
        await companies.undo(first)


async def test_an_old_version_or_the_same_company_is_refused(companies: Companies) -> None:
    this, into = await companies.make("A1"), await companies.make("B2")
    with pytest.raises(Invalid):
        await companies.merge(this, this)
    with pytest.raises(Conflict):
        await companies.merge(this, into, seen=SeenVersions(1, 7))
    await companies.merge(this, into, seen=SeenVersions(1, 1))
    for pair in ((this, into), (into, this)):
        with pytest.raises(Conflict):
            await companies.merge(*pair)


async def test_who_may_merge_and_who_may_undo(companies: Companies) -> None:
    this, into = await companies.make("A1", login="ivan"), await companies.make("B2", login="olena")
    await companies.client(into, "Ірина", responsible_id=companies.office.id("ivan"))  # so Ivan sees it
    with pytest.raises(NotAllowed):
        await companies.merge(this, into, login="ivan")
    with pytest.raises(NotFound):
        await companies.merge(this, into, login="petro")
    merge = await companies.merge(this, into, login="maria")
    async with companies.database.read() as session:
        with pytest.raises(NotFound):
            await access_company_merge(session, await companies.office.viewer(session, "petro"), merge)
        ivan = await companies.office.viewer(session, "ivan")
        assert (await access_company_merge(session, ivan, merge)).id == merge
    with pytest.raises(NotFound):
        await companies.undo(merge, login="petro")
    assert await companies.undo(merge, login="ivan") == []  # it was his before


async def test_everybody_who_sees_either_hears_of_it(companies: Companies) -> None:
    this, into = await companies.make("A1", login="ivan"), await companies.make("B2", login="olena")
    deal = await companies.deal(this, "Bricks")
    async with companies.database.write() as session:
        for row in (await session.exec(select(Outbox))).all():
            await session.delete(row)
    await companies.merge(this, into)
    async with companies.database.read() as session:
        heard = {(row.topic, row.ref): set(row.users) for row in (await session.exec(select(Outbox))).all()}
    for one in (this, into):
        assert {companies.office.id("ivan"), companies.office.id("olena")} <= heard["company", str(one)]
    assert ("deal", str(deal)) in heard


async def test_what_is_written_for_the_merged_one_at_that_moment_comes_along(companies: Companies) -> None:
    this, into = await companies.make("A1"), await companies.make("B2")
    merge = await companies.merge(this, into)
    async with companies.database.write() as session:  # somebody had chosen the company before
        session.add(Contact(name="Late", company_id=this, created_at=NOON))
    await sweep(companies.database, NOON + SETTLE_AFTER)
    async with companies.database.read() as session:
        late = (await session.exec(select(Contact))).one()
        assert late.company_id == into
        assert (await session.get_one(CompanyMerge, merge)).moved["contacts.company_id"] == [[late.id, 1]]
    await companies.undo(merge)
    async with companies.database.read() as session:
        assert (await session.get_one(Contact, late.id)).company_id == this


@pytest.mark.parametrize("pairs", [((0, 1), (1, 2)), ((0, 1), (1, 0)), ((0, 1), (0, 2)), ((0, 2), (1, 2))])
async def test_two_merges_at_once_make_no_circle(companies: Companies, pairs: tuple[tuple[int, int], ...]) -> None:
    ids = [await companies.make(f"Company {each}") for each in range(3)]
    for each in ids:
        await companies.deal(each, "Deal")
    results = await asyncio.gather(
        *(companies.merge(ids[this], ids[into]) for this, into in pairs), return_exceptions=True
    )
    done = [each for each in results if isinstance(each, int)]
    assert done
    assert all(isinstance(each, int | Conflict) for each in results), results
    async with companies.database.read() as session:
        rows = (await session.exec(select(Company))).all()
        live = {row.id for row in rows if row.merged_into_id is None}
        assert {deal.company_id for deal in (await session.exec(select(Deal))).all()} <= live
    assert len(live) == len(ids) - len(done)


async def test_pairs_are_found_by_name_domain_and_number_and_each_once(companies: Companies) -> None:
    cyrillic, latin = await companies.make("ТОВ Ромашка"), await companies.make("Romashka LLC")
    north, south = await companies.make("North"), await companies.make("South")
    east, west = await companies.make("East"), await companies.make("West")
    await companies.client(cyrillic, "A1", phones=["0671112233"], emails=["a@romashka.ua"])
    await companies.client(latin, "B2", phones=["0671112233"], emails=["b@romashka.ua"])
    await companies.client(north, "C3", emails=["c@compass.ua", "c@wind.ua"])
    await companies.client(south, "D4", emails=["d@compass.ua", "d@wind.ua", "d@gmail.com"])
    await companies.client(east, "E5", phones=["0442001020"], emails=["e@gmail.com"])
    await companies.client(west, "F6", phones=["0442001020"])
    await companies.client(west, "G7", phones=["0443334455"])
    await companies.client(north, "H8", phones=["0443334455"])
    wanted = [
        (cyrillic, latin, [Alike.NAME]),
        (north, south, [Alike.EMAIL, Alike.EMAIL]),
        (east, west, [Alike.NUMBER]),
        (north, west, [Alike.NUMBER]),
    ]
    assert await companies.pairs() == wanted
    assert await companies.pairs(limit=1) == wanted
    assert await companies.pairs(login="petro") == []  # none of them is his
    async with companies.database.write() as session:
        maria = await companies.office.viewer(session, "maria")
        session.add(SpecialNumber(number="+380443334455", kind=NumberKind.SPAM.value, added_at=NOON))
        await say_companies_differ(session, maria, south, north, now=NOON)
        await say_companies_differ(session, maria, south, north, now=NOON)
    assert await companies.pairs() == [wanted[0], wanted[2]]
    async with companies.database.write() as session:
        maria = await companies.office.viewer(session, "maria")
        await take_back_companies_differ(session, maria, north, south, now=NOON)
        found = await companies_alike(session, maria, name="North", company_id=north)
        assert [(row.id, [kind for kind, _ in same]) for row, same in found] == [(south, [Alike.EMAIL, Alike.EMAIL])]
        typed = await companies_alike(session, maria, name="фірма romashka")
        assert typed == []
        typed = await companies_alike(session, maria, name="romashka")
        assert [row.id for row, _ in typed] == [cyrillic, latin]


async def test_a_client_whom_one_may_not_see_is_no_sign(companies: Companies) -> None:
    """It would tell a seller the number of a colleague's client."""
    north, south = await companies.make("North", login="ivan"), await companies.make("South", login="ivan")
    for company, name in ((north, "Hidden one"), (south, "Hidden two")):
        petro = companies.office.id("petro")
        await companies.client(
            company, name, login="admin", responsible_id=petro, phones=["0442001020"], emails=[f"{name[-3:]}@wind.ua"]
        )
    both = [(north, south, [Alike.EMAIL])]
    assert await companies.pairs(login="admin") == both
    assert await companies.pairs(login="ivan") == []
    await companies.client(north, "Own one", login="ivan", phones=["0442001020"])
    assert await companies.pairs(login="ivan") == []
    async with companies.database.read() as session:
        ivan = await companies.office.viewer(session, "ivan")
        assert await companies_alike(session, ivan, name="North", company_id=north) == []
    await companies.client(south, "Own two", login="ivan", phones=["0442001020"])
    assert await companies.pairs(login="ivan") == [(north, south, [Alike.NUMBER])]


async def test_a_long_list_is_looked_through_in_parts(companies: Companies, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pbxcrm.contacts.company_duplicates.LOOKED_THROUGH", 3)
    monkeypatch.setattr("pbxcrm.contacts.company_duplicates.MOST_STEPS", 1)
    names = ("Alpha", "Bravo", "Delta", "Foxtrot", "Lima", "Mike", "Oscar", "Papa", "Romeo", "Tango")
    ids = [await companies.make(name) for name in names]
    last = await companies.make("ТОВ Танго")
    for company_id in ids[:6]:
        await companies.client(company_id, f"Of {company_id}", emails=[f"x@firm{company_id}.ua"])
    for company_id in (ids[0], ids[1]):
        await companies.client(company_id, f"Also of {company_id}", emails=["x@zebra.ua"])
    assert await companies.pairs() == [(ids[9], last, [Alike.NAME]), (ids[0], ids[1], [Alike.EMAIL])]
