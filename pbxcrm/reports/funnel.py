"""The funnel by cohort (I1): what became of the deals that were made in a period, stage by stage."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.calendars.queries import Calendars, load_calendars
from pbxcrm.deals.lost import stands_by_itself
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import Row, middle, ninth_tenth, percent, shared_in, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import (
    BY_DEAL,
    DealGroups,
    Exit,
    ReportedDeal,
    ReportedStages,
    StageStay,
    behind_deal,
    behind_stay,
    load_ways,
    sum_of,
)
from pbxcrm.shared.reasons import N_

_OF_DEALS = frozenset({"amount", "median_minutes", "p90_minutes"})  # columns that need more of a deal than its stays
Way = tuple[ReportedDeal, list[StageStay]]


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Deals made in the period that the viewer may see, with all that happened to them until now."""
    people, funnel = await load_directory(session), await load_funnel(session)
    calendars, stages = await load_calendars(session, people), ReportedStages.of(funnel)
    conditions = [col(Deal.created_at) >= asked.since, col(Deal.created_at) < asked.until, stands_by_itself()]
    conditions += asked.of_people(Deal.responsible_id)
    are_counted = asked.by == "stage" and bool(asked.only) and not _OF_DEALS.intersection(asked.only)
    ways = await load_ways(session, viewer, stages, *conditions, only_stays=are_counted)
    if asked.pipeline_id is not None:
        ways = [way for way in ways if any(stay.stage.pipeline_id == asked.pipeline_id for stay in way[1])]
    totals = _whole("", "", ways, asked.pipeline_id)
    if asked.by != "stage":
        groups = DealGroups(people, funnel)
        return split(
            ways,
            lambda way: groups.key_of(way[0], asked.by),
            lambda key, name, group: _whole(key, name, group, asked.pipeline_id),
            lambda _: totals,
        )
    timed = calendars if asked.wants("median_minutes") or asked.wants("p90_minutes") else None
    skipped = _skipped(ways, stages) if asked.wants("skipped") else {}
    return Table(_by_stage(ways, skipped, funnel, stages, timed, asked.pipeline_id), totals)


def _by_stage(
    ways: Sequence[Way],
    skipped: Mapping[int, Sequence[ReportedDeal]],
    funnel: Funnel,
    stages: ReportedStages,
    calendars: Calendars | None,
    pipeline_id: int | None,
) -> list[ReportLine]:
    passed: dict[int, dict[int, list[StageStay]]] = {}  # stage id -> deal id -> its stays there
    for deal, stays in ways:
        for stay in stays:
            stage = stay.stage
            if not stage.is_closed:
                passed.setdefault(stage.id, {}).setdefault(deal.id, []).append(stay)
    several = len({stages.by_id[stage_id].pipeline_id for stage_id in passed}) > 1
    lines = []
    for stage in sorted((stages.by_id[each] for each in passed), key=lambda each: (each.pipeline_id, each.order)):
        if pipeline_id not in {None, stage.pipeline_id}:
            continue
        under = funnel.name_of_pipeline(stage.pipeline_id) if several else ""
        lines.append(
            _of_stage(
                str(stage.id),
                stage.name,
                under,
                list(passed[stage.id].values()),
                skipped.get(stage.id, []),
                calendars,
            )
        )
    return lines


def _skipped(ways: Sequence[Way], stages: ReportedStages) -> dict[int, list[ReportedDeal]]:
    """By stage the deals that jumped over it: they stood before and behind it, and never there."""
    found: dict[int, list[ReportedDeal]] = {}
    for deal, stays in ways:
        jumped: set[int] = set()
        for stay in stays:
            if stay.to is not None:
                jumped.update(stages.skipped(stay.stage, stay.to))
        for stage_id in jumped.difference(stay.stage.id for stay in stays) if jumped else ():
            found.setdefault(stage_id, []).append(deal)
    return found


def _of_stage(
    key: str,
    name: str,
    under: str,
    passed: Sequence[list[StageStay]],
    skipped: Sequence[ReportedDeal],
    calendars: Calendars | None,
) -> ReportLine:
    """The line of a stage. A deal that came several times counts once, and its last stay says how it went on. ``calendars`` None: times
    are not asked for.
    """
    last = [stays[-1] for stays in passed]
    timed = _timed(passed, calendars) if calendars is not None else []
    times = [minutes for _, minutes in timed]
    rows: dict[str, list[Any]] = {exit_.value: [] for exit_ in Exit}
    for stay in last:
        rows[stay.exit].append(stay)
    rows["entered"] = last
    behind: dict[str, Sequence[Behind]] = {column: RowsBehind(found, behind_stay) for column, found in rows.items()}
    behind["skipped"] = RowsBehind(skipped, behind_deal)
    values = {
        **{column: len(found) for column, found in behind.items()},
        "amount": sum_of(stay.deal for stay in last),
        "conversion": _conversion(rows),
        "median_minutes": middle(times),
        "p90_minutes": ninth_tenth(times),
    }
    behind["amount"] = valued(last, lambda stay: stay.deal.amount, behind_stay)
    behind["conversion"] = _behind_conversion(last, rows, behind_stay)
    behind["median_minutes"] = behind["p90_minutes"] = valued(
        timed, lambda each: each[1], lambda each: behind_stay(each[0])
    )
    return ReportLine(key, name, values, behind, under)


def _timed(passed: Sequence[list[StageStay]], calendars: Calendars) -> list[tuple[StageStay, float]]:
    """The stays that have ended, with their working minutes by the calendar of whose deal it is."""
    owners = {stays[-1].deal.responsible_id for stays in passed}
    hours = {user_id: calendars.of_user(user_id) for user_id in owners}
    return [
        (stay, hours[stay.deal.responsible_id].minutes_between(stay.entered_at, stay.left_at))
        for stays in passed
        for stay in stays
        if stay.left_at is not None
    ]


def _whole(key: str, name: str, ways: Sequence[Way], pipeline_id: int | None) -> ReportLine:
    """A line of whole deals, by where they are now."""
    rows: dict[str, list[ReportedDeal]] = {exit_.value: [] for exit_ in Exit}
    for deal, stays in ways:
        rows[_end_of(stays, pipeline_id)].append(deal)
    rows[Exit.BACK].clear()
    rows["entered"] = [deal for deal, _ in ways]
    values: dict[str, Any] = {column: len(found) for column, found in rows.items()}
    values |= {"amount": sum_of(rows["entered"]), "conversion": _conversion(rows), Exit.BACK.value: None}
    values |= {"skipped": None, "median_minutes": None, "p90_minutes": None}
    behind = {
        **{column: RowsBehind(found, behind_deal) for column, found in rows.items()},
        "amount": valued(rows["entered"], lambda deal: deal.amount, behind_deal),
        "conversion": _behind_conversion(rows["entered"], rows, behind_deal),
    }
    return ReportLine(key, name, values, behind)


def _end_of(stays: Sequence[StageStay], pipeline_id: int | None) -> Exit:
    if not stays:
        return Exit.STAYS
    now = stays[-1].stage
    if pipeline_id is not None and now.pipeline_id != pipeline_id:
        return Exit.HANDED_OVER
    return {StageKind.WON: Exit.ADVANCED, StageKind.LOST: Exit.LOST}.get(now.kind, Exit.STAYS)


def _conversion(rows: Mapping[str, Sequence[object]]) -> int | None:
    """The share that went on, of those that are not there any more."""
    return percent(len(rows[Exit.ADVANCED]), len(rows["entered"]) - len(rows[Exit.STAYS]))


def _behind_conversion(
    entered: Sequence[Row], rows: Mapping[str, Sequence[Row]], make: Callable[[Row], Behind]
) -> Sequence[Behind]:
    staying = {id(row) for row in rows[Exit.STAYS]}
    return shared_in([row for row in entered if id(row) not in staying], rows[Exit.ADVANCED], make)


FUNNEL = Report(
    name="funnel",
    title=N_("Funnel by cohort"),
    question=N_("Of the deals that began in the period, how many got how far?"),
    definition=N_(
        "Deals made in the period, and what became of them until now. A deal counts once in each stage where it stood; how its last "
        "stay there ended says how it went on, so that entered = went on + lost + moved back + handed over + still there. Skipped: it "
        "passed the stage without standing in it, which counts neither as entered nor as gone on. Conversion: those that went on, of "
        "those no longer there. In the line “All” and in lines of people, teams, sources and pipelines, went on means won. Times are "
        "working time. A move that the same person takes back within ten minutes does not count. A deal that was made for a "
        "win and went when the win was taken back does not count. Sums are by today's amounts."
    ),
    dimensions={"stage": N_("By stage"), **BY_DEAL},
    columns=(
        Column("entered", N_("Entered"), ColumnKind.COUNT, opens=True),
        Column("amount", N_("Sum"), ColumnKind.MONEY, opens=True),
        Column("advanced", N_("Went on"), ColumnKind.COUNT, opens=True),
        Column("lost", N_("Lost"), ColumnKind.COUNT, opens=True),
        Column("back", N_("Moved back"), ColumnKind.COUNT, opens=True),
        Column("handed_over", N_("Handed over"), ColumnKind.COUNT, opens=True),
        Column("stays", N_("Still there"), ColumnKind.COUNT, opens=True),
        Column("skipped", N_("Skipped"), ColumnKind.COUNT, opens=True),
        Column("conversion", N_("Conversion"), ColumnKind.PERCENT, opens=True),
        Column("median_minutes", N_("Median time"), ColumnKind.MINUTES, opens=True),
        Column("p90_minutes", N_("90th percentile"), ColumnKind.MINUTES, opens=True),
    ),
    load=load,
    bar="entered",
    by_pipeline=True,
    compared=("entered", "conversion"),
)
