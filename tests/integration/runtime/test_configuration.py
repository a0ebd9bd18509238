"""What decisions keep in memory is fetched anew once somebody changes it, whichever way they do."""

from datetime import UTC, datetime

from sqlalchemy import update
from sqlmodel import col, select

from pbxcrm.calls.world import Worlds
from pbxcrm.configuration import configuration_version
from pbxcrm.db import Database
from pbxcrm.events import emit
from pbxcrm.options import load_options, save_option
from pbxcrm.people.models import Extension
from pbxcrm.settings import Settings
from tests.office import open_office


async def people_of(worlds: Worlds, number: str) -> int | None:
    async with worlds.db.write() as session:
        return (await worlds.get(session)).people.by_extension.get(number)


async def test_kept_while_nothing_changes(database: Database) -> None:
    await open_office(database)
    worlds = Worlds(database, Settings())
    async with database.write() as session:
        first = await worlds.get(session)
        emit(session, "deal", 1, datetime.now(UTC), users=[1])
    async with database.write() as session:
        assert await worlds.get(session) is first


async def test_a_changed_row_a_changed_many_and_a_deleted_one(database: Database) -> None:
    office = await open_office(database)
    worlds = Worlds(database, Settings())
    before = office.id("ivan")
    assert await people_of(worlds, "101") == before
    other = office.id("petro")
    async with database.write() as session:
        row = (await session.exec(select(Extension).where(Extension.number == "101"))).one()
        row.user_id = other
    assert await people_of(worlds, "101") == other
    async with database.write() as session:
        await session.exec(update(Extension).where(col(Extension.number) == "101").values(user_id=before))
    assert await people_of(worlds, "101") == before
    async with database.write() as session:
        await session.delete((await session.exec(select(Extension).where(Extension.number == "101"))).one())
    assert await people_of(worlds, "101") is None


async def test_what_was_taken_back_is_not_known(database: Database) -> None:
    await open_office(database)
    worlds = Worlds(database, Settings())
    async with database.read() as session:
        version = await configuration_version(session)
    async with database.read() as session:  # never committed
        await save_option(session, await load_options(session), "claim_minutes", 99)
        await session.flush()
        assert await configuration_version(session) > version
    async with database.write() as session:
        assert await configuration_version(session) == version
        assert (await worlds.get(session)).options.claim_minutes != 99
