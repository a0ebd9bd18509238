"""Amounts by lines that follow from something else than a change of lines: a field of the deal, another pipeline, a merge, an option."""

from contextlib import suppress
from datetime import datetime
from decimal import Decimal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import UNHEARD, keep_unheard
from pbxcrm.deals.actions import do_edit_deal
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.models import Deal, Pipeline
from pbxcrm.deals.queries import load_funnel
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.money.line_rules import priced
from pbxcrm.money.models import DealLine
from pbxcrm.money.quantity_rules import quantity_by
from pbxcrm.money.queries import formula_fields, formula_time, lines_of
from pbxcrm.money.rules import check_quantity
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import reason
from pbxcrm.shared.timers import Handler, Timer, set_timer

COUNT = "money.count_pipeline"
AT_ONCE = 50  # deals in one transaction


async def recount(session: AsyncSession, deal: Deal, now: datetime) -> None:
    """Handler of ``deals.hooks``: the deal changed, so quantities by formula may be others, and so the amount by lines.

    A formula that cannot be computed any more leaves its quantity; the card says why.
    """
    found = await lines_of(session, deal.id or 0)
    if not found.lines or deal.merged_into_id is not None:
        return
    if by_formula := [line for line in found.lines if line.formula]:
        fields, around = await formula_fields(session, deal), await formula_time(session, deal, now)
        for line in by_formula:
            with suppress(FormulaError, Invalid):
                quantity = check_quantity(quantity_by(line.formula, line.inputs, fields, around), "formula")
                if quantity != line.quantity:
                    line.quantity = quantity
                    line.version += 1
    await _set_amount(session, deal, priced(found.lines, found.whole).price.total, now)


async def recount_entered(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``deals.hooks``: a deal that came into another pipeline takes its amount as that pipeline says."""
    if entry.left is not None and entry.left.pipeline_id != entry.stage.pipeline_id:
        await recount(session, entry.deal, entry.at)


async def _set_amount(session: AsyncSession, deal: Deal, total: Decimal, now: datetime) -> None:
    pipeline = (await load_funnel(session)).pipelines[deal.pipeline_id]
    if pipeline.amount_by_lines and deal.amount != total:
        people = await load_directory(session)
        await do_edit_deal(
            session, deal, now, actor=None, people=people, values={"amount": total}, why=reason("money.by_lines")
        )


async def count_pipeline(session: AsyncSession, pipeline: Pipeline, now: datetime) -> None:
    """Handler of ``deals.hooks``: begin with the first batch. Rules hear it as they hear the rest of this transaction."""
    payload = {"pipeline": pipeline.id, "after": 0, "unheard": UNHEARD in session.info}
    await set_timer(session, COUNT, f"{COUNT}:{pipeline.id}", now, payload)


async def count_batch(session: AsyncSession, row: Timer, now: datetime) -> None:
    """Timer handler: the next batch of open deals with lines."""
    keep_unheard(session, row.payload.get("unheard", False))  # a timer of an older version does not say it
    with_lines = select(DealLine.deal_id).where(col(DealLine.removed_at).is_(None))
    found = await session.exec(
        select(Deal)
        .where(
            Deal.pipeline_id == int(row.payload["pipeline"]),
            col(Deal.id) > int(row.payload["after"]),
            col(Deal.id).in_(with_lines),
            col(Deal.closed_at).is_(None),
        )
        .order_by(col(Deal.id))
        .limit(AT_ONCE)
        .with_for_update(key_share=True)
    )
    deals = found.all()
    for deal in deals:
        await recount(session, deal, now)
    if len(deals) == AT_ONCE:
        await set_timer(session, COUNT, row.key, now, {**row.payload, "after": deals[-1].id})


HANDLERS: dict[str, Handler] = {COUNT: count_batch}
