"""The office of a test's own database, and what a listener tells it."""

from pathlib import Path

import pytest

from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.office import Office, open_office


@pytest.fixture
async def office(database: Database) -> Office:
    return await open_office(database)


@pytest.fixture
def intake(database: Database, tmp_path: Path) -> Intake:
    return Intake(database, Settings(data_dir=tmp_path))
