"""Attaching a file, removing one and putting it back. They check access first.

Attaching has two steps, so that no transaction is open while bytes flow: ``check_may_attach`` before anything is taken in,
then the bytes go into the store, then ``attach`` writes the row (and checks again).
"""

from dataclasses import dataclass
from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.files.access import access_file
from pbxcrm.files.models import AttachedFile
from pbxcrm.files.queries import stored_bytes
from pbxcrm.files.rules import GB, clean_file_name
from pbxcrm.files.store import Kept
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import NotFound, Unavailable
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import Reason
from pbxcrm.tasks.actions import access_task_for_change, say_task_changed
from pbxcrm.tasks.models import Task
from pbxcrm.tasks.queries import access_task


@dataclass(frozen=True, slots=True)
class On:
    """What a file is attached to: a deal or a task, exactly one of them."""

    deal_id: int | None = None
    task_id: int | None = None


async def check_may_attach(session: AsyncSession, viewer: Viewer, on: On) -> None:
    """Raises NotAllowed, NotFound."""
    if on.deal_id is not None:
        check(viewer, Permission.DEALS_EDIT)
        await access_deal(session, viewer, on.deal_id)
    else:
        check(viewer, Permission.TASKS_EDIT)
        await access_task(session, viewer, on.task_id or 0)


async def attach(
    session: AsyncSession, viewer: Viewer, on: On, name: str, kept: Kept, now: datetime, *, total_gb: int
) -> AttachedFile:
    """Add the row of a file that is in the store. Raises Unavailable if all files together would take more than ``total_gb``."""
    subject = await _access_for_change(session, viewer, on)
    file = await _store(session, on, name, kept, now, by_id=viewer.user_id, total_gb=total_gb)
    await _said(session, viewer, "file.added", file, subject, now)
    return file


async def do_attach(
    session: AsyncSession, deal: Deal, name: str, kept: Kept, now: datetime, *, total_gb: int, why: Reason
) -> AttachedFile:
    """Attach a file that came to the deal from outside (a web form, an e-mail). Raises Unavailable as ``attach`` does."""
    file = await _store(session, On(deal_id=deal.id), name, kept, now, by_id=None, total_gb=total_gb)
    await _said(session, None, "file.added", file, deal, now, why)
    return file


async def _store(
    session: AsyncSession, on: On, name: str, kept: Kept, now: datetime, *, by_id: int | None, total_gb: int
) -> AttachedFile:
    if await stored_bytes(session) + kept.size > total_gb * GB:
        raise Unavailable(
            "files.full",
            "All files together may take {most} GB, and that is full. Tell your administrator.",
            most=total_gb,
        )
    file = AttachedFile(
        deal_id=on.deal_id,
        task_id=on.task_id,
        name=clean_file_name(name),
        size=kept.size,
        content_type=kept.content_type,
        sha256=kept.sha256,
        by_id=by_id,
        at=now,
    )
    session.add(file)
    await session.flush()
    return file


async def remove_file(session: AsyncSession, viewer: Viewer, file_id: int, now: datetime) -> AttachedFile:
    """Hide a file. Its bytes stay, so that it can be put back. Raises NotAllowed, NotFound for one that is removed already."""
    file = await access_file(session, viewer, file_id)
    subject = await _access_for_change(session, viewer, On(file.deal_id, file.task_id))
    file = await lock_row(session, AttachedFile, file_id)
    if file.removed_at is not None:
        raise NotFound("files.not_found", "There is no such file any more, or it is on a colleague's deal or task.")
    file.removed_at, file.removed_by_id = now, viewer.user_id
    await _said(session, viewer, "file.removed", file, subject, now)
    return file


async def put_back_file(session: AsyncSession, viewer: Viewer, file_id: int, now: datetime) -> AttachedFile:
    """Undo ``remove_file``. Does nothing for a file that was not removed. Raises NotAllowed, NotFound."""
    file = await access_file(session, viewer, file_id, removed=None)
    subject = await _access_for_change(session, viewer, On(file.deal_id, file.task_id))
    file = await lock_row(session, AttachedFile, file_id)
    if file.removed_at is not None:
        file.removed_at = file.removed_by_id = None
        await _said(session, viewer, "file.put_back", file, subject, now)
    return file


async def _access_for_change(session: AsyncSession, viewer: Viewer, on: On) -> Deal | Task:
    if on.deal_id is not None:
        return await access_deal_for_change(session, viewer, on.deal_id, None)
    return await access_task_for_change(session, viewer, on.task_id or 0, None)


async def _said(
    session: AsyncSession,
    viewer: Viewer | None,
    action: str,
    file: AttachedFile,
    subject: Deal | Task,
    now: datetime,
    why: Reason | None = None,
) -> None:
    about = "deal" if isinstance(subject, Deal) else "task"
    told = {"file": file.name, "file_id": file.id, "size": file.size}
    record(session, now, action, about, subject.id, actor=viewer, reason=why, **told)
    people = await load_directory(session)
    if isinstance(subject, Deal):
        say_deal_changed(session, subject, now, people)
    else:
        await say_task_changed(session, subject, now, people)
