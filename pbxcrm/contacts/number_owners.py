"""Whose a number is while somebody works on it.

A call may have made a deal, or left a callback, before anybody made a client with its number. Whoever owns these owns the number:
another person may make a client with it, but that client neither takes over this work nor gives the calls a name or a route
until the work ends or one of its owners accepts the client (``Phone.beside``).

The work is in upper contexts; ``pbxcrm.composition`` registers it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ColumnElement, literal, or_, select, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.models import Contact, Phone
from pbxcrm.shared.core_sql import fetch

Expression = Any  # a column or a literal, of a number or of an id


@dataclass(frozen=True, slots=True)
class OwnedRow:
    """Expressions of a row that lays claim to a number: the number, who is responsible, and its client and deal (None: it has none)."""

    number: Expression
    owner_id: Expression
    contact_id: Expression = None
    deal_id: Expression = None


@dataclass(frozen=True, slots=True)
class WorkOnNumber:
    """One kind of open work, as SQL conditions.

    ``others``: somebody else than the row's owner has such work with its number, and the work is not with the row's client or deal.
    ``kept_from``: somebody has such work with this number, and the viewer may not change it.
    """

    others: Callable[[OwnedRow], ColumnElement[bool]]
    kept_from: Callable[[Viewer, str], ColumnElement[bool]]


_registered: list[WorkOnNumber] = []


def register_work_on_numbers(*kinds: WorkOnNumber) -> None:
    """Set all kinds of work; a second call replaces them."""
    _registered[:] = kinds


def _kinds() -> list[WorkOnNumber]:
    if not _registered:
        raise RuntimeError("nobody has composed the parts: no kind of work on numbers (pbxcrm.composition)")
    return _registered


def others_work(row: OwnedRow) -> ColumnElement[bool]:
    """SQL condition: somebody else works on the row's number."""
    return or_(*(kind.others(row) for kind in _kinds()))


@cache
def counts() -> ColumnElement[bool]:
    """SQL condition on ``phones`` joined with ``contacts``: calls of the number may go by this client."""
    claim = OwnedRow(col(Phone.number), col(Contact.responsible_id), col(Contact.id))
    return or_(col(Phone.beside).is_(False), ~others_work(claim))


async def is_beside(session: AsyncSession, viewer: Viewer, number: str) -> bool:
    """Whether somebody works on the number whose work the viewer may not change."""
    condition = or_(*(kind.kept_from(viewer, number) for kind in _kinds()))
    return bool(await fetch(session, select(literal(1)).where(condition)))


async def do_accept(session: AsyncSession, contact_id: int | None, number: str | None) -> None:
    """Whoever owns the work on the number gave it this client: the number's calls go by the client from now on."""
    if contact_id is None or number is None:
        return
    await session.flush()
    of_client = col(Phone.contact_id) == contact_id, col(Phone.number) == number, col(Phone.beside).is_(True)
    await session.exec(update(Phone).where(*of_client).values(beside=False))
