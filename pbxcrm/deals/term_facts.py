"""What the terms of deals (``terms``) are asked of in Python: a deal with what stands beside it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.models import Phone
from pbxcrm.deals.filters import searched_text, tag_key
from pbxcrm.deals.lamp_queries import LampLevel
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import DealRow, as_rows


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
    """The facts of these deals, in the same order, in a fixed number of queries."""
    rows = await as_rows(session, list(deals))
    client_ids = [row.contact.id for row in rows if row.contact is not None]
    found = await session.exec(select(Phone.contact_id, Phone.number).where(col(Phone.contact_id).in_(client_ids)))
    phones: dict[int, list[str]] = {}
    for contact_id, number in found.all():
        phones.setdefault(contact_id, []).append(number)
    return [_facts(row, phones.get(row.deal.contact_id or 0, [])) for row in rows]


def _facts(row: DealRow, phones: list[str]) -> DealWithFacts:
    numbers = dict.fromkeys([*([row.deal.client_number] if row.deal.client_number else []), *phones])
    client, company = row.contact, row.company
    return DealWithFacts(
        row.deal,
        row.stage,
        row.responsible.team_id if row.responsible else None,
        row.lamp,
        row.next_task.due_at if row.next_task else None,
        tuple(tag_key(name) for name in row.tags),
        tuple(numbers),
        searched_text(
            row.deal.title_folded,
            client.name_folded if client else "",
            company.name_folded if company else "",
            numbers,
        ),
    )
