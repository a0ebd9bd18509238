"""Cards of deals, as the board shows them."""

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import ColumnElement, Subquery, literal
from sqlalchemy import select as columns
from sqlalchemy.orm import aliased
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Company, Contact
from pbxcrm.deals.lamp_queries import LEVELS, LampLevel, lamp_rank
from pbxcrm.deals.models import Deal
from pbxcrm.deals.tag_queries import as_names, names_of_tags
from pbxcrm.shared.core_sql import fetch, one_of
from pbxcrm.tasks.models import Task, is_next_step, is_open

BY_DATE: list[ColumnElement[Any]] = [col(Deal.stage_since).desc(), col(Deal.id).desc()]


class BoardCard(NamedTuple):
    """What a card shows, read as plain columns: a board has a hundred cards.

    ``rank``: its place in the order by lamp, 0 to 2; always 0 in the order by date and in closed columns. ``task…``: its next task.
    """

    id: int
    stage_id: int
    version: int
    since: datetime
    title: str
    client_number: str | None
    source: str
    amount: Decimal | None
    lost_reason: str
    responsible_id: int | None
    contact: str | None  # the name
    company: str | None
    task_title: str | None
    task_title_code: dict[str, Any] | None
    task_due_at: datetime | None
    lamp: LampLevel
    tags: tuple[str, ...]
    rank: int


async def cards_of_deals(session: AsyncSession, deal_ids: Sequence[int]) -> list[BoardCard]:
    """The cards of these deals, the last to enter its stage first; without access checks. Flush the session first."""
    ids = columns(col(Deal.id), literal(0).label("rank")).where(one_of(session, col(Deal.id), deal_ids))
    return await cards_in(session, ids.subquery()) if deal_ids else []


_NextTask = aliased(Task, name="next_task")


@cache
def _with_cards() -> Any:  # a select of the columns of BoardCard but for the rank, built once
    first = (
        columns(col(Task.id))
        .where(col(Task.deal_id) == col(Deal.id), is_open(), is_next_step())
        .order_by(col(Task.due_at), col(Task.id))
        .limit(1)
        .correlate(Deal)
        .scalar_subquery()
    )
    return (
        columns(
            *map(col, (Deal.id, Deal.stage_id, Deal.version, Deal.stage_since, Deal.title, Deal.client_number)),
            *map(col, (Deal.source, Deal.amount, Deal.lost_reason, Deal.responsible_id, Contact.name, Company.name)),
            *map(col, (_NextTask.title, _NextTask.title_code, _NextTask.due_at)),
            lamp_rank(),
            names_of_tags(),
        )
        .outerjoin(Contact, col(Contact.id) == col(Deal.contact_id))
        .outerjoin(Company, col(Company.id) == col(Deal.company_id))
        .outerjoin(_NextTask, col(_NextTask.id) == first)
    )


async def cards_in(session: AsyncSession, top: Subquery) -> list[BoardCard]:
    """The cards of the deals whose ``id`` and ``rank`` are given, in the order of a column."""
    return [card for card, _beside in await read_cards(session, top)]


async def read_cards(session: AsyncSession, top: Subquery, *beside: str) -> list[tuple[BoardCard, Sequence[Any]]]:
    """The same, each with the columns ``beside`` of ``top``."""
    query = _with_cards().add_columns(top.c.rank, *(top.c[name] for name in beside)).join(top, top.c.id == col(Deal.id))
    rows = await fetch(session, query.order_by(top.c.rank.desc(), *BY_DATE))
    end = len(BoardCard._fields)
    found = []
    for row in rows:
        *facts, lamp, tags, rank = row[:end]
        found.append((BoardCard._make((*facts, LEVELS[lamp], as_names(tags), rank)), row[end:]))
    return found
