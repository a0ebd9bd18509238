"""Reopening callbacks when a number is removed from the list of special numbers."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import relight_callback, say_episode_changed
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import load_context, open_episodes, open_episodes_of_number
from pbxcrm.checkpoints.lighting import standing_before
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.actions import unmark_number
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.shared.locking import lock_row
from pbxcrm.tasks.actions import say_task_changed
from pbxcrm.tasks.finishing import do_open_task
from pbxcrm.tasks.models import Task, TaskStatus


async def take_off_list(session: AsyncSession, viewer: Viewer, number: str, *, now: datetime) -> int:
    """Remove the mark of a number (``unmark_number``). Returns how many callbacks were reopened."""
    await unmark_number(session, viewer, number, now=now)
    return len(await open_episodes_of_number(session, number))  # while it was on the list there were none


async def reopen_callbacks(session: AsyncSession, viewer: Viewer, special: SpecialNumber, now: datetime) -> None:
    """Reopen the callbacks that were closed when and because ``special`` was put on its list.

    The norm continues from its previous start, so a lamp may light at once. A callback whose client has another open one stays closed.
    """
    closed = await session.exec(
        select(Episode.id)
        .where(
            Episode.client_number == special.number,
            Episode.status == EpisodeStatus.DISMISSED.value,
            Episode.closed_at == special.added_at,
        )
        .order_by(col(Episode.id))
    )
    context = await load_context(session)
    for episode_id in closed.all():
        episode = await lock_row(session, Episode, episode_id or 0)
        if episode.closed_reason.get("code") != f"episode.{special.kind}":
            continue
        if await open_episodes(session, [episode.client_key]):
            continue
        episode.status, episode.closed_at, episode.closed_reason = EpisodeStatus.OPEN.value, None, {}
        episode.closed_by_id = episode.closed_by_call_id = None
        episode.version += 1
        task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
        if task is not None and task.status != TaskStatus.OPEN:
            do_open_task(task)
            record(session, now, "task.reopened", "task", task.id, actor=viewer)
            await say_task_changed(session, task, now, context.people)
        episode.norm_from = episode.norm_from or episode.first_missed_at
        went_out = await session.exec(
            select(Lamp).where(
                Lamp.callback_id == episode.id, Lamp.state == LampState.OUT.value, Lamp.out_at == special.added_at
            )
        )
        burned = [await standing_before(session, lamp) for lamp in went_out.all()]
        await relight_callback(session, episode, context, burned, viewer, now)
        record(session, now, "callback.reopened", "callback", episode.id, actor=viewer, number=special.number)
        await say_episode_changed(session, episode, now, context.people)
