"""SQL is compiled once per process, not once per test.

Each test has a database and thus an engine of its own, while a server keeps one engine for its whole life. Compiling the statements
of a page takes longer than running them, so the engines of tests share what a server's engine would keep.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from pbxcrm.shared import db

STATEMENTS = 2000  # compiled statements to keep per kind of database; all tests together have about as many


@contextmanager
def compiled_once() -> Iterator[None]:
    """Meanwhile all engines of one kind of database share their compiled statements, which SQLAlchemy keys by dialect."""
    kept: dict[type[Any], LRUCache[Any, Any]] = {}
    build = db._engine

    def engine(url: str, pool_size: int, idle_seconds: float | None, keeps_plans: bool) -> AsyncEngine:
        made = build(url, pool_size, idle_seconds, keeps_plans)
        kind = type(made.sync_engine.dialect)
        made.sync_engine._compiled_cache = kept.setdefault(kind, LRUCache(STATEMENTS))
        return made

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(db, "_engine", engine)
        patch.setattr(DefaultDialect, "__eq__", _is_same_kind)
        patch.setattr(DefaultDialect, "__hash__", _hash_of_kind)
        yield


def _is_same_kind(one: DefaultDialect, other: object) -> bool:
    return type(one) is type(other)


def _hash_of_kind(one: DefaultDialect) -> int:
    return hash(type(one))
