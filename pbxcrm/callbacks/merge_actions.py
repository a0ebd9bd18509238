"""Merging the open callbacks of two clients that are merged, and separating them again when the merge is undone."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import and_, or_, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.callbacks.access import editable_episodes
from pbxcrm.callbacks.actions import do_close, do_start_norm, relight_callback, say_episode_changed
from pbxcrm.callbacks.models import Attempt, Episode, EpisodeCall, EpisodeStatus
from pbxcrm.callbacks.queries import DecisionContext, burning_lamps, load_context
from pbxcrm.checkpoints.lighting import LampEnding, undo_state_of_lamp
from pbxcrm.contacts.hooks import Left, Merging, Unmerging, Why
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.actions import do_restore_task, undo_state_of
from pbxcrm.tasks.models import Task

KEPT = "callbacks"  # our key in ``Merging.kept``
_CLOSING = ("status", "closed_at", "closed_by_call_id", "closed_by_id", "closed_reason")
_MISSES = ("first_missed_at", "last_missed_at")
_TIMES = ("closed_at", "next_attempt_at", "norm_from", "claimed_at")
_STANDING = (*_CLOSING, "next_attempt_at", "norm_from", "claimed_at", "claimed_by_id")


async def merge_callbacks(session: AsyncSession, merging: Merging) -> None:
    """Merge the open callbacks of both clients and of their numbers into the oldest one."""
    key = f"contact:{merging.into_id}"
    keys = [f"contact:{merging.from_id}", key]
    unlinked = [f"number:{number}" for number in merging.numbers]
    theirs = or_(
        col(Episode.owner_id).is_(None), editable_episodes(merging.viewer)
    )  # colleagues' callbacks stay theirs
    found = await session.exec(
        select(Episode)
        .where(
            or_(
                col(Episode.client_key).in_(keys),
                and_(col(Episode.client_key).in_(unlinked), theirs),
                col(Episode.contact_id).in_([merging.from_id, merging.into_id]),
            ),
            Episode.status == EpisodeStatus.OPEN.value,
        )
        .order_by(col(Episode.id))
        .with_for_update(key_share=True)
        .execution_options(populate_existing=True)
    )
    episodes = list(found.all())
    if not episodes:
        return
    context = await load_context(session)
    stays, others = episodes[0], episodes[1:]
    merging.kept[KEPT] = {
        "stays": stays.id,
        "key": stays.client_key,
        "contact": stays.contact_id,
        "others": [await _absorb(session, stays, other, merging, context) for other in others],
    }
    await session.flush()  # the others must be closed before their unique key is reused
    stays.client_key, stays.contact_id = key, merging.into_id
    stays.version += 1
    await say_episode_changed(session, stays, merging.at, context.people)


async def unmerge_callbacks(session: AsyncSession, unmerging: Unmerging) -> None:
    """Give each client its callback back. If the merged one was closed meanwhile, the others are closed, too."""
    kept: Mapping[str, Any] | None = unmerging.kept.get(KEPT)
    if kept is None:
        return
    context = await load_context(session)
    stays = await lock_row(session, Episode, kept["stays"])
    if stays.client_key == f"contact:{unmerging.into_id}":
        stays.client_key = kept["key"]
    if stays.contact_id == unmerging.into_id:
        stays.contact_id = kept["contact"]
    await session.flush()
    for stored in kept["others"]:
        await _part(session, stays, stored, unmerging, context)
    stays.version += 1
    await say_episode_changed(session, stays, unmerging.at, context.people)


async def open_callbacks(session: AsyncSession, contact_ids: Collection[int]) -> list[Episode]:
    """The open callbacks that would be merged if these clients were merged."""
    found = await session.exec(
        select(Episode).where(col(Episode.contact_id).in_(contact_ids), Episode.status == EpisodeStatus.OPEN.value)
    )
    return list(found.all())


async def _absorb(
    session: AsyncSession, stays: Episode, other: Episode, merging: Merging, context: DecisionContext
) -> dict[str, Any]:
    """Close ``other`` and add its missed calls and attempts to ``stays``. Returns what ``_part`` needs to separate them."""
    task = await session.get(Task, other.task_id) if other.task_id is not None else None
    stored = {
        "id": other.id,
        "episode": _standing_of(other),
        "task": undo_state_of(task) if task is not None else None,
        "lamps": [await undo_state_of_lamp(session, lamp) for lamp in await burning_lamps(session, [other.id])],
        "missed": other.missed_count,
        "tried": other.attempts,
        "calls": await _move_calls(session, other, stays),
        "attempts": await _move_attempts(session, other, stays),
        # first and last miss, last call, deal: before and after
        "before": _facts_of(stays),
    }
    since, planned = other.norm_from, other.next_attempt_at is not None
    stays.missed_count += other.missed_count
    stays.attempts += other.attempts
    stays.first_missed_at = min(stays.first_missed_at, other.first_missed_at)
    if other.last_missed_at > stays.last_missed_at:
        stays.last_missed_at, stays.last_call_id = other.last_missed_at, other.last_call_id
    stays.deal_id = stays.deal_id or other.deal_id
    stored["after"] = _facts_of(stays)
    if since is not None and not planned and (stays.norm_from is None or stays.next_attempt_at is not None):
        stays.next_attempt_at = None  # the other callback has no planned attempt, so the client waits now
        again = LampEnding(reason("lamp.out_called_again"))
        await do_start_norm(session, stays, since, context, merging.at, again)
    why = reason("episode.merged", client=merging.name, who=merging.viewer.name)
    await do_close(session, other, EpisodeStatus.DISMISSED, why, merging.at, context, by_id=merging.viewer.user_id)
    return stored


async def _part(
    session: AsyncSession, stays: Episode, stored: Mapping[str, Any], unmerging: Unmerging, context: DecisionContext
) -> None:
    other = await lock_row(session, Episode, stored["id"])
    closed: dict[str, Any] = other.closed_reason
    if other.status == EpisodeStatus.OPEN or closed.get("code") != "episode.merged":
        return
    await _move_calls(session, stays, other, only=stored["calls"])
    await _move_attempts(session, stays, other, only=stored["attempts"])
    stays.missed_count = max(1, stays.missed_count - stored["missed"])
    stays.attempts = max(0, stays.attempts - stored["tried"])
    for name, value in _facts_of(stays).items():  # values that have changed since are kept
        if value == stored["after"][name] and value != stored["before"][name]:
            before = stored["before"][name]
            setattr(stays, name, datetime.fromisoformat(before) if name in _MISSES else before)
    if stays.status != EpisodeStatus.OPEN:  # it was closed meanwhile
        for name in _CLOSING:
            setattr(other, name, getattr(stays, name))
        other.version += 1
        unmerging.left.append(Left(Why.CALLBACK_CLOSED, "episodes", (other.id or 0,)))
        return
    for name, value in stored["episode"].items():
        setattr(other, name, datetime.fromisoformat(value) if value and name in _TIMES else value)
    other.version += 1
    await session.flush()
    task = await session.get(Task, other.task_id) if other.task_id is not None else None
    if task is not None and stored["task"] is not None:
        await do_restore_task(session, task, stored["task"], unmerging.at, context.people, actor=unmerging.viewer)
    await relight_callback(session, other, context, stored.get("lamps", []), unmerging.viewer, unmerging.at)
    await say_episode_changed(session, other, unmerging.at, context.people)


async def _move_calls(
    session: AsyncSession, from_: Episode, to: Episode, only: Sequence[int] | None = None
) -> list[int]:
    """Move missed calls that ``to`` does not have yet, or ``only`` these of them. Returns the ids of the calls."""
    known = select(EpisodeCall.call_id).where(EpisodeCall.episode_id == to.id)
    rows = select(EpisodeCall.call_id).where(EpisodeCall.episode_id == from_.id, col(EpisodeCall.call_id).not_in(known))
    if only is not None:
        rows = rows.where(col(EpisodeCall.call_id).in_(only))
    ids = sorted((await session.exec(rows)).all())
    await session.exec(
        update(EpisodeCall)
        .where(col(EpisodeCall.episode_id) == from_.id, col(EpisodeCall.call_id).in_(ids))
        .values(episode_id=to.id)
        .execution_options(synchronize_session=False)
    )
    return ids


async def _move_attempts(
    session: AsyncSession, from_: Episode, to: Episode, only: Sequence[int] | None = None
) -> list[int]:
    rows = select(Attempt.id).where(Attempt.episode_id == from_.id)
    if only is not None:
        rows = rows.where(col(Attempt.id).in_(only))
    ids = sorted(one for one in (await session.exec(rows)).all() if one is not None)
    await session.exec(
        update(Attempt)
        .where(col(Attempt.id).in_(ids))
        .values(episode_id=to.id)
        .execution_options(synchronize_session=False)
    )
    return ids


def _standing_of(episode: Episode) -> dict[str, Any]:
    return {name: _plain(getattr(episode, name)) for name in _STANDING}


def _facts_of(episode: Episode) -> dict[str, Any]:
    return {name: _plain(getattr(episode, name)) for name in (*_MISSES, "last_call_id", "deal_id")}


def _plain(value: Any) -> Any:  # as JSON
    return value.isoformat() if isinstance(value, datetime) else value
