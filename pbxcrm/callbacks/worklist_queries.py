"""The callback queue of a person: which callbacks are shown, in which order, with what each row needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from sqlalchemy import ColumnElement
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.access import visible_episodes
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.callbacks.queries import DecisionContext, EpisodeRow, as_rows, burning_lamps, load_context, working_of
from pbxcrm.callbacks.rules import is_claimed, queue_place, urgency, wait_tone
from pbxcrm.calls.models import Call, Line
from pbxcrm.contacts.models import Company
from pbxcrm.deals.lamp_queries import LampLevel
from pbxcrm.deals.models import Deal
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.shared.core_sql import load_by_id

ORDER_AT_MOST = 2000  # open episodes that are sorted; the oldest ones
AT_ONCE = 50  # rows on the first page, and rows added by "more"
RECENT = timedelta(minutes=10)  # how long callbacks that were closed by a call stay visible


@dataclass(frozen=True, slots=True)
class WorklistFilter:
    """The filters of the queue. ``mine``: only callbacks that the viewer owns or has claimed. ``limit``: the number of rows shown."""

    mine: bool = False
    line_id: int | None = None
    limit: int = AT_ONCE
    since: datetime | None = None  # only clients missed first since then
    owner_id: int | None = None  # only callbacks of this person


@dataclass(frozen=True, slots=True)
class WorklistRow:
    """A row of the queue. ``waited``: working minutes since the first missed call. ``worth``: the amount of the open deal."""

    row: EpisodeRow
    company: Company | None
    last_call: Call | None
    waited: float
    tone: str  # red, amber or nothing
    worth: Decimal | None
    planned: datetime | None  # the next attempt, while it is in the future
    is_mine: bool
    claimed_by: str  # the name of the colleague who has claimed it; empty without one
    claimed_by_me: bool
    lamp: LampLevel  # first: the norm has passed; second: escalated to the manager
    asks: bool  # the viewer's own talk closed it, and its result is not recorded yet

    @property
    def episode(self) -> Episode:
        """The callback itself."""
        return self.row.episode


@dataclass(frozen=True, slots=True)
class Worklist:
    """The queue: ``rows`` in order, and ``closed`` recently closed ones, newest first. Figures cover all that the viewer may see."""

    rows: list[WorklistRow]
    closed: list[WorklistRow]
    total: int
    mine: int
    over_norm: int
    norm: int  # working minutes
    lines: list[Line]
    more: int  # rows that are not shown


async def load_worklist(session: AsyncSession, viewer: Viewer, wanted: WorklistFilter, now: datetime) -> Worklist:
    """Load the queue, in a fixed number of queries."""
    context = await load_context(session)
    found = await session.exec(
        select(Episode, Deal)
        .join(Deal, col(Deal.id) == col(Episode.deal_id), isouter=True)
        .where(visible_episodes(viewer), Episode.status == EpisodeStatus.OPEN.value)
        .order_by(col(Episode.first_missed_at))
        .limit(ORDER_AT_MOST)
    )
    pairs: Sequence[tuple[Episode, Deal | None]] = found.all()
    opened = [(e, deal.amount if deal is not None and deal.closed_at is None else None) for e, deal in pairs]
    waited = {e.id: working_of(context, e).minutes_between(e.first_missed_at, now) for e, _ in opened}
    norm = context.norm
    shown = sorted(
        ((e, worth) for e, worth in opened if _wanted(e, viewer, wanted)),
        key=lambda pair: queue_place(
            now,
            pair[0].next_attempt_at,
            urgency(waited[pair[0].id], pair[0].missed_count, pair[1]),
            pair[0].id or 0,
        ),
    )
    closed = await _just_closed(session, viewer, wanted, now)
    rows = await _rows(session, viewer, [e for e, _ in shown[: wanted.limit]], context, now, waited)
    return Worklist(
        rows=rows,
        closed=await _rows(session, viewer, closed, context, now),
        total=len(opened),
        mine=sum(_is_mine(e, viewer) for e, _ in opened),
        over_norm=sum(
            wait_tone(waited[e.id], norm, planned=e.next_attempt_at is not None and e.next_attempt_at > now) == "red"
            for e, _ in opened
        ),
        norm=norm,
        lines=await _lines(session, {e.line_id for e, _ in opened}),
        more=max(0, len(shown) - wanted.limit),
    )


async def _just_closed(session: AsyncSession, viewer: Viewer, wanted: WorklistFilter, now: datetime) -> list[Episode]:
    """Callbacks that a call closed recently, shown in grey so that rows do not just disappear."""
    conditions: list[ColumnElement[bool]] = [
        visible_episodes(viewer),
        col(Episode.status).in_((EpisodeStatus.RECOVERED.value, EpisodeStatus.REACHED.value)),
        col(Episode.closed_at) >= now - RECENT,
        col(Episode.closed_by_call_id).is_not(None),
    ]
    found = await session.exec(select(Episode).where(*conditions).order_by(col(Episode.closed_at).desc()).limit(20))
    return [episode for episode in found.all() if _wanted(episode, viewer, wanted)]


async def _rows(
    session: AsyncSession,
    viewer: Viewer,
    episodes: list[Episode],
    context: DecisionContext,
    now: datetime,
    known: Mapping[int | None, float] | None = None,
) -> list[WorklistRow]:
    """The rows of the queue. ``known``: working minutes waited until ``now``, if they are already computed."""
    rows = await as_rows(session, episodes)
    companies = await load_by_id(session, Company, (row.contact.company_id for row in rows if row.contact is not None))
    calls = await load_by_id(session, Call, (e.last_call_id for e in episodes))
    lamps = await lamp_levels(session, (episode.id for episode in episodes))
    said = await _said_on_card(session, viewer, episodes)
    norm, claim = context.norm, context.options.claim_minutes
    found = []
    for row in rows:
        episode = row.episode
        waited = (known or {}).get(episode.id)
        if waited is None:
            until = episode.closed_at or now
            waited = working_of(context, episode).minutes_between(episode.first_missed_at, until)
        planned = episode.next_attempt_at if episode.next_attempt_at and episode.next_attempt_at > now else None
        taken = is_claimed(episode.claimed_by_id, episode.claimed_at, now, claim)
        own = episode.claimed_by_id == viewer.user_id
        worth = row.deal.amount if row.deal is not None and row.deal.closed_at is None else None
        found.append(
            WorklistRow(
                row=row,
                company=companies.get(row.contact.company_id) if row.contact is not None else None,
                last_call=calls.get(episode.last_call_id),
                waited=waited,
                tone=wait_tone(waited, norm, planned=planned is not None),
                worth=worth,
                planned=planned,
                is_mine=_is_mine(episode, viewer),
                claimed_by=row.claimed_by.name if taken and not own and row.claimed_by is not None else "",
                claimed_by_me=taken and own,
                lamp=lamps.get(episode.id, "none"),
                asks=episode.status == EpisodeStatus.REACHED
                and episode.closed_by_id == viewer.user_id
                and episode.closed_by_call_id not in said,
            )
        )
    return found


async def lamp_levels(session: AsyncSession, episode_ids: Iterable[int | None]) -> dict[int | None, LampLevel]:
    """The lamp level of each callback with a burning lamp, by id: ``second`` if one has reached a manager, else ``first``."""
    levels: dict[int | None, LampLevel] = {}
    for lamp in await burning_lamps(session, episode_ids):
        if lamp.is_escalation or lamp.callback_id not in levels:
            levels[lamp.callback_id] = "second" if lamp.is_escalation else "first"
    return levels


async def _said_on_card(session: AsyncSession, viewer: Viewer, episodes: list[Episode]) -> set[int]:
    """Calls that closed these callbacks and whose result the viewer has already recorded on the call's card."""
    talks = {episode.closed_by_call_id for episode in episodes} - {None}
    if not talks:
        return set()
    found = await session.exec(
        select(WrapUp.call_id).where(
            col(WrapUp.call_id).in_(talks), WrapUp.user_id == viewer.user_id, WrapUp.disposition != ""
        )
    )
    return set(found.all())


async def _lines(session: AsyncSession, line_ids: set[int | None]) -> list[Line]:
    found = await session.exec(select(Line).where(col(Line.id).in_(line_ids)).order_by(col(Line.name)))
    return list(found.all())


def _is_mine(episode: Episode, viewer: Viewer) -> bool:
    return viewer.user_id in {episode.owner_id, episode.claimed_by_id}


def _wanted(episode: Episode, viewer: Viewer, wanted: WorklistFilter) -> bool:
    if wanted.mine and not _is_mine(episode, viewer) and episode.closed_by_id != viewer.user_id:
        return False
    if wanted.since is not None and (episode.first_missed_at < wanted.since or episode.status != EpisodeStatus.OPEN):
        return False
    if wanted.owner_id is not None and episode.owner_id != wanted.owner_id:
        return False
    return wanted.line_id is None or episode.line_id == wanted.line_id
