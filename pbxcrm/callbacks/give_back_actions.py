"""Undoing that a manager gave a callback to somebody else: its owner, clock, claim, task and deal are as they were."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.actions import CLAIM, say_episode_changed, settle_callback
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import load_context
from pbxcrm.callbacks.rules import is_claimed
from pbxcrm.checkpoints.context import EngineContext
from pbxcrm.checkpoints.lighting import LampEnding
from pbxcrm.checkpoints.models import Lamp, Subject
from pbxcrm.checkpoints.undo_actions import Given, give_back_deal, kept_of_deal, remember_lamps, too_late
from pbxcrm.deals.models import Deal
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.timers import set_timer
from pbxcrm.tasks.actions import do_set_task
from pbxcrm.tasks.models import Task

_EPISODE = ("owner_id", "claimed_by_id", "reason")
_EPISODE_TIMES = ("claimed_at", "next_attempt_at", "norm_from")
_TASK_TIMES = ("due_at", "first_due_at")


async def remember_callback(session: AsyncSession, lamp: Lamp) -> dict[str, Any]:
    """What giving the callback of this lamp to somebody else may change. Locks the callback, its deal, then their lamps."""
    episode = await lock_row(session, Episode, lamp.callback_id or 0)
    kept: dict[str, Any] = {"callback": {"id": episode.id, **_values(episode, _EPISODE, _EPISODE_TIMES)}, "lamps": []}
    deal = await lock_row(session, Deal, episode.deal_id) if episode.deal_id is not None else None
    if deal is not None and deal.closed_at is None and deal.responsible_id in {episode.owner_id, None}:
        kept |= await kept_of_deal(session, deal)
    mine = Lamp.subject == Subject.CALLBACK.value
    kept["lamps"] += await remember_lamps(session, mine, Lamp.callback_id == episode.id)
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is not None:
        kept["tasks"] = [{"id": task.id, **_values(task, ("assignee_id",), _TASK_TIMES)}]
    return kept


async def give_back_callback(
    session: AsyncSession, viewer: Viewer, given: Given, context: EngineContext, now: datetime
) -> None:
    """Restore what ``remember_callback`` returned. A claim that has ended meanwhile is not renewed."""
    before = given.kept["callback"]
    episode = await session.get_one(Episode, before["id"])
    if episode.status != EpisodeStatus.OPEN:
        raise too_late()
    owner_before = episode.owner_id
    _restore(episode, before, _EPISODE, _EPISODE_TIMES)
    minutes = (await load_context(session)).options.claim_minutes
    if is_claimed(episode.claimed_by_id, episode.claimed_at, now, minutes) and episode.claimed_at is not None:
        ends = episode.claimed_at + timedelta(minutes=minutes)
        await set_timer(session, CLAIM, f"{CLAIM}:{episode.id}", ends, {"episode": episode.id})
    else:
        episode.claimed_by_id = episode.claimed_at = None
    episode.version += 1
    await session.flush()
    await give_back_deal(session, viewer, given, context, now)
    for kept in given.kept.get("tasks", ()):
        task = await session.get_one(Task, kept["id"])
        new = {"assignee_id": kept["assignee_id"], **{name: _time(kept[name]) for name in _TASK_TIMES}}
        await do_set_task(session, task, now, context.people, new, actor=viewer)
    await settle_callback(session, episode, context, now, LampEnding(reason("lamp.out_undone")))
    await say_episode_changed(session, episode, now, context.people, owner_before=owner_before)


def _values(row: Any, plain: tuple[str, ...], times: tuple[str, ...]) -> dict[str, Any]:  # any of our tables
    found = {name: getattr(row, name) for name in plain}
    for name in times:
        moment: datetime | None = getattr(row, name)
        found[name] = moment.isoformat() if moment is not None else None
    return found


def _restore(row: Any, kept: Mapping[str, Any], plain: tuple[str, ...], times: tuple[str, ...]) -> None:
    for name in plain:
        setattr(row, name, kept[name])
    for name in times:
        setattr(row, name, _time(kept[name]))


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
