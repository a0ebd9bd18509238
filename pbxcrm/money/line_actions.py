"""Changing the lines of deals. Every change goes through ``_Change``: it locks the deal, and afterwards computes quantities, asks for
discounts that need approval, records what changed with what undoes it, sets the amount of the deal where its pipeline takes it from the
lines, and says that the deal changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.models import AuditEntry
from pbxcrm.deals.actions import access_deal_for_change, do_count_change, do_edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import load_funnel
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.money.discount_actions import (
    GivenBefore,
    TypedReason,
    TypedReasons,
    check_limits,
    do_decide,
    given_now,
    settle_asked,
    share_of,
)
from pbxcrm.money.line_drafts import LineDraft, SameProduct, WholeDraft
from pbxcrm.money.line_rules import Snapshot, clear_asked, put_back, quantity_by, snapshot, told_of
from pbxcrm.money.models import DealDiscount, DealLine, Product
from pbxcrm.money.queries import (
    DealLines,
    access_line,
    access_product,
    as_priced,
    asked_of,
    discount_of,
    formula_fields,
    formula_time,
    lines_of,
    own_limit,
    priced,
)
from pbxcrm.money.rules import (
    WHOLE,
    PricedLine,
    cents,
    check_discount,
    check_price,
    check_quantity,
    check_rate,
    given_percent,
)
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.lengths import check_line, check_optional_text
from pbxcrm.shared.runtime_options import load_options
from pbxcrm.shared.texts import one_line

MOST_LINES = 200  # of one deal
MOST_INPUTS = 20  # of one line
LONGEST_INPUT = 100
UNDO_WITHIN = timedelta(minutes=10)
LINES_CHANGED = "deal.lines"  # the action in the audit log


@dataclass(slots=True)
class _Change:
    """The deal, locked, its lines in hand, and how they were before."""

    deal: Deal
    lines: list[DealLine]
    whole: DealDiscount
    was: dict[int, Snapshot]  # by id of the line; 0: the whole
    given: GivenBefore
    typed: dict[int, TypedReason] = field(default_factory=dict)  # by identity of the row

    @property
    def live(self) -> list[DealLine]:
        """The lines that are not removed, in order."""
        return [line for line in self.lines if line.removed_at is None]


async def add_line(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    draft: LineDraft,
    now: datetime,
    *,
    version: int | None = None,
    same: SameProduct | None = None,
) -> DealLines:
    """Add a line at the end. ``same``: what happens with a product that is there already; None: as the options say.

    Raises Invalid at the field, NotFound, NotAllowed, Conflict for an old ``version`` of the deal.
    """
    change = await _open(session, viewer, deal_id, version)
    rule = same or SameProduct((await load_options(session)).same_product)
    await _add(session, change, draft, now, rule, place="")
    return await _close(session, viewer, change, now)


async def add_lines(
    session: AsyncSession, viewer: Viewer, deal_id: int, drafts: Sequence[LineDraft], now: datetime
) -> DealLines:
    """Add several lines together, as a template does; a product that is there already gets a second line."""
    change = await _open(session, viewer, deal_id, None)
    for number, draft in enumerate(drafts):
        await _add(session, change, draft, now, SameProduct.ADD, place=f"lines.{number}.")
    return await _close(session, viewer, change, now)


async def change_line(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    line_id: int,
    draft: LineDraft,
    now: datetime,
    *,
    version: int | None,
) -> DealLines:
    """Give a line other values; it keeps its product. ``version``: the one of the line that was seen. Raises as ``add_line`` does."""
    change = await _open(session, viewer, deal_id, None)
    line = _line_in(change, line_id)
    if version is not None and line.version != version:
        raise Conflict("money.line_stale", "Somebody has changed this line meanwhile. Look at it again.")
    await _fill(session, change, line, draft, now, place="")
    return await _close(session, viewer, change, now)


async def move_line(
    session: AsyncSession, viewer: Viewer, deal_id: int, line_id: int, now: datetime, *, up: bool
) -> DealLines:
    """Exchange a line with the one above or below. Does nothing at the end of the list."""
    change = await _open(session, viewer, deal_id, None)
    live = change.live
    at = live.index(_line_in(change, line_id))
    to = at + (-1 if up else 1)
    if 0 <= to < len(live):
        live[at], live[to] = live[to], live[at]
        for position, each in enumerate(live):
            each.position = position
        change.lines.sort(key=lambda each: each.position)
    return await _close(session, viewer, change, now)


async def remove_line(session: AsyncSession, viewer: Viewer, deal_id: int, line_id: int, now: datetime) -> DealLines:
    """Take a line off; ``undo_lines`` puts it back. Raises NotFound, NotAllowed."""
    change = await _open(session, viewer, deal_id, None)
    _remove(_line_in(change, line_id), now)
    return await _close(session, viewer, change, now)


async def set_whole(session: AsyncSession, viewer: Viewer, deal_id: int, draft: WholeDraft, now: datetime) -> DealLines:
    """Set the discount on the whole deal. Raises Invalid at ``discount`` or ``why``."""
    change = await _open(session, viewer, deal_id, None)
    _fill_whole(change, draft, place="")
    return await _close(session, viewer, change, now)


async def set_lines(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    drafts: Sequence[LineDraft],
    whole: WholeDraft | None,
    now: datetime,
    *,
    version: int | None,
) -> DealLines:
    """Give a deal exactly these lines in this order: those with ``line_id`` are changed, others are added, the rest is removed.

    ``whole`` None leaves the discount on the whole. Raises Invalid at ``lines.N.FIELD``, as ``add_line`` does else.
    """
    change = await _open(session, viewer, deal_id, version)
    kept = {draft.line_id for draft in drafts if draft.line_id is not None}
    by_id = {line.id: line for line in change.lines}
    for line in change.lines:
        if line.id not in kept:
            _remove(line, now)
    seen: set[int] = set()
    for number, draft in enumerate(drafts):
        place = f"lines.{number}."
        if draft.line_id is None:
            placed: DealLine | None = await _add(session, change, draft, now, SameProduct.ADD, place=place)
        else:
            found = by_id.get(draft.line_id)
            if found is None or draft.line_id in seen:
                raise Invalid(f"{place}id", "money.no_line", "This line is not on the deal any more.")
            seen.add(draft.line_id)
            placed = found
            await _fill(session, change, found, draft, now, place=place)
        if placed is not None:
            placed.position = number
    change.lines.sort(key=lambda each: each.position)
    if whole is not None:
        _fill_whole(change, whole, place="")
    return await _close(session, viewer, change, now)


async def withdraw_discount(
    session: AsyncSession, viewer: Viewer, deal_id: int, line_id: int | None, now: datetime
) -> DealLines:
    """Ask no longer for the discount of a line, or on the whole (None). Raises Conflict where nothing is asked for."""
    change = await _open(session, viewer, deal_id, None)
    clear_asked(_asked_in(change, line_id))
    return await _close(session, viewer, change, now)


async def decide_discount(
    session: AsyncSession,
    viewer: Viewer,
    deal_id: int,
    line_id: int | None,
    now: datetime,
    *,
    is_approved: bool,
    why: str = "",
) -> DealLines:
    """Approve or refuse the discount that is asked for on a line, or on the whole (None). Raises as ``do_decide`` does, and Conflict."""
    check(viewer, Permission.ESCALATIONS_WORK)
    change = await _open(session, viewer, deal_id, None)
    row = _asked_in(change, line_id)
    asked, share = asked_of(row), share_of(discount_of(change.whole), change.live)
    if isinstance(row, DealLine):
        percent = given_percent(PricedLine(row.quantity, row.price, asked), row.list_price, share)
    else:
        share = share_of(asked, change.live)
        percent = max(
            (given_percent(as_priced(line), line.list_price, share) for line in change.live), default=share * WHOLE
        )
    limit = await own_limit(session, viewer)
    await do_decide(
        session, viewer, change.deal, row, now, percent=percent, limit=limit, is_approved=is_approved, why=why
    )
    return await _close(session, viewer, change, now, is_undo=True)


def _asked_in(change: _Change, line_id: int | None) -> DealLine | DealDiscount:
    row = change.whole if line_id is None else _line_in(change, line_id)
    if not asked_of(row):
        raise Conflict("money.nothing_asked", "No discount waits for a decision here.")
    return row


async def undo_lines(session: AsyncSession, viewer: Viewer, deal_id: int, now: datetime) -> DealLines:
    """Take back the latest change of the lines of a deal, if it was the viewer's own and at most ``UNDO_WITHIN`` ago. Raises Conflict."""
    change = await _open(session, viewer, deal_id, None)
    query = select(AuditEntry).where(
        AuditEntry.entity == "deal", AuditEntry.entity_id == str(deal_id), AuditEntry.action == LINES_CHANGED
    )
    last = (await session.exec(query.order_by(col(AuditEntry.id).desc()).limit(1))).first()
    steps = (last.data.get("undo") or []) if last is not None else []
    if last is None or last.actor_id != viewer.user_id or now - last.at > UNDO_WITHIN or not steps:
        raise Conflict("money.no_undo", "The lines have been changed since: there is nothing of yours to undo.")
    for step in steps:
        row: DealLine | DealDiscount
        if step["id"]:
            row = await access_line(session, deal_id, step["id"], or_removed=True, lock=True)
        else:
            row = change.whole
        if row.version != step["version"]:
            raise Conflict("money.no_undo", "The lines have been changed since: there is nothing of yours to undo.")
        if isinstance(row, DealLine):
            _put_line_back(change, row, step["was"], now)
        else:
            put_back(row, step["was"])
    change.lines.sort(key=lambda each: (each.position, each.id or 0))
    return await _close(session, viewer, change, now, is_undo=True)


def _put_line_back(change: _Change, row: DealLine, was: Snapshot | None, now: datetime) -> None:
    if was is None or was["removed_at"]:
        _remove(row, now)
        return
    change.was.setdefault(row.id or 0, snapshot(row))
    put_back(row, was)
    row.removed_at = None
    if row not in change.lines:
        change.lines.append(row)


async def _open(session: AsyncSession, viewer: Viewer, deal_id: int, version: int | None) -> _Change:
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, version)
    before = await lines_of(session, deal_id)
    was = {line.id or 0: snapshot(line) for line in before.lines} | {0: snapshot(before.whole)}
    return _Change(deal, list(before.lines), before.whole, was, given_now(before))


def _line_in(change: _Change, line_id: int) -> DealLine:
    found = next((line for line in change.live if line.id == line_id), None)
    if found is None:
        raise NotFound("money.no_line", "This line is not on the deal any more.")
    return found


def _remove(line: DealLine, now: datetime) -> None:
    line.removed_at = now
    clear_asked(line)


async def _add(
    session: AsyncSession, change: _Change, draft: LineDraft, now: datetime, same: SameProduct, *, place: str
) -> DealLine | None:
    """Returns the line that has it now; None where the rule leaves the deal as it is."""
    product = None
    if draft.product_id is not None:
        product = await access_product(session, draft.product_id, field=f"{place}product_id")
        if product.retired_at is not None:
            raise Invalid(f"{place}product_id", "products.retired", "This product is offered no more.")
    there = next(
        (line for line in change.live if draft.product_id is not None and line.product_id == draft.product_id), None
    )
    if there is not None and same is SameProduct.SKIP:
        return there
    if there is not None and same is SameProduct.SUM and not there.formula and not draft.formula:
        more = check_quantity(Decimal(1) if draft.quantity is None else draft.quantity, f"{place}quantity")
        there.quantity = check_quantity(there.quantity + more, f"{place}quantity")
        return there
    if len(change.live) >= MOST_LINES:
        raise Invalid(f"{place}name", "money.too_many", "A deal can have at most {most} lines.", most=MOST_LINES)
    line = DealLine(
        deal_id=change.deal.id or 0,
        position=max((each.position for each in change.lines), default=-1) + 1,
        name="",
        quantity=Decimal(1),
        price=Decimal(0),
    )
    if product is not None:
        _take_over(line, product, change.deal, draft, place)
    change.lines.append(line)
    await _fill(session, change, line, draft, now, place=place)
    return line


def _take_over(line: DealLine, product: Product, deal: Deal, draft: LineDraft, place: str) -> None:
    """What a product gives its line. Its price is only that of the list where the deal is in the same currency."""
    line.product_id, line.name, line.unit, line.vat_rate = product.id, product.name, product.unit, product.vat_rate
    if product.currency == deal.currency:
        line.price = line.list_price = product.price
    elif draft.price is None:
        raise Invalid(
            f"{place}price",
            "money.currency",
            "The catalogue has its price in {currency}. Write the price in the currency of the deal.",
            currency=product.currency,
        )


async def _fill(
    session: AsyncSession, change: _Change, line: DealLine, draft: LineDraft, now: datetime, *, place: str
) -> None:
    if line.product_id is None or draft.name:
        line.name = check_line(
            draft.name, DealLine.name, f"{place}name", "money.name", "Write a name of up to {most} characters."
        )
    if line.product_id is None or draft.unit:
        line.unit = one_line(check_optional_text(draft.unit, DealLine.unit, f"{place}unit"))
    if draft.price is not None or line.product_id is None:
        line.price = check_price(draft.price, f"{place}price")
    if draft.vat_rate is not None or line.product_id is None:
        line.vat_rate = check_rate(draft.vat_rate, f"{place}vat_rate")
    line.formula = check_optional_text(draft.formula, DealLine.formula, f"{place}formula")
    line.inputs = _inputs(draft.inputs, f"{place}inputs") if draft.inputs or not line.formula else line.inputs
    if line.formula:
        await do_compute_quantity(session, change.deal, line, now, f"{place}formula")
    elif draft.quantity is not None:
        line.quantity = check_quantity(draft.quantity, f"{place}quantity")
    found = check_discount(draft.percent, draft.money, cents(line.quantity * line.price), f"{place}discount")
    change.typed[id(line)] = TypedReason(draft.why, f"{place}why")
    if found == discount_of(line):  # one that is asked for is still asked for
        return
    line.discount_percent, line.discount_money = found.percent, found.money
    clear_asked(line)


def _fill_whole(change: _Change, draft: WholeDraft, *, place: str) -> None:
    nets = sum((each.net for each in priced(change.live, DealDiscount(deal_id=0)).price.lines), Decimal(0))
    found = check_discount(draft.percent, draft.money, nets, f"{place}discount")
    row = change.whole
    row.discount_percent, row.discount_money = found.percent, found.money
    clear_asked(row)
    change.typed[id(row)] = TypedReason(draft.why, f"{place}why")


def _inputs(entered: Mapping[str, str], place: str) -> dict[str, str]:
    if len(entered) > MOST_INPUTS:
        raise Invalid(place, "money.inputs", "At most {most} values can be given.", most=MOST_INPUTS)
    found = {one_line(name): one_line(str(value)) for name, value in entered.items()}
    if any(len(each) > LONGEST_INPUT for pair in found.items() for each in pair):
        raise Invalid(place, "form.too_long", "Write at most {most} characters.", most=LONGEST_INPUT)
    return found


async def do_compute_quantity(session: AsyncSession, deal: Deal, line: DealLine, now: datetime, place: str) -> None:
    """The quantity by the formula. Raises Invalid at ``place``."""
    fields, around = await formula_fields(session, deal), await formula_time(session, deal, now)
    try:
        found = quantity_by(line.formula, line.inputs, fields, around)
    except FormulaError as error:
        raise error.at_field(place) from None
    line.quantity = check_quantity(found, place)


async def _close(
    session: AsyncSession, viewer: Viewer, change: _Change, now: datetime, *, is_undo: bool = False
) -> DealLines:
    """Everything that follows a change. Returns the lines as they are now."""
    live = change.live
    limit = await own_limit(session, viewer)
    if not is_undo:  # what was there was allowed
        typed = TypedReasons(
            {place: change.typed[id(line)] for place, line in enumerate(live) if id(line) in change.typed},
            change.typed.get(id(change.whole), TypedReason()),
        )
        check_limits(change.given, live, change.whole, typed, limit)
    after = priced(live, change.whole)
    session.add_all(line for line in change.lines if line.id is None)
    if change.whole.id is None and (discount_of(change.whole) or asked_of(change.whole)):
        session.add(change.whole)
    await session.flush()
    steps, told = _count(change)
    if not steps:
        return after
    deal = change.deal
    record(
        session,
        now,
        LINES_CHANGED,
        "deal",
        deal.id,
        actor=viewer,
        lines=told,
        total=str(after.price.total),
        undo=[] if is_undo else steps,
    )
    await settle_asked(session, viewer, deal, [*change.lines, change.whole], change.was, now)
    people = await load_directory(session)
    pipeline = (await load_funnel(session)).pipelines[deal.pipeline_id]
    if pipeline.amount_by_lines and live and deal.amount != after.price.total:
        await do_edit_deal(session, deal, now, actor=viewer, people=people, values={"amount": after.price.total})
    else:
        await do_count_change(session, deal, now, people)
    return after


def _count(change: _Change) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Count the versions of the rows that changed. Returns what undoes it, and what the history tells."""
    steps: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    rows: list[DealLine | DealDiscount] = [*change.lines, change.whole]
    for row in rows:
        key = (row.id or 0) if isinstance(row, DealLine) else 0
        was, after = change.was.get(key), snapshot(row)
        if was == after or row.id is None:
            continue
        if was is not None:
            row.version += 1
        steps.append({"id": key, "version": row.version, "was": was})
        told.append(told_of(row, was, after))
    return steps, [each for each in told if each]
