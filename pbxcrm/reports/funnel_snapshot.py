"""The funnel as a snapshot (I1): the deals that were open at the end of the period, and how long they had stood where they were."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, StageMove
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, middle, ninth_tenth, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import (
    BY_DEAL,
    DEAL_COLUMNS,
    DealGroups,
    ReportedDeal,
    ReportedStage,
    ReportedStages,
    sum_of,
)
from pbxcrm.shared.reasons import N_


@dataclass(frozen=True, slots=True)
class _Standing:
    """An open deal where it stood. ``minutes``: working minutes since it entered the stage."""

    deal: ReportedDeal
    stage: ReportedStage
    since: datetime
    minutes: float


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Deals that were open at the end of the period, or are open now if it is not over."""
    people, funnel = await load_directory(session), await load_funnel(session)
    calendars, at = await load_calendars(session, people), min(asked.until, asked.now)
    stages, groups = ReportedStages.of(funnel), DealGroups(people, funnel)
    found = await _then(session, viewer, asked, at, stages, calendars)

    def key_of(standing: _Standing) -> tuple[str, str]:
        if asked.by == "stage":
            return str(standing.stage.id), standing.stage.name
        return groups.key_of(standing.deal, asked.by)

    table = split(found, key_of, _line, lambda everything: _line("", "", everything))
    if asked.by != "stage":
        return table
    found_in = {line.key: stages.by_id[int(line.key)] for line in table.lines}
    lines = sorted(table.lines, key=lambda line: (found_in[line.key].pipeline_id, found_in[line.key].order))
    if len({stage.pipeline_id for stage in found_in.values()}) > 1:
        lines = [replace(line, under=funnel.name_of_pipeline(found_in[line.key].pipeline_id)) for line in lines]
    return Table(lines, table.whole)


async def _then(
    session: AsyncSession, viewer: Viewer, asked: Asked, at: datetime, stages: ReportedStages, calendars: Calendars
) -> list[_Standing]:
    """Where each deal stood at ``at``: where it stands now if it came before, else where the first later move took it from."""
    visible = (visible_deals(viewer), col(Deal.created_at) <= at, *asked.of_people(Deal.responsible_id))
    open_stages = [stage.id for stage in stages.by_id.values() if not stage.is_closed]
    still = columns(*DEAL_COLUMNS, col(Deal.stage_since)).where(
        *visible, col(Deal.stage_since) <= at, col(Deal.stage_id).in_(open_stages)
    )
    moved = (
        columns(*DEAL_COLUMNS, col(StageMove.from_stage_id), col(StageMove.from_since))
        .join(StageMove, col(StageMove.deal_id) == col(Deal.id))
        .where(*visible, col(StageMove.at) > at, col(StageMove.from_since) <= at)
        .order_by(col(StageMove.id))
    )
    places: dict[int, tuple[ReportedDeal, int, datetime]] = {}
    for *values, since in await counted_rows(session, still):
        deal = ReportedDeal(*values)
        places[deal.id] = (deal, deal.stage_id, since)
    for *values, stage_id, since in await counted_rows(session, moved) if at < asked.now else ():
        deal = ReportedDeal(*values)
        places.setdefault(deal.id, (deal, stage_id, since))
    found = []
    for deal, stage_id, since in places.values():
        stage = stages.by_id.get(stage_id)
        if stage is None or stage.is_closed or asked.pipeline_id not in {None, stage.pipeline_id}:
            continue
        minutes = calendars.of_user(deal.responsible_id).minutes_between(since, at)
        found.append(_Standing(deal, stage, since, minutes))
    return found


def _line(key: str, name: str, standing: Sequence[_Standing]) -> ReportLine:
    minutes = [each.minutes for each in standing]
    weighted = sum((_weighted(each) or Decimal(0) for each in standing), Decimal(0))
    values = {
        "deals": len(standing),
        "amount": sum_of(each.deal for each in standing),
        "weighted": round(weighted, 2),
        "median_minutes": middle(minutes),
        "p90_minutes": ninth_tenth(minutes),
    }
    timed = valued(standing, lambda each: each.minutes, _behind)
    behind = {
        "deals": RowsBehind(standing, _behind),
        "amount": valued(standing, lambda each: each.deal.amount, _behind),
        "weighted": valued(standing, _weighted, _behind),
        "median_minutes": timed,
        "p90_minutes": timed,
    }
    return ReportLine(key, name, values, behind)


def _weighted(standing: _Standing) -> Decimal | None:
    amount = standing.deal.amount
    return amount * standing.stage.probability / 100 if amount is not None else None


def _behind(standing: _Standing) -> Behind:
    return Behind("deal", standing.deal.id, standing.deal.title, standing.since)


FUNNEL_SNAPSHOT = Report(
    name="funnel_snapshot",
    title=N_("Funnel as a snapshot"),
    question=N_("What stood where at the end of the period, and what was it worth?"),
    definition=N_(
        "Deals that were open at the end of the period, or are open now if it is not over, where they stood then. Weighted: the sum by "
        "the probability of the stage. Times are working time since the deal had entered the stage. Sums, probabilities and people are "
        "those of today."
    ),
    dimensions={"stage": N_("By stage"), **BY_DEAL},
    columns=(
        Column("deals", N_("Open deals"), ColumnKind.COUNT, opens=True),
        Column("amount", N_("Sum"), ColumnKind.MONEY, opens=True),
        Column("weighted", N_("Weighted"), ColumnKind.MONEY, opens=True),
        Column("median_minutes", N_("Median time"), ColumnKind.MINUTES, opens=True),
        Column("p90_minutes", N_("90th percentile"), ColumnKind.MINUTES, opens=True),
    ),
    load=load,
    bar="deals",
    by_pipeline=True,
    compared=("deals", "amount"),
)
