"""Numbers as they are typed that are somebody's already."""

from collections.abc import Iterable

from starlette.requests import Request

from pbxcrm.contacts.known import KnownNumber, whose_numbers
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import LONGEST_NUMBER, normalise
from web.forms import Form
from web.parts import parts, viewer

#: What a number that is typed is for: a new client or deal, one more number of a client, the lists of numbers,
#: a colleague's mobile, whom a call is passed to.
MEANT = frozenset({"client", "deal", "link", "list", "person", "call"})


async def known_of(request: Request, typed: Iterable[str], *, without: int | None = None) -> list[KnownNumber]:
    """Whose these numbers are, as far as the reader may know; what is no number yet is nobody's."""
    region = parts(request).settings.region
    numbers = [
        number for text in list(typed)[:20] if (number := normalise(text.strip()[:LONGEST_NUMBER], region)) is not None
    ]
    if not numbers:
        return []
    async with parts(request).db.read() as session:
        return await whose_numbers(session, viewer(request), numbers, without=without)


async def check_unknown(
    request: Request, form: Form, field: str, typed: Iterable[str], *, without: int | None = None
) -> None:
    """Raises Invalid at ``field`` where a number is somebody's already, until the box says that this is meant.

    ``without``: the client who gets the numbers; what is theirs already is not asked about.
    """
    known = [] if form.ticked("anyway") else await known_of(request, typed, without=without)
    if known:
        raise Invalid(field, "contacts.known_number", "This number is known already: see below whose it is.")
