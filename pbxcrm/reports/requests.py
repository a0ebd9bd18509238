"""The report on requests of the period (D10): what they became, and which came from clients who had bought before."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select as columns
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access.permissions import Viewer
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import load_funnel
from pbxcrm.forms.models import FormRequest, RequestState
from pbxcrm.forms.queries import load_form_names
from pbxcrm.people.directory import load_directory
from pbxcrm.reports.grouping import counted_rows, percent, shared_in, split
from pbxcrm.reports.report import Asked, Behind, Column, ColumnKind, Report, ReportLine, RowsBehind, Table
from pbxcrm.reports.stage_stays import BY_DEAL, DEAL_COLUMNS, DealGroups, ReportedDeal
from pbxcrm.shared.reasons import N_

NOT_BEFORE = N_("Had not bought before")
#: The step of the repeat sale that failed last (``forms.repeat_rules``), by the code of its reason.
STEPS = {
    "repeat.lost": N_("The repeat sale was lost"),
    "repeat.overdue": N_("A task of the repeat sale was overdue"),
    "repeat.unplanned": N_("The repeat sale had no next task"),
    "repeat.not_begun": N_("No repeat sale followed"),
    "repeat.none": N_("No step had failed"),
}


class ReportedRequest(NamedTuple):
    """A request with its deal."""

    deal: ReportedDeal
    form_id: int
    state: str
    bought: bool
    fault: dict[str, Any]


async def load(session: AsyncSession, viewer: Viewer, asked: Asked) -> Table:
    """Requests that came in the period and are with a deal that the viewer sees; those that were set aside do not count."""
    people, funnel, forms = await load_directory(session), await load_funnel(session), await load_form_names(session)
    request = (col(FormRequest.form_id), col(FormRequest.state), col(FormRequest.is_existing), col(FormRequest.fault))
    query = (
        columns(*DEAL_COLUMNS, *request)
        .join(FormRequest, col(FormRequest.deal_id) == col(Deal.id))
        .where(
            visible_deals(viewer),
            col(FormRequest.at) >= asked.since,
            col(FormRequest.at) < asked.until,
            *asked.of_people(Deal.responsible_id),
        )
        .order_by(col(FormRequest.at), col(FormRequest.id))
    )
    if asked.pipeline_id is not None:
        query = query.where(col(Deal.pipeline_id) == asked.pipeline_id)
    found = [
        ReportedRequest(ReportedDeal(*row[: len(DEAL_COLUMNS)]), *row[len(DEAL_COLUMNS) :])
        for row in await counted_rows(session, query)
    ]
    groups = DealGroups(people, funnel)

    def key_of(each: ReportedRequest) -> tuple[str, str]:
        if asked.by == "form":
            return str(each.form_id), forms.get(each.form_id, "—")
        if asked.by == "step":
            code = str((each.fault or {}).get("code", "")) if each.bought else ""
            return (code, STEPS[code]) if code in STEPS else ("none", NOT_BEFORE)
        return groups.key_of(each.deal, asked.by)

    def line_of(key: str, name: str, group: Sequence[ReportedRequest]) -> ReportLine:
        bought = [each for each in group if each.bought]
        joined = [each for each in group if each.state == RequestState.JOINED]
        values = {
            "requests": len(group),
            "joined": len(joined),
            "bought": len(bought),
            "percent_bought": percent(len(bought), len(group)),
        }
        behind = {
            "requests": RowsBehind(group, _behind),
            "joined": RowsBehind(joined, _behind),
            "bought": RowsBehind(bought, _behind),
            "percent_bought": shared_in(group, bought, _behind),
        }
        return ReportLine(key, name, values, behind)

    return split(found, key_of, line_of, lambda everything: line_of("", "", everything))


def _behind(each: ReportedRequest) -> Behind:
    return Behind("deal", each.deal.id, each.deal.title, each.deal.created_at)


REQUESTS = Report(
    name="requests",
    title=N_("Requests and repeat sales"),
    question=N_("Which requests came, and which clients should we have called before?"),
    definition=N_(
        "Requests that came through forms and by e-mail in the period, without those set aside. A client who had bought before and "
        "comes through a form was not called in time: the step is the one of the repeat sale that failed last before the request."
    ),
    dimensions={"form": N_("By form"), "step": N_("By failed step"), **BY_DEAL},
    columns=(
        Column("requests", N_("Requests"), ColumnKind.COUNT, opens=True),
        Column("joined", N_("Joined an open deal"), ColumnKind.COUNT, opens=True),
        Column("bought", N_("Had bought before"), ColumnKind.COUNT, opens=True),
        Column("percent_bought", N_("Share"), ColumnKind.PERCENT, opens=True),
    ),
    load=load,
    bar="bought",
    by_pipeline=True,
    compared=("requests", "bought"),
)
