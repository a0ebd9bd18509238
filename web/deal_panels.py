"""What the panels of a deal's people and watchers show, on its page and when they answer an act."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.access import Permission, can
from pbxcrm.deals.models import Deal
from pbxcrm.deals.people_queries import list_roles, people_of, watchers_of, who_sees_deal
from pbxcrm.people.directory import load_directory
from web.parts import viewer


async def people_context(session: AsyncSession, request: Request, deal: Deal) -> dict[str, Any]:
    """What ``deals/_people.html`` shows, besides ``people_form``."""
    return {
        "deal_people": await people_of(session, deal),
        "roles": await list_roles(session, viewer(request)),
        "edits": can(viewer(request), Permission.DEALS_EDIT),
    }


async def watchers_context(session: AsyncSession, request: Request, deal: Deal) -> dict[str, Any]:
    """What ``deals/_watchers.html`` shows."""
    directory = await load_directory(session)
    watchers = await watchers_of(session, deal.id or 0, directory)
    watching = {user.id for user in watchers}
    return {
        "watchers": watchers,
        "watches": viewer(request).user_id in watching,
        "may_watch": [user for user in who_sees_deal(deal, directory) if user.id not in watching],
        "edits": can(viewer(request), Permission.DEALS_EDIT),
    }
