"""The data of ``tests.busy``, created once per session for each kind of database and copied for each test."""

import pickle
from pathlib import Path

from pbxcrm.shared.db import Database
from pbxcrm.shared.settings import Settings
from tests.busy import Busy, fill
from tests.calls import NOON
from tests.databases import Postgres
from tests.office import Office, open_office

FILLED = "pbxcrm_filled"  # the template database on PostgreSQL


class Filled:
    """Copies filled databases: creating the data takes longer than most tests; copying takes a hundredth of that."""

    def __init__(self) -> None:
        self._people: dict[str, bytes] = {}  # by dialect: office and data, pickled so that each test gets its own copy
        self._file = b""

    async def into(self, database: Database, settings: Settings, server: Postgres | None) -> tuple[Office, Busy]:
        """Fill a migrated database that has no connections. ``server``: the PostgreSQL server, None for SQLite."""
        url = database.engine.url
        assert url.database is not None
        kind = "sqlite" if database.is_sqlite else "postgresql"
        if kind in self._people:
            await self._copy_to(url.database, server)
        else:
            own = Database(url.render_as_string(hide_password=False))
            office = await open_office(own)
            busy = await fill(own, settings, office, NOON)
            await own.close()  # a template database must have no connections, and an SQLite file no separate log
            await self._keep(url.database, server)
            self._people[kind] = pickle.dumps((office, busy))
        found: tuple[Office, Busy] = pickle.loads(self._people[kind])
        return found

    async def _keep(self, name: str, server: Postgres | None) -> None:
        if server is None:
            self._file = Path(name).read_bytes()
        else:
            await server.create(FILLED, template=name)

    async def _copy_to(self, name: str, server: Postgres | None) -> None:
        if server is None:
            Path(name).write_bytes(self._file)
        else:
            await server.drop(name)
            await server.create(name, template=FILLED)
