"""Takes a client who is erased out of calls: that there was a call, when, with whom of us and for how long stays."""

import asyncio
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from sqlalchemy import and_, delete, exists, func, not_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import do_forget_details
from pbxcrm.calls.actions import do_set_client_of_call, say_calls_changed
from pbxcrm.calls.models import Call, HeardCaller
from pbxcrm.calls.recordings import delete_recording
from pbxcrm.contacts.hooks import Erasing
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows

FolderOf = Callable[[str], Path | None]  # the recordings of a PBX by its name


async def erase_from_calls(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``."""
    held, people = erasing.held, await load_directory(session)
    heard = set[tuple[str, str]]()
    calls = await lock_rows(session, Call, one_of(session, col(Call.id), held.calls))
    await say_calls_changed(session, calls, erasing.at, people)
    for call in calls:
        heard.add((call.client_number or "", call.client_name_folded))
        await do_set_client_of_call(session, call, None, erasing.at, None)
        call.client_number = call.client_heard = call.client_name = None
        call.dialled = call.recording = call.outside = None
        call.channel_ids, call.reason = [], dict(erasing.why)
    await session.flush()
    await _forget_heard(session, held.numbers, heard)
    await do_forget_details(session, "call", held.calls)


async def _forget_heard(session: AsyncSession, numbers: Sequence[str], pairs: Collection[tuple[str, str]]) -> None:
    """The numbers and the names that the calls came with, but no pair with which a call of somebody else came, too."""
    callers = [one_of(session, col(HeardCaller.number), numbers)]
    for number, name in pairs:
        others = exists().where(
            func.coalesce(col(Call.client_number), "") == number, col(Call.client_name_folded) == name
        )
        callers.append(and_(col(HeardCaller.number) == number, col(HeardCaller.name_folded) == name, not_(others)))
    for these in callers:
        await session.exec(delete(HeardCaller).where(these).execution_options(synchronize_session=False))


async def erase_recordings(session: AsyncSession, ids: Sequence[int], folder_of: FolderOf) -> tuple[int, list[str]]:
    """Delete the recordings of the calls ``ids``, before their rows forget the names. Returns how many, and the names of those that the
    disk refused to delete.
    """
    deleted, kept = 0, list[str]()
    for call in (await session.exec(select(Call).where(one_of(session, col(Call.id), ids)))).all():
        outcome = await asyncio.to_thread(delete_recording, call, folder_of(call.pbx))
        deleted += outcome is True
        if isinstance(outcome, str):
            kept.append(outcome)
    return deleted, kept
