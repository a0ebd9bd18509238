"""How deals went through the stages, and how each stay ended: the rows of the reports on the funnel."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple, Protocol

from sqlalchemy import BigInteger, ColumnElement, type_coerce
from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, StageKind, StageMove
from pbxcrm.deals.queries import Funnel
from pbxcrm.people.directory import Directory
from pbxcrm.reports.grouping import counted_rows, of_person
from pbxcrm.reports.report import Behind
from pbxcrm.shared.reasons import N_

NOBODY, NO_TEAM, NO_SOURCE = N_("Nobody"), N_("No team"), N_("No source")
_NEVER = datetime.min.replace(tzinfo=UTC)
TAKEN_BACK = timedelta(minutes=10)  # a move that the same person reverses sooner was a slip
_ORDER = {StageKind.UNSORTED: 0, StageKind.DIDNT_REACH: 1}  # before all open stages, wherever they stand on the board
_CLOSED = frozenset({StageKind.WON, StageKind.LOST})


class Exit(StrEnum):
    """How a stay in a stage ended."""

    ADVANCED = "advanced"  # to a later stage of the pipeline, or won
    LOST = "lost"
    BACK = "back"  # to an earlier stage
    HANDED_OVER = "handed_over"  # to another pipeline
    STAYS = "stays"  # still there


class ReportedDeal(NamedTuple):
    """What reports on the funnel need of a deal. A tuple: reports make tens of thousands, and a dataclass takes five times as long."""

    id: int
    title: str
    responsible_id: int | None
    source: str
    pipeline_id: int
    stage_id: int
    hundredths: int | None  # of its amount: a Decimal for each takes longer than all else
    created_at: datetime
    closed_at: datetime | None
    lost_reason: str

    @property
    def amount(self) -> Decimal | None:
        """What it is worth."""
        return Decimal(self.hundredths).scaleb(-2) if self.hundredths is not None else None


@dataclass(frozen=True, slots=True)
class ReportedStage:
    """What reports on the funnel need of a stage. A report asks it for every stay, and an attribute of a model costs ten times as much.

    ``order``: its place on the way to the win.
    """

    id: int
    name: str
    pipeline_id: int
    kind: StageKind
    order: tuple[int, int]
    probability: int
    is_archived: bool
    is_closed: bool  # deals end in it


class StageStay(NamedTuple):
    """A deal's stay in a stage; ``left_at`` and ``to`` are None while it is there. ``exit``: how it ended."""

    deal: ReportedDeal
    stage: ReportedStage
    entered_at: datetime
    left_at: datetime | None = None
    to: ReportedStage | None = None
    exit: Exit = Exit.STAYS


@dataclass(frozen=True, slots=True)
class ReportedStages:
    """All stages by id, and what a step from one to another means, which is decided once for each pair."""

    by_id: Mapping[int | None, ReportedStage]
    _exits: dict[tuple[int, int], Exit] = field(default_factory=dict)
    _skipped: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict)

    @classmethod
    def of(cls, funnel: Funnel) -> "ReportedStages":
        """The stages of all pipelines, also archived ones, in their order."""
        found = {}
        for stage in funnel.stages.values():
            kind = StageKind(stage.kind)
            order = (_ORDER.get(kind, 2), stage.position)
            found[stage.id] = ReportedStage(
                stage.id or 0,
                stage.name,
                stage.pipeline_id,
                kind,
                order,
                stage.probability,
                stage.archived_at is not None,
                kind in _CLOSED,
            )
        return cls(found)

    def exit(self, stage: ReportedStage, to: ReportedStage) -> Exit:
        """How a stay in ``stage`` ended that was left for ``to``."""
        found = self._exits.get((stage.id, to.id))
        if found is None:
            found = self._exits[stage.id, to.id] = _exit(stage, to)
        return found

    def skipped(self, stage: ReportedStage, to: ReportedStage) -> tuple[int, ...]:
        """The ids of the open stages between the two that such a step jumps over."""
        found = self._skipped.get((stage.id, to.id))
        if found is None:
            found = self._skipped[stage.id, to.id] = self._between(stage, to)
        return found

    def _between(self, stage: ReportedStage, to: ReportedStage) -> tuple[int, ...]:
        if to.pipeline_id != stage.pipeline_id or to.kind is StageKind.LOST:
            return ()
        return tuple(
            each.id
            for each in self.by_id.values()
            if each.pipeline_id == to.pipeline_id
            and not each.is_archived
            and each.kind is StageKind.OPEN
            and stage.order < each.order
            and (to.kind is StageKind.WON or each.order < to.order)
        )


def _exit(stage: ReportedStage, to: ReportedStage) -> Exit:
    if to.pipeline_id != stage.pipeline_id:
        return Exit.HANDED_OVER
    if to.kind is StageKind.LOST:
        return Exit.LOST
    return Exit.ADVANCED if to.kind is StageKind.WON or to.order > stage.order else Exit.BACK


#: The columns of ``Deal`` that a ``ReportedDeal`` has, in its order.
DEAL_COLUMNS = (
    col(Deal.id),
    col(Deal.title),
    col(Deal.responsible_id),
    col(Deal.source),
    col(Deal.pipeline_id),
    col(Deal.stage_id),
    type_coerce(col(Deal.amount), BigInteger),
    col(Deal.created_at),
    col(Deal.closed_at),
    col(Deal.lost_reason),
)


async def load_ways(
    session: AsyncSession,
    viewer: Viewer,
    stages: ReportedStages,
    *conditions: ColumnElement[bool],
    only_stays: bool = False,
) -> list[tuple[ReportedDeal, list[StageStay]]]:
    """Each visible deal of these ``conditions`` with all its stays in order, without moves that were taken back at once.

    ``only_stays``: of the deals nothing but their ids is read. Raises Invalid for too many moves.
    """
    visible = (visible_deals(viewer), *conditions)
    moved = (
        columns(col(StageMove.deal_id), col(StageMove.to_stage_id), col(StageMove.at), col(StageMove.by_id))
        .join(Deal, col(StageMove.deal_id) == col(Deal.id))
        .where(*visible)
        .order_by(col(StageMove.deal_id), col(StageMove.id))
    )
    moves: dict[int, list[tuple[int, datetime, int | None]]] = {}
    for deal_id, to_id, at, by_id in await counted_rows(session, moved):
        found = moves.get(deal_id)
        if found is None:
            moves[deal_id] = [(to_id, at, by_id)]
        else:
            found.append((to_id, at, by_id))
    if only_stays:
        return [(deal, _stays(deal, moves[deal.id], stages)) for deal in map(_unread, moves)]
    # Not with the moves: a deal would be read again with each of them.
    deals = await counted_rows(session, columns(*DEAL_COLUMNS).where(*visible).order_by(col(Deal.id)))
    made = (ReportedDeal._make(row) for row in deals if row[0] in moves)
    return [(deal, _stays(deal, moves[deal.id], stages)) for deal in made]


def _unread(deal_id: int) -> ReportedDeal:
    return ReportedDeal(deal_id, "", None, "", 0, 0, None, _NEVER, None, "")


def _stays(
    deal: ReportedDeal, moves: Iterable[tuple[int, datetime, int | None]], stages: ReportedStages
) -> list[StageStay]:
    known = stages.by_id
    way = [(stage, at, by_id) for to_id, at, by_id in moves if (stage := known.get(to_id)) is not None]
    if len(way) > 2:  # fewer cannot go back
        way = _without_slips(way)
    found: list[StageStay] = []
    after: ReportedStage | None = None
    left_at: datetime | None = None
    for stage, at, _ in reversed(way):
        found.append(StageStay(deal, stage, at, left_at, after, stages.exit(stage, after) if after else Exit.STAYS))
        after, left_at = stage, at
    found.reverse()
    return found


_Move = tuple[ReportedStage, datetime, int | None]


def _without_slips(moves: Iterable[_Move]) -> list[_Move]:
    way: list[_Move] = []
    for move in moves:
        if len(way) > 1 and way[-2][0] is move[0] and _is_slip(way[-1], move[1], move[2]):
            way.pop()
        else:
            way.append(move)
    return way


def _is_slip(last: _Move, at: datetime, by_id: int | None) -> bool:
    return by_id is not None and by_id == last[2] and at - last[1] <= TAKEN_BACK


def behind_deal(deal: ReportedDeal) -> Behind:
    """The deal as a row behind a figure, with the time when it was made."""
    return Behind("deal", deal.id, deal.title, deal.created_at)


def behind_stay(stay: StageStay) -> Behind:
    """The deal of a stay, with the time when it entered the stage."""
    return Behind("deal", stay.deal.id, stay.deal.title, stay.entered_at)


def sum_of(deals: Iterable[ReportedDeal]) -> Decimal:
    """The sum of their amounts as they are now; deals without an amount count nothing."""
    return Decimal(sum(deal.hundredths for deal in deals if deal.hundredths is not None)).scaleb(-2)


def key_of_user(people: Directory, user_id: int | None, by: str) -> tuple[str, str]:
    """Key and name of the line of a person, split by owner or team."""
    if by == "owner":
        return of_person(user_id, people.name(user_id), NOBODY)
    user = people.users.get(user_id or 0)
    team = people.teams.get(user.team_id or 0) if user is not None else None
    return (str(team.id), team.name) if team is not None else ("none", NO_TEAM)


class Grouped(Protocol):
    """What says in which line a deal stands."""

    @property
    def responsible_id(self) -> int | None:
        """Whose it is."""

    @property
    def source(self) -> str:
        """Where it came from."""

    @property
    def pipeline_id(self) -> int:
        """Its pipeline."""


@dataclass(frozen=True, slots=True)
class DealGroups:
    """Splits deals into the lines of a report: by person, team, source or pipeline."""

    people: Directory
    funnel: Funnel

    def key_of(self, deal: Grouped, by: str) -> tuple[str, str]:
        """Key and name of the line of a deal."""
        if by in {"owner", "team"}:
            return key_of_user(self.people, deal.responsible_id, by)
        if by == "source":
            return deal.source or "none", deal.source or NO_SOURCE
        return str(deal.pipeline_id), self.funnel.name_of_pipeline(deal.pipeline_id)


#: How reports on deals may be split, besides by stage.
BY_DEAL = {"owner": N_("By person"), "team": N_("By team"), "source": N_("By source"), "pipeline": N_("By pipeline")}
