"""Fixtures: the office in a test's own database, and the intake of facts from a listener."""

import asyncio
import shutil
from pathlib import Path

import pytest

from pbxcrm.reactions.intake import Intake
from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.filled import Filled, fold
from tests.integration.walking import Seeded, Walker, seed_two_teams
from tests.office import Office
from web import database_timeout


@pytest.fixture
def office(database: Database, begins_with_office: Filled[Office]) -> Office:
    return begins_with_office.found(database)


@pytest.fixture
def intake(database: Database, tmp_path: Path) -> Intake:
    return Intake(database, Settings(data_dir=tmp_path))


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Seeded:
    file = tmp_path_factory.mktemp("walk") / "two_teams.db"
    shutil.copyfile(sqlite_template, file)
    found = asyncio.run(seed_two_teams(file))
    fold(file)
    return found


@pytest.fixture
def walker(seeded: Seeded, tmp_path: Path, redis_url: str, monkeypatch: pytest.MonkeyPatch) -> Walker:
    monkeypatch.setattr(
        database_timeout, "PATIENCE_SECONDS", 60.0
    )  # on a slow machine the database must not count as hanging
    return Walker(seeded, tmp_path, redis_url)
