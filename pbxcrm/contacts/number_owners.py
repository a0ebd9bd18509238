"""Whose a number is: of everybody who has it in a client, an open deal or an open callback, the first.

Whoever has a number later is entered **beside**: a client or deal of its own, which gives the number's calls neither a name nor a
route while the earlier work of somebody else stands. ``Phone.since``, ``Deal.number_since`` and the first missed call say since when
a row has its number.

Deals and callbacks are in upper contexts; ``pbxcrm.composition`` registers them.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_, union_all
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.shared.core_sql import fetch

Expression = Any  # a column or a literal: of a number, of an id, or of a time


@dataclass(frozen=True, slots=True)
class OwnedRow:
    """Expressions of a row that has a number: the number, since when, who is responsible, its client and deal (None: it has none)."""

    number: Expression
    since: Expression
    owner_id: Expression
    contact_id: Expression = None
    deal_id: Expression = None


@dataclass(frozen=True, slots=True)
class WorkOnNumber:
    """One kind of open work.

    ``others_before``: SQL condition that somebody else than the row's owner had such work with its number before the row had it, or
    at the same time, and the work is not with the row's client or deal.
    ``own``: since when the viewer's people have such work with this number, that is work which the viewer may change.
    ``of_numbers``: number, since when, and owner of all such work with these numbers.
    """

    others_before: Callable[[OwnedRow], ColumnElement[bool]]
    own: Callable[[Viewer, str], Select[Any]]
    of_numbers: Callable[[Collection[str]], Any]  # a Select of three columns


_registered: list[WorkOnNumber] = []


def register_work_on_numbers(*kinds: WorkOnNumber) -> None:
    """Set all kinds of work; a second call replaces them."""
    _registered[:] = kinds


def _kinds() -> list[WorkOnNumber]:
    if not _registered:
        raise RuntimeError("nobody has composed the parts: no kind of work on numbers (pbxcrm.composition)")
    return _registered


def is_beside(row: OwnedRow) -> ColumnElement[bool]:
    """SQL condition: somebody else works on the row's number and had it before."""
    return or_(*(kind.others_before(row) for kind in _kinds()))


def phone_since() -> ColumnElement[datetime]:
    """SQL expression on ``phones`` joined with ``contacts``: since when the client has the number."""
    return func.coalesce(col(Phone.since), col(Contact.created_at))


@cache
def counts() -> ColumnElement[bool]:
    """SQL condition on ``phones`` joined with ``contacts``: calls of the number may go by this client."""
    return ~is_beside(OwnedRow(col(Phone.number), phone_since(), col(Contact.responsible_id), col(Contact.id)))


async def had_since(session: AsyncSession, viewer: Viewer, number: str, now: datetime) -> datetime:
    """Since when the viewer's people have the number: the start of their earliest open work with it, else ``now``.

    A client that is made for the caller of one's own deal has the number as long as the deal has it.
    """
    await session.flush()
    own = await fetch(session, union_all(*(kind.own(viewer, number) for kind in _kinds())))
    times: list[datetime] = [since for (since,) in own]
    return min([now, *times])


async def owners_of_work(session: AsyncSession, numbers: Collection[str]) -> dict[str, list[int]]:
    """Ids of those who have open work with these numbers, whoever had the number first in front."""
    rows = await fetch(session, union_all(*(kind.of_numbers(numbers) for kind in _kinds())))
    found: dict[str, list[int]] = {}
    for number, _since, owner_id in sorted(rows, key=lambda row: (row[0], row[1], row[2])):
        found.setdefault(number, []).append(owner_id)
    return found


async def do_accept(session: AsyncSession, contact_id: int | None, number: str | None, since: datetime) -> None:
    """Whoever has had the number ``since`` then gave this client their work: the client has it as long."""
    if contact_id is None or number is None:
        return
    await session.flush()
    contact = await session.get_one(Contact, contact_id)
    of_client = select_rows(Phone).where(Phone.contact_id == contact_id, Phone.number == number)
    for phone in (await session.exec(of_client)).all():
        phone.since = min(phone.since or contact.created_at, since)
