"""What holds for every merge, of clients, companies and deals: rows that come late, what an undo locks in which order, and what forbids it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.errors import Conflict, NotAllowed
from pbxcrm.shared.relinking import Moved, Relinking


class MergedRow(Protocol):
    """A row that may be merged into another of its kind."""

    merged_into_id: int | None


class StoredMerge(Protocol):
    """A merge of two rows."""

    id: int | None
    from_id: int
    into_id: int
    undone_at: datetime | None
    moved: Moved


Row = TypeVar("Row", bound=MergedRow)
Merge = TypeVar("Merge", bound=StoredMerge)


@dataclass(frozen=True, slots=True)
class Undoing(Generic[Row, Merge]):
    """How merges of one kind are undone. ``lock`` locks the two rows and returns them as they are now, ``lock_merge`` the merge;
    ``name`` is what the row is called. ``codes`` is the prefix of the codes of its errors. ``merged_on`` is the English message for
    a survivor that has itself been merged; it names the two as ``word`` and ``survivor``.
    """

    lock: Callable[[AsyncSession, int, int], Awaitable[Sequence[Row]]]
    lock_merge: Callable[[AsyncSession, int], Awaitable[Merge]]
    load: Callable[[AsyncSession, int], Awaitable[Row]]
    name: Callable[[Row], str]
    codes: str
    word: str
    merged_on: str

    async def begin(self, session: AsyncSession, merge: Merge, *, is_allowed: bool, by: str) -> tuple[Merge, Row, Row]:
        """Lock both rows, then the merge, and check that it can be undone. ``by``: who merged them, for the message.

        Returns the merge, the row that was merged, and the one it was merged into. Raises NotAllowed, Conflict.
        """
        if not is_allowed:
            raise NotAllowed(f"{self.codes}.not_yours", "{who} merged these two: ask them or a manager.", who=by or "—")
        this, into = await self.lock(session, merge.from_id, merge.into_id)
        merge = await self.lock_merge(session, merge.id or 0)
        if merge.undone_at is not None:
            raise Conflict("merges.undone", "This has been undone already.")
        if into.merged_into_id is not None:
            survivor = self.name(await self.load(session, into.merged_into_id))
            raise Conflict(
                f"{self.codes}.merged_on", self.merged_on, **{self.word: self.name(into), "survivor": survivor}
            )
        return merge, this, into


async def move_late_rows(
    session: AsyncSession, merges: type[Merge], rows: type[Row], links: Relinking, merge_id: int
) -> tuple[Moved, Row] | None:
    """Move rows that were written for the merged row during the merge, and add them to the merge. A repetition moves nothing.

    Returns what moved, and the survivor; None if nothing did.
    """
    merge = await session.get(merges, merge_id, with_for_update=True)
    if merge is None or merge.undone_at is not None:
        return None
    into = await session.get_one(rows, merge.into_id)
    if into.merged_into_id is not None:  # the survivor's own merge moves everything
        return None
    late = await links.give_all(session, merge.from_id, merge.into_id)
    if not late:
        return None
    merge.moved = {name: sorted([*merge.moved.get(name, []), *late.get(name, [])]) for name in {*merge.moved, *late}}
    return late, into
