"""A decision about a colleague's deal or client is passed to that colleague as a task with the reason."""

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, decides_for
from pbxcrm.calendars.queries import load_calendars
from pbxcrm.contacts.queries import contacts_of_number
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.hooks import SecondDeal, StageEntry, WithAnothersClient
from pbxcrm.deals.models import CLOSED_KINDS, Deal
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus
from pbxcrm.tasks.rules import ABOUT_PASSED

DECIDE_WITHIN = 240  # working minutes: half a day


async def owner_to_ask(
    session: AsyncSession, viewer: Viewer, people: Directory, *, deal: Deal | None, number: str | None
) -> int | None:
    """The id of the person who must decide about ``number``: the responsible of its open deal or client. None: the viewer may."""
    if deal is not None and deal.closed_at is None and not edits_deal(viewer, deal, people):
        return active_or_manager(deal.responsible_id, people)
    for contact in await contacts_of_number(session, number):
        if not decides_for(viewer, contact.responsible_id, people):
            return contact.responsible_id
    return None


async def do_pass_on(
    session: AsyncSession,
    viewer: Viewer,
    what: str,
    to_id: int | None,
    why: Reason,
    at: datetime,
    people: Directory,
    *,
    client: str,
    about: str,
    asked: str = "",
    deal_id: int | None,
    contact_id: int | None = None,
    call_id: int | None = None,
) -> Task:
    """Give ``to_id`` (their manager, if they are no longer active) a task to decide, with the viewer's reason ``why``.

    ``what`` is one of ``not_interested wrong_number spam close``; ``asked`` names a more exact title (``task.passed_…``).
    No second task is created while one with the same ``about`` is open. It is due after half a working day of theirs.
    """
    whom = active_or_manager(to_id, people)
    new = TaskDraft(
        kind=TaskKind.ASSIGNMENT,
        title=reason(f"task.passed_{asked or what}", who=viewer.name, client=client),
        why=why,
        due_at=await _time_to_decide(session, whom, at, people),
        assignee_id=whom,
        deal_id=deal_id,
        contact_id=contact_id,
        call_id=call_id,
        about=f"{ABOUT_PASSED}{what}:{about}",
    )
    return await do_create_task(session, new, at, people)


async def tell_owner_of_client(session: AsyncSession, made: WithAnothersClient) -> None:
    """Handler of ``with_anothers_client``: a task for whose client it is. It names no deal, which they may not see."""
    whom = active_or_manager(made.owner_id, made.people)
    facts = {"who": made.by.name, "client": made.client or "—", "title": made.deal.title}
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=reason("task.with_your_client", **facts),
        why=reason("task.with_your_client_why", **facts),
        due_at=await _time_to_decide(session, whom, made.at, made.people),
        assignee_id=whom,
        contact_id=made.deal.contact_id,
        about=f"deal-with:{made.deal.id}:{made.deal.contact_id}",
    )
    await do_create_task(session, new, made.at, made.people)


async def tell_of_second(session: AsyncSession, opened: SecondDeal, others: Sequence[Deal]) -> None:
    """Handler of ``second_deal``: a task for whoever has the deal, or the first one. A colleague's deal is not named."""
    deal, first, people = opened.deal, others[0], opened.people
    whose = first.responsible_id
    is_named = whose is None or whose == deal.responsible_id
    whom = active_or_manager(deal.responsible_id if deal.responsible_id is not None else whose, people)
    new = TaskDraft(
        kind=TaskKind.TODO,
        title=reason("task.second_deal"),
        why=reason("second_deal.named", title=first.title)
        if is_named
        else reason("second_deal.of_colleague", who=people.name(whose) or "—"),
        due_at=await _time_to_decide(session, whom, opened.at, people),
        assignee_id=whom,
        deal_id=deal.id,
        contact_id=deal.contact_id,
        about=f"second-deal:{deal.id}",
    )
    await do_create_task(session, new, opened.at, people)


async def do_settle_passed(
    session: AsyncSession,
    of: ColumnElement[bool],
    why: Reason,
    at: datetime,
    people: Directory,
    *,
    by_id: int | None,
) -> None:
    """What was asked of somebody is done otherwise: the open requests among ``of`` are closed, for the reason ``why``."""
    for task in await open_passed(session, of):
        await do_close_task(session, task, at, people, result=reason("passed.settled", why), actor=None, by_id=by_id)


async def open_passed(session: AsyncSession, of: ColumnElement[bool]) -> list[Task]:
    """Open tasks that ``do_pass_on`` made, among ``of``."""
    passed = col(Task.about).startswith(ABOUT_PASSED, autoescape=True)
    found = await session.exec(
        select(Task).where(of, passed, Task.status == TaskStatus.OPEN.value).order_by(col(Task.id))
    )
    return list(found.all())


async def passed_about_callbacks(session: AsyncSession, callback_ids: Collection[int]) -> dict[int, list[Task]]:
    """Open tasks by which somebody was asked to decide about these callbacks, by callback. Those that another transaction changes are left out."""
    keys = {about_callback(what, each): each for each in callback_ids for what in ("close", "spam")}
    if not keys:
        return {}
    found = await session.exec(
        select(Task)
        .where(col(Task.about).in_(keys), Task.status == TaskStatus.OPEN.value)
        .order_by(col(Task.id))
        .with_for_update(skip_locked=True)
    )
    passed: dict[int, list[Task]] = {}
    for task in found.all():
        passed.setdefault(keys[task.about], []).append(task)
    return passed


def about_callback(what: str, callback_id: int | None) -> str:
    """The key (``Task.about``) of the task that asks to decide about a callback; ``what`` as for ``do_pass_on``."""
    return f"{ABOUT_PASSED}{what}:callback-{callback_id}"


async def settle_lost(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``stage_entered``: the deal is closed, so nobody needs to decide whether it is lost."""
    if entry.stage.kind not in CLOSED_KINDS or entry.left is None:
        return
    by_id = entry.actor.user_id if entry.actor is not None else None
    asked = or_(*(col(Task.about).startswith(f"{ABOUT_PASSED}{what}:") for what in ("not_interested", "wrong_number")))
    why = reason("passed.deal_closed", stage=entry.stage.name)
    await do_settle_passed(
        session, and_(col(Task.deal_id) == entry.deal.id, asked), why, entry.at, entry.people, by_id=by_id
    )


async def _time_to_decide(session: AsyncSession, user_id: int | None, at: datetime, people: Directory) -> datetime:
    """When the person must have decided: what is due at once would be overdue before anybody can read it."""
    return (await load_calendars(session, people)).of_user(user_id).add_minutes(at, DECIDE_WITHIN)


def active_or_manager(user_id: int | None, people: Directory) -> int | None:
    """The id of the person, of their manager if they are no longer active, or None."""
    if people.active(user_id) is not None:
        return user_id
    manager = people.manager_of(user_id)
    return manager.id if manager is not None else None
