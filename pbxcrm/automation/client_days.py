"""Whose day it is: birthdays, a day of the year, and the own rhythm of a client's orders. Only reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from statistics import median
from zoneinfo import ZoneInfo

from sqlalchemy import ColumnElement, exists
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.models import AutomationRule
from pbxcrm.contacts.birthday_rules import days_near
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal, StageKind
from pbxcrm.deals.queries import load_funnel

LEAST_ORDERS = 3  # won deals from which a rhythm is read


@dataclass(frozen=True, slots=True)
class ClientBatch:
    """Clients that were looked at, and those of them whose day it is."""

    looked_at: Sequence[int]
    meant: Sequence[int]


async def clients_of_day(
    session: AsyncSession, rule: AutomationRule, day: date, timezone: ZoneInfo, after: int, most: int
) -> ClientBatch:
    """The next clients, by id, whose day is ``day`` by the rule."""
    kind = rule.when["kind"]
    if kind == "holiday" and not is_holiday(rule, day):
        return ClientBatch((), ())
    asked: list[ColumnElement[bool]] = [col(Contact.merged_into_id).is_(None), col(Contact.erased_at).is_(None)]
    won = await _won(session)
    if kind == "birthday":
        asked.append(col(Contact.birth_day).in_(days_near(day, 0)))
    else:
        asked.append(exists().where(col(Deal.contact_id) == col(Contact.id), won))
    query = select(Contact.id).where(*asked, col(Contact.id) > after).order_by(col(Contact.id)).limit(most)
    found = [client_id for client_id in (await session.exec(query)).all() if client_id is not None]
    if kind != "rhythm" or not found:
        return ClientBatch(found, found)
    orders: dict[int, list[date]] = {}
    deals = select(Deal.contact_id, Deal.closed_at).where(col(Deal.contact_id).in_(found), won)
    for client_id, closed_at in (await session.exec(deals.order_by(col(Deal.closed_at)))).all():
        if client_id is not None and closed_at is not None:
            orders.setdefault(client_id, []).append(closed_at.astimezone(timezone).date())
    wanted = day - timedelta(days=rule.when["days"])
    return ClientBatch(found, [client_id for client_id in found if next_order(orders.get(client_id, ())) == wanted])


def is_holiday(rule: AutomationRule, day: date) -> bool:
    """Whether ``day`` is the one of a rule on a day of the year."""
    return bool(rule.when["day"] == f"{day:%d.%m}")


def next_order(orders: Sequence[date]) -> date | None:
    """When the next order is usual: the last one and the median between them; None for too few. ``orders``: the oldest first."""
    if len(orders) < LEAST_ORDERS:
        return None
    between = [(later - earlier).days for earlier, later in pairwise(orders)]
    return orders[-1] + timedelta(days=round(median(between)))


async def _won(session: AsyncSession) -> ColumnElement[bool]:
    stages = [stage.id for stage in (await load_funnel(session)).stages.values() if stage.kind == StageKind.WON]
    return col(Deal.stage_id).in_(stages) & col(Deal.merged_into_id).is_(None) & col(Deal.closed_at).is_not(None)
