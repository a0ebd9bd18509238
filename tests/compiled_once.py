"""SQL and templates are compiled once per process, not once per test.

Each test has a database and thus an engine of its own, and an application of its own, while a server keeps one of each for its whole life.
Compiling the statements and templates of a page takes longer than running them, so tests share what a server would keep.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import pytest
from sqlalchemy.engine.default import DefaultDialect
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.util import LRUCache

from pbxcrm.shared import db
from web import app
from web.routes import all_routes
from web.static_files import StaticTree
from web.templating import Templates

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


@contextmanager
def made_once() -> Iterator[None]:
    """Meanwhile all applications share their routes, their static files and their templates, none of which a request changes."""
    static, templates, routes = cache(StaticTree), cache(Templates), cache(all_routes)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(app, "StaticTree", static)
        patch.setattr(app, "Templates", templates)
        patch.setattr(app, "all_routes", routes)
        yield


def _is_same_kind(one: DefaultDialect, other: object) -> bool:
    return type(one) is type(other)


def _hash_of_kind(one: DefaultDialect) -> int:
    return hash(type(one))
