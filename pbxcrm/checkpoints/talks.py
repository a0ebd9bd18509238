"""Finished conversations with clients. Each counts for every deal of the client that has an open lamp or one that was accepted."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, select, union
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.checkpoints.engine import settle_deals
from pbxcrm.checkpoints.lamps import OPEN
from pbxcrm.checkpoints.models import Decision, Lamp, Subject
from pbxcrm.deals.models import Deal
from pbxcrm.shared.core_sql import fetch, list_param


@dataclass(frozen=True, slots=True)
class TalkOver:
    """A finished conversation: the client, the deal and the time of its end."""

    contact_id: int | None
    number: str | None
    deal_id: int | None
    at: datetime


async def clients_talked(session: AsyncSession, talks: Sequence[TalkOver]) -> None:
    """Settle the watched deals of these clients, one talk after the other. One query finds all deals."""
    if not talks:
        return
    asked = {
        "deals": [talk.deal_id for talk in talks if talk.deal_id is not None],
        "contacts": [talk.contact_id for talk in talks if talk.contact_id is not None],
        "numbers": [talk.number for talk in talks if talk.number],
    }
    watched = [WatchedDeal(*row) for row in await fetch(session, _WATCHED, asked)]
    for talk in talks if watched else ():
        await settle_deals(session, sorted(deal.id for deal in watched if deal.is_of(talk)), talk.at)


@dataclass(frozen=True, slots=True)
class WatchedDeal:
    """A deal with a lamp, with the columns that identify its client."""

    id: int
    contact_id: int | None
    number: str | None

    def is_of(self, talk: TalkOver) -> bool:
        return (
            self.id == talk.deal_id
            or (self.contact_id is not None and self.contact_id == talk.contact_id)
            or (bool(self.number) and self.number == talk.number)
        )


def _watched(condition: ColumnElement[bool]) -> Any:  # Select of id, contact, number
    return (
        select(Deal.id, Deal.contact_id, Deal.client_number)  # type: ignore[call-overload]
        .join(Lamp, col(Lamp.deal_id) == col(Deal.id))
        .where(
            condition,
            col(Lamp.subject) == Subject.DEAL.value,
            col(Deal.closed_at).is_(None),
            col(Lamp.state).in_(OPEN) | (col(Lamp.decision) == Decision.ACCEPTED.value),
        )
    )


# A union of three queries, each with its own index. Built once, because building it takes as long as executing it.
_WATCHED = union(
    _watched(col(Deal.id).in_(list_param("deals"))),
    _watched(col(Deal.contact_id).in_(list_param("contacts"))),
    _watched(col(Deal.client_number).in_(list_param("numbers"))),
)
