"""SQL and templates are compiled once per process, not once per test.

Each test has a database and thus an engine of its own, and an application with templates of its own, while a server keeps one of each
for its whole life. Compiling the statements and templates of a page takes longer than running them, so tests share what a server would keep.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jinja2 import BytecodeCache
from jinja2.bccache import Bucket
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from pbxcrm.shared import db
from web import templating

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


class CodeOfTemplates(BytecodeCache):
    """Keeps the code of templates in memory."""

    def __init__(self) -> None:
        self._code: dict[tuple[str, str], Any] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        bucket.code = self._code.get((bucket.key, bucket.checksum))

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key, bucket.checksum] = bucket.code


@contextmanager
def templates_compiled_once() -> Iterator[None]:
    """Meanwhile all environments of templates share the code of what they have compiled."""
    cache = CodeOfTemplates()

    class CachingEnvironment(templating.PlainGlobals):
        def __init__(self, **options: Any) -> None:
            super().__init__(bytecode_cache=cache, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(templating, "PlainGlobals", CachingEnvironment)
        yield


def _is_same_kind(one: DefaultDialect, other: object) -> bool:
    return type(one) is type(other)


def _hash_of_kind(one: DefaultDialect) -> int:
    return hash(type(one))
