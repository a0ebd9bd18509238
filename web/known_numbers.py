"""Warnings while a number is typed that already belongs to somebody."""

from collections.abc import Iterable

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request

from pbxcrm.contacts.known_numbers import KNOWN, KnownNumber, known_when_stored, whose_numbers
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import read_numbers
from web.forms import Form
from web.parts import parts, viewer

#: What a number that is typed is for: a new client or deal, one more person of a deal, one more number of a client, the lists of numbers,
#: a colleague's mobile, whom a call is passed to.
MEANT = frozenset({"client", "deal", "with", "link", "list", "person", "call"})


async def known_of(request: Request, typed: Iterable[str], *, without: int | None = None) -> list[KnownNumber]:
    """The owners of these numbers, as far as the reader may know them. An incomplete number has no owner.

    A text may hold several numbers; they are read as when they are saved (``check_numbers``).
    """
    region = parts(request).settings.region
    numbers = list({one.number: None for text in typed for one in read_numbers(text, region)})
    if not numbers:
        return []
    async with parts(request).db.read() as session:
        return await whose_numbers(session, viewer(request), numbers, without=without)


async def check_unknown(
    session: AsyncSession,
    request: Request,
    form: Form,
    field: str,
    typed: Iterable[str],
    *,
    without: int | None = None,
) -> None:
    """In the transaction that stores the numbers. Raises Invalid at ``field`` if a number already belongs to somebody, unless the box that confirms it is ticked.

    ``without``: the client who gets the numbers; numbers that this client already has are not checked.
    """
    if form.ticked("anyway"):
        return
    if await known_when_stored(session, viewer(request), typed, parts(request).settings.region, without=without):
        raise Invalid(field, KNOWN, "This number is known already: see below whose it is.")
