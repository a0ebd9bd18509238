"""What the panels of a deal's people, watchers and lines show, on its page and when they answer an act."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.access import Permission, can
from pbxcrm.access.owners import leads_owner
from pbxcrm.deals.models import Deal
from pbxcrm.deals.people_queries import list_roles, people_of, watchers_of, who_sees_deal
from pbxcrm.money.quantity_rules import problem_of
from pbxcrm.money.queries import formula_fields, formula_time, lines_of, load_templates
from pbxcrm.people.directory import load_directory
from web.forms import Form
from web.parts import now, viewer


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


async def lines_context(session: AsyncSession, request: Request, deal: Deal) -> dict[str, Any]:
    """What ``deals/_lines.html`` shows: the lines with their price, templates, and no form with something wrong."""
    found, directory = await lines_of(session, deal.id or 0), await load_directory(session)
    by_formula = [line for line in found.lines if line.formula]
    fields = await formula_fields(session, deal) if by_formula else {}
    around = await formula_time(session, deal, now(request)) if by_formula else None
    return {
        "sold": found,
        "line_problems": {line.id: problem_of(line, fields, around) for line in by_formula if around is not None},
        "line_templates": await load_templates(session) if can(viewer(request), Permission.DEALS_EDIT) else [],
        "line_people": directory,
        "edits": can(viewer(request), Permission.DEALS_EDIT),
        "decides": leads_owner(viewer(request), deal.responsible_id, directory),
        "chosen": None,
        "typed": {},
        "decided": {},
        "add_form": Form(),
        "whole_form": None,
        "template_form": None,
    }
