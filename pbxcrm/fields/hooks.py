"""What upper contexts tell of the rows that fields point to, and of their own fields. ``pbxcrm.composition`` registers them."""

from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer

#: The names of those rows among the ids that the viewer may see, by id, in one query.
NamesOf = Callable[[AsyncSession, Viewer, Collection[int]], Awaitable[Mapping[int, str]]]
_names: dict[str, NamesOf] = {}
_reserved: set[str] = set()


def register_targets(names: Mapping[str, NamesOf]) -> None:
    """Register, for each ``LinkTarget`` and ``file``, the function that names its rows; replaces earlier ones."""
    _names.clear()
    _names.update(names)


def names_of(target: str) -> NamesOf:
    """The function for this target. Raises RuntimeError when nobody has registered it."""
    if target not in _names:
        raise RuntimeError(f"nobody has composed the parts: nobody names {target} (pbxcrm.composition)")
    return _names[target]


def register_reserved(keys: Iterable[str]) -> None:
    """Register the keys of the own fields of deals, which no custom field may have; replaces earlier ones."""
    _reserved.clear()
    _reserved.update(keys)


def reserved_keys() -> frozenset[str]:
    """The keys that ``register_reserved`` was given."""
    return frozenset(_reserved)
