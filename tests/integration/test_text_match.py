"""A part of a name or number is found on every database, also where more fit than are gathered, and nobody sees more by it."""

from datetime import timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm import global_search
from pbxcrm.access import Viewer, seen_through
from pbxcrm.calls import search as calls_search
from pbxcrm.calls.access import visible_calls
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.calls.queries import CallFilter, list_calls
from pbxcrm.contacts import search as contacts_search
from pbxcrm.contacts.access import sees_little, visible_contacts
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.contacts.queries import list_contacts
from pbxcrm.deals import board_queries, list_queries
from pbxcrm.deals.board_queries import selected
from pbxcrm.deals.filter_queries import filter_reader
from pbxcrm.deals.filters import DealFilter
from pbxcrm.deals.list_queries import ListSort, all_matching, list_figures, page_of_deals, select_deals
from pbxcrm.deals.models import Deal, Note, Stage
from pbxcrm.deals.queries import list_deals, stages_of
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.global_search import search
from pbxcrm.shared import text_match
from pbxcrm.shared.db import Database
from pbxcrm.shared.search_words import SearchWord
from tests.busy import Busy
from tests.calls import NOON
from tests.filled import Filled
from tests.office import Office

EVERYBODY = ("admin", "maria", "ivan", "olena", "kira", "oksana", "petro")


@pytest.fixture
def office(database: Database, begins_with_busy_office: Filled[tuple[Office, Busy]]) -> Office:
    return begins_with_busy_office.found(database)[0]


@pytest.fixture
def busy(database: Database, begins_with_busy_office: Filled[tuple[Office, Busy]]) -> Busy:
    return begins_with_busy_office.found(database)[1]


@pytest.fixture(params=["few", "many"])
def _how_many(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every way to look for something must find the same: as for few rows, and as for more than are gathered."""
    if request.param == "many":
        monkeypatch.setattr(board_queries, "MOST_FOUND", 0)
        monkeypatch.setattr(list_queries, "MOST_FOUND", 0)
        monkeypatch.setattr(text_match, "MANY", 0)
        monkeypatch.setattr(calls_search, "WHOM", 0)
        monkeypatch.setattr(contacts_search, "FEW", 0)
        monkeypatch.setattr(contacts_search, "FEW_NUMBERS", 0)
        monkeypatch.setattr(global_search, "_FEW", 0)
        monkeypatch.setattr(seen_through, "LITTLE", 0)


async def calls_of(session: AsyncSession, viewer: Viewer, **asked: object) -> set[str]:
    return {row.call.linkedid for row in (await list_calls(session, viewer, CallFilter(**asked))).rows}  # type: ignore[arg-type]


@pytest.mark.usefixtures("_how_many", "busy")
@pytest.mark.parametrize(
    ("text", "linkedids"),
    [
        ("ІРИНА мель", {"2", "3"}),  # the client's name
        ("iryna", {"2", "3"}),  # what the telephone said, and the name in other letters
        ("063 000 00 02", {"5", "6"}),
        ("30000002", {"5", "6"}),
        ("%", set()),
        ("_", set()),
        ("<SCRIPT>", {"4"}),
        ("nobody at all", set()),
    ],
)
async def test_calls_by_a_part(database: Database, office: Office, text: str, linkedids: set[str]) -> None:
    async with database.read() as session:
        found = await calls_of(session, await office.viewer(session, "admin"), text=text)
        assert found == {f"1700000000.{n}" for n in linkedids}
        theirs = await calls_of(session, await office.viewer(session, "petro"), text=text)
        assert theirs == set()


@pytest.mark.usefixtures("_how_many", "busy")
async def test_calls_of_a_person_and_of_a_phone(database: Database, office: Office) -> None:
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
        ids = {int(linkedid.partition(".")[2]) for linkedid in await calls_of(session, admin, mine=office.id("olena"))}
        assert ids == {2, 4, 6, 7, 10}
        ids = {int(linkedid.partition(".")[2]) for linkedid in await calls_of(session, admin, extension="103")}
        assert ids == {3}


@pytest.mark.usefixtures("_how_many", "busy")
@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("григоренко", {"Олена Григоренко"}),
        ("(067) 111", {"Олена Григоренко"}),
        ("067 222 33 44", {"Ірина Мельник"}),
        ("анна-марія КОСТ", {"Анна-Марія Костянтинопольська-Загоруйко"}),
        ("100%", set()),
        ("Григоренко Олена", {"Олена Григоренко"}),
        ("Hryhorenko", {"Олена Григоренко"}),
        ("jktyf uhbujhtyrj", {"Олена Григоренко"}),  # the English layout was on
        ("Ірина", {"Ірина Мельник"}),
        ("Ирина", {"Ірина Мельник"}),
        ("Ьфкеф", {"Marta Bilyk"}),  # a Cyrillic layout was on
        ("Олена Мельник", set()),
    ],
)
async def test_clients_by_a_part(database: Database, office: Office, text: str, names: set[str]) -> None:
    async with database.read() as session:
        found = (await list_contacts(session, await office.viewer(session, "admin"), text=text)).rows
        assert {row.contact.name for row in found} == names


async def words(session: AsyncSession, viewer: Viewer, text: str) -> DealFilter:
    return (await filter_reader(session, viewer, AskedAt(NOON, ZoneInfo("UTC")), "UA")).read([("q", text)])


@pytest.mark.usefixtures("_how_many", "busy")
async def test_deals_by_a_part_on_the_board_and_everywhere(database: Database, office: Office) -> None:
    async with database.read() as session:
        ivan = await office.viewer(session, "ivan")
        for text, title in (
            ("KOVAL FURN", "Warehouse shelves"),
            ("конференц", "Меблі для конференц-зали"),
            ("2223344", "Reception desk"),
        ):
            asked = await selected(session, ivan, 1, await stages_of(session, 1), await words(session, ivan, text))
            for chosen in (asked.open, asked.closed):
                found = await list_deals(session, ivan, *chosen.conditions())
                assert [row for row in found if row.deal.title.startswith(title)], text
        for text in ("Коваль", "Koval stepan", "rjdfkm"):
            assert "Stepan Koval" in {r.contact.name for r in (await search(session, ivan, text)).contacts}, text
        everywhere = await search(session, ivan, "об\u2019єднання")
        assert [company.name for company in everywhere.companies] == ["Всеукраїнське об'єднання виробників меблів"]


@pytest.mark.usefixtures("busy")
async def test_a_list_of_very_many_is_paged_completely_and_says_that_it_is_not_counted(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More match than are collected: each way to match gives its newest, and a page continues after the last one of all ways."""
    monkeypatch.setattr(list_queries, "MOST_FOUND", 3)
    async with database.write() as session:
        ivan = await office.viewer(session, "ivan")
        stage = (await stages_of(session, 1))[1]
        client = Contact(name="Oak Board", responsible_id=ivan.user_id, created_at=NOON)
        session.add(client)
        await session.flush()
        for n in range(9):  # by the title, by the client, by both, by none
            session.add(
                Deal(
                    title=f"{'Oak' if n % 3 else 'Elm'} {n}", pipeline_id=1, stage_id=stage.id or 0, responsible_id=ivan.user_id,
                    contact_id=client.id if n % 2 else None, amount=Decimal(n), currency="UAH", created_at=NOON, stage_since=NOON,
                )
            )  # fmt: skip
            await session.flush()
    async with database.read() as session:
        everything = await select_deals(session, ivan, await words(session, ivan, ""), None)
        rows = (await page_of_deals(session, everything, ListSort(), after=None, limit=100)).rows
        wanted = [
            row.deal.title
            for row, _ in rows
            if "Oak" in row.deal.title or (row.contact and row.contact.name == "Oak Board")
        ]
        assert len(wanted) == 7
        among = await select_deals(session, ivan, await words(session, ivan, "oak"), None)
        figures = await list_figures(session, among)
        assert (figures.count, figures.has_more) == (3, True)
        found: list[str] = []
        after = None
        while page := (await page_of_deals(session, among, ListSort(), after=after, limit=2)).rows:
            found += [row.deal.title for row, _ in page]
            after = page[-1][1]
        assert found == wanted
        assert len(await all_matching(session, among, limit=100)) == len(wanted)
        terms = (await filter_reader(session, ivan, AskedAt(NOON, ZoneInfo("UTC")), "UA")).terms
        least = await page_of_deals(session, among, ListSort(terms["amount"], descending=False), after=None, limit=9)
        assert [row.deal.title for row, _ in least.rows] == wanted[2::-1]  # of the newest three


@pytest.mark.usefixtures("busy")
async def test_a_filter_without_an_index_looks_through_a_part_says_so_and_goes_on_there(
    database: Database, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.write() as session:
        admin = await office.viewer(session, "admin")
        stage = (await stages_of(session, 1))[1]
        for n in range(20):
            session.add(
                Deal(
                    title=f"Oak {n}", pipeline_id=1, stage_id=stage.id or 0, amount=Decimal(9000 + n if n % 7 == 0 else 1), currency="UAH",
                    created_at=NOON, stage_since=NOON,
                )
            )  # fmt: skip
            await session.flush()
    async with database.read() as session:
        reader = await filter_reader(session, admin, AskedAt(NOON, ZoneInfo("UTC")), "UA")
        pairs = (("amount.min", "9000"), ("amount.max", "9020"))
        everything = await select_deals(session, admin, reader.read(pairs), None)
        wanted = [
            row.deal.title
            for row, _ in (await page_of_deals(session, everything, ListSort(), after=None, limit=99)).rows
        ]
        assert wanted == ["Oak 14", "Oak 7", "Oak 0"]
        for asked in (pairs, (*pairs, ("q", "oak"))):
            for most in (1, 50):
                monkeypatch.setattr(list_queries, "LOOKED_THROUGH", 4)
                monkeypatch.setattr(list_queries, "MOST_FOUND", most)
                among = await select_deals(session, admin, reader.read(asked), None)
                found, after, stops = [], None, 0
                while True:
                    page = await page_of_deals(session, among, ListSort(), after=after, limit=2)
                    found += [row.deal.title for row, _ in page.rows]
                    stops += page.resume is not None
                    after = page.rows[-1][1] if len(page.rows) == 2 else page.resume
                    if after is None:
                        break
                assert found == wanted, asked
                if len(asked) == 2:
                    assert stops >= 3
                    assert (await list_figures(session, among)).has_more
                assert len(await all_matching(session, among, limit=100)) == 3


@pytest.mark.usefixtures("_how_many", "busy")
async def test_the_best_stands_first(database: Database, office: Office) -> None:
    async with database.write() as session:
        session.add_all(
            Contact(name=name, created_at=NOON)
            for name in ("Марія Коваль", "Коваль", "Подковальник", "Коваленко Петро", "Ганна Нова")
        )
    async with database.read() as session:
        found = await search(session, await office.viewer(session, "admin"), "коваль")
    names = [row.contact.name for row in found.contacts]
    assert names[:2] == ["Коваль", "Коваленко Петро"]  # the name itself, then those that begin with it
    assert set(names[2:4]) == {"Марія Коваль", "Stepan Koval"}  # a word is it
    assert names[4:] == ["Подковальник"]  # it is in a word


NAMES = ("Search Alpha", "Eric Bach", "Чорнобай Щасливий", "Д'Артаньян Ксенія", "Ель Юлль", "Anna-Maria Wycech")


async def test_each_beginning_of_a_word_finds_client_company_deal_and_note(database: Database, office: Office) -> None:
    """From the third letter on, whatever letter comes next, and each with another word before it or behind it."""
    async with database.write() as session:
        stage = (await session.exec(select(Stage).order_by(col(Stage.position)))).first()
        assert stage
        for name in NAMES:
            client = Contact(name=name, created_at=NOON)
            session.add_all((client, Company(name=name, created_at=NOON)))
            session.add(Deal(
                title=name, stage_id=stage.id or 0, pipeline_id=stage.pipeline_id, currency="UAH", created_at=NOON, stage_since=NOON
            ))  # fmt: skip
            await session.flush()
            session.add(Note(text=f"So {name}, as ever", contact_id=client.id, author_id=office.id("ivan"), at=NOON))
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
        for name in NAMES:
            first, last = name.split()
            typed = [word[:length] for word in (first, last) for length in range(3, len(word) + 1)]
            typed += [f"{first[:length]} {last[:3]}" for length in range(3, len(first) + 1)]
            typed += [f"{last[:length]} {first[:3]}".upper() for length in range(3, len(last) + 1)]
            for text in typed:
                found = await search(session, admin, text)
                assert name in {row.contact.name for row in found.contacts}, text
                assert name in {company.name for company in found.companies}, text
                assert name in {row.deal.title for row in found.deals}, text
                assert [note for note in found.notes if name in note.text], text
                assert name in {row.contact.name for row in (await list_contacts(session, admin, text=text)).rows}, text


@pytest.mark.usefixtures("busy")
async def test_words_of_notes(database: Database, office: Office) -> None:
    async with database.read() as session:
        ivan = await office.viewer(session, "ivan")
        for text in ("oak", "discount oak", "OAK,", "wants disc"):
            found = (await search(session, ivan, text)).notes
            assert [note.deal and note.deal.title for note in found] == ["Reception desk"], text
        assert "oak" in found[0].text
        assert not (await search(session, ivan, "iscount")).notes
        assert not (await search(session, ivan, "oak nothing")).notes
        assert not (await search(session, await office.viewer(session, "petro"), "oak")).notes


async def test_a_note_that_is_changed_is_found_by_its_new_words(database: Database, office: Office, busy: Busy) -> None:
    async with database.write() as session:
        (await session.exec(select(Note))).one().text = "Дзвонити після обіду"
        (await session.exec(select(Contact).where(Contact.name == "Stepan Koval"))).one().note = "Платить готівкою"
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
        assert not (await search(session, admin, "oak")).notes
        assert [note.text for note in (await search(session, admin, "обід")).notes] == ["Дзвонити після обіду"]
        at_client = (await search(session, admin, "готівк плат")).notes
        assert [note.contact and note.contact.name for note in at_client] == ["Stepan Koval"]
    async with database.write() as session:
        await session.delete((await session.exec(select(Note))).one())
    async with database.read() as session:
        assert not (await search(session, admin, "обід")).notes
        assert not (await session.exec(select(SearchWord).where(SearchWord.kind == "notes"))).all()


async def test_a_name_that_is_changed_is_found_by_the_new_one(database: Database, office: Office, busy: Busy) -> None:
    async with database.write() as session:
        (await session.exec(select(Contact).where(Contact.name == "Stepan Koval"))).one().name = "Богдан Коваль"
        (await session.exec(select(Deal).where(Deal.title == "Reception desk"))).one().title = "Стійка"
        (await session.exec(select(Company).where(Company.name == "Dental Plus"))).one().name = "Дентал"
    async with database.read() as session:
        admin = await office.viewer(session, "admin")
        assert not (await search(session, admin, "stepan")).contacts
        assert (await search(session, admin, "богдан")).contacts
        assert [row.deal.title for row in (await search(session, admin, "СТІЙКА")).deals] == ["Стійка"]
        assert (await search(session, admin, "дентал")).companies


@pytest.mark.parametrize("login", EVERYBODY)
async def test_who_sees_little_sees_the_same_as_one_who_sees_much(
    database: Database, office: Office, busy: Busy, login: str
) -> None:
    async with database.read() as session:
        viewer = await office.viewer(session, login)
        for ids, little, much in (
            (col(Call.id), visible_calls(viewer, little=True), visible_calls(viewer)),
            (col(Contact.id), visible_contacts(viewer, little=True), visible_contacts(viewer)),
        ):
            gathered = (await session.exec(select(ids).where(little).order_by(ids))).all()
            assert gathered == (await session.exec(select(ids).where(much).order_by(ids))).all()
            assert gathered, login


async def test_who_sees_much_is_known_by_any_kind_of_row(
    database: Database, office: Office, busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seen_through, "REMEMBERED", -1.0)
    async with database.write() as session:
        petro = await office.viewer(session, "petro")
        assert await sees_little(session, petro)
        assert not await sees_little(session, await office.viewer(session, "admin"))
        call = Call(
            pbx="default", linkedid="9.1", direction="inbound", outcome="answered", started_at=NOON - timedelta(days=9)
        )
        session.add(call)
        await session.flush()
        for n in range(seen_through.LITTLE + 1):
            session.add(
                CallLeg(
                    call_id=call.id or 0, channel_id=f"9.{n}", extension="201", user_id=petro.user_id,
                    dialled_at=NOON, result="talked",
                )
            )  # fmt: skip
        await session.flush()
        assert not await sees_little(session, petro)
        assert await sees_little(session, await office.viewer(session, "ivan"))


async def test_a_client_with_many_numbers_stands_once_in_the_list(database: Database, office: Office) -> None:
    async with database.write() as session:
        client = Contact(name="Two Lines", created_at=NOON)
        session.add(client)
        await session.flush()
        session.add_all(Phone(contact_id=client.id or 0, number=f"+38044555000{n}") for n in range(3))
    async with database.read() as session:
        found = (await list_contacts(session, await office.viewer(session, "admin"), text="445550")).rows
        assert [row.contact.name for row in found] == ["Two Lines"]
        assert len(found[0].phones) == 3
