"""One box: typing errors, tasks, and searches that stop early and go on; and nobody finds more than they see."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import literal
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm import global_search
from pbxcrm.access import Viewer, seen_through
from pbxcrm.calls import queries as call_queries
from pbxcrm.calls import search as calls_search
from pbxcrm.calls.models import Call, HeardCaller
from pbxcrm.calls.queries import CallFilter, list_calls
from pbxcrm.calls.search import Place
from pbxcrm.contacts.actions import create_company, create_contact
from pbxcrm.contacts.company_merge_actions import merge_companies
from pbxcrm.contacts.merge_actions import merge_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import list_contacts
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.fields.actions import FieldDraft, create_field
from pbxcrm.fields.models import FieldEntity
from pbxcrm.global_search import search
from pbxcrm.shared import listed
from pbxcrm.shared.db import Database
from pbxcrm.shared.listed import newest_that_pass
from pbxcrm.shared.spellings import one_error_apart
from tests.busy import Busy
from tests.calls import NOON
from tests.filled import Filled
from tests.office import Office
from tests.statements import statements


@pytest.fixture
def office(database: Database, begins_with_busy_office: Filled[tuple[Office, Busy]]) -> Office:
    return begins_with_busy_office.found(database)[0]


@pytest.mark.parametrize(
    "text",
    ["Гриоренко", "Григорненко", "григорекно", "Олена Григоренкл", "Олана Григоренкл", "hryhorenku", "uhbujhtyrj"],
)
async def test_a_typing_error_finds_the_name(database: Database, office: Office, text: str) -> None:
    async with database.read() as session:
        found = await search(session, await office.viewer(session, "ivan"), text)
        assert "Олена Григоренко" in [row.contact.name for row in found.contacts]
        assert found.alike is (text != "uhbujhtyrj")  # the other layout is no error


async def test_a_typing_error_finds_nothing_that_one_may_not_see(database: Database, office: Office) -> None:
    async with database.read() as session:
        assert (await search(session, await office.viewer(session, "petro"), "Гриоренко")).nothing
        admin = await office.viewer(session, "admin")
        assert not (await search(session, admin, "Григоренко")).alike
        assert (await search(session, admin, "Гратарунко")).nothing  # more than one error


@pytest.mark.parametrize(
    ("one", "other", "near"),
    [
        ("koval", "kvoal", True),
        ("koval", "kova", True),
        ("koval", "kovall", True),
        ("koval", "kovil", True),
        ("koval", "koval", False),
        ("koval", "kvola", False),
        ("koval", "lavok", False),
    ],
)
def test_one_error_apart(one: str, other: str, near: bool) -> None:
    assert one_error_apart(one, other) is one_error_apart(other, one) is near


async def test_tasks_are_found_open_ones_first(database: Database, office: Office) -> None:
    async with database.read() as session:
        found = (await search(session, await office.viewer(session, "admin"), "the")).tasks
        titles = {task.title for task in found}
        assert titles
        states = [task.status == "open" for task in found]
        assert states == sorted(states, reverse=True)
        for login in ("ivan", "petro", "kira"):
            seen = (await search(session, await office.viewer(session, login), "the")).tasks
            assert {task.title for task in seen} <= titles


async def test_own_clients_are_found_among_many_of_others(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, most in (("_FEW", 10), ("_NEWEST", 10), ("_TESTED", 10)):
        monkeypatch.setattr(global_search, name, most)
    monkeypatch.setattr(seen_through, "LITTLE", 0)
    async with database.write() as session:
        session.add(Contact(name="Петренко Ганна", responsible_id=office.id("ivan"), created_at=NOON))
        await session.flush()
        session.add_all(
            Contact(name=f"Петренко {n}", responsible_id=office.id("petro"), created_at=NOON) for n in range(40)
        )
    async with database.read() as session:
        found = await search(session, await office.viewer(session, "ivan"), "петренко")
        assert [row.contact.name for row in found.contacts] == ["Петренко Ганна"]


async def _all_calls(session: AsyncSession, viewer: Viewer, asked: CallFilter) -> tuple[list[int | None], int]:
    """The ids of all calls, page by page, and how many pages were stopped early."""
    ids: list[int | None] = []
    before: Place | None = None
    stopped = 0
    while True:
        found = await list_calls(session, viewer, asked, before=before, limit=3)
        ids += [row.call.id for row in found.rows]
        if found.resume is not None:
            before, stopped = found.resume, stopped + 1
        elif len(found.rows) == 3:
            before = found.rows[-1].call.started_at, found.rows[-1].call.id or 0
        else:
            return ids, stopped


@pytest.mark.parametrize("way", ["through callers", "call by call"])
async def test_a_search_that_stops_early_goes_on(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    async with database.write() as session:
        for n in range(60):
            known = n % 7 == 0
            session.add(
                Call(
                    pbx="default", linkedid=f"stop{n}", direction="inbound", outcome="missed", client_number=f"+38044777{n:04}",
                    client_name="Rare Caller" if known else "", started_at=NOON + timedelta(minutes=n // 2),
                    responsible_id=office.id("ivan" if n % 14 == 0 else "petro"),
                )
            )  # fmt: skip
    monkeypatch.setattr(call_queries, "LOOKED_THROUGH", 5)
    monkeypatch.setattr(listed, "MOST", 3)
    monkeypatch.setattr(listed, "FIRST", 2)
    monkeypatch.setattr(listed, "MORE", 2)
    monkeypatch.setattr(seen_through, "LITTLE", 0)
    if way == "call by call":
        monkeypatch.setattr(calls_search, "WHOM", 0)
    async with database.read() as session:
        assert len((await session.exec(select(HeardCaller).where(HeardCaller.name_folded == "rare kaler"))).all()) == 9
        wanted = select(Call.id).where(Call.client_name == "Rare Caller", Call.responsible_id == office.id("ivan"))
        expected = (await session.exec(wanted.order_by(col(Call.started_at).desc(), col(Call.id).desc()))).all()
        ids, stopped = await _all_calls(session, await office.viewer(session, "ivan"), CallFilter(text="rare caller"))
        assert ids == list(expected)
        assert len(expected) == 5
        assert stopped
        by_number, _ = await _all_calls(session, await office.viewer(session, "ivan"), CallFilter(text="044 777 00"))
        assert set(expected) <= set(by_number)


async def test_clients_are_tested_part_by_part(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_through, "LITTLE", 0)
    monkeypatch.setattr(listed, "MOST_ROWS", 3)
    async with database.read() as session:
        ivan = await office.viewer(session, "ivan")
        everything = [row.contact.id for row in (await list_contacts(session, ivan, limit=500)).rows]
        found: list[int | None] = []
        before: int | None = None
        while True:
            part = await list_contacts(session, ivan, before=before, limit=2)
            found += [row.contact.id for row in part.rows]
            if part.resume is None and len(part.rows) < 2:
                break
            before = part.resume if part.resume is not None else part.rows[-1].contact.id
    assert everything
    assert found == everything


async def test_parts_of_a_list() -> None:
    """A key is tested once, in order, and the search says where it stopped."""
    tested: list[int] = []

    async def behind(last: int | None, most: int) -> list[int]:
        return [key for key in range(5000) if last is None or key > last][:most]

    async def passing(keys: object) -> list[int]:
        assert isinstance(keys, list)
        tested.extend(keys)
        return [key for key in keys if key % 100 == 99]

    found = await newest_that_pass(behind, passing, before=None, limit=50, most_tested=300, first=50)
    assert found.rows == [key for key in tested if key % 100 == 99]
    assert tested == list(range(len(tested)))
    assert found.resume == tested[-1]
    rest = await newest_that_pass(behind, passing, before=found.resume, limit=50, most_tested=9000, first=50)
    assert found.rows + rest.rows == list(range(99, 5000, 100))
    assert rest.resume is None


@pytest.mark.parametrize(
    ("kind", "value", "asked"),
    [
        ("text", "Договір СК-1207 від осені", "ск-1207"),
        ("long_text", "Warehouse behind the bakery", "bakery"),
        ("address", "вул. Городоцька 15", "Gorodots"),
        ("number", "40512", "40512"),
        ("money", "1250.50", "1 250,50"),
        ("phone", "+380 44 300 20 10", "044 300 20 10"),
        ("link", "https://example.com/passport", "example.com"),
    ],
)
@pytest.mark.parametrize("entity", list(FieldEntity))
async def test_what_stands_in_a_custom_field_is_found_by_those_who_see_the_row(
    database: Database, office: Office, entity: FieldEntity, kind: str, value: str, asked: str
) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        for key, filterable in (("found", True), ("left", False)):
            await create_field(
                session,
                admin,
                entity=entity,
                kind=kind,
                draft=FieldDraft(name=key.title(), filterable=filterable),
                currency="UAH",
                now=NOON,
                key=key,
                target="web" if kind == "link" else "",
            )
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        mine: dict[str, Any] = {"now": NOON, "region": "UA"}
        made: list[tuple[int, str]] = []
        for key in ("found", "left"):
            custom = {key: value}
            if entity is FieldEntity.CONTACT:
                row_id = (await create_contact(session, ivan, name=f"Row {key}", custom=custom, **mine)).id
            elif entity is FieldEntity.COMPANY:
                row_id = (await create_company(session, ivan, name=f"Row {key}", custom=custom, **mine)).id
            else:
                deal = await create_deal(
                    session, ivan, title=f"Row {key}", currency="UAH", second=True, custom=custom, **mine
                )
                row_id = deal.id
            made.append((row_id or 0, key))
    async with database.read() as session:
        for login, sees in (("ivan", True), ("maria", True), ("petro", False)):
            found = await search(session, await office.viewer(session, login), asked, region="UA")
            told = [(one.entity, one.row_id, one.definition.key) for one in found.by_field]
            assert told == ([(entity, *made[0])] if sees else []), login


@pytest.mark.parametrize("target", ["contact", "company", "deal", "person"])
async def test_a_link_is_found_by_the_name_of_what_it_points_to(
    database: Database, office: Office, target: str
) -> None:
    """By whoever sees both; also by the survivor of what it points to."""
    async with database.write() as session:
        admin, ivan = [await office.viewer(session, login) for login in ("admin", "ivan")]
        for key, filterable in (("found", True), ("left", False)):
            draft = FieldDraft(name=key.title(), filterable=filterable)
            await create_field(
                session, admin, entity=FieldEntity.DEAL, kind="person" if target == "person" else "link", draft=draft,
                currency="UAH", now=NOON, key=key, target="" if target == "person" else target,
            )  # fmt: skip
    mine: dict[str, Any] = {"now": NOON, "region": "UA"}
    async with database.write() as session:
        there, survivor = None, None
        if target == "contact":
            there = (await create_contact(session, ivan, name="Марко Гнатюк", **mine)).id
            survivor = (await create_contact(session, ivan, name="Zenon", **mine)).id
        elif target == "company":
            there = (await create_company(session, ivan, name="Марко Гнатюк", **mine)).id
            survivor = (await create_company(session, ivan, name="Zenon", **mine)).id
        elif target == "deal":
            there = (await create_deal(session, ivan, title="Марко Гнатюк", currency="UAH", second=True, **mine)).id
        custom = {key: "olena" if target == "person" else str(there) for key in ("found", "left")}
        deal = await create_deal(session, ivan, title="It", currency="UAH", second=True, custom=custom, **mine)
        row_id = deal.id
    async with database.read() as session:
        for login, sees in (("ivan", True), ("maria", True), ("petro", False)):
            viewer = await office.viewer(session, login)
            for asked in ("hryhorenko", "григоренко") if target == "person" else ("hnatiuk", "марко"):
                told = [(one.row_id, one.definition.key) for one in (await search(session, viewer, asked)).by_field]
                assert told == ([(row_id, "found")] if sees else []), (login, asked)
            assert (await search(session, viewer, "nobody")).by_field == []
    if survivor is None:
        return
    merge = merge_contacts if target == "contact" else merge_companies
    async with database.write() as session:
        await merge(session, ivan, there or 0, survivor, now=NOON)
    async with database.read() as session:
        ivan = await office.viewer(session, "ivan")
        assert [one.row_id for one in (await search(session, ivan, "zenon")).by_field] == [row_id]


async def test_the_database_ranks_names_as_python_does(database: Database) -> None:
    keys = ["olena", "olena shevchuk", "shevchuk olena", "molena", "shev 100%", "a_b olena", "ol shevchuk", ""]
    async with database.read() as session:
        for asked in ("olena", "olena shevchuk", "shev olena", "ol", "100%", "b", "a_b", "nobody", ""):
            for key in keys:
                ranked = (await session.exec(select(global_search._ranked(literal(key), asked)))).one()
                assert ranked == global_search._rank_of(key, asked), (key, asked)


async def test_a_frequent_text_is_counted_once(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(global_search, "_FEW", 0)
    async with database.read() as session:
        viewer = await office.viewer(session, "admin")
        first = await search(session, viewer, "оле")
        assert first.contacts
        with statements(database) as sent:
            again = await search(session, viewer, "оле")
        assert [row.contact.id for row in again.contacts] == [row.contact.id for row in first.contacts]
        assert not [each for each in sent if "count(*) OVER" in each and "contacts" in each]
        with statements(database) as sent:
            await search(session, viewer, "григоре")
        assert [each for each in sent if "count(*) OVER" in each and "contacts" in each]
