"""What databases of tests begin with: filled once per session for each kind of database and copied for each test."""

import asyncio
import pickle
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar

from pbxcrm.shared.db import Database
from tests.databases import TEMPLATE, Postgres

Found = TypeVar("Found")


class Filled(Generic[Found]):
    """Databases with the same rows. Creating the rows takes longer than most tests; copying a database takes a few milliseconds.

    ``fill`` creates the rows in a migrated database and returns what tests need to know of them; the result must be picklable.
    """

    def __init__(self, name: str, fill: Callable[[Database], Awaitable[Found]]) -> None:
        self.name = f"pbxcrm_{name}"
        self._fill = fill
        self._file: Path | None = None
        self._on_postgres = False
        self._found: dict[bool, bytes] = {}  # by ``is_sqlite``: pickled, so that each test gets its own copy

    def found(self, database: Database) -> Found:
        """What ``fill`` returned, for a copy of a filled database."""
        result: Found = pickle.loads(self._found[database.is_sqlite])
        return result

    def file(self, migrated: Path) -> Path:
        """A filled SQLite file to copy, which nothing has open. ``migrated`` is an empty one. Not for a running event loop."""
        if self._file is None:
            path = migrated.with_name(f"{self.name}.db")
            shutil.copyfile(migrated, path)
            asyncio.run(self._into(f"sqlite:///{path}"))
            fold(path)
            self._file = path
        return self._file

    async def template(self, server: Postgres) -> str:
        """The name of a filled database on PostgreSQL, which serves as a template: nothing is connected to it."""
        if not self._on_postgres:
            await self._into(await server.create(self.name, template=TEMPLATE))
            self._on_postgres = True
        return self.name

    async def _into(self, url: str) -> None:
        database = Database(url, pool_size=1)
        try:
            self._found[database.is_sqlite] = pickle.dumps(await self._fill(database))
        finally:
            await database.close()


def fold(path: Path) -> None:
    """Move the log of an SQLite database into its file, so that the file alone can be copied."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
