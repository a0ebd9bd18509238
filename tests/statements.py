"""What a database is asked meanwhile, and whether a session of PostgreSQL waits for another one."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import event

from pbxcrm.shared.db import Database


@contextmanager
def statements(database: Database) -> Iterator[list[str]]:
    """The statements that are sent meanwhile, in their order."""
    sent: list[str] = []
    with _listening(database, lambda statement, _parameters: sent.append(statement)):
        yield sent


@contextmanager
def queries(database: Database) -> Iterator[list[tuple[str, Any]]]:
    """Those that only read, each with its parameters, so that its plan can be asked for."""
    sent: list[tuple[str, Any]] = []
    with _listening(database, lambda *given: sent.append(given) if _reads(given[0]) else None):
        yield sent


def reading(sent: Iterable[str]) -> list[str]:
    """Those that only read."""
    return [statement for statement in sent if _reads(statement)]


def _reads(statement: str) -> bool:
    return statement.lstrip().upper().startswith(("SELECT", "WITH"))


@contextmanager
def _listening(database: Database, heard: Callable[[str, Any], None]) -> Iterator[None]:
    def note(_connection: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        heard(statement, parameters)

    event.listen(database.engine.sync_engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(database.engine.sync_engine, "before_cursor_execute", note)


async def somebody_waits(database: Database) -> bool:
    """Whether a session of this PostgreSQL database waits for a lock."""
    query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with database.read() as session:
        return bool((await (await session.connection()).exec_driver_sql(query)).scalar())
