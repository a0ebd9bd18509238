"""The tasks of a discount that is asked for: a manager decides about it, and who asked tells the client."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.deals.models import Deal
from pbxcrm.money.history_rules import Snapshot, key_of, snapshot
from pbxcrm.money.line_authors import LineAuthor
from pbxcrm.money.line_rules import discount_text
from pbxcrm.money.models import DealDiscount, DealLine
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus

ABOUT_DISCOUNT = "discount:"
TELL_MINUTES = 60  # working minutes until the client should know the answer


async def settle_asked(
    session: AsyncSession,
    author: LineAuthor,
    deal: Deal,
    rows: Sequence[DealLine | DealDiscount],
    was: Mapping[int, Snapshot],
    now: datetime,
) -> None:
    """After a change of lines: a manager gets a task for each discount that is asked for now, and loses those that are not any more."""
    people = await load_directory(session)
    for row in rows:
        old, new = _request(was.get(key_of(row), {})), _request(snapshot(row))
        if old == new:
            continue
        if any(old):
            said = reason("discount.replaced", who=author.name)
            await do_close_asked(session, row, now, people, said, author.actor)
        if any(new):
            row.asked_by_id = author.asker_id
            await _create_task(session, author, deal, row, now, people)


def _request(values: Snapshot) -> tuple[str | None, str | None, str]:
    return values.get("asked_percent"), values.get("asked_money"), values.get("asked_why", "")


async def _create_task(
    session: AsyncSession,
    author: LineAuthor,
    deal: Deal,
    row: DealLine | DealDiscount,
    now: datetime,
    people: Directory,
) -> None:
    manager = people.manager_of(author.asker_id)
    discount = said_of(row, deal)
    if author.actor is None:
        why = reason("discount.asked_by_rule", rule=author.name, discount=discount)
    elif isinstance(row, DealLine):
        why = reason("discount.asked", who=author.name, discount=discount, what=row.name, why=row.asked_why)
    else:
        why = reason("discount.asked_whole", who=author.name, discount=discount, why=row.asked_why)
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


async def do_close_asked(
    session: AsyncSession,
    row: DealLine | DealDiscount,
    now: datetime,
    people: Directory,
    said: Reason,
    actor: Viewer | None,
) -> None:
    """The discount is decided about, or asked for no longer: its task ends."""
    query = select(Task).where(Task.about == _about(row), Task.status == TaskStatus.OPEN.value)
    for task in (await session.exec(query)).all():
        await do_close_task(session, task, now, people, result=said, actor=actor)


async def do_tell_asker(
    session: AsyncSession, deal: Deal, asker_id: int, discount: str, now: datetime, said: Reason, *, is_approved: bool
) -> None:
    """Who asked for a discount gets a task to tell the client what was decided."""
    calendars = await load_calendars(session, people := await load_directory(session))
    told = TaskDraft(
        TaskKind.TODO,
        reason(
            "task.discount_approved" if is_approved else "task.discount_refused", title=deal.title, discount=discount
        ),
        said,
        calendars.of_user(asker_id).add_minutes(now, TELL_MINUTES),
        asker_id,
        deal.id,
        deal.contact_id,
    )
    await do_create_task(session, told, now, people)
