"""What upper contexts tell of the rows that fields point to, and of their own fields. ``pbxcrm.composition`` registers them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Table
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.formulas.functions import Value

#: The names of those rows among the ids that the viewer may see, by id, in one query.
NamesOf = Callable[[AsyncSession, Viewer, Collection[int]], Awaitable[Mapping[int, str]]]
_names: dict[str, NamesOf] = {}
_merges: dict[str, type[Any]] = {}
_reserved: set[str] = set()


@dataclass(frozen=True, slots=True)
class OwnValues:
    """What formulas may read of a row besides its custom fields. ``names``: English names by key; ``read``: the values by key.

    ``owner``: the id of the person by whose working hours dates are counted, or None. ``changed``: to be told of a row of ``model`` whose
    values were computed again by the worker.
    """

    model: type[Any]
    names: Mapping[str, str]
    read: Callable[[Any], Mapping[str, Value]]
    owner: Callable[[Any], int | None]
    changed: Callable[[AsyncSession, Any, datetime], Awaitable[object]]


_own: dict[str, OwnValues] = {}


def register_targets(names: Mapping[str, NamesOf]) -> None:
    """Register, for each ``LinkTarget`` and ``file``, the function that names its rows; replaces earlier ones."""
    _names.clear()
    _names.update(names)


def names_of(target: str) -> NamesOf:
    """The function for this target. Raises RuntimeError when nobody has registered it."""
    if target not in _names:
        raise RuntimeError(f"nobody has composed the parts: nobody names {target} (pbxcrm.composition)")
    return _names[target]


def register_merges(tables: Mapping[str, type[Any]]) -> None:
    """Register the table of merges of each ``LinkTarget``, with ``from_id``, ``into_id`` and ``undone_at``; replaces earlier ones."""
    _merges.clear()
    _merges.update(tables)


def merges_of(target: str) -> Table:
    """The table of merges of a target. Raises RuntimeError when nobody has registered it."""
    if target not in _merges:
        raise RuntimeError(f"nobody has composed the parts: nobody merges {target} (pbxcrm.composition)")
    found: Table = _merges[target].__table__
    return found


def register_own_values(known: Mapping[str, OwnValues]) -> None:
    """Register what formulas may read, by ``FieldEntity``; replaces earlier ones."""
    _own.clear()
    _own.update(known)


def own_values(entity: str) -> OwnValues:
    """What ``register_own_values`` was given for the entity. Raises RuntimeError without it."""
    if entity not in _own:
        raise RuntimeError(f"nobody has composed the parts: nobody tells the values of a {entity} (pbxcrm.composition)")
    return _own[entity]


def register_reserved(keys: Iterable[str]) -> None:
    """Register the keys of the own fields of deals, which no custom field may have; replaces earlier ones."""
    _reserved.clear()
    _reserved.update(keys)


def reserved_keys() -> frozenset[str]:
    """The keys that ``register_reserved`` was given."""
    return frozenset(_reserved)
