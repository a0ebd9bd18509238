"""Queries for callbacks (missed-call episodes): one, lists of them, the open ones of a client."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, bindparam, exists, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Attempt, AttemptResult, Episode, EpisodeCall, EpisodeStatus
from pbxcrm.calls.facts import Direction, Outcome
from pbxcrm.calls.models import Call, Line
from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.checkpoints.context import EngineContext, load_engine
from pbxcrm.checkpoints.models import Lamp, LampState
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.search import named
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.people.filters import of_login
from pbxcrm.people.models import User
from pbxcrm.shared.conditions import equal, within
from pbxcrm.shared.core_sql import counted, list_param, load_by_id
from pbxcrm.shared.errors import not_there
from pbxcrm.shared.numbers import format_for_people
from pbxcrm.shared.runtime_options import Options, load_options
from pbxcrm.shared.text_match import digits_of
from pbxcrm.tasks.models import Task, TaskStatus, is_next_step


@dataclass(frozen=True, slots=True)
class DecisionContext(EngineContext):
    """The data for decisions about callbacks: the engine's context and the options.

    Decisions about calls need more (``pbxcrm.reactions.call_context``).
    """

    options: Options

    @property
    def norm(self) -> int:
        """Working minutes within which a client must be called back: the first step of the callbacks' checkpoint."""
        return self._minutes(0)

    @property
    def pause(self) -> int:
        """Working minutes that the owner has to react to the lamp before it is escalated."""
        return self._minutes(1)

    def _minutes(self, step: int) -> int:
        minutes = self.watching.of_callbacks.minutes if self.watching.of_callbacks is not None else None
        return round(minutes[step]) if minutes is not None and step < len(minutes) else 0


async def load_context(session: AsyncSession) -> DecisionContext:
    """Load the context in this session."""
    engine = await load_engine(session)
    return DecisionContext(engine.people, engine.calendars, engine.watching, await load_options(session))


def working_of(context: DecisionContext, episode: Episode) -> WorkingTime:
    """The working time of the episode's owner, by which its waiting is measured."""
    return context.calendars.of_user(episode.owner_id)


@dataclass(frozen=True, slots=True)
class EpisodeRow:
    """An episode with its related rows."""

    episode: Episode
    contact: Contact | None
    deal: Deal | None
    owner: User | None
    claimed_by: User | None
    line: Line | None


async def access_episode(session: AsyncSession, viewer: Viewer, episode_id: int, *, field: str = "") -> Episode:
    """The callback, if the viewer may see it. Raises NotFound, or Invalid at ``field`` if that is given."""
    found = (await session.exec(select(Episode).where(Episode.id == episode_id, visible_episodes(viewer)))).first()
    if found is None:
        raise not_there("callbacks.not_found", "There is no such callback, or it is another team's.", field)
    return found


async def access_episode_row(session: AsyncSession, viewer: Viewer, episode_id: int) -> EpisodeRow:
    """The callback with its related rows, if the viewer may see it. Raises NotFound."""
    return (await as_rows(session, [await access_episode(session, viewer, episode_id)]))[0]


async def list_episodes(
    session: AsyncSession, viewer: Viewer, *filters: ColumnElement[bool], before: int | None = None, limit: int = 50
) -> list[EpisodeRow]:
    """Callbacks that the viewer may see, newest first. ``before``: only those with a smaller id."""
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
    """The number of open callbacks that the viewer may see."""
    return await counted(session, _open(viewer))


@kept
def _open(viewer: Viewer) -> Any:  # Select
    still_open = Episode.status == EpisodeStatus.OPEN.value
    return select(func.count()).select_from(Episode).where(visible_episodes(viewer), still_open)


async def as_rows(session: AsyncSession, episodes: list[Episode]) -> list[EpisodeRow]:
    """The episodes with their related rows, in a fixed number of queries."""
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
    """Whether the deal has an open task with its client. A task of a colleague whom a note names does not count."""
    planned = Task.deal_id == deal.id, Task.status == TaskStatus.OPEN.value, is_next_step()
    query = select(Task.id).where(*planned).limit(1)
    return (await session.exec(query)).first() is not None


async def failed_without_task(session: AsyncSession, deal: Deal) -> bool:
    """C3: whether an open deal may not be left or closed before its next task is set, because the last attempt to reach the client
    failed and the deal has no open task.
    """
    if deal.closed_at is not None or await has_next_task(session, deal):
        return False
    return await failed_last(session, deal)


async def failed_last(session: AsyncSession, deal: Deal) -> bool:
    """Whether the last contact of a deal was our attempt that did not reach the client."""
    return (await session.exec(_with_last_contact().where(Deal.id == deal.id, _FAILED))).first() is not None


async def owed_plans(session: AsyncSession, viewer: Viewer, *, limit: int = 5) -> list[Deal]:
    """C3 in every tab: the viewer's own open deals that wait for a next task after a failed attempt, the oldest first."""
    planned = exists().where(
        col(Task.deal_id) == col(Deal.id),
        col(Task.status) == TaskStatus.OPEN.value,
        is_next_step(),
    )
    mine = col(Deal.responsible_id) == viewer.user_id, col(Deal.closed_at).is_(None), visible_deals(viewer)
    query = _with_last_contact().where(*mine, ~planned, _FAILED).order_by(col(Deal.id)).limit(limit)
    return list((await session.exec(query)).all())


_LastCall, _LastAttempt = aliased(Call, name="last_call"), aliased(Attempt, name="last_attempt")
#: Of the last call and the last recorded attempt the later one counts; at the same moment the call.
_SAID_LATER = col(_LastAttempt.id).is_not(None) & (
    col(_LastCall.id).is_(None) | (col(_LastAttempt.at) > col(_LastCall.started_at))
)
_FAILED = or_(
    and_(_SAID_LATER, col(_LastAttempt.result) == AttemptResult.DIDNT_REACH.value),
    and_(
        ~_SAID_LATER,
        col(_LastCall.direction) == Direction.OUTBOUND.value,
        col(_LastCall.outcome).in_(NOT_REACHED),
    ),
)


def _with_last_contact() -> SelectOfScalar[Deal]:
    """Deals with ``_LastCall`` and ``_LastAttempt`` beside each, for ``_FAILED``."""
    call = (
        select(Call.id)
        .where(
            col(Call.deal_id) == col(Deal.id),
            col(Call.merged_into_id).is_(None),
            col(Call.outcome).in_((*NOT_REACHED, Outcome.ANSWERED.value)),
        )
        .order_by(col(Call.started_at).desc(), col(Call.id).desc())
        .limit(1)
        .correlate(Deal)
        .scalar_subquery()
    )
    attempt = (
        select(Attempt.id)
        .join(Episode, col(Episode.id) == col(Attempt.episode_id))
        .where(col(Episode.deal_id) == col(Deal.id))
        .order_by(col(Attempt.at).desc(), col(Attempt.id).desc())
        .limit(1)
        .correlate(Deal)
        .scalar_subquery()
    )
    return (
        select(Deal)
        .outerjoin(_LastCall, col(_LastCall.id) == call)
        .outerjoin(_LastAttempt, col(_LastAttempt.id) == attempt)
    )


@dataclass(frozen=True, slots=True)
class EpisodeFilter:
    """The filters of a list of callbacks. ``owner`` and ``claimed_by`` are logins. The first missed call is from ``since`` to ``until``
    (exclusive). ``text`` is a part of the number or of the client's name.
    """

    status: str = ""
    owner: str = ""
    claimed_by: str = ""
    client_number: str = ""
    contact_id: int | None = None
    deal_id: int | None = None
    since: datetime | None = None
    until: datetime | None = None
    text: str = ""

    def conditions(self) -> list[ColumnElement[bool]]:
        """For the WHERE clause of callbacks."""
        found = equal(
            (Episode.status, self.status),
            (Episode.client_number, self.client_number),
            (Episode.contact_id, self.contact_id),
            (Episode.deal_id, self.deal_id),
        )
        found += of_login(Episode.owner_id, self.owner) + of_login(Episode.claimed_by_id, self.claimed_by)
        found += within(Episode.first_missed_at, self.since, self.until)
        text = self.text.strip()
        if text:
            fits: list[ColumnElement[bool]] = [col(Episode.contact_id).in_(named(text))]
            if digits := digits_of(text):
                fits.append(col(Episode.client_number).contains(digits, autoescape=True))
            found.append(or_(*fits))
        return found


async def burning_lamps(session: AsyncSession, episode_ids: Iterable[int | None]) -> Sequence[Lamp]:
    """The burning lamps of these callbacks, oldest first."""
    ids = [episode_id for episode_id in episode_ids if episode_id is not None]
    if not ids:
        return ()
    found: Sequence[Lamp] = (await session.exec(_BURNING, params={"callbacks": ids})).all()
    return found


_BURNING = (
    select(Lamp)
    .where(col(Lamp.callback_id).in_(list_param("callbacks")), Lamp.state == LampState.BURNING.value)
    .order_by(col(Lamp.id))
)


async def lamps_of_callback(session: AsyncSession, episode_id: int) -> Sequence[Lamp]:
    """Every lamp of a callback that has lit, oldest first."""
    lit = Lamp.callback_id == episode_id, col(Lamp.lit_at).is_not(None)
    return (await session.exec(select(Lamp).where(*lit).order_by(col(Lamp.lit_at), col(Lamp.id)))).all()


async def withheld_callbacks(session: AsyncSession, episode_ids: Collection[int]) -> set[int]:
    """Which of these callbacks are of callers without a number, whom nobody can call back."""
    withheld = col(Episode.id).in_(episode_ids), col(Episode.client_number).is_(None)
    found = await session.exec(select(Episode.id).where(*withheld)) if episode_ids else ()
    return {episode_id for episode_id in found if episode_id is not None}


async def client_of(session: AsyncSession, episode: Episode, withheld: str = NO_NUMBER) -> str:
    """How to call the client of an episode: the name, else the formatted number, else ``withheld``.

    Pages translate ``NO_NUMBER`` where a stored reason holds it as its client.
    """
    contact = await session.get(Contact, episode.contact_id) if episode.contact_id is not None else None
    if contact is not None and contact.name:
        return contact.name
    return format_for_people(episode.client_number) if episode.client_number else withheld


_OPEN = (
    select(Episode)
    .where(Episode.status == EpisodeStatus.OPEN.value)
    .order_by(col(Episode.id))
    .with_for_update(key_share=True)
    .execution_options(populate_existing=True)
)
_OPEN_OF_CLIENT = _OPEN.where(col(Episode.client_key).in_(list_param("keys")))
_OPEN_OF_NUMBER = _OPEN.where(col(Episode.client_number) == bindparam("number"))
READ_BEFORE = "open_episodes"  # key in ``session.info``: the result of ``read_open_episodes``, by client key
BURNING_BEFORE = "burning_lamps"  # key in ``session.info``: the lamps that it read, by callback; each is used once


async def open_episodes(session: AsyncSession, client_keys: Sequence[str]) -> list[Episode]:
    """Open episodes of a client, oldest first; several only while a number has just been linked to a contact.

    They are locked for this transaction: one that another transaction is closing is waited for and left out. Lock the deal of an
    episode only after the episode.
    """
    read_before: dict[str, list[Episode]] = session.info.get(READ_BEFORE, {})
    if len(client_keys) == 1 and (known := read_before.pop(client_keys[0], None)) is not None:
        return [episode for episode in known if episode.status == EpisodeStatus.OPEN]
    await session.flush()  # otherwise reloading would discard this transaction's own changes
    return list((await session.exec(_OPEN_OF_CLIENT, params={"keys": list(client_keys)})).all())


async def read_open_episodes(
    session: AsyncSession, client_keys: Sequence[str], changing: Collection[str]
) -> list[Episode]:
    """Load and lock the open episodes of many clients in one query, for later ``open_episodes`` calls with a single key.

    Of those with a key in ``changing`` the burning lamps are read, too, for ``say_episode_changed``.
    """
    read: dict[str, list[Episode]] = {key: [] for key in client_keys}
    found: list[Episode] = []
    if read:
        found = list((await session.exec(_OPEN_OF_CLIENT, params={"keys": list(read)})).all())
        for episode in found:
            read[episode.client_key].append(episode)
    session.info[READ_BEFORE] = read
    burning: dict[int | None, list[Lamp]] = {each.id: [] for each in found if each.client_key in changing}
    for lamp in await burning_lamps(session, burning):
        burning[lamp.callback_id].append(lamp)
    session.info[BURNING_BEFORE] = burning
    return found


async def open_episodes_of_number(session: AsyncSession, number: str) -> list[Episode]:
    """The same as ``open_episodes`` for a number, whatever contact the episodes have."""
    await session.flush()
    return list((await session.exec(_OPEN_OF_NUMBER, params={"number": number})).all())
