"""Walks through the pairs of rows that have a key in common: clients or companies who may be one.

Rows are not compared pairwise: alike values have the same key, and each key has an index. The list follows the kinds of keys in their
order and, in each, the keys. Its cursor is a key, so every page costs the same.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations, pairwise
from typing import Generic, TypeVar

from pbxcrm.shared.columns import LARGEST_ID

GROUPS_AT_ONCE = 60
#: In groups up to this size every row is paired with every other; in larger ones only with the next.
SMALL_GROUP = 12


class Alike(StrEnum):
    """What two clients or companies have in common."""

    NUMBER = "number"
    EMAIL = "email"  # of companies: the domain of addresses
    NAME = "name"


@dataclass(frozen=True, slots=True)
class PairCursor:
    """The cursor of the list: it continues after this pair of this key."""

    alike: Alike
    key: str
    low_id: int
    high_id: int


@dataclass(frozen=True, slots=True)
class Groups:
    """The next keys that several rows share, with the ids of these rows. ``resume``: behind which key more may follow; None: no more."""

    rows: Mapping[str, Sequence[int]]
    resume: str | None


Found = TypeVar("Found")
#: The groups of a kind behind a key, or with it.
GroupsOf = Callable[[Alike, str, bool], Awaitable[Groups]]


@dataclass(frozen=True, slots=True)
class PairWalk(Generic[Found]):
    """A list of pairs. ``pairs_of``: each pair of some groups once. ``most_steps``: how often one request asks for groups."""

    kinds: Sequence[Alike]
    groups_of: GroupsOf
    pairs_of: Callable[[Alike, Mapping[str, Sequence[int]]], Awaitable[list[tuple[Found, PairCursor]]]]
    most_steps: int | None = None

    async def page(self, after: PairCursor | None, limit: int) -> tuple[list[Found], PairCursor | None]:
        """The pairs behind a place, and the next cursor (None: the end). Fewer than ``limit`` with a cursor: more may follow."""
        found: list[tuple[Found, PairCursor]] = []
        steps = 0
        for alike in self.kinds[self.kinds.index(after.alike) if after is not None else 0 :]:
            place = after if after is not None and after.alike is alike else None
            include, key = place is not None, place.key if place is not None else ""
            while True:
                groups = await self.groups_of(alike, key, include)
                for pair, at in await self.pairs_of(alike, groups.rows):
                    shown = place is not None and at.key == place.key
                    if place is None or not shown or (at.low_id, at.high_id) > (place.low_id, place.high_id):
                        found.append((pair, at))
                if len(found) > limit:
                    return [pair for pair, _ in found[:limit]], found[limit - 1][1]
                if groups.resume is None:
                    break
                include, key, steps = False, groups.resume, steps + 1
                if steps == self.most_steps:
                    return [pair for pair, _ in found], PairCursor(alike, key, LARGEST_ID, LARGEST_ID)
        return [pair for pair, _ in found], None


def pairs_in(alike: Alike, groups: Mapping[str, Sequence[int]]) -> list[PairCursor]:
    """Which rows of the groups are compared."""
    return [
        PairCursor(alike, key, low, high)
        for key, members in groups.items()
        for low, high in (combinations(members, 2) if len(members) <= SMALL_GROUP else pairwise(members))
    ]
