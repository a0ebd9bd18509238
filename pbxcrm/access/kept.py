"""Conditions that are made once for a person and used again: making one takes as long as asking the database a small question."""

from collections.abc import Callable
from functools import lru_cache
from typing import ParamSpec, TypeVar

Asked = ParamSpec("Asked")
Condition = TypeVar("Condition")
VIEWERS = 64  # whose conditions are kept; each takes some kilobytes


def kept(rule: Callable[Asked, Condition]) -> Callable[Asked, Condition]:
    """Decorator for a pure function of a ``Viewer`` (and of models and flags) that returns a condition or query of SQLAlchemy."""
    return lru_cache(maxsize=VIEWERS)(rule)  # type: ignore[return-value]  # the arguments are hashable
