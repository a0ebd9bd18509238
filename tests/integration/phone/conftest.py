"""A desk whose PBX is connected; orders are taken and answered as a listener would."""

from datetime import timedelta
from pathlib import Path

import pytest

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.actions import call_client
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Pbx, Settings
from tests.calls import NOON
from tests.integration.callbacks.conftest import CLIENT, CallbackDesk, desk

__all__ = ["Phones", "desk", "phones"]


class Phones:
    def __init__(self, desk: CallbackDesk, settings: Settings) -> None:
        self.desk, self.settings, self.now = desk, settings, NOON

    async def connect(self, state: str = "listening") -> None:
        async with self.desk.database.write() as session:
            status = await session.get(PbxStatus, "default") or PbxStatus(pbx="default")
            status.state, status.lease_until = state, NOON + timedelta(hours=1)
            session.add(status)

    async def call(
        self, login: str = "ivan", number: str = CLIENT, *, extension: str = "", deal_id: int | None = None
    ) -> PhoneCommand:
        viewer = await self.desk.viewer(login)
        async with self.desk.database.write() as session:
            return await call_client(
                session, viewer, self.settings, number=number, now=self.now, extension=extension, deal_id=deal_id
            )

    async def order(self) -> PhoneCommand:
        return (await self.desk.rows(PhoneCommand))[-1]


@pytest.fixture
async def phones(desk: CallbackDesk, database: Database, tmp_path: Path) -> Phones:
    settings = Settings(data_dir=tmp_path, pbxs=(Pbx(name="default", ami_url="ami://u:s@127.0.0.1"),))
    found = Phones(desk, settings)
    await found.connect()
    return found
