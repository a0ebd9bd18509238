"""Two people change the same thing at the same moment: the second waits for the first, and then sees what the first has done."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts import actions as contacts
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals import actions as deals
from pbxcrm.deals.models import Deal
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.settings import Settings
from pbxcrm.tasks import actions as tasks
from pbxcrm.tasks.models import Task
from tests.busy import Busy, fill
from tests.office import Office
from tests.statements import somebody_waits
from tests.waiting import until

NOON = datetime(2026, 11, 18, 12, tzinfo=UTC)
Change = Callable[[AsyncSession, Viewer, int, int], Awaitable[object]]


@pytest.fixture
async def database(postgres_url: str) -> AsyncIterator[Database]:
    """PostgreSQL alone: SQLite has one writer at a time anyway."""
    opened = Database(postgres_url)
    yield opened
    await opened.close()


@pytest.fixture
async def busy(database: Database, office: Office, tmp_path: Path) -> Busy:
    return await fill(database, Settings(data_dir=tmp_path), office, NOON)


async def change_deal(session: AsyncSession, viewer: Viewer, row: int, version: int) -> object:
    return await deals.edit_deal(session, viewer, row, version=version, now=NOON, values={"title": viewer.name})


async def change_task(session: AsyncSession, viewer: Viewer, row: int, version: int) -> object:
    return await tasks.edit_task(session, viewer, row, version=version, now=NOON, title=viewer.name)


async def change_contact(session: AsyncSession, viewer: Viewer, row: int, version: int) -> object:
    return await contacts.edit_contact(session, viewer, row, version=version, now=NOON, region="UA", name=viewer.name)


async def change_company(session: AsyncSession, viewer: Viewer, row: int, version: int) -> object:
    return await contacts.edit_company(session, viewer, row, version=version, now=NOON, name=viewer.name)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("table", "change"),
    [(Deal, change_deal), (Task, change_task), (Contact, change_contact), (Company, change_company)],
)
async def test_the_second_sees_what_the_first_has_done(
    database: Database,
    office: Office,
    busy: Busy,
    table: Any,  # a table with ``version``
    change: Change,
) -> None:
    row = {Deal: busy.deals["Reception desk"], Task: busy.tasks["Send the drawings"]}.get(table, 1)
    async with database.read() as session:
        version = (await session.get_one(table, row)).version
        ivan, maria = await office.viewer(session, "ivan"), await office.viewer(session, "maria")

    async def second() -> None:
        async with database.write() as session:
            in_hand = await session.get_one(table, row)  # read before the lock: it must not stay as it was then
            await change(session, maria, in_hand.id, version)

    async with database.write() as session:
        await change(session, ivan, row, version)
        await session.flush()
        waiting = asyncio.create_task(second())
        await until(lambda: somebody_waits(database))
    with pytest.raises(Conflict, match="meanwhile"):
        await waiting
    async with database.read() as session:
        found = await session.get_one(table, row)
    assert (found.version, "Ivan Kravets" in (getattr(found, "title", ""), getattr(found, "name", ""))) == (
        version + 1,
        True,
    )
