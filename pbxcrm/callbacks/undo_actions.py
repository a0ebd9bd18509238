"""Undoing a result: what is stored beside the attempt before it, and how that is restored."""

from datetime import datetime
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.actions import asked_to_close, relight_callback, say_episode_changed
from pbxcrm.callbacks.claims import access_for_work
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeStatus
from pbxcrm.callbacks.queries import burning_lamps, load_context
from pbxcrm.checkpoints.lighting import undo_state_of_lamp
from pbxcrm.contacts.actions import do_unmark_number
from pbxcrm.contacts.models import SpecialNumber
from pbxcrm.deals.actions import UNDO_WITHIN, do_move_back
from pbxcrm.deals.models import Deal
from pbxcrm.deals.passed_decisions import open_passed
from pbxcrm.deals.queries import latest_move
from pbxcrm.people.directory import Directory
from pbxcrm.screenpop.outcome_actions import do_say_ended
from pbxcrm.shared.errors import Conflict, NotFound
from pbxcrm.shared.locking import lock_row
from pbxcrm.tasks.actions import do_restore_task, do_take_back_task, undo_state_of
from pbxcrm.tasks.models import Task

_EPISODE = ("status", "closed_reason", "closed_by_id", "closed_by_call_id", "attempts", "claimed_by_id")
_EPISODE_TIMES = ("closed_at", "next_attempt_at", "norm_from", "claimed_at")


async def remember(session: AsyncSession, episode: Episode, deal: Deal | None = None) -> dict[str, Any]:
    """The state before a result, for ``Attempt.before``. Locks the deal, because the result may move it."""
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    stored: dict[str, Any] = {"episode": _values(episode, _EPISODE, _EPISODE_TIMES)}
    stored["lamps"] = [await undo_state_of_lamp(session, lamp) for lamp in await burning_lamps(session, [episode.id])]
    if task is not None:
        stored["task"] = undo_state_of(task)
    asked = await open_passed(session, asked_to_close(episode))
    stored["asked"] = [[each.id, undo_state_of(each)] for each in asked]
    if deal is not None:
        await lock_row(session, Deal, deal.id or 0)
        stored["deal"] = {"version": deal.version}
    return stored


async def undo_result(session: AsyncSession, viewer: Viewer, attempt_id: int, *, now: datetime) -> Episode:
    """Undo the viewer's own result, within ``UNDO_WITHIN`` and if the callback has not changed since. Raises NotFound, Conflict."""
    attempt = await session.get(Attempt, attempt_id)
    if attempt is None or attempt.user_id != viewer.user_id or not attempt.by_hand or not attempt.before:
        raise NotFound("callbacks.no_undo", "There is nothing to take back.")
    episode = await access_for_work(session, viewer, attempt.episode_id)
    before = attempt.before
    if episode.version != before["version"] or now - attempt.at > UNDO_WITHIN:
        raise Conflict("callbacks.undo_late", "Something else has happened since; it cannot be taken back any more.")
    people, told = (context := await load_context(session)).people, episode.closed_reason
    _restore(episode, before["episode"], _EPISODE_TIMES)
    episode.version += 1
    try:
        await session.flush()
    except IntegrityError as error:
        raise Conflict(
            "callbacks.undo_late", "Something else has happened since; it cannot be taken back any more."
        ) from error
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is not None and "task" in before:
        await do_restore_task(session, task, before["task"], now, people, actor=viewer)
    for task_id, standing in before.get("asked", []):
        asked = await session.get(Task, task_id)
        if asked is not None and asked.result_code.get("code") == "passed.settled":
            await do_restore_task(session, asked, standing, now, people, actor=viewer)
    if "deal" in before and episode.deal_id is not None:
        await _move_back(session, viewer, episode.deal_id, before["deal"], told, now, people)
    passed = await session.get(Task, before["passed"]) if "passed" in before else None
    if passed is not None:
        await do_take_back_task(session, passed, now, people, actor=viewer)
    if "spam" in before:
        special = await session.get(SpecialNumber, before["spam"])
        if special is not None:
            await do_unmark_number(session, viewer, special, now)
    await _forget(session, attempt, episode, now)
    await session.flush()
    await relight_callback(session, episode, context, before.get("lamps", []), viewer, now)
    record(session, now, "callback.undone", "callback", episode.id, actor=viewer, result=attempt.result)
    await say_episode_changed(session, episode, now, people)
    return episode


async def _move_back(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    before: dict[str, Any],
    told: dict[str, Any],
    now: datetime,
    people: Directory,
) -> None:
    """Undo the deal's move that the result made for the reason ``told``, unless the deal has changed since."""
    deal = await lock_row(session, Deal, deal_id)
    move = await latest_move(session, deal_id)
    if deal.version == before["version"] + 1 and move is not None and move.reason == told:
        await do_move_back(session, deal, move, now, actor=viewer, people=people)


async def _forget(session: AsyncSession, attempt: Attempt, episode: Episode, now: datetime) -> None:
    """Delete the attempt; one with a call stays, without the recorded result."""
    if attempt.call_id is None:
        await session.delete(attempt)
        return
    attempt.by_hand, attempt.before, attempt.note = False, {}, ""
    reached = episode.status == EpisodeStatus.REACHED
    if attempt.user_id is not None:
        await do_say_ended(session, attempt.call_id, attempt.user_id, None, now)
    attempt.result = (AttemptResult.REACHED if reached else AttemptResult.DIDNT_REACH).value


def _values(row: Any, plain: tuple[str, ...], times: tuple[str, ...]) -> dict[str, Any]:  # any of our tables
    found = {name: getattr(row, name) for name in plain}
    for name in times:
        value: datetime | None = getattr(row, name)
        found[name] = value.isoformat() if value is not None else None
    return found


def _restore(row: Any, stored: dict[str, Any], times: tuple[str, ...]) -> None:  # any of our tables
    for name, value in stored.items():
        setattr(row, name, _time(value) if name in times else value)


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
