"""What decisions keep in memory is fetched again once somebody changes it, whichever way they do."""

from datetime import UTC, datetime

from sqlalchemy import update
from sqlmodel import col, select

from pbxcrm.people.directory import load_directory
from pbxcrm.people.models import Extension
from pbxcrm.reactions.call_context import load_call_context
from pbxcrm.shared.config_cache import config_version
from pbxcrm.shared.db import Database
from pbxcrm.shared.events import emit
from pbxcrm.shared.runtime_options import load_options, save_option
from pbxcrm.shared.settings import Settings
from tests.office import open_office


async def who_has(database: Database, number: str) -> int | None:
    async with database.write() as session:
        return (await load_directory(session)).by_extension.get(number)


async def test_kept_while_nothing_changes(database: Database) -> None:
    await open_office(database)
    async with database.write() as session:
        first = await load_directory(session)
        emit(session, "deal", 1, datetime.now(UTC), users=[1])
    async with database.write() as session:
        assert await load_directory(session) is first


async def test_a_changed_row_a_changed_many_and_a_deleted_one(database: Database) -> None:
    office = await open_office(database)
    before = office.id("ivan")
    assert await who_has(database, "101") == before
    other = office.id("petro")
    async with database.write() as session:
        row = (await session.exec(select(Extension).where(Extension.number == "101"))).one()
        row.user_id = other
    assert await who_has(database, "101") == other
    async with database.write() as session:
        await session.exec(update(Extension).where(col(Extension.number) == "101").values(user_id=before))
    assert await who_has(database, "101") == before
    async with database.write() as session:
        await session.delete((await session.exec(select(Extension).where(Extension.number == "101"))).one())
    assert await who_has(database, "101") is None


async def test_what_was_taken_back_is_not_known(database: Database) -> None:
    await open_office(database)
    async with database.read() as session:
        version = await config_version(session)
    async with database.read() as session:  # never committed
        await save_option(session, await load_options(session), "claim_minutes", 99)
        await session.flush()
        assert await config_version(session) > version
        assert (await load_call_context(session, Settings())).options.claim_minutes == 99
    async with database.write() as session:
        assert await config_version(session) == version
        assert (await load_call_context(session, Settings())).options.claim_minutes != 99


async def test_a_transaction_that_changes_it_reads_it_once_per_change(database: Database) -> None:
    office = await open_office(database)
    async with database.write() as session:
        row = (await session.exec(select(Extension).where(Extension.number == "101"))).one()
        row.user_id = office.id("petro")
        await session.flush()
        changed = await load_directory(session)
        assert changed.by_extension["101"] == office.id("petro")
        assert await load_directory(session) is changed
        async with session.begin_nested() as inner:
            row.user_id = office.id("ivan")
            assert (await load_directory(session)).by_extension["101"] == office.id("ivan")
            await inner.rollback()
        assert (await load_directory(session)).by_extension["101"] == office.id("petro")
        session.add(Extension(number="777", user_id=office.id("petro")))
        assert (await load_directory(session)).by_extension["777"] == office.id("petro")
    assert await who_has(database, "777") == office.id("petro")
