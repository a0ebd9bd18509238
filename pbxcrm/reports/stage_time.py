"""The report on the time that deals spend in a stage, compared with its norm (I9)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Stage, StageMove
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, middle, ninth_tenth, of_person, percent, shared_in, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.shared.reasons import N_

NOBODY = N_("Nobody")


@dataclass(frozen=True, slots=True)
class _Stay:
    """A deal that left a stage in the period. ``minutes``: working minutes there, by the calendar of the responsible person."""

    deal_id: int
    title: str
    responsible_id: int | None
    stage: Stage
    until: datetime
    minutes: float


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Stays in a stage that ended in the period, of deals that the viewer may see, by stage or by person."""
    people, funnel = await load_directory(session), await load_funnel(session)
    calendars = await load_calendars(session, people)
    move = StageMove
    query = (
        columns(
            col(move.from_stage_id),
            col(move.from_since),
            col(move.at),
            col(Deal.id),
            col(Deal.title),
            col(Deal.responsible_id),
        )
        .join(Deal, col(Deal.id) == col(move.deal_id))
        .where(
            visible_deals(viewer),
            col(move.at) >= asked.since,
            col(move.at) < asked.until,
            col(move.from_stage_id).is_not(None),
            col(move.from_since).is_not(None),
            *asked.of_people(Deal.responsible_id),
        )
        .order_by(col(move.at), col(move.id))
    )
    stays = []
    for stage_id, since, until, deal_id, title, responsible_id in await counted_rows(session, query):
        stage = funnel.stages.get(stage_id)
        if stage is None or asked.pipeline_id not in {None, stage.pipeline_id}:
            continue
        if stage.archived_at is not None and until >= stage.archived_at:
            continue  # the stage was removed: nobody has moved the deal
        minutes = calendars.of_user(responsible_id).minutes_between(since, until)
        stays.append(_Stay(deal_id, title, responsible_id, stage, until, minutes))

    def key_of(stay: _Stay) -> tuple[str, str]:
        if asked.by == "owner":
            return of_person(stay.responsible_id, people.name(stay.responsible_id), NOBODY)
        return str(stay.stage.id), stay.stage.name

    table = split(stays, key_of, _line, lambda everything: _line("", "", everything))
    if asked.by == "owner":
        return table
    order = {str(stage.id): (stage.pipeline_id, stage.position) for stage in funnel.stages.values()}
    return Table(sorted(table.lines, key=lambda line: order[line.key]), table.whole)


def _line(key: str, name: str, stays: Sequence[_Stay]) -> ReportLine:
    minutes = [stay.minutes for stay in stays]
    judged = [stay for stay in stays if stay.stage.norm_minutes is not None]
    over = [stay for stay in judged if stay.minutes > (stay.stage.norm_minutes or 0)]
    norms = {stay.stage.norm_minutes for stay in stays}
    values = {
        "left": len(stays),
        "norm_minutes": next(iter(norms)) if len(norms) == 1 else None,
        "median_minutes": middle(minutes),
        "p90_minutes": ninth_tenth(minutes),
        "over": len(over),
        "percent_over": percent(len(over), len(judged)),
    }
    timed = valued(stays, lambda stay: stay.minutes, _behind)
    behind = {
        "left": RowsBehind(stays, _behind),
        "median_minutes": timed,
        "p90_minutes": timed,
        "over": RowsBehind(over, _behind),
        "percent_over": shared_in(judged, over, _behind),
    }
    return ReportLine(key, name, values, behind)


def _behind(stay: _Stay) -> Behind:
    return Behind("deal", stay.deal_id, stay.title, stay.until)


STAGE_TIME = Report(
    name="stage_time",
    title=N_("Time in stage"),
    question=N_("How long do deals stand in each stage?"),
    definition=N_(
        "Deals that left a stage in the period, each time they left it, and how many working minutes they had stood there, by the calendar "
        "of whoever is responsible. The median is the middle one; nine of ten took no longer than the 90th percentile. Over the norm counts "
        "those that stood longer than the norm the stage has now. Deals that left a stage because it was removed do not count."
    ),
    dimensions={"stage": N_("By stage"), "owner": N_("By person")},
    columns=(
        Column("left", N_("Deals that left it"), ColumnKind.COUNT, opens=True),
        Column("norm_minutes", N_("Norm"), ColumnKind.MINUTES),
        Column("median_minutes", N_("Median"), ColumnKind.MINUTES, opens=True),
        Column("p90_minutes", N_("90th percentile"), ColumnKind.MINUTES, opens=True),
        Column("over", N_("Over the norm"), ColumnKind.COUNT, opens=True),
        Column("percent_over", N_("Share over the norm"), ColumnKind.PERCENT, opens=True),
    ),
    load=load,
    bar="median_minutes",
    by_pipeline=True,
)
