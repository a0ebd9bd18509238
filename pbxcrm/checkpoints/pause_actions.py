"""Pausing a deal for a reason until a date. A pause longer than ``APPROVE_BEYOND`` needs a manager's approval."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.access.owners import check_leads, leads_owner
from pbxcrm.audit.actions import record
from pbxcrm.checkpoints.deal_facts import load_rests
from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.hours_queries import PauseLook, look_at_pause
from pbxcrm.checkpoints.models import Pause
from pbxcrm.checkpoints.rules import Rest
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.typed_reasons import check_why
from pbxcrm.tasks.actions import TaskDraft, do_close_task, do_create_task
from pbxcrm.tasks.models import Task, TaskKind, TaskStatus

APPROVE_BEYOND = timedelta(days=14)
LONGEST = timedelta(days=366)
NO_GAP = timedelta(days=2)  # pauses that are less apart count as one
ABOUT_PAUSE = "pause:"


async def pause_deal(
    session: AsyncSession, viewer: Viewer, deal_id: int, until: datetime, why: str, *, now: datetime
) -> Pause:
    """Pause the deal from now on, replacing a current pause; one that must be approved replaces it when it is. Raises Invalid at ``until`` or ``reason``, NotFound, Conflict."""
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    why = check_why(why, "reason")
    if not now < until <= now + LONGEST:
        raise Invalid("until", "pauses.until", "A pause ends later than now, and within a year.")
    if deal.closed_at is not None:
        raise Conflict("pauses.closed", "The deal is closed: nobody is asked about it.")
    people = await load_directory(session)
    decides = leads_owner(viewer, deal.responsible_id, people)
    waits = until - await _paused_since(session, deal, now) > APPROVE_BEYOND and not decides
    before = await _pauses_at(session, deal_id, now)
    for each in before if not waits else [each for each in before if each.waits_for_approval]:
        each.until_at = now
    pause = Pause(
        deal_id=deal_id,
        from_at=now,
        until_at=until,
        why=why,
        by_id=viewer.user_id,
        approved_by_id=viewer.user_id if decides else None,
        waits_for_approval=waits,
    )
    session.add(pause)
    await session.flush()
    record(session, now, "deal.paused", "deal", deal_id, actor=viewer, until=until.isoformat(), why=why, waits=waits)
    say_deal_changed(session, deal, now, people)
    for each in before:
        if each.until_at == now and each.waits_for_approval:  # whoever was asked about it is asked about this one
            await _close_task(session, each, now, reason("pause.replaced", who=viewer.name), viewer)
    if waits:
        manager = people.manager_of(viewer.user_id)
        said = reason("pause.waits", who=viewer.name, until=until.isoformat(), why=why)
        task = TaskDraft(
            TaskKind.CONTROL,
            reason("task.pause", title=deal.title),
            said,
            now,
            manager.id if manager else None,
            deal_id,
            deal.contact_id,
            about=f"{ABOUT_PAUSE}{pause.id}",
        )
        await do_create_task(session, task, now, people)
    await settle_deals(session, [deal_id], now)
    return pause


async def approve_pause(session: AsyncSession, viewer: Viewer, deal_id: int, *, now: datetime) -> Pause:
    """Approve the pause that waits for approval. Raises NotFound."""
    check(viewer, Permission.ESCALATIONS_WORK)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    check_leads(viewer, deal.responsible_id, await load_directory(session))
    pause = await pause_of(session, deal_id, now)
    if pause is None or not pause.waits_for_approval:
        raise NotFound("pauses.none", "No pause of this deal waits for approval.")
    pause.waits_for_approval, pause.approved_by_id = False, viewer.user_id
    for each in await _pauses_at(session, deal_id, now):
        if each is not pause:  # it goes on as a part of the longer one
            each.until_at = max(each.from_at, min(each.until_at, pause.from_at))
    await _over(session, viewer, deal, pause, "pause.approved", now)
    return pause


async def end_pause(
    session: AsyncSession, viewer: Viewer, deal_id: int, *, now: datetime, begin_now: bool = False
) -> None:
    """End the pause now; the paused time until now stays uncounted. ``begin_now``: a lamp that would light at once because of that is
    counted from now. Raises NotFound.
    """
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    pause = await pause_of(session, deal_id, now)
    if pause is None:
        raise NotFound("pauses.none", "The deal is not paused.")
    for each in await _pauses_at(session, deal_id, now):
        each.until_at = now
    await _over(session, viewer, deal, pause, "pause.ended", now, begin_at=now if begin_now else None)


async def look_at_end(session: AsyncSession, deal_id: int, until: datetime, *, now: datetime) -> PauseLook:
    """When the next lamp of the deal lights now, and when it would if it is paused from now until ``until`` (or, with ``now``, not)."""
    known = (await load_rests(session, [deal_id])).get(deal_id, ())
    over = [Rest(rest.since, min(rest.until, now)) for rest in known if rest.since < now]
    return await look_at_pause(session, deal_id, [*over, Rest(now, until)] if until > now else over)


async def pause_of(session: AsyncSession, deal_id: int, now: datetime) -> Pause | None:
    """The latest pause of a deal that is not over, also one that waits for approval; None without one."""
    return next(iter(await _pauses_at(session, deal_id, now)), None)


async def running_pause(session: AsyncSession, deal_id: int, now: datetime) -> Pause | None:
    """The pause that counts now, while a longer one may wait for approval; None without one."""
    return next((each for each in await _pauses_at(session, deal_id, now) if not each.waits_for_approval), None)


async def _pauses_at(session: AsyncSession, deal_id: int, now: datetime) -> Sequence[Pause]:
    """The latest first."""
    rows = await session.exec(
        select(Pause).where(Pause.deal_id == deal_id, Pause.until_at > now).order_by(col(Pause.id).desc())
    )
    return rows.all()


async def _paused_since(session: AsyncSession, deal: Deal, now: datetime) -> datetime:
    """Since when the deal has been paused without a gap in which anybody could have worked on it; ``now`` without such a pause.

    Otherwise a row of short pauses would need no approval. A pause that a manager approved starts the count over.
    """
    rows = await session.exec(
        select(Pause).where(Pause.deal_id == deal.id, Pause.from_at >= deal.stage_since).order_by(col(Pause.id).desc())
    )
    since = now
    for pause in rows.all():
        if pause.until_at < since - NO_GAP or pause.approved_by_id is not None:
            break
        since = min(since, pause.from_at)
    return since


async def _over(
    session: AsyncSession,
    viewer: Viewer,
    deal: Deal,
    pause: Pause,
    code: str,
    now: datetime,
    *,
    begin_at: datetime | None = None,
) -> None:
    people = await load_directory(session)
    said = reason(code, who=viewer.name)
    record(session, now, f"deal.{code.replace('.', '_')}", "deal", deal.id, actor=viewer)
    await _close_task(session, pause, now, said, viewer)
    say_deal_changed(session, deal, now, people)
    await settle_deals(session, [deal.id or 0], now, begin_at=begin_at)


async def _close_task(session: AsyncSession, pause: Pause, now: datetime, said: Reason, viewer: Viewer) -> None:
    """Close the task that asks a manager to approve the pause."""
    people = await load_directory(session)
    rows = await session.exec(
        select(Task).where(Task.about == f"{ABOUT_PAUSE}{pause.id}", Task.status == TaskStatus.OPEN.value)
    )
    for task in rows.all():
        await do_close_task(session, task, now, people, result=said, actor=viewer)
