"""Two people change the same deal at the same moment: the second is told, and nothing is overwritten (D1)."""

import asyncio

import pytest

from pbxcrm.access import Viewer
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.settings import Settings
from tests.calls import NOON, FactStory, batch
from tests.office import open_office
from tests.statements import somebody_waits
from tests.waiting import until


@pytest.mark.postgres
async def test_who_waited_for_the_other_sees_what_the_other_did(postgres_url: str, settings: Settings) -> None:
    """On SQLite only one writes at a time; on PostgreSQL the second waits for the row, having read it before."""
    database = Database(postgres_url)
    office = await open_office(database)
    await Intake(database, settings).apply(batch(FactStory().ring("101").answer("101").end()))
    async with database.read() as session:
        viewers = [await office.viewer(session, login) for login in ("ivan", "maria")]
    changed = asyncio.Event()

    async def first(viewer: Viewer) -> None:
        async with database.write() as session:
            await edit_deal(session, viewer, 1, version=1, now=NOON, values={"title": "Ivan's"})
            await session.flush()
            changed.set()
            await until(lambda: somebody_waits(database))

    async def second(viewer: Viewer) -> None:
        await changed.wait()
        async with database.write() as session:
            await edit_deal(session, viewer, 1, version=1, now=NOON, values={"title": "Maria's"})

    found = await asyncio.gather(first(viewers[0]), second(viewers[1]), return_exceptions=True)
    assert [type(result) for result in found] == [type(None), Conflict], found
    async with database.read() as session:
        deal = await session.get(Deal, 1)
    assert deal
    assert (deal.title, deal.version) == ("Ivan's", 2)
    await database.close()
