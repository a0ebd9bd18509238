"""An office whose phones can be missed, on both databases."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

import pytest
from sqlmodel import SQLModel, col, select

from pbxcrm.access import Viewer
from pbxcrm.callbacks.actions import change_options
from pbxcrm.callbacks.models import Episode
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from tests.calls import NOON, FactStory, batch
from tests.office import Office

CLIENT = "+380671112233"
MISSED_AT = NOON + timedelta(seconds=9)
Row = TypeVar("Row", bound=SQLModel)


class CallbackDesk:
    """What a test does and asks, in one line each."""

    def __init__(self, database: Database, office: Office, intake: Intake) -> None:
        self.database, self.office, self.intake = database, office, intake
        self.count = 0

    async def miss(self, client: str = CLIENT, *rang: str, at: datetime = NOON) -> Episode:
        """A client rings ``rang`` (101) for nine seconds and gives up."""
        self.count += 1
        await self.intake.apply(
            batch(FactStory(f"9.{self.count}", client, at=at).ring(*(rang or ("101",))).wait(9).end())
        )
        return next(e for e in reversed(await self.rows(Episode)) if e.client_number == client)

    async def plan_no_retries(self) -> None:
        """Our own failed calls plan nothing by themselves."""
        async with self.database.write() as session:
            admin = await self.office.viewer(session, "admin")
            await change_options(session, admin, {"retry_outbound": False}, now=NOON)

    async def viewer(self, login: str) -> Viewer:
        async with self.database.read() as session:
            return await self.office.viewer(session, login)

    async def rows(self, table: type[Row]) -> Sequence[Row]:
        async with self.database.read() as session:
            return (await session.exec(select(table).order_by(col(table.id)))).all()  # type: ignore[attr-defined]  # each has one

    async def one(self, table: type[Row]) -> Row:
        found = await self.rows(table)
        assert len(found) == 1, found
        return found[0]

    async def one_special(self) -> SpecialNumber:
        async with self.database.read() as session:
            return (await session.exec(select(SpecialNumber))).one()


@pytest.fixture
def desk(database: Database, office: Office, intake: Intake) -> CallbackDesk:
    return CallbackDesk(database, office, intake)
