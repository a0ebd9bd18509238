"""Discounts above a person's limit: they are asked for, a manager approves or refuses them, and who asked is told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.models import Deal
from pbxcrm.money.line_rules import Snapshot, clear_asked, discount_text
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.money.queries import DealLines, as_priced, asked_of, discount_of
from pbxcrm.money.rules import NO_DISCOUNT, WHOLE, Discount, PricedLine, given_percent, price_of
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.errors import Invalid, NotAllowed
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus

ABOUT_DISCOUNT = "discount:"
TELL_MINUTES = 60  # working minutes until the client should know the answer


@dataclass(frozen=True, slots=True)
class GivenBefore:
    """What the client got cheaper before a change, in per cent: by id of the line, and by the discount on the whole."""

    lines: Mapping[int, Decimal]
    discounts: Mapping[int, Discount]
    whole: Discount
    whole_percent: Decimal

    @property
    def most(self) -> Decimal:
        """On the line with the most."""
        return max(self.lines.values(), default=Decimal(0))


@dataclass(frozen=True, slots=True)
class TypedReason:
    """What was typed as the reason of a discount, and the field of the form for what is wrong with it."""

    why: str = ""
    field: str = "why"


@dataclass(slots=True)
class TypedReasons:
    """The typed reasons: by place of the line, and for the discount on the whole."""

    lines: dict[int, TypedReason] = field(default_factory=dict)
    whole: TypedReason = TypedReason()


def given_now(lines: DealLines) -> GivenBefore:
    """What the client gets cheaper by these lines."""
    whole = discount_of(lines.whole)
    share = share_of(whole, lines.lines)
    return GivenBefore(
        {line.id or 0: given_percent(as_priced(line), line.list_price, share) for line in lines.lines},
        {line.id or 0: discount_of(line) for line in lines.lines},
        whole,
        share * WHOLE,
    )


def share_of(whole: Discount, lines: Sequence[DealLine]) -> Decimal:
    """The part of what the lines cost, from 0 to 1, that a discount on the whole takes off."""
    return whole.share(sum((each.net for each in price_of([as_priced(line) for line in lines]).lines), Decimal(0)))


def check_limits(
    before: GivenBefore, lines: Sequence[DealLine], whole: DealDiscount, typed: TypedReasons, limit: Decimal
) -> None:
    """What goes beyond ``limit`` (per cent), and was not there before, is only asked for: it moves to the ``asked_…`` columns, and what
    counts stays as it was. ``lines``: those that are not removed; ``typed`` has their places.

    Raises Invalid for a price too far below the list, and at the field of the reason if there is none.
    """
    share = share_of(before.whole, lines)
    for place, line in enumerate(lines):
        allowed = max(limit, before.lines.get(line.id or 0, Decimal(0)), share * WHOLE)
        plain = PricedLine(line.quantity, line.price)
        if given_percent(as_priced(line), line.list_price, share) <= allowed:
            continue
        said = typed.lines.get(place, TypedReason())
        if given_percent(plain, line.list_price, share) > allowed:
            raise Invalid(
                said.field.removesuffix("why") + "price",
                "money.price_low",
                "The price is too far below the list: you give up to {limit} % on your own. Ask for a discount instead.",
                limit=f"{limit:.0f}",
            )
        _check_said(said, limit)
        was = before.discounts.get(line.id or 0, NO_DISCOUNT)
        kept = PricedLine(line.quantity, line.price, was)
        _ask(line, was if given_percent(kept, line.list_price, share) <= allowed else NO_DISCOUNT, said.why)
    new = share_of(discount_of(whole), lines)
    most = max((given_percent(as_priced(line), line.list_price, new) for line in lines), default=Decimal(0))
    if new * WHOLE > max(limit, before.whole_percent) or (new > share and most > max(limit, before.most)):
        _check_said(typed.whole, limit)
        kept_share = share_of(before.whole, lines) * WHOLE
        _ask(whole, before.whole if kept_share <= max(limit, before.whole_percent) else NO_DISCOUNT, typed.whole.why)


def _check_said(said: TypedReason, limit: Decimal) -> None:
    if not said.why.strip():
        raise Invalid(
            said.field,
            "money.say_why",
            "You give up to {limit} % on your own. Say why, and a manager decides about this discount.",
            limit=f"{limit:.0f}",
        )
    check_why(said.why, said.field)


def _ask(row: DealLine | DealDiscount, counts: Discount, why: str) -> None:
    row.asked_percent, row.asked_money = row.discount_percent, row.discount_money
    row.asked_why = check_why(why)
    row.discount_percent, row.discount_money = counts.percent, counts.money


async def settle_asked(
    session: AsyncSession,
    viewer: Viewer,
    deal: Deal,
    rows: Sequence[DealLine | DealDiscount],
    was: Mapping[int, Snapshot],
    now: datetime,
) -> None:
    """After a change of lines: a manager gets a task for each discount that is asked for now, and loses those that are not any more."""
    people = await load_directory(session)
    for row in rows:
        before = was.get(key_of(row), {})
        old = (before.get("asked_percent"), before.get("asked_money"), before.get("asked_why", ""))
        asked = asked_of(row)
        new = (_text(asked.percent), _text(asked.money), row.asked_why)
        if old == new:
            continue
        if any(old):
            await _close_task(session, row, now, people, reason("discount.replaced", who=viewer.name), viewer)
        if asked:
            row.asked_by_id = viewer.user_id
            await _create_task(session, viewer, deal, row, now, people)


def key_of(row: DealLine | DealDiscount) -> int:
    """The id of a line; 0 for the discount on the whole."""
    return (row.id or 0) if isinstance(row, DealLine) else 0


def _text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value.normalize():f}"


async def _create_task(
    session: AsyncSession, viewer: Viewer, deal: Deal, row: DealLine | DealDiscount, now: datetime, people: Directory
) -> None:
    manager = people.manager_of(viewer.user_id)
    discount = said_of(row, deal)
    if isinstance(row, DealLine):
        why = reason("discount.asked", who=viewer.name, discount=discount, what=row.name, why=row.asked_why)
    else:
        why = reason("discount.asked_whole", who=viewer.name, discount=discount, why=row.asked_why)
    task = TaskDraft(
        TaskKind.CONTROL,
        reason("task.discount", title=deal.title),
        why,
        now,
        manager.id if manager else None,
        deal.id,
        deal.contact_id,
        about=_about(row),
    )
    await do_create_task(session, task, now, people)


def said_of(row: DealLine | DealDiscount, deal: Deal) -> str:
    """The discount that is asked for, as a text."""
    return discount_text(row.asked_percent, row.asked_money, deal.currency)


def _about(row: DealLine | DealDiscount) -> str:
    return f"{ABOUT_DISCOUNT}line:{row.id}" if isinstance(row, DealLine) else f"{ABOUT_DISCOUNT}deal:{row.deal_id}"


async def _close_task(
    session: AsyncSession,
    row: DealLine | DealDiscount,
    now: datetime,
    people: Directory,
    said: Reason,
    actor: Viewer,
) -> None:
    query = select(Task).where(Task.about == _about(row), Task.status == TaskStatus.OPEN.value)
    for task in (await session.exec(query)).all():
        await do_close_task(session, task, now, people, result=said, actor=actor)


async def do_decide(
    session: AsyncSession,
    viewer: Viewer,
    deal: Deal,
    row: DealLine | DealDiscount,
    now: datetime,
    *,
    percent: Decimal,
    limit: Decimal,
    is_approved: bool,
    why: str,
) -> None:
    """Let a discount that is asked for count, or not. The task ends, and who asked gets one to tell the client.

    ``percent``: what the client would get cheaper with it; ``limit``: what the viewer may give. Raises NotAllowed, and Invalid at ``why`` for a refusal without a reason.
    """
    check(viewer, Permission.ESCALATIONS_WORK)
    asked, asked_by, discount = asked_of(row), row.asked_by_id, said_of(row, deal)
    people = await load_directory(session)
    if is_approved:
        if percent > limit:
            raise NotAllowed("money.above_limit", "This discount is above your own limit. An administrator decides.")
        row.discount_percent, row.discount_money = asked.percent, asked.money
        said = reason("discount.approved", who=viewer.name)
    else:
        said = reason("discount.refused", who=viewer.name, why=check_why(why, "why"))
    clear_asked(row)
    await _close_task(session, row, now, people, said, viewer)
    if asked_by is None or asked_by == viewer.user_id or people.active(asked_by) is None:
        return
    calendars = await load_calendars(session, people)
    title = "task.discount_approved" if is_approved else "task.discount_refused"
    told = TaskDraft(
        TaskKind.TODO,
        reason(title, title=deal.title, discount=discount),
        said,
        calendars.of_user(asked_by).add_minutes(now, TELL_MINUTES),
        asked_by,
        deal.id,
        deal.contact_id,
    )
    await do_create_task(session, told, now, people)
