"""The office in the middle of its day, made once per session for each kind of database and copied for each test."""

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
    """Filling takes longer than most tests that need it; copying takes a hundredth of that."""

    def __init__(self) -> None:
        self._people: dict[
            str, bytes
        ] = {}  # by dialect: the office and what is in it, as each test gets its own of them
        self._file = b""

    async def into(self, database: Database, settings: Settings, server: Postgres | None) -> tuple[Office, Busy]:
        """Fill a database that is migrated and that nobody has connected to; ``server`` is where it is on PostgreSQL."""
        url = database.engine.url
        assert url.database is not None
        kind = "sqlite" if database.is_sqlite else "postgresql"
        if kind in self._people:
            await self._copy_to(url.database, server)
        else:
            own = Database(url.render_as_string(hide_password=False))
            office = await open_office(own)
            busy = await fill(own, settings, office, NOON)
            await own.close()  # a template must have no connection, and a file no log beside it
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
