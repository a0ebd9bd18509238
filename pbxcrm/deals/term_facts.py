"""What the terms of deals (``terms``) are asked of in Python: a deal with what stands beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import select as select_columns
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.filters import searched_text, tag_key
from pbxcrm.deals.lamp_queries import LEVELS, LampLevel, lamp_rank
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import load_funnel
from pbxcrm.deals.tag_queries import as_names, names_of_tags
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.tasks.models import Task, TaskStatus, is_next_step


@dataclass(frozen=True, slots=True)
class DealWithFacts:
    """A deal and what conditions ask of it. ``tags``: their keys. ``numbers``: its own and those of its client. ``searched``: what a
    search for words looks through, as ``searched_text`` joins it.
    """

    deal: Deal
    stage: Stage
    team_id: int | None
    lamp: LampLevel
    next_task_at: datetime | None
    tags: tuple[str, ...]
    numbers: tuple[str, ...]
    searched: str

    @property
    def custom(self) -> Mapping[str, Any]:
        """The values of its custom fields, where ``fields.terms`` looks for them."""
        return self.deal.custom


async def load_term_facts(session: AsyncSession, deals: Sequence[Deal]) -> list[DealWithFacts]:
    """The facts of these deals, in the same order, in two questions through Core: rules ask them of every event."""
    if not deals:
        return []
    if session.autoflush:
        await session.flush()  # Core does not
    funnel, people = await load_funnel(session), await load_directory(session)
    beside = {row.id: row for row in await fetch(session, _beside(), {"deals": [deal.id for deal in deals]})}
    phones: dict[int, list[str]] = {}
    if client_ids := [deal.contact_id for deal in deals if deal.contact_id is not None]:
        for contact_id, number in await fetch(session, _phones(), {"contacts": client_ids}):
            phones.setdefault(contact_id, []).append(number)
    found = []
    for deal in deals:
        user, row = people.users.get(deal.responsible_id or 0), beside[deal.id]
        own = [deal.client_number] if deal.client_number else []
        numbers = tuple(dict.fromkeys([*own, *phones.get(deal.contact_id or 0, ())]))
        found.append(
            DealWithFacts(
                deal,
                funnel.stages[deal.stage_id],
                user.team_id if user is not None else None,
                LEVELS[row.lamp],
                row.next_task_at,
                tuple(tag_key(name) for name in as_names(row.tags)),
                numbers,
                searched_text(deal.title_folded, row.client or "", row.company or "", numbers),
            )
        )
    return found


@cache
def _beside() -> Any:  # built once
    open_tasks = (col(Task.deal_id) == col(Deal.id), Task.status == TaskStatus.OPEN.value, is_next_step())
    next_task = select(func.min(col(Task.due_at))).where(*open_tasks).correlate(Deal).scalar_subquery()
    return (
        select_columns(
            col(Deal.id),
            col(Contact.name_folded).label("client"),
            col(Company.name_folded).label("company"),
            lamp_rank().label("lamp"),
            names_of_tags().label("tags"),
            next_task.label("next_task_at"),
        )
        .outerjoin(Contact, col(Contact.id) == col(Deal.contact_id))
        .outerjoin(Company, col(Company.id) == col(Deal.company_id))
        .where(col(Deal.id).in_(list_param("deals")))
    )


@cache
def _phones() -> Any:  # built once
    query = select_columns(col(Phone.contact_id), col(Phone.number)).order_by(col(Phone.id))
    return query.where(col(Phone.contact_id).in_(list_param("contacts")))
