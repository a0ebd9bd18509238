"""The report on lost deals (I1): why, from which stage, and whose."""

from collections.abc import Sequence

from sqlalchemy import select as columns
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.lost import stands_by_itself
from pbxcrm.deals.models import Deal, StageKind, StageMove
from pbxcrm.deals.queries import load_funnel
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, percent, shared_in, split, valued
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import BY_DEAL, DEAL_COLUMNS, DealGroups, ReportedDeal, sum_of
from pbxcrm.shared.reasons import N_

NO_REASON, NO_STAGE = N_("No reason given"), N_("No stage")


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Deals that were lost in the period, and are lost still, but not those that went with a win that was taken back."""
    people, funnel = await load_directory(session), await load_funnel(session)
    lost = [stage.id for stage in funnel.stages.values() if stage.kind == StageKind.LOST]
    # Looked up for each deal that is found. A join made PostgreSQL read every move there had ever been.
    left = (
        select(StageMove.from_stage_id)
        .where(col(StageMove.deal_id) == col(Deal.id))
        .order_by(col(StageMove.id).desc())
        .limit(1)
        .correlate(Deal)
        .scalar_subquery()
    )
    query = (
        columns(*DEAL_COLUMNS, left)
        .where(
            visible_deals(viewer),
            stands_by_itself(),
            (col(Deal.stage_id) + 0).in_(lost),  # not by its index: SQLite would read all deals ever lost
            col(Deal.closed_at) >= asked.since,
            col(Deal.closed_at) < asked.until,
            *asked.of_people(Deal.responsible_id),
        )
        .order_by(col(Deal.closed_at), col(Deal.id))
    )
    if asked.pipeline_id is not None:
        query = query.where(col(Deal.pipeline_id) == asked.pipeline_id)
    found: list[tuple[ReportedDeal, int | None]] = []
    for *values, from_id in await counted_rows(session, query):
        found.append((ReportedDeal(*values), from_id))
    left_in = [stage for _, from_id in found if (stage := funnel.stages.get(from_id)) is not None]
    several = len({stage.pipeline_id for stage in left_in}) > 1
    groups, everything = DealGroups(people, funnel), [deal for deal, _ in found]

    def key_of(each: tuple[ReportedDeal, int | None]) -> tuple[str, str]:
        deal, from_id = each
        if asked.by == "reason":
            return deal.lost_reason or "none", deal.lost_reason or NO_REASON
        if asked.by == "stage":
            stage = funnel.stages.get(from_id)
            return (str(stage.id), stage.name) if stage is not None else ("none", NO_STAGE)
        return groups.key_of(deal, asked.by)

    def line_of(key: str, name: str, group: Sequence[tuple[ReportedDeal, int | None]]) -> ReportLine:
        deals = [deal for deal, _ in group]
        values = {"lost": len(deals), "percent_lost": percent(len(deals), len(everything)), "amount": sum_of(deals)}
        behind = {
            "lost": RowsBehind(deals, _behind),
            "percent_lost": shared_in(everything, deals, _behind),
            "amount": valued(deals, lambda deal: deal.amount, _behind),
        }
        stage = funnel.stages.get(group[0][1]) if several and group and asked.by == "stage" else None
        return ReportLine(
            key, name, values, behind, funnel.name_of_pipeline(stage.pipeline_id) if stage is not None and key else ""
        )

    table = split(found, key_of, line_of, lambda everything: line_of("", "", everything))
    return Table(sorted(table.lines, key=lambda line: (-line.values["lost"], line.name)), table.whole)


def _behind(deal: ReportedDeal) -> Behind:
    return Behind("deal", deal.id, deal.title, deal.closed_at or deal.created_at)


LOSSES = Report(
    name="losses",
    title=N_("Lost deals"),
    question=N_("Why do we lose deals, in which stage, and whose?"),
    definition=N_(
        "Deals that were lost in the period and are lost still, by the reason given, by the stage they were lost from, and by whose they "
        "are. The share is of all lost deals of the report. A deal that was made for a win and went when the win was taken back is not lost."
    ),
    dimensions={"reason": N_("By reason"), "stage": N_("By stage"), **BY_DEAL},
    columns=(
        Column("lost", N_("Lost"), ColumnKind.COUNT, opens=True),
        Column("percent_lost", N_("Share"), ColumnKind.PERCENT, opens=True),
        Column("amount", N_("Sum"), ColumnKind.MONEY, opens=True),
    ),
    load=load,
    bar="lost",
    by_pipeline=True,
    compared=("lost", "amount"),
)
