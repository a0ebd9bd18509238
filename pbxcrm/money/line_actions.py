"""Changing the lines of a deal: adding, filling in, moving, removing, undo."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.models import AuditEntry
from pbxcrm.deals.models import Deal
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.money.discount_rules import TypedReason
from pbxcrm.money.history_rules import Snapshot, is_as_left, put_back, snapshot
from pbxcrm.money.line_authors import LineAuthor, by
from pbxcrm.money.line_changes import LINES_CHANGED, LineChange, close_change, open_change, open_locked
from pbxcrm.money.line_drafts import LineDraft, SameProduct, WholeDraft
from pbxcrm.money.line_rules import DealLines, clear_asked, cost_of, discount_of, gives_more
from pbxcrm.money.models import DealDiscount, DealLine, Product
from pbxcrm.money.quantity_rules import check_inputs, quantity_by
from pbxcrm.money.queries import access_line, access_product, formula_fields, formula_time
from pbxcrm.money.rules import cents, check_discount, check_price, check_quantity, check_rate
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line, check_optional_text
from pbxcrm.shared.runtime_options import load_options
from pbxcrm.shared.texts import one_line

MOST_LINES = 200  # of one deal
UNDO_WITHIN = timedelta(minutes=10)


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
    change = await open_change(session, viewer, deal_id, version)
    rule = same or SameProduct((await load_options(session)).same_product)
    await _add(session, change, draft, now, rule, place="")
    return await close_change(session, change, now)


async def add_lines(
    session: AsyncSession, viewer: Viewer, deal_id: int, drafts: Sequence[LineDraft], now: datetime
) -> DealLines:
    """Add several lines together, as a template does; a product that is there already gets a second line."""
    change = await open_change(session, viewer, deal_id)
    for number, draft in enumerate(drafts):
        await _add(session, change, draft, now, SameProduct.ADD, place=f"lines.{number}.")
    return await close_change(session, change, now)


async def do_add_lines(
    session: AsyncSession,
    deal: Deal,
    drafts: Sequence[LineDraft],
    author: LineAuthor,
    now: datetime,
    *,
    same: SameProduct,
) -> LineChange:
    """The same for a rule of automation, on a deal that the caller has locked. Returns what it changed, for ``do_put_back``."""
    change = await open_locked(session, deal, author)
    for draft in drafts:
        await _add(session, change, draft, now, same, place="")
    await close_change(session, change, now)
    return change


async def do_give_discount(
    session: AsyncSession, deal: Deal, draft: WholeDraft, author: LineAuthor, now: datetime
) -> LineChange:
    """A rule gives a discount on the whole of a deal that the caller has locked, or asks for it. One that is at least as large, or asked
    for, stays as it is: then nothing changes. Raises Invalid at ``discount``.
    """
    change = await open_locked(session, deal, author)
    wanted = check_discount(draft.percent, draft.money, cost_of(change.live), "discount")
    if gives_more(wanted, change.live, change.whole):
        _fill_whole(change, draft)
        await close_change(session, change, now)
    return change


async def do_put_back(
    session: AsyncSession, viewer: Viewer, deal: Deal, changed: Sequence[Mapping[str, Any]], now: datetime
) -> bool:
    """Take back what a rule changed (``what_changed``). False, and nothing is changed, if a row is not as the rule left it any more."""
    change = await open_locked(session, deal, by(viewer))
    rows: list[tuple[DealLine | DealDiscount, Mapping[str, Any]]] = []
    for each in changed:
        line_id = each["id"]
        row = await access_line(session, deal.id or 0, line_id, or_removed=True) if line_id else change.whole
        if not is_as_left(row, each["is"]):
            return False
        rows.append((row, each))
    for row, each in rows:
        if isinstance(row, DealLine):
            _put_line_back(change, row, each["was"], now)
        else:
            put_back(row, each["was"])
    await close_change(session, change, now, settled=True)
    return True


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
    """Give a line other values; it keeps its product. ``version``: that of the line as it was seen. Raises as ``add_line`` does."""
    change = await open_change(session, viewer, deal_id)
    line = change.line(line_id)
    if version is not None and line.version != version:
        raise Conflict("money.line_stale", "Somebody has changed this line meanwhile. Look at it again.")
    await _fill(session, change, line, draft, now, place="")
    return await close_change(session, change, now)


async def move_line(
    session: AsyncSession, viewer: Viewer, deal_id: int, line_id: int, now: datetime, *, up: bool
) -> DealLines:
    """Exchange a line with the one above or below. Does nothing at the end of the list."""
    change = await open_change(session, viewer, deal_id)
    live = change.live
    at = live.index(change.line(line_id))
    to = at + (-1 if up else 1)
    if 0 <= to < len(live):
        live[at], live[to] = live[to], live[at]
        for position, each in enumerate(live):
            each.position = position
        change.lines.sort(key=lambda each: each.position)
    return await close_change(session, change, now)


async def remove_line(session: AsyncSession, viewer: Viewer, deal_id: int, line_id: int, now: datetime) -> DealLines:
    """Take a line off; ``undo_lines`` puts it back. Raises NotFound, NotAllowed."""
    change = await open_change(session, viewer, deal_id)
    _remove(change.line(line_id), now)
    return await close_change(session, change, now)


async def set_whole(session: AsyncSession, viewer: Viewer, deal_id: int, draft: WholeDraft, now: datetime) -> DealLines:
    """Set the discount on the whole deal. Raises Invalid at ``discount`` or ``why``."""
    change = await open_change(session, viewer, deal_id)
    _fill_whole(change, draft)
    return await close_change(session, change, now)


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
    change = await open_change(session, viewer, deal_id, version)
    kept = {draft.line_id for draft in drafts if draft.line_id is not None}
    by_id = {line.id: line for line in change.lines}
    for line in change.lines:
        if line.id not in kept:
            _remove(line, now)
    seen: set[int] = set()
    for number, draft in enumerate(drafts):
        place = f"lines.{number}."
        if draft.line_id is None:
            placed = await _add(session, change, draft, now, SameProduct.ADD, place=place)
        else:
            if draft.line_id not in by_id or draft.line_id in seen:
                raise Invalid(f"{place}id", "money.no_line", "This line is not on the deal any more.")
            seen.add(draft.line_id)
            placed = by_id[draft.line_id]
            await _fill(session, change, placed, draft, now, place=place)
        placed.position = number
    change.lines.sort(key=lambda each: each.position)
    if whole is not None:
        _fill_whole(change, whole)
    return await close_change(session, change, now)


async def undo_lines(session: AsyncSession, viewer: Viewer, deal_id: int, now: datetime) -> DealLines:
    """Take back the latest change of the lines of a deal, if it was the viewer's own and at most ``UNDO_WITHIN`` ago. Raises Conflict."""
    change = await open_change(session, viewer, deal_id)
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
    return await close_change(session, change, now, settled=True)


def _put_line_back(change: LineChange, row: DealLine, was: Snapshot | None, now: datetime) -> None:
    if was is None or was["removed_at"]:
        _remove(row, now)
        return
    change.was.setdefault(row.id or 0, snapshot(row))
    put_back(row, was)
    row.removed_at = None
    if row not in change.lines:
        change.lines.append(row)


def _remove(line: DealLine, now: datetime) -> None:
    line.removed_at = now
    clear_asked(line)


async def _add(
    session: AsyncSession, change: LineChange, draft: LineDraft, now: datetime, same: SameProduct, *, place: str
) -> DealLine:
    """Returns the line that has it now: a new one, or the one that was there."""
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
    session: AsyncSession, change: LineChange, line: DealLine, draft: LineDraft, now: datetime, *, place: str
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
    line.inputs = check_inputs(draft.inputs, f"{place}inputs") if draft.inputs or not line.formula else line.inputs
    if line.formula:
        line.quantity = await _computed(session, change.deal, line, now, f"{place}formula")
    elif draft.quantity is not None:
        line.quantity = check_quantity(draft.quantity, f"{place}quantity")
    found = check_discount(draft.percent, draft.money, cents(line.quantity * line.price), f"{place}discount")
    change.typed[id(line)] = TypedReason(draft.why, f"{place}why")
    if found == discount_of(line):  # one that is asked for is still asked for
        return
    line.discount_percent, line.discount_money = found.percent, found.money
    clear_asked(line)


def _fill_whole(change: LineChange, draft: WholeDraft) -> None:
    found = check_discount(draft.percent, draft.money, cost_of(change.live), "discount")
    row = change.whole
    row.discount_percent, row.discount_money = found.percent, found.money
    clear_asked(row)
    change.typed[id(row)] = TypedReason(draft.why)


async def _computed(session: AsyncSession, deal: Deal, line: DealLine, now: datetime, place: str) -> Decimal:
    fields, around = await formula_fields(session, deal), await formula_time(session, deal, now)
    try:
        found = quantity_by(line.formula, line.inputs, fields, around)
    except FormulaError as error:
        raise error.at_field(place) from None
    return check_quantity(found, place)
