"""Companies of clients."""

from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.contacts import actions
from pbxcrm.contacts.filters import CompanyFilter
from pbxcrm.contacts.list_queries import sorted_companies
from pbxcrm.contacts.models import Company
from pbxcrm.contacts.queries import access_company, list_companies
from pbxcrm.fields.models import FieldEntity
from pbxcrm.people.queries import logins_of
from web.api import checked_cursors
from web.api.custom_values import SortedQuery, Values, ValuesOut, values_out
from web.api.fields import ApiAnswer, ApiRequest, Login, Moment, Version, When, Word, needed_text, optional_text
from web.api.people import user_id_of
from web.api.resource import Ask, Page, Resource
from web.api.v1.contacts import resume

companies = Resource("companies", "Companies of clients.")

CompanyName = Annotated[str, needed_text(Company.name)]
CompanyNote = Annotated[str, optional_text(Company.note)]


class CompanyOut(ApiAnswer):
    """A company of clients."""

    id: int
    name: str
    responsible: str | None = Field(description="A login.")
    note: str
    fields: ValuesOut
    created_at: Moment
    version: int


class CompanyQuery(SortedQuery):
    """Which companies; all conditions must hold."""

    q: Word | None = Field(None, description="A part of the name.")
    responsible: Word | None = Field(None, description="A login.")
    since: When | None = None
    until: When | None = None


class NewCompany(ApiRequest):
    """A new company."""

    name: CompanyName
    note: CompanyNote = ""
    fields: Values = Field(default_factory=dict)
    same_name: bool = Field(
        False, description="Without it the name of a company that you see is refused (422, companies.known_name)."
    )


class CompanyChange(ApiRequest):
    """Changes. A field that is left out stays unchanged."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    name: CompanyName | None = None
    responsible: Login | None = Field(None, description="A login.")
    note: CompanyNote | None = None
    fields: Values = Field(default_factory=dict)


@companies.get("/companies", needs=Permission.CONTACTS_READ, summary="Companies")
async def read_companies(ask: Ask, query: CompanyQuery) -> Page[CompanyOut]:
    asked = CompanyFilter(responsible=query.responsible or "", since=query.since, until=query.until, text=query.q or "")
    filters = [*asked.conditions(), *await query.custom_conditions(ask, FieldEntity.COMPANY, Company)]
    if (order := await query.order(ask, FieldEntity.COMPANY)) is not None:
        term, descending = order
        after = checked_cursors.read_sorted(query.cursor, term)
        in_order = await sorted_companies(
            ask.session, ask.viewer, filters, term, descending=descending, after=after, limit=query.limit + 1
        )
        rows = await _companies(ask, [row for row, _place in in_order.rows])
        return Page[CompanyOut].in_places(rows, query.limit, [place for _row, place in in_order.rows], in_order.resume)
    found = await list_companies(
        ask.session,
        ask.viewer,
        *filters,
        before=checked_cursors.read_id(query.cursor),
        limit=query.limit + 1,
    )
    return Page[CompanyOut].of(
        await _companies(ask, found.rows), query.limit, lambda row: checked_cursors.next_of_id(row.id), resume(found)
    )


@companies.get("/companies/{company_id}", needs=Permission.CONTACTS_READ, summary="One company")
async def read_company(ask: Ask, company_id: int) -> CompanyOut:
    return (await _companies(ask, [await access_company(ask.session, ask.viewer, company_id)]))[0]


@companies.post(
    "/companies",
    needs=Permission.CONTACTS_EDIT,
    summary="Create a company",
    location=lambda company: f"/companies/{company.id}",
)
async def add_company(ask: Ask, body: NewCompany) -> CompanyOut:
    company = await actions.create_company(
        ask.session,
        ask.viewer,
        name=body.name,
        now=ask.now,
        note=body.note,
        custom=body.fields,
        region=ask.settings.region,
        same_name=body.same_name,
    )
    return (await _companies(ask, [company]))[0]


@companies.patch("/companies/{company_id}", needs=Permission.CONTACTS_EDIT, summary="Change a company")
async def change_company(ask: Ask, company_id: int, body: CompanyChange) -> CompanyOut:
    """Changes. A field that is left out stays unchanged."""
    company = await access_company(ask.session, ask.viewer, company_id)
    company = await actions.edit_company(
        ask.session,
        ask.viewer,
        company_id,
        version=body.version,
        now=ask.now,
        name=company.name if body.name is None else body.name,
        note=company.note if body.note is None else body.note,
        custom=body.fields,
        region=ask.settings.region,
        responsible_id=await user_id_of(ask.session, body.responsible, "responsible"),
    )
    return (await _companies(ask, [company]))[0]


async def _companies(ask: Ask, rows: list[Company]) -> list[CompanyOut]:
    logins = await logins_of(ask.session, [row.responsible_id for row in rows])
    customs = await values_out(ask, FieldEntity.COMPANY, [row.custom for row in rows])
    return [
        CompanyOut(
            id=row.id or 0,
            name=row.name,
            responsible=logins.get(row.responsible_id),
            note=row.note,
            fields=custom,
            created_at=row.created_at,
            version=row.version,
        )
        for row, custom in zip(rows, customs, strict=True)
    ]
