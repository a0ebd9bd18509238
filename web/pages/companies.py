"""Companies of clients: the page of one with its people, deals and calls. Their list: ``client_lists``."""

from http import HTTPStatus

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, Viewer, can
from pbxcrm.calls.queries import CallFilter, CallRow, list_calls
from pbxcrm.contacts import actions
from pbxcrm.contacts.company_duplicates import companies_alike
from pbxcrm.contacts.company_merge_queries import open_merges_of_company
from pbxcrm.contacts.models import Company
from pbxcrm.contacts.queries import access_company, edits_company, list_contacts
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import list_deals, sums_of_open
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Invalid
from web.answers import redirect
from web.custom_values import entered_of, shown_fields
from web.forms import Form, filled, read_form
from web.pages.common import LISTED, choices, colleagues, show, version_of
from web.parts import now, parts, viewer

PEOPLE_SHOWN, CALLS_SHOWN, SUGGESTED = 100, 10, 3
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def company(request: Request) -> Response:
    """``GET /companies/{id}``: the company with its people and deals; a form for people who may edit it."""
    company_id = request.path_params["company_id"]
    async with parts(request).db.read() as session:
        found = await access_company(session, viewer(request), company_id)
    if found.id != company_id:  # the company was merged into another one
        return redirect(request, f"/companies/{found.id}")
    form = filled(
        {
            "name": found.name,
            "note": found.note,
            "responsible_id": found.responsible_id,
            "version": found.version,
        }
    )
    return await _company_page(request, form)


async def new_company(request: Request) -> Response:
    """``GET /companies/new``."""
    return await _new_company_page(request, filled({}))


async def create_company(request: Request) -> Response:
    """``POST /companies/new``."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            made = await actions.create_company(
                session,
                viewer(request),
                name=form["name"],
                note=form["note"],
                now=now(request),
                same_name=form.ticked("same_name"),
                custom=entered_of(form, await load_fields(session), FieldEntity.COMPANY),
                region=parts(request).settings.region,
            )
    except Invalid as error:
        form.refuse(error)
        known = None
        if error.code == actions.KNOWN_COMPANY:
            async with parts(request).db.write() as session:
                known = await actions.company_of_name(session, viewer(request), form["name"])
        return await _new_company_page(request, form, status=UNPROCESSABLE, known=known)
    return redirect(request, f"/companies/{made.id}", done="added")


async def _new_company_page(
    request: Request, form: Form, *, status: int = 200, known: Company | None = None
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        fields = (await load_fields(session)).of(FieldEntity.COMPANY, typed=True)
        people = await colleagues(session, viewer(request)) if fields else []
    return show(
        request,
        "contacts/company_new.html",
        fragment="contacts/_company_form.html",
        status=status,
        form=form,
        company_id=None,
        known=known,
        more_fields=fields,
        people=choices(people),
    )


async def save_company(request: Request) -> Response:
    """``POST /companies/{id}``."""
    form, company_id = await read_form(request), request.path_params["company_id"]
    try:
        async with parts(request).db.write() as session:
            await actions.edit_company(
                session,
                viewer(request),
                company_id,
                version=version_of(form),
                name=form["name"],
                note=form["note"],
                responsible_id=form.id("responsible_id"),
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await _company_page(request, form, UNPROCESSABLE)
    return redirect(request, f"/companies/{company_id}", done="saved")


async def _company_page(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    who, company_id = viewer(request), request.path_params["company_id"]
    async with parts(request).db.read() as session:
        found = await access_company(session, who, company_id)
        edits = can(who, Permission.CONTACTS_EDIT) and await edits_company(session, who, company_id)
        rows = (await list_contacts(session, who, company_id=company_id, limit=PEOPLE_SHOWN + 1)).rows
        deals = await list_deals(session, who, col(Deal.company_id) == company_id, limit=LISTED + 1)
        open_sums = await sums_of_open(session, who, col(Deal.company_id) == company_id)
        calls = await _calls(session, who, company_id)
        people = await load_directory(session)
        working = choices(await colleagues(session, who)) if edits else []
        custom_fields = await shown_fields(session, who, FieldEntity.COMPANY, found.custom, row=found)
        likely = await companies_alike(session, who, name=found.name, company_id=company_id, limit=SUGGESTED)
        merges = await open_merges_of_company(session, company_id)
        merged = await load_by_id(session, Company, (merge.from_id for merge in merges))
    return show(
        request,
        "contacts/company.html",
        fragment="contacts/_company_form.html",
        status=status,
        company=found,
        custom_fields=custom_fields,
        edits=edits,
        company_id=company_id,
        rows=rows[:PEOPLE_SHOWN],
        deals=sorted(deals[:LISTED], key=lambda row: row.deal.closed_at is not None),
        calls=calls[:CALLS_SHOWN],
        counts={
            "people": _count(len(rows), PEOPLE_SHOWN),
            "deals": _count(len(deals), LISTED),
            "calls": _count(len(calls), CALLS_SHOWN),
        },
        open_sums=open_sums,
        likely=likely,
        merges=[(merge, merged[merge.from_id].name) for merge in merges],
        people=people,
        working=working,
        form=form,
        more_fields=[],  # those of a company that there is have their own panel
    )


async def _calls(session: AsyncSession, who: Viewer, company_id: int) -> list[CallRow]:
    """The newest calls of the company's clients, one more than are shown."""
    if not can(who, Permission.CALLS_READ):
        return []
    return (await list_calls(session, who, CallFilter(company_id=company_id), limit=CALLS_SHOWN + 1)).rows


def _count(found: int, shown: int) -> str:
    """How many there are; ``50+`` where there are more than are shown."""
    return f"{shown}+" if found > shown else str(found)
