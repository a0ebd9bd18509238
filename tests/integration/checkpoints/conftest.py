"""Deals that are minded, on both databases."""

from collections.abc import Sequence
from datetime import datetime
from typing import TypeVar

import pytest
from sqlmodel import SQLModel, col, select

from pbxcrm.access import Viewer
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.checkpoints.sweep import sweep_lamps
from pbxcrm.deals.actions import edit_deal, move_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.tasks.actions import create_task
from pbxcrm.tasks.models import Task
from tests.calls import NOON, FactStory, batch
from tests.office import Office

Row = TypeVar("Row", bound=SQLModel)
CLIENT = "+380671112233"


class DealDesk:
    """What a test does and asks, in one line each. Times are UTC; Kyiv is two hours ahead."""

    def __init__(self, database: Database, office: Office, intake: Intake) -> None:
        self.database, self.office, self.intake = database, office, intake
        self.count = 0

    async def viewer(self, login: str) -> Viewer:
        async with self.database.read() as session:
            return await self.office.viewer(session, login)

    async def stage(self, name: str) -> Stage:
        async with self.database.read() as session:
            return (await session.exec(select(Stage).where(Stage.name == name))).one()

    async def deal(
        self, stage: str = "Proposal sent", *, owner: str = "ivan", at: datetime = NOON, number: str | None = CLIENT
    ) -> int:
        viewer, found = await self.viewer("admin"), await self.stage(stage)
        self.count += 1
        async with self.database.write() as session:
            made = await create_deal(
                session,
                viewer,
                title=f"Deal {self.count}",
                now=at,
                currency="UAH",
                region="UA",
                stage_id=found.id,
                responsible_id=self.office.id(owner),
                client_number=number,
                second=True,
            )
            assert made.id is not None
            return made.id

    async def move(self, deal_id: int, stage: str, at: datetime, *, login: str = "ivan") -> None:
        viewer, found = await self.viewer(login), await self.stage(stage)
        async with self.database.write() as session:
            await move_deal(session, viewer, deal_id, found.id or 0, version=None, now=at)

    async def give(self, deal_id: int, to: str, at: datetime) -> None:
        viewer = await self.viewer("maria")
        async with self.database.write() as session:
            await edit_deal(session, viewer, deal_id, version=None, now=at, responsible_id=self.office.id(to))

    async def plan(self, deal_id: int, due_at: datetime, at: datetime, *, login: str = "ivan") -> int:
        viewer = await self.viewer(login)
        async with self.database.write() as session:
            task = await create_task(session, viewer, title="Call", due_at=due_at, now=at, deal_id=deal_id)
            return task.id or 0

    async def talk(self, at: datetime, seconds: int = 60, *, client: str = CLIENT, extension: str = "101") -> None:
        self.count += 1
        story = FactStory(f"17.{self.count}", client, at=at).ring(extension).answer(extension).wait(seconds).end()
        await self.intake.apply(batch(story))

    async def sweep(self, at: datetime) -> int:
        return await sweep_lamps(self.database, at)

    async def lamps(self, state: LampState | None = None) -> list[Lamp]:
        found = await self.rows(Lamp)
        return [lamp for lamp in found if state is None or lamp.state == state]

    async def one_lamp(self, state: LampState) -> Lamp:
        found = await self.lamps(state)
        assert len(found) == 1, found
        return found[0]

    async def tasks(self, kind: str, status: str = "open") -> list[Task]:
        return [task for task in await self.rows(Task) if task.kind == kind and task.status == status]

    async def rows(self, table: type[Row]) -> Sequence[Row]:
        async with self.database.read() as session:
            return (await session.exec(select(table).order_by(col(table.id)))).all()  # type: ignore[attr-defined]  # each has one

    async def deal_row(self, deal_id: int) -> Deal:
        async with self.database.read() as session:
            return await session.get_one(Deal, deal_id)


@pytest.fixture
def desk(database: Database, office: Office, intake: Intake) -> DealDesk:
    return DealDesk(database, office, intake)
