"""Missed-call episodes: opened by a miss, counted by repeats, closed by a conversation or by somebody's decision."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import bindparam, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.callbacks.audience import say_episode_changed
from pbxcrm.callbacks.lamps import do_free, do_put_out, do_start_norm, do_stop_clock
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeCall, EpisodeStatus
from pbxcrm.calls.models import Call
from pbxcrm.contacts.models import NumberKind
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.core_sql import add_rows, list_param
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import NewTask, do_change_task, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind


@dataclass(frozen=True, slots=True)
class Miss:
    """A missed call as the episode wants to know it."""

    call: Call
    client_keys: Sequence[str]  # as ``rules.client_keys`` gives them
    client: str  # name or number, for the task's title
    line: str
    line_id: int | None
    contact_id: int | None
    deal_id: int | None
    owner_id: int | None
    why: Reason  # why missed and why this owner
    due_at: datetime
    at: datetime


_OPEN = (
    select(Episode)
    .where(Episode.status == EpisodeStatus.OPEN.value)
    .order_by(col(Episode.id))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
_OPEN_OF_CLIENT = _OPEN.where(col(Episode.client_key).in_(list_param("keys")))
_OPEN_OF_NUMBER = _OPEN.where(col(Episode.client_number) == bindparam("number"))


READ_BEFORE = "open_episodes"  # of a session: what ``read_open_episodes`` read, by client key


async def open_episodes(session: AsyncSession, client_keys: Sequence[str]) -> list[Episode]:
    """Open episodes of a client, oldest first; more than one only until a number has been linked to a contact.

    They are locked for this transaction: what somebody closes meanwhile is waited for, and is not among them. Whoever
    locks the deal of an episode too locks it afterwards.
    """
    read_before: dict[str, list[Episode]] = session.info.get(READ_BEFORE, {})
    if len(client_keys) == 1 and (known := read_before.pop(client_keys[0], None)) is not None:
        return [episode for episode in known if episode.status == EpisodeStatus.OPEN]
    await session.flush()  # or what this transaction has changed itself would be read away
    return list((await session.exec(_OPEN_OF_CLIENT, params={"keys": list(client_keys)})).all())


async def read_open_episodes(session: AsyncSession, client_keys: Sequence[str]) -> None:
    """Read, and lock, the open episodes of many clients at once, for the next ``open_episodes`` of each that has one key only."""
    read: dict[str, list[Episode]] = {key: [] for key in client_keys}
    if read:
        for episode in (await session.exec(_OPEN_OF_CLIENT, params={"keys": list(read)})).all():
            read[episode.client_key].append(episode)
    session.info[READ_BEFORE] = read


async def open_episodes_of_number(session: AsyncSession, number: str) -> list[Episode]:
    """The same, whosever contact the number is."""
    await session.flush()
    return list((await session.exec(_OPEN_OF_NUMBER, params={"number": number})).all())


async def do_miss(session: AsyncSession, miss: Miss, people: Directory) -> Episode:
    """Open an episode with its callback task, or count the miss on the open one."""
    assert miss.call.id is not None
    known = await open_episodes(session, miss.client_keys)
    if not known:
        episode = await _open_episode(session, miss, people)
    else:
        episode = known[0]
        if await session.get(EpisodeCall, (episode.id, miss.call.id)) is not None:
            return episode
        episode.missed_count += 1
        episode.last_missed_at = max(episode.last_missed_at, miss.at)
        episode.last_call_id = miss.call.id
        episode.deal_id = episode.deal_id or miss.deal_id
        episode.version += 1
        await _client_waits_again(session, episode, miss, people)
    assert episode.id is not None
    session.add(EpisodeCall(episode_id=episode.id, call_id=miss.call.id))
    await say_episode_changed(session, episode, miss.at, people)
    return episode


async def do_close(
    session: AsyncSession,
    episode: Episode,
    status: EpisodeStatus,
    why: Reason,
    at: datetime,
    people: Directory,
    *,
    call_id: int | None = None,
    by_id: int | None = None,
) -> None:
    """Close an open episode and its task; the task says who and when."""
    if episode.status != EpisodeStatus.OPEN:
        return
    episode.status, episode.closed_at, episode.closed_reason = status.value, at, why.stored()
    episode.closed_by_call_id, episode.closed_by_id = call_id, by_id
    episode.next_attempt_at = None
    await do_free(session, episode)
    episode.version += 1
    await do_put_out(session, episode, why, at, people, by_id=by_id)
    await do_stop_clock(session, episode)
    record(session, at, f"callback.{status.value}", "callback", episode.id, actor=None, reason=why, call_id=call_id)
    if episode.task_id is not None:
        task = await session.get(Task, episode.task_id)
        if task is not None:
            await do_close_task(
                session,
                task,
                at,
                people,
                result=why,
                actor=None,
                by_id=by_id,
                cancelled=status is EpisodeStatus.DISMISSED,
            )
    await say_episode_changed(session, episode, at, people)


async def do_attempt(
    session: AsyncSession,
    episode: Episode,
    result: AttemptResult,
    at: datetime,
    people: Directory,
    *,
    user_id: int | None,
    call_id: int | None,
    note: str = "",
    by_hand: bool = False,
) -> Attempt:
    """Count one try to call the client back."""
    assert episode.id is not None
    attempt = Attempt(
        episode_id=episode.id,
        call_id=call_id,
        user_id=user_id,
        at=at,
        result=result.value,
        note=note[:1000],
        by_hand=by_hand,
    )
    session.add(attempt)
    episode.attempts += 1
    episode.version += 1
    await say_episode_changed(session, episode, at, people)
    return attempt


async def adopt_callbacks(session: AsyncSession, contact_id: int, number: str) -> None:
    """The number's open callback becomes the contact's; where the contact has one already, both stay until one talk closes them."""
    key = f"contact:{contact_id}"
    for mine in await open_episodes(session, [f"number:{number}"]):
        mine.contact_id = contact_id
        if not await open_episodes(session, [key]):
            mine.client_key = key
        mine.version += 1


async def dismiss_callbacks(
    session: AsyncSession, viewer: Viewer, number: str, kind: NumberKind, now: datetime
) -> None:
    """A number that is nobody's client needs no callback."""
    people = await load_directory(session)
    for episode in await open_episodes_of_number(session, number):
        why = reason(f"episode.{kind.value}", who=viewer.name)
        await do_close(session, episode, EpisodeStatus.DISMISSED, why, now, people, by_id=viewer.user_id)


async def forget_line(session: AsyncSession, line_id: int) -> None:
    """The line is deleted: its callbacks stay and name no line."""
    await session.exec(
        update(Episode)
        .where(col(Episode.line_id) == line_id)
        .values(line_id=None)
        .execution_options(synchronize_session=False)
    )


async def _open_episode(session: AsyncSession, miss: Miss, people: Directory) -> Episode:
    episode = Episode(
        client_key=miss.client_keys[0],
        client_number=miss.call.client_number,
        contact_id=miss.contact_id,
        deal_id=miss.deal_id,
        line_id=miss.line_id,
        last_call_id=miss.call.id,
        first_missed_at=miss.at,
        last_missed_at=miss.at,
        owner_id=miss.owner_id,
        reason=miss.why.stored(),
    )
    await add_rows(session, episode)
    task = await do_create_task(
        session,
        NewTask(
            TaskKind.CALLBACK,
            _title(episode, miss),
            miss.why,
            miss.due_at,
            miss.owner_id,
            miss.deal_id,
            miss.contact_id,
            miss.call.id,
        ),
        miss.at,
        people,
    )
    episode.task_id = task.id
    await do_start_norm(session, episode, miss.at, miss.due_at)
    record(
        session, miss.at, "callback.opened", "callback", episode.id, actor=None, reason=miss.why, call_id=miss.call.id
    )
    return episode


async def _client_waits_again(session: AsyncSession, episode: Episode, miss: Miss, people: Directory) -> None:
    """They called once more: the task says how often, and a later planned attempt is no longer good enough."""
    urgent = episode.next_attempt_at is not None or episode.norm_from is None
    if urgent:
        episode.next_attempt_at = None
        await do_start_norm(session, episode, miss.at, miss.due_at)
    task = await session.get(Task, episode.task_id) if episode.task_id is not None else None
    if task is None:
        return
    await do_change_task(
        session,
        task,
        miss.at,
        people,
        actor=None,
        why=miss.why,
        title=_title(episode, miss),
        due_at=min(task.due_at, miss.due_at) if urgent else None,
    )


def _title(episode: Episode, miss: Miss) -> Reason:
    if episode.client_number is None:
        return reason("task.anonymous", line=miss.line)
    if episode.missed_count == 1:
        return reason("task.callback", client=miss.client)
    return reason("task.callback_count", client=miss.client, count=episode.missed_count)
