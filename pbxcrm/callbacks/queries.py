"""What is read of missed-call episodes."""

from dataclasses import dataclass

from sqlalchemy import ColumnElement, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeCall, EpisodeStatus
from pbxcrm.calls.facts import Direction, Outcome
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.people.models import User
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import not_there
from pbxcrm.tasks.models import Task, TaskStatus


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """An episode with what the queue shows of it."""

    episode: Episode
    contact: Contact | None
    deal: Deal | None
    owner: User | None
    claimed_by: User | None
    line: Line | None


async def access_episode(session: AsyncSession, viewer: Viewer, episode_id: int, *, field: str = "") -> Episode:
    """The callback, if the viewer may see it. Raises NotFound."""
    found = (await session.exec(select(Episode).where(Episode.id == episode_id, visible_episodes(viewer)))).first()
    if found is None:
        raise not_there("callbacks.not_found", "There is no such callback, or it is another team's.", field)
    return found


async def access_episode_row(session: AsyncSession, viewer: Viewer, episode_id: int) -> EpisodeRow:
    """The callback with what a list shows beside it. Raises NotFound."""
    return (await as_rows(session, [await access_episode(session, viewer, episode_id)]))[0]


async def list_episodes(
    session: AsyncSession, viewer: Viewer, *filters: ColumnElement[bool], before: int | None = None, limit: int = 50
) -> list[EpisodeRow]:
    """Newest first; ``before`` is an id."""
    query = select(Episode).where(visible_episodes(viewer), *filters).order_by(col(Episode.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Episode.id) < before)
    return await as_rows(session, list((await session.exec(query)).all()))


async def attempts_of(session: AsyncSession, episode_id: int) -> list[Attempt]:
    """The attempts of a callback, oldest first."""
    found = await session.exec(
        select(Attempt).where(Attempt.episode_id == episode_id).order_by(col(Attempt.at), col(Attempt.id))
    )
    return list(found.all())


async def missed_calls_of(session: AsyncSession, episode_id: int) -> list[Call]:
    """The calls behind ``missed_count``, oldest first."""
    found = await session.exec(
        select(Call)
        .join(EpisodeCall, col(EpisodeCall.call_id) == col(Call.id))
        .where(EpisodeCall.episode_id == episode_id)
        .order_by(col(Call.started_at), col(Call.id))
    )
    return list(found.all())


async def open_count(session: AsyncSession, viewer: Viewer) -> int:
    """Callbacks the viewer's team has to make."""
    found = await session.exec(
        select(func.count())
        .select_from(Episode)
        .where(visible_episodes(viewer), Episode.status == EpisodeStatus.OPEN.value)
    )
    return found.one()


async def as_rows(session: AsyncSession, episodes: list[Episode]) -> list[EpisodeRow]:
    """The episodes with names, in a fixed number of queries however many there are."""
    users = await load_by_id(session, User, (user_id for e in episodes for user_id in (e.owner_id, e.claimed_by_id)))
    contacts = await load_by_id(session, Contact, (e.contact_id for e in episodes))
    deals = await load_by_id(session, Deal, (e.deal_id for e in episodes))
    lines = await load_by_id(session, Line, (e.line_id for e in episodes))
    return [
        EpisodeRow(
            e,
            contacts.get(e.contact_id),
            deals.get(e.deal_id),
            users.get(e.owner_id),
            users.get(e.claimed_by_id),
            lines.get(e.line_id),
        )
        for e in episodes
    ]


NOT_REACHED = (Outcome.NO_ANSWER.value, Outcome.BUSY.value, Outcome.FAILED.value)


async def has_next_task(session: AsyncSession, deal: Deal) -> bool:
    """Whether an open task about the deal is planned."""
    query = select(Task.id).where(Task.deal_id == deal.id, Task.status == TaskStatus.OPEN.value).limit(1)
    return (await session.exec(query)).first() is not None


async def failed_without_task(session: AsyncSession, deal: Deal) -> bool:
    """C3: whether an open deal may be neither left nor closed before its next task is set: the last attempt to reach the
    client failed, and nothing is planned.
    """
    if deal.closed_at is not None or await has_next_task(session, deal):
        return False
    return await failed_last(session, deal)


async def failed_last(session: AsyncSession, deal: Deal) -> bool:
    """Whether the last contact of a deal was an attempt of ours that did not reach the client."""
    call = (
        await session.exec(
            select(Call)
            .where(
                Call.deal_id == deal.id,
                col(Call.merged_into_id).is_(None),
                col(Call.outcome).in_((*NOT_REACHED, Outcome.ANSWERED.value)),
            )
            .order_by(col(Call.started_at).desc(), col(Call.id).desc())
            .limit(1)
        )
    ).first()
    said = await _last_attempt(session, deal)
    if said is not None and (call is None or said.at > call.started_at):
        return said.result == AttemptResult.DIDNT_REACH
    return call is not None and call.direction == Direction.OUTBOUND and call.outcome in NOT_REACHED


async def _last_attempt(session: AsyncSession, deal: Deal) -> Attempt | None:
    found = await session.exec(
        select(Attempt)
        .join(Episode, col(Episode.id) == col(Attempt.episode_id))
        .where(Episode.deal_id == deal.id)
        .order_by(col(Attempt.at).desc(), col(Attempt.id).desc())
        .limit(1)
    )
    return found.first()
