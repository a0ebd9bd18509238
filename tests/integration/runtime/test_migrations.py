"""The database's shape: migrations make exactly what the models say, and a database of another shape is refused."""

import asyncio
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlmodel import col, select

from pbxcrm import migrations
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.models import Note
from pbxcrm.fields.index_actions import indexes_of
from pbxcrm.fields.models import FieldDefinition
from pbxcrm.fields.rules import with_value
from pbxcrm.people.models import User
from pbxcrm.shared.background_jobs import BackgroundJob, start, work_on
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import BadSettings, Unavailable
from pbxcrm.shared.search_words import rows_with
from pbxcrm.shared.sqlite import WRITES
from pbxcrm.tables import metadata
from tests.calls import NOON
from tests.databases import Postgres, fresh_name
from tests.waiting import until


async def test_models_and_migrations_agree(database: Database) -> None:
    def differences(connection: Connection) -> list[object]:
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_object": migrations.is_modelled,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []


async def test_every_foreign_key_is_there(database: Database) -> None:
    """Also those of tables that point at each other, which Alembic leaves to us on PostgreSQL."""
    query = (
        "SELECT count(*) FROM sqlite_master m, pragma_foreign_key_list(m.name) WHERE m.type = 'table'"
        if database.is_sqlite
        else "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
    )
    wanted = sum(len(table.foreign_key_constraints) for table in metadata.tables.values())
    async with database.engine.connect() as connection:
        assert (await connection.execute(text(query))).scalar_one() == wanted


async def test_the_ids_that_programs_know_are_never_given_again(database: Database) -> None:
    """A migration that copies such a table names ``table_kwargs=keeping_ids(table)``."""
    if not database.is_sqlite:
        return
    wanted = {name for name, table in metadata.tables.items() if table.dialect_options["sqlite"]["autoincrement"]}
    query = "SELECT name FROM sqlite_master WHERE type = 'table' AND sql LIKE '%AUTOINCREMENT%'"
    async with database.engine.connect() as connection:
        found = set((await connection.execute(text(query))).scalars())
    assert found == wanted >= {"lamps", "tasks", "background_jobs"}


async def test_upgrading_twice_changes_nothing(database_url: str) -> None:
    assert await migrations.upgrade(database_url) == (migrations.newest(), migrations.newest())


async def test_two_machines_may_upgrade_at_once(tmp_path: Path, postgres: Postgres) -> None:
    name = fresh_name()
    for url in (f"sqlite:///{tmp_path}/new.db", await postgres.create(name, "template1")):
        found = await asyncio.gather(*(migrations.upgrade(url) for _ in range(3)))
        assert sorted(before is None for before, _ in found) == [False, False, True]
    postgres.drop(name)


async def test_an_empty_database_is_refused_with_the_command_that_helps(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/empty.db")
    with pytest.raises(BadSettings, match="pbxcrm db upgrade"):
        await migrations.check(database)
    await database.close()


async def test_a_newer_database_is_left_alone(database: Database) -> None:
    await migrations.check(database)
    async with database.engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(BadSettings, match="newer"):
        await migrations.check(database)
    with pytest.raises(BadSettings, match="newer"):
        await migrations.upgrade(database.engine.url.render_as_string(hide_password=False))


@pytest.mark.parametrize("url", ["sqlite:////nonexistent/folder/x.db", "postgresql://pbxcrm:secret@127.0.0.1:1/x"])
async def test_a_database_that_is_away_is_said_in_one_sentence(url: str) -> None:
    with pytest.raises(Unavailable, match="cannot be reached") as caught:
        await migrations.upgrade(url)
    assert "secret" not in str(caught.value)


async def test_short_words_of_what_was_written_before_are_found(database: Database, database_url: str) -> None:
    """A key of two letters ("Ельф", three of whose letters were typed; "Ель") was not kept before 0020."""

    def before_0020(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.attributes["connection"] = connection
        command.downgrade(config, "0016")

    async def found() -> list[int]:
        async with database.read() as session:
            query = rows_with("notes", "ель")
            assert query is not None
            return list((await session.exec(select(query.c.row_id))).all())

    async with database.write() as session:
        author = User(login="ivan", name="Ivan", role="seller", password_hash="", created_at=NOON)
        session.add(author)
        await session.flush()
        note = Note(text="Привезти ель", author_id=author.id or 0, at=NOON)
        session.add(note)
    assert await found() == [note.id]
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.run_sync(before_0020)
    assert await found() == []
    assert await migrations.upgrade(database_url) == ("0016", migrations.newest())
    assert await found() == [note.id]


async def test_names_of_before_stand_in_their_order(database: Database, database_url: str) -> None:
    """They had no key before 0062."""

    def before_0062(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.attributes["connection"] = connection
        command.downgrade(config, "0061")

    async with database.write() as session:
        session.add_all(Contact(name=name, created_at=NOON) for name in ("Черненко", "", "Дзюба", "Ґалаґан", "Clara"))
        session.add_all(Company(name=name, created_at=NOON) for name in ("Ünal", "Hanna"))
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.run_sync(before_0062)
    assert (await migrations.upgrade(database_url))[0] == "0061"
    async with database.read() as session:
        contacts = await session.exec(select(Contact.name).order_by(col(Contact.name_order)))
        assert contacts.all() == ["", "Clara", "Ґалаґан", "Дзюба", "Черненко"]
        companies = await session.exec(select(Company.name).order_by(col(Company.name_order)))
        assert companies.all() == ["Hanna", "Ünal"]


async def test_texts_of_fields_of_before_are_sorted(database: Database, database_url: str) -> None:
    """They had no key of the alphabet before 0066."""

    def before_0066(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(migrations.FOLDER))
        config.attributes["connection"] = connection
        command.downgrade(config, "0065")

    async with database.write() as session:
        field = FieldDefinition(entity="company", key="whom", kind="text", name="Whom", filterable=True)
        session.add(field)
        await session.flush()
        for name in ("Черненко", None, "Дзюба"):
            custom = {} if name is None else with_value({"999": 7}, field, name)
            session.add(Company(name="One", custom=custom, created_at=NOON))
    async with database.read() as session:
        before = (await session.exec(select(Company.custom).order_by(col(Company.id)))).all()
    async with database.engine.execution_options(**{WRITES: True}).begin() as connection:
        await connection.run_sync(before_0066)
    async with database.read() as session:
        without = (await session.exec(select(Company.custom).order_by(col(Company.id)))).all()
        assert [f"{field.id}s" in each for each in (*before, *without)] == [True, False, True, False, False, False]
    assert (await migrations.upgrade(database_url))[0] == "0065"
    async with database.read() as session:
        assert (await session.exec(select(Company.custom).order_by(col(Company.id)))).all() == before

    async def is_made() -> bool:
        await work_on(database, NOON)
        async with database.read() as session:
            return f"ix_custom_{field.id}_sort" in await indexes_of(session, field)

    await until(is_made)


async def test_an_id_is_given_once(database: Database) -> None:
    """Also when the newest row is deleted: a program that keeps the id must not read another row under it."""
    ids = []
    for _ in range(2):
        async with database.write() as session:
            job = await start(session, "nothing", {}, NOON, total=1)
            await session.flush()
            ids.append(job.id)
        async with database.write() as session:
            await session.delete(await session.get_one(BackgroundJob, ids[-1]))
    assert len(set(ids)) == 2
