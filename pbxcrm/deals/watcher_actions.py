"""Watching a deal: being told of its moves and notes. It gives no access: only who sees a deal may watch it.

What is told: ``pbxcrm/shared/news.py``.
"""

from datetime import datetime

from sqlalchemy import delete
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.audience import audience_of_deal
from pbxcrm.deals.hooks import StageEntry
from pbxcrm.deals.models import Deal, DealWatcher
from pbxcrm.deals.people_queries import watchers_of
from pbxcrm.deals.queries import access_deal
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.news import NewsKind, say_news


async def watch(session: AsyncSession, viewer: Viewer, deal_id: int, user_id: int, now: datetime) -> bool:
    """Let a person watch a deal: oneself, if one sees it; a colleague, if one may change the deal.

    Returns whether it is new. Raises Invalid at ``user_id`` for somebody who does not see the deal, NotFound, NotAllowed.
    """
    deal, user, people = await _access(session, viewer, deal_id, user_id)
    if user is None or not user.is_active or not audience_of_deal(deal, people).includes(user.id, user.role):
        raise Invalid(
            "user_id",
            "deals.watcher_blind",
            "Nobody of this name sees the deal. Whoever is responsible for it and their managers see it.",
        )
    assert deal.id is not None
    if await _ids(session, deal.id, user_id):
        return False
    session.add(DealWatcher(deal_id=deal.id, user_id=user_id, at=now))
    record(session, now, "deal.watched", "deal", deal.id, actor=viewer, who=user.name)
    say_deal_changed(session, deal, now, people)
    if user_id != viewer.user_id:
        say_news(session, NewsKind.WATCH, deal.id, now, [user_id])
    return True


async def unwatch(session: AsyncSession, viewer: Viewer, deal_id: int, user_id: int, now: datetime) -> bool:
    """End it: for oneself, or for a colleague on a deal that one may change. Returns whether they watched it.

    Raises NotFound for a colleague who does not watch it, NotAllowed.
    """
    deal, user, people = await _access(session, viewer, deal_id, user_id)
    found = await _ids(session, deal.id or 0, user_id)
    if user is None or not found:
        if user_id == viewer.user_id:
            return False
        raise NotFound("deals.no_watcher", "Nobody of this name watches the deal.")
    await session.exec(delete(DealWatcher).where(col(DealWatcher.id).in_(found)))
    record(session, now, "deal.unwatched", "deal", deal.id, actor=viewer, who=user.name)
    say_deal_changed(session, deal, now, people)
    return True


async def say_to_watchers(
    session: AsyncSession,
    deal: Deal,
    what: tuple[NewsKind, int | None],
    at: datetime,
    people: Directory,
    *,
    actor_id: int | None,
) -> None:
    """Tell those who watch the deal and see it, except whoever did it. ``what``: the kind of news with the id of its row."""
    heard = audience_of_deal(deal, people)
    told = [
        user.id
        for user in await watchers_of(session, deal.id or 0, people)
        if user.id is not None and user.id != actor_id and heard.includes(user.id, user.role)
    ]
    kind, row_id = what
    if told:
        say_news(session, kind, row_id or 0, at, told)


async def tell_of_move(session: AsyncSession, entry: StageEntry) -> None:
    """Handler of ``deals.hooks.stage_entered``."""
    if entry.left is None:  # nobody watches a new deal yet
        return
    actor_id = entry.actor.user_id if entry.actor is not None else None
    await say_to_watchers(
        session, entry.deal, (NewsKind.MOVE, entry.move.id), entry.at, entry.people, actor_id=actor_id
    )


async def _access(
    session: AsyncSession, viewer: Viewer, deal_id: int, user_id: int
) -> tuple[Deal, User | None, Directory]:
    people = await load_directory(session)
    if user_id == viewer.user_id:
        check(viewer, Permission.DEALS_READ)
        deal = await access_deal(session, viewer, deal_id)
    else:
        deal = await access_deal_for_change(session, viewer, deal_id, None)
    return deal, people.users.get(user_id), people


async def _ids(session: AsyncSession, deal_id: int, user_id: int) -> list[int]:
    mine = (DealWatcher.deal_id == deal_id, DealWatcher.user_id == user_id)
    return [row_id for row_id in (await session.exec(select(DealWatcher.id).where(*mine))).all() if row_id is not None]
