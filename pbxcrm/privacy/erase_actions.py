"""Erases a client on request. What the law lets stay stays without the person: that there was a call, a deal and its amount, a task.

Nothing leads back: rows are overwritten, not hidden; stored merges and bulk changes, from which an undo would bring values back, are
deleted. Each context does this to its own rows (``erase_actions``, handlers of ``contact_erasing``); here is who may, when, and what
is found. The audit log says who erased whom by the number of the row, without a name.
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.erase_actions import FolderOf, erase_recordings
from pbxcrm.contacts.hooks import Erasing, Held, contact_erasing
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.privacy.access import access_to_erase
from pbxcrm.privacy.queries import held_of
from pbxcrm.privacy.reasons import ERASED
from pbxcrm.privacy.rules import check_confirmed, word_of_confirmation
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.models import Task, TaskStatus


@dataclass(frozen=True, slots=True)
class Erased:
    """What was erased. ``kept_recordings``: names of files that the disk refused to delete."""

    calls: int
    recordings: int
    notes: int
    kept_recordings: list[str]


async def erase_client(
    session: AsyncSession, viewer: Viewer, contact_id: int, confirm: str, folder_of: FolderOf, *, now: datetime
) -> Erased:
    """Erase the client and everybody merged into them; ``confirm`` is what the viewer typed, ``folder_of`` the recordings of a PBX by its name.

    Raises Conflict while a deal, a task or a callback of the client is open, Invalid at ``confirm``, NotAllowed, NotFound.
    """
    contact = await access_to_erase(session, viewer, contact_id)
    held = await held_of(session, contact)
    check_confirmed(confirm, word_of_confirmation(contact.name, held.numbers))
    await lock_all(session, [f"client:{number}" for number in held.numbers])
    locked = select(Contact.id).where(one_of(session, col(Contact.id), held.contacts)).order_by(col(Contact.id))
    await session.exec(locked.with_for_update())  # the stronger lock, for which rows that refer to the client wait
    held = await held_of(session, contact)
    await _check_closed(session, held)
    # The files go before the rows forget their names: after a fault in between the erasure is simply asked for again.
    deleted, kept = await erase_recordings(session, held.calls, folder_of)
    await contact_erasing(session, Erasing(held, reason(ERASED).stored(), now))
    record(
        session,
        now,
        "contact.erased",
        "contact",
        contact_id,
        actor=viewer,
        calls=len(held.calls),
        deals=len(held.deals),
        recordings=deleted,
        kept=len(kept),
    )
    return Erased(len(held.calls), deleted, len(held.notes), kept)


async def _check_closed(session: AsyncSession, held: Held) -> None:
    """Work that goes on needs its client: it is ended first, by a person who says how."""
    open_ones: tuple[tuple[type[SQLModel], list[int], tuple[object, ...]], ...] = (
        (Deal, held.deals, (col(Deal.closed_at).is_(None), col(Deal.merged_into_id).is_(None))),
        (Task, held.tasks, (col(Task.status) == TaskStatus.OPEN.value,)),
        (Episode, held.callbacks, (col(Episode.status) == EpisodeStatus.OPEN.value,)),
    )
    for table, ids, is_open in open_ones:
        asked = select(table.id).where(one_of(session, table.id, ids), *is_open).limit(1)  # type: ignore[attr-defined, arg-type]
        if (await session.exec(asked)).first() is not None:
            raise Conflict(
                "privacy.open_work",
                "Something of this client is still open. Close the open deals, tasks and callbacks first.",
            )
