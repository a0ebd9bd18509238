"""The filters of the lists of clients and of companies in the address of a page."""

from collections.abc import Sequence
from urllib.parse import parse_qsl

from sqlalchemy import ColumnElement
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.filters import ContactFilter
from pbxcrm.contacts.terms import asked_order, company_terms, contact_terms, shorthands, sort_terms
from pbxcrm.fields.conditions import EVERYTHING, MOST_FILTERS, Vocabulary, from_query, to_sql
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.fields.rules import Checking
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, LONGEST_SEARCH
from web.deal_filters import filters_in
from web.filter_forms import APPLY

#: The parameters of the pages that are no terms.
OF_PAGE = frozenset({"q", "view", "cursor", "format", "sort", APPLY})
BIRTHDAY = "birthday"
NEAR_TEXTS = frozenset(str(days) for days in range(367))


async def terms_of_list(session: AsyncSession, region: str, entity: FieldEntity) -> Vocabulary:
    """What the list of clients, or of companies, may be filtered by. ``region``: for telephone numbers as people type them."""
    checking = Checking(region, await load_directory(session))
    terms = company_terms if entity is FieldEntity.COMPANY else contact_terms
    return terms(await load_fields(session), checking)


async def check_query(
    session: AsyncSession, viewer: Viewer, region: str, entity: FieldEntity, query: str, clock: AskedAt
) -> None:
    """Raise Invalid for a query string of the list that holds what is no filter, or no order."""
    terms = await terms_of_list(session, region, entity)
    read_filters(viewer, entity, terms, filters_in(query), clock)
    if by := dict(parse_qsl(query.removeprefix("?"))).get("sort"):
        asked_order(sort_terms(entity, terms), by)


def read_filters(
    viewer: Viewer, entity: FieldEntity, terms: Vocabulary, pairs: Sequence[tuple[str, str]], clock: AskedAt
) -> tuple[list[ColumnElement[bool]], int | None]:
    """The conditions that an address asks for, and the days until a birthday. Raises Invalid for what is no filter: never all rows."""
    asked = [
        (name, value.replace("\x00", "").strip()[:LONGEST_SEARCH])
        for name, value in pairs
        if name not in OF_PAGE and not (name == BIRTHDAY and entity is FieldEntity.CONTACT)
    ]
    if len(asked) > MOST_FILTERS:
        raise Invalid(asked[0][0][:LONGEST_REPEATED], "deals.many_filters", "These are too many filters.")
    condition = from_query(asked, terms, shorthands(viewer.user_id))
    near = _near(pairs) if entity is FieldEntity.CONTACT else None
    found = [] if condition == EVERYTHING else [to_sql(condition, clock)]
    if near is not None:
        found += ContactFilter(birthday=(clock.now.astimezone(clock.timezone).date(), near)).conditions()
    return found, near


def _near(pairs: Sequence[tuple[str, str]]) -> int | None:
    value = next((value for name, value in pairs if name == BIRTHDAY), "")
    if not value:
        return None
    if value not in NEAR_TEXTS:
        raise Invalid(
            BIRTHDAY,
            "deals.filter_value",
            "“{value}” is no value of the filter “{name}”.",
            value=value[:LONGEST_REPEATED],
            name=BIRTHDAY,
        )
    return int(value)
