"""What holds for the undo of every merge, of clients and of deals: what is locked in which order, and what forbids it."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.shared.errors import Conflict, NotAllowed


class MergedRow(Protocol):
    """A row that may be merged into another of its kind."""

    merged_into_id: int | None


class StoredMerge(Protocol):
    """A merge of two rows."""

    id: int | None
    from_id: int
    into_id: int
    undone_at: datetime | None


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
