"""Parts of names are found through SQLite's index by trigrams exactly as by comparing each row, whatever happens to rows and schema."""

import random
from pathlib import Path

import pytest
from sqlalchemy import ColumnElement, Connection, not_, true
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm import migrations
from pbxcrm.calls.callers import keep_callers
from pbxcrm.calls.models import HeardCaller
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.deals.models import Deal
from pbxcrm.global_search import search
from pbxcrm.migrations.sqlite_trigrams import SEARCHED, are_kept
from pbxcrm.shared import trigrams
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings
from pbxcrm.shared.settings import Settings
from pbxcrm.shared.sqlite import WRITES
from pbxcrm.shared.text_match import part_of
from pbxcrm.shared.trigrams import holds_digits, holds_words, index_of
from pbxcrm.upkeep.backup import back_up, restore
from tests.bench.field_values import plan_of
from tests.calls import NOON
from tests.office import Office

NAMES = (
    "Олена Коваленко", "Олена Шевченко", 'ТОВ "Ковальбуд"', "50% знижка_2", "* ? [a-z]", "Андрій", "Андрей", "Щербань Ян", "о’Коннор", "𝒜lice 🙂🙂🙂",
    "NEAR AND OR NOT", "a\\b'c", "", "Ян", "ль", "שלום עולם", "=cmd|' /C calc'!A0",
)  # fmt: skip
ASKED = (
    "олена", "ковал", "rjdfktyrj", 'тов "ков', "50%", "ка_2", "[a-", "*", "андрей", "щер ян", "ян", "коннор", "alice", "🙂🙂", "near", "and or", "b'c", "עולם", "cmd|", '"', "ніколи",
)  # fmt: skip


async def _ids(session: AsyncSession, fits: ColumnElement[bool]) -> set[int | None]:
    return set((await session.exec(select(Contact.id).where(fits))).all())


async def test_the_index_finds_what_comparing_each_row_finds(database: Database) -> None:
    draw = random.Random(11)
    async with database.write() as session:
        for name in NAMES * 2:
            contact = Contact(name=name, created_at=NOON)
            session.add(contact)
            await session.flush()
            session.add(Phone(contact_id=contact.id or 0, number=f"+38067{draw.randrange(10**7):07d}"))
    async with database.read() as session:
        numbers = (await session.exec(select(Phone.number))).all()
        everybody = await _ids(session, true())
        for text in (*ASKED, *(name[:9] for name in NAMES)):
            one_by_one = await _ids(session, part_of(col(Contact.name_folded), text))
            found = holds_words(Contact.name_folded, text)
            assert await _ids(session, found) == one_by_one, text
            # Words of one or two letters are a second condition: "not" must be of both.
            assert await _ids(session, not_(found)) == everybody - one_by_one, text
        assert await _ids(session, holds_words(Contact.name_folded, "олена"))
        for digits in ("067", "671", "999", *(number[5:9] for number in numbers[:5])):
            held = (await session.exec(select(Phone.number).where(holds_digits(Phone.number, digits)))).all()
            assert sorted(held) == sorted(number for number in numbers if digits in number), digits


async def test_of_many_matches_the_newest_are_collected(database: Database) -> None:
    async with database.write() as session:
        session.add_all(Contact(name=f"Олена {n}", created_at=NOON) for n in range(30))
    async with database.read() as session:
        newest = holds_words(Contact.name_folded, "олена", newest=5)
        query = select(Contact.id).where(newest).order_by(col(Contact.id).desc()).limit(5)
        found = list((await session.exec(query)).all())
        everybody = list((await session.exec(select(Contact.id).order_by(col(Contact.id).desc()))).all())
        assert found == everybody[:5]


async def test_the_index_is_asked(database: Database) -> None:
    """PostgreSQL's indexes are asserted where its planner has rows enough (``web/test_plans.py``)."""
    if not database.is_sqlite:
        return
    async with database.read() as session:
        for model, column in ((Contact, "name_folded"), (Deal, "title_folded")):
            plan = await plan_of(session, select(model.id).where(holds_words(getattr(model, column), "олена")))
            assert index_of(str(model.__tablename__), column) in plan
            assert "SCAN contacts" not in plan.replace("SCAN contacts_", "")
        plan = await plan_of(session, select(HeardCaller.number).where(holds_words(HeardCaller.name_folded, "олена")))
        assert "SEARCH callers" in plan


async def _whole(database: Database) -> None:
    """FTS5 compares each index with the rows of its table."""
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        assert await connection.run_sync(are_kept)
        for table, column in SEARCHED:
            index = index_of(table, column)
            await connection.exec_driver_sql(f"INSERT INTO {index} ({index}, rank) VALUES ('integrity-check', 1)")


async def test_rows_that_come_change_and_go_are_followed(database: Database) -> None:
    if not database.is_sqlite:
        return
    draw = random.Random(7)
    async with database.write() as session:
        for n in range(60):
            rows = list((await session.exec(select(Contact))).all())
            act = draw.choice(("add", "add", "rename", "delete", "other"))
            if act == "add" or not rows:
                session.add(Contact(name=f"{draw.choice(NAMES)} {n}", created_at=NOON))
            elif act == "rename":
                draw.choice(rows).name = draw.choice(NAMES)
            elif act == "delete":
                await session.delete(draw.choice(rows))
            else:
                draw.choice(rows).note = f"noted {n}"
            await session.flush()
        named = [{"client_number": f"+38067{n:07d}", "client_name_folded": "olena"} for n in range(4)]
        await keep_callers(session, [*named, *named])
    await _whole(database)
    async with database.write() as session:
        gone = (await session.exec(select(HeardCaller).where(HeardCaller.number == "+380670000002"))).one()
        await session.delete(gone)
    async with database.read() as session:
        found = select(HeardCaller.number).where(holds_words(HeardCaller.name_folded, "olena"))
        assert len((await session.exec(found)).all()) == 3
        left = await session.connection()
        index = index_of("callers", "name_folded")
        kept = (await left.exec_driver_sql(f"SELECT number FROM {index} WHERE {index} MATCH '\"olena\"'")).all()
        assert len(kept) == 3


async def test_an_upgrade_makes_again_what_a_copied_table_lost(database: Database, database_url: str) -> None:
    if not database.is_sqlite:
        return

    def copied(connection: Connection) -> None:
        """As a migration does that alters a table: the copy has no triggers."""
        connection.exec_driver_sql("CREATE TABLE copy AS SELECT * FROM contacts")
        for (trigger,) in connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'contacts'"
        ).all():
            connection.exec_driver_sql(f"DROP TRIGGER {trigger}")

    async with database.write() as session:
        session.add(Contact(name="Олена", created_at=NOON))
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.run_sync(copied)
    async with database.write() as session:
        session.add(Contact(name="Марія", created_at=NOON))
    with pytest.raises(BadSettings, match="pbxcrm db upgrade"):
        await migrations.check(database)
    await migrations.upgrade(database_url)
    await migrations.check(database)
    await _whole(database)
    async with database.read() as session:
        assert len(await _ids(session, holds_words(Contact.name_folded, "марія"))) == 1


async def test_an_sqlite_without_the_index_writes_and_searches_and_a_better_one_makes_it_again(
    database: Database, database_url: str, office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with database.write() as session:
        session.add(Contact(name="Олена", created_at=NOON))
    with monkeypatch.context() as patch:
        for module in (trigrams, migrations.sqlite_trigrams):
            patch.setattr(module, "sqlite_has_them", lambda: False)
        await migrations.upgrade(database_url)
        await migrations.check(database)
        async with database.write() as session:
            session.add(Contact(name="Олена Друга", created_at=NOON))
        async with database.read() as session:
            found = await search(session, await office.viewer(session, "admin"), "олена")
            assert len(found.contacts) == 2
    if database.is_sqlite:
        with pytest.raises(BadSettings):
            await migrations.check(database)
    await migrations.upgrade(database_url)
    await migrations.check(database)
    async with database.read() as session:
        found = await search(session, await office.viewer(session, "admin"), "олена")
        assert len(found.contacts) == 2


async def test_a_restored_database_is_searched(
    tmp_path: Path, database: Database, database_url: str, office: Office
) -> None:
    installed = Settings(data_dir=tmp_path, database_url=database_url)
    async with database.write() as session:
        session.add(Contact(name="Олена Коваленко", created_at=NOON))
    await back_up(installed, tmp_path / "b.tar", NOON)
    await database.close()
    await restore(installed, tmp_path / "b.tar", overwrite=True)
    opened = Database(database_url)
    try:
        await migrations.check(opened)
        async with opened.write() as session:
            session.add(Contact(name="Коваленко Ірина", created_at=NOON))
        async with opened.read() as session:
            found = await search(session, await office.viewer(session, "admin"), "коваленко")
            assert len(found.contacts) == 2
        if opened.is_sqlite:
            await _whole(opened)
    finally:
        await opened.close()
