"""The funnel as a snapshot (I1): the deals that were open at the end of the period, and how long they had stood where they were."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from sqlalchemy import BigInteger, type_coerce
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
from pbxcrm.reports.stage_stays import BY_DEAL, DealGroups, ReportedStage, ReportedStages
from pbxcrm.shared.reasons import N_


class _Standing(NamedTuple):
    """An open deal where it stood: as few columns as are shown, because a report reads tens of thousands.

    ``hundredths``: of its amount. ``minutes``: working minutes since it entered the stage; None where they are not asked for.
    """

    id: int
    title: str
    responsible_id: int | None
    source: str
    pipeline_id: int
    hundredths: int | None
    stage: ReportedStage
    since: datetime
    minutes: float | None


#: The first columns of a ``_Standing``.
_COLUMNS = (
    col(Deal.id),
    col(Deal.title),
    col(Deal.responsible_id),
    col(Deal.source),
    col(Deal.pipeline_id),
    type_coerce(col(Deal.amount), BigInteger),
)


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Deals that were open at the end of the period, or are open now if it is not over."""
    people, funnel = await load_directory(session), await load_funnel(session)
    calendars, at = await load_calendars(session, people), min(asked.until, asked.now)
    stages, groups = ReportedStages.of(funnel), DealGroups(people, funnel)
    found = await _then(session, viewer, asked, at, stages, calendars)

    def key_of(standing: _Standing) -> tuple[str, str]:
        if asked.by == "stage":
            return str(standing.stage.id), standing.stage.name
        return groups.key_of(standing, asked.by)

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
    still = columns(*_COLUMNS, col(Deal.stage_id), col(Deal.stage_since)).where(
        *visible, col(Deal.stage_since) <= at, col(Deal.stage_id).in_(open_stages)
    )
    moved = (
        columns(*_COLUMNS, col(StageMove.from_stage_id), col(StageMove.from_since))
        .join(StageMove, col(StageMove.deal_id) == col(Deal.id))
        .where(*visible, col(StageMove.at) > at, col(StageMove.from_since) <= at)
        .order_by(col(StageMove.id))
    )
    rows = list(await counted_rows(session, still))
    if at < asked.now:
        standing = {row[0] for row in rows}
        for row in await counted_rows(session, moved):
            if row[0] not in standing:  # the first move after that time
                standing.add(row[0])
                rows.append(row)
    is_timed = asked.wants("median_minutes") or asked.wants("p90_minutes")
    hours = {user_id: calendars.of_user(user_id) for user_id in {row[2] for row in rows}}
    found = []
    for *known, stage_id, since in rows:
        stage = stages.by_id.get(stage_id)
        if stage is None or stage.is_closed or asked.pipeline_id not in {None, stage.pipeline_id}:
            continue
        minutes = hours[known[2]].minutes_between(since, at) if is_timed else None
        found.append(_Standing._make((*known, stage, since, minutes)))
    return found


def _line(key: str, name: str, standing: Sequence[_Standing]) -> ReportLine:
    minutes = [each.minutes for each in standing if each.minutes is not None]
    sums: dict[int, int] = {}  # probability -> hundredths
    for each in standing:
        sums[each.stage.probability] = sums.get(each.stage.probability, 0) + (each.hundredths or 0)
    weighted = sum((_money(sums[of]) * of / 100 for of in sums), Decimal(0))
    values = {
        "deals": len(standing),
        "amount": _money(sum(sums.values())),
        "weighted": round(weighted, 2),
        "median_minutes": middle(minutes),
        "p90_minutes": ninth_tenth(minutes),
    }
    timed = valued(standing, lambda each: each.minutes, _behind)
    behind = {
        "deals": RowsBehind(standing, _behind),
        "amount": valued(standing, _amount, _behind),
        "weighted": valued(standing, _weighted, _behind),
        "median_minutes": timed,
        "p90_minutes": timed,
    }
    return ReportLine(key, name, values, behind)


def _money(hundredths: int) -> Decimal:
    return Decimal(hundredths).scaleb(-2)


def _amount(standing: _Standing) -> Decimal | None:
    return _money(standing.hundredths) if standing.hundredths is not None else None


def _weighted(standing: _Standing) -> Decimal | None:
    amount = _amount(standing)
    return amount * standing.stage.probability / 100 if amount is not None else None


def _behind(standing: _Standing) -> Behind:
    return Behind("deal", standing.id, standing.title, standing.since)


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
