"""What a database is asked meanwhile, and whether a session of PostgreSQL waits for another one."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from sqlalchemy import event

from pbxcrm.shared.db import Database


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are sent meanwhile, in their order."""
    sent: list[str] = []

    def note(*given: object) -> None:
        sent.append(str(given[2]))

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


def reading(sent: Iterable[str]) -> list[str]:
    """Those that only read."""
    return [statement for statement in sent if statement.lstrip().upper().startswith(("SELECT", "WITH"))]


async def somebody_waits(database: Database) -> bool:
    """Whether a session of this PostgreSQL database waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with database.read() as session:
        return bool((await (await session.connection()).exec_driver_sql(query)).scalar())
