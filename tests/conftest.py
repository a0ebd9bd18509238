"""Fixtures for all tests: both databases, a real Redis, settings in the test's own folder.

``database`` runs a test on SQLite and on PostgreSQL (``-k sqlite``, ``-k postgres``); code under test may commit.
"""

import asyncio
import gc
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import settings as hypothesis_settings
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from pbxcrm.composition import compose
from pbxcrm.migrations import upgrade
from pbxcrm.people import passwords
from pbxcrm.shared.db import Database
from pbxcrm.shared.redis_server import find_server
from pbxcrm.shared.settings import Settings
from tests.asterisk.setup import CannotSetUpError, ensure
from tests.busy import Busy, fill
from tests.calls import NOON
from tests.compiled_once import compiled_once, made_once
from tests.databases import TEMPLATE, Postgres, fresh_name, postgres_programs, running_postgres, running_redis
from tests.filled import Filled, fold
from tests.needs import need
from tests.office import Office, open_office
from tests.quick_folder import quick_folder
from tests.sample_company import open_company

# No deadline: a slow machine is not a fault of the code. In CI the examples are the same in every run.
hypothesis_settings.register_profile("here", deadline=None)
hypothesis_settings.register_profile("ci", deadline=None, derandomize=True)
hypothesis_settings.load_profile("ci" if os.environ.get("CI") else "here")


def pytest_configure() -> None:
    """Put ``tmp_path`` in memory if possible, and compose the contexts as every entry point does."""
    gc.disable()  # nothing of what is imported and collected is garbage
    compose()
    if folder := quick_folder():
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(folder))


def pytest_collection_finish() -> None:
    """The collector of garbage leaves alone what lives until the end (modules, tests) and comes rarely, as in the parts of the product.

    With its usual settings it took a sixth of the time of the tests.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 10)
    gc.enable()


@pytest.fixture(autouse=True, scope="session")
def _quick_passwords() -> None:
    """argon2 is slow on purpose. Tests create seven people each, so they use it with the lowest cost."""
    passwords.hasher = PasswordHash((Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1),))


@pytest.fixture(scope="session")
def asterisk() -> None:
    """Both versions of Asterisk are installed; the first run installs them (``tests/asterisk/setup.py``)."""
    try:
        ensure("22")
        ensure("16")
    except CannotSetUpError as error:
        need(condition=False, reason=f"no real Asterisk here: {error}")


@pytest.fixture(autouse=True)
def _what_its_mark_needs(request: pytest.FixtureRequest) -> None:
    if request.node.get_closest_marker("asterisk"):
        request.getfixturevalue("asterisk")


@pytest.fixture(autouse=True, scope="session")
def _applications_made_once() -> Iterator[None]:
    with made_once():
        yield


@pytest.fixture(autouse=True, scope="session")
def _sql_compiled_once() -> Iterator[None]:
    with compiled_once():
        yield


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy; nothing has it open."""
    path = tmp_path_factory.mktemp("sqlite") / "template.db"
    asyncio.run(upgrade(f"sqlite:///{path}"))
    fold(path)
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server for the whole session."""
    programs = postgres_programs()
    need(programs, "PostgreSQL is missing (apt-get install postgresql)")
    assert programs
    with running_postgres(programs) as server:
        yield server


@pytest.fixture(scope="session")
def begins_with_office() -> Filled[Office]:
    return Filled("office", open_office)


@pytest.fixture(scope="session")
def begins_with_busy_office() -> Filled[tuple[Office, Busy]]:
    async def fill_office(database: Database) -> tuple[Office, Busy]:
        office = await open_office(database)
        return office, await fill(database, Settings(), office, NOON)

    return Filled("busy_office", fill_office)


@pytest.fixture(scope="session")
def begins_with_company() -> Filled[None]:
    return Filled("company", open_company)


@pytest.fixture
def beginning(request: pytest.FixtureRequest) -> Filled[Any] | None:
    """What the databases of a test contain: what its fixture ``begins_with_…`` says, otherwise nothing but the migrated tables."""
    asked = [name for name in request.fixturenames if name.startswith("begins_with_")]
    assert len(asked) <= 1, asked
    filled: Filled[Any] | None = request.getfixturevalue(asked[0]) if asked else None
    return filled


@pytest.fixture
def sqlite_url(tmp_path: Path, sqlite_template: Path, beginning: Filled[Any] | None) -> str:
    """The URL of a migrated SQLite database for one test."""
    path = tmp_path / "pbxcrm.db"
    shutil.copyfile(beginning.file(sqlite_template) if beginning else sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
async def postgres_url(postgres: Postgres, beginning: Filled[Any] | None) -> AsyncIterator[str]:
    """The URL of a migrated PostgreSQL database for one test."""
    name = fresh_name()
    yield await postgres.create(name, await beginning.template(postgres) if beginning else TEMPLATE)
    postgres.drop(name)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of each database in turn, as users write it in PBXCRM_DATABASE_URL."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """Each database in turn, migrated and open."""
    opened = Database(database_url)
    yield opened
    await opened.close()


@pytest.fixture(scope="session")
def _redis() -> Iterator[str]:
    find_server()
    with running_redis() as url:
        yield url


@pytest.fixture
def redis_url(_redis: str) -> str:
    """The URL of a real Redis, emptied."""
    with closing(redis.Redis.from_url(_redis)) as client:
        client.flushall()
    return _redis


@pytest.fixture
def settings(tmp_path: Path, sqlite_url: str) -> Settings:
    """Settings of a fresh installation on SQLite in the test's own folder."""
    return Settings(data_dir=tmp_path, database_url=sqlite_url)
