"""Companies that may be one: the list of candidates, the page that merges two, and the page of a merge with its undo."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, can
from pbxcrm.contacts.company_duplicates import (
    companies_alike,
    list_company_duplicates,
    say_companies_differ,
    take_back_companies_differ,
)
from pbxcrm.contacts.company_merge_actions import company_values, merge_companies, undo_company_merge
from pbxcrm.contacts.company_merge_queries import access_company_merge, both_companies, company_changed_since
from pbxcrm.contacts.hooks import Left, Why
from pbxcrm.contacts.merge_queries import may_undo
from pbxcrm.contacts.merge_rules import COMPANY_FIELDS
from pbxcrm.contacts.queries import access_company, edits_company, list_companies
from pbxcrm.global_search import company_matches
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.relinking import SeenVersions
from pbxcrm.shared.search_keys import folded
from web.answers import redirect, with_toast
from web.cursors import next_of_pair, read_pair
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.merge_forms import NAMES, TAKE, field_choices, seen_deals, told
from web.pages.common import LISTED, asked_id, asked_number, asked_text, show
from web.parts import now, parts, viewer
from web.untrusted import local_path

SUGGESTED = 3


async def duplicates(request: Request) -> Response:
    """``GET /companies/duplicates?cursor=``: candidate pairs among visible companies, the surest first."""
    async with parts(request).db.read() as session:
        after = read_pair(request.query_params.get("cursor", ""))
        pairs, place = await list_company_duplicates(session, viewer(request), after=after, limit=LISTED)
        people = await load_directory(session)
    return show(
        request,
        "contacts/company_duplicates.html",
        fragment="contacts/_company_pairs.html",
        pairs=pairs,
        more=next_of_pair(place) if place is not None else "",
        searched_on=place is not None and len(pairs) < LISTED,
        people=people,
    )


async def alike(request: Request) -> Response:
    """``GET /companies/alike?name=&without=``, or ``?company_name=`` of the form of a client: the companies that may be the one whose name
    is being typed. On that form the very name needs no word: the client gets this company.
    """
    of_client = "company_name" in request.query_params
    name = asked_text(request, "company_name" if of_client else "name")
    without = asked_number(request, "without")
    async with parts(request).db.read() as session:
        found = await companies_alike(session, viewer(request), name=name, limit=SUGGESTED + 1)
        people = await load_directory(session)
    shown = [each for each in found if each[0].id != without][:SUGGESTED]
    if of_client and any(folded(company.name) == folded(name) for company, _same in found):
        shown = []
    may_merge = can(viewer(request), Permission.CONTACTS_EDIT)
    return show(
        request,
        "contacts/_company_alike.html",
        found=shown,
        without=without,
        may_merge=may_merge,
        people=people,
        of_client=of_client,
    )


async def merge_page(request: Request) -> Response:
    """``GET /companies/{id}/merge?company_id=&q=&back=``: choose the other company, then compare both side by side."""
    with_id = asked_id(request, "company_id")
    if with_id is None or with_id == request.path_params["company_id"]:
        return await _choose_page(request)
    return await _compare_page(request, filled({"back": asked_text(request, "back")}), with_id)


async def merge(request: Request) -> Response:
    """``POST /companies/{id}/merge``: merge the company into the one in the field ``into_company``."""
    form, company_id = await read_form(request), request.path_params["company_id"]
    into = form.id("into_company") or 0
    try:
        async with parts(request).db.write() as session:
            await merge_companies(
                session,
                viewer(request),
                company_id,
                into,
                now=now(request),
                chosen={field: form[TAKE[field]] for field in COMPANY_FIELDS if form[TAKE[field]]},
                seen=SeenVersions(form.number("version"), form.number("into_version")),
            )
    except (Invalid, Conflict) as error:
        if isinstance(error, Conflict) and error.code != "merges.stale":
            raise
        form.refuse(Invalid(TAKE.get(getattr(error, "field", ""), ""), error.code, error.message, **error.params))
        return await _compare_page(request, form, into, HTTPStatus(error.status))
    back = local_path(form["back"]) if form["back"] else f"/companies/{into}"
    return redirect(request, back, done="companies_merged")


async def not_same(request: Request) -> Response:
    """``POST /companies/{id}/not-same``: this company and ``other_company`` are two; the pair leaves the list."""
    form, company_id = await read_form(request), request.path_params["company_id"]
    other = form.id("other_company") or 0
    async with parts(request).db.write() as session:
        await say_companies_differ(session, viewer(request), company_id, other, now=now(request))
    if form["back"]:
        return redirect(request, local_path(form["back"]), done="saved")
    undo = f"/companies/{company_id}/not-same/{other}/undo"
    row = "pair-{}-{}".format(*sorted((company_id, other)))
    # htmx would swap nothing for an answer that holds only partials
    gone = HTMLResponse(f'<hx-partial hx-target="#{row}" hx-swap="delete"></hx-partial>')
    return with_toast(request, gone, _("Two companies, then. They are not suggested again."), undo=undo)


async def undo_not_same(request: Request) -> Response:
    """``POST /companies/{id}/not-same/{other}/undo``."""
    company_id, other = request.path_params["company_id"], request.path_params["other_company_id"]
    async with parts(request).db.write() as session:
        await take_back_companies_differ(session, viewer(request), company_id, other, now=now(request))
    return redirect(request, "/companies/duplicates", done="saved")


async def merged(request: Request) -> Response:
    """``GET /company-merges/{id}``: which company was merged into which, and what an undo would leave unchanged."""
    who, merge_id = viewer(request), request.path_params["company_merge_id"]
    async with parts(request).db.read() as session:
        found = await access_company_merge(session, who, merge_id)
        this, into = await both_companies(session, found)
        people = await load_directory(session)
        left = [Left.load(each) for each in found.left]
        if found.undone_at is None:
            left = await company_changed_since(session, found, into)
        deals = await seen_deals(session, who, left)
    return show(
        request,
        "contacts/company_merged.html",
        merge=found,
        this=this,
        into=into,
        people=people,
        parts=[(why, *told([each for each in left if each.why is why], deals)) for why in Why],
        may=may_undo(who, found, this, into, people) and into.merged_into_id is None,
    )


async def undo(request: Request) -> Response:
    """``POST /company-merges/{id}/undo``; the page then says what the undo left unchanged."""
    merge_id = request.path_params["company_merge_id"]
    async with parts(request).db.write() as session:
        found = await undo_company_merge(session, viewer(request), merge_id, now=now(request))
    to = f"/company-merges/{merge_id}" if found.left else f"/companies/{found.from_id}"
    return redirect(request, to, done="companies_unmerged")


async def _choose_page(request: Request) -> HTMLResponse:
    who, company_id, text = viewer(request), request.path_params["company_id"], asked_text(request)
    async with parts(request).db.read() as session:
        found = await access_company(session, who, company_id)
        likely = await companies_alike(session, who, name=found.name, company_id=found.id)
        by_name = (await list_companies(session, who, *company_matches(text), limit=LISTED)).rows if text else []
        people = await load_directory(session)
    return show(
        request,
        "contacts/company_merge_with.html",
        company=found,
        likely=likely,
        text=text,
        by_name=[each for each in by_name if each.id != found.id],
        people=people,
    )


async def _compare_page(request: Request, form: Form, into_id: int, status: int = 200) -> HTMLResponse:
    who, company_id = viewer(request), request.path_params["company_id"]
    async with parts(request).db.read() as session:
        this = await access_company(session, who, company_id)
        into = await access_company(session, who, into_id, field="into_company" if status != 200 else "")
        if this.id == into.id:  # they have just been merged by somebody else
            raise Conflict("merges.already", "These two have just been merged.")
        edits = [await edits_company(session, who, each.id or 0) for each in (this, into)]
        people = await load_directory(session)
    others = [each.responsible_id for each, may in zip((this, into), edits, strict=True) if not may]
    return show(
        request,
        "contacts/company_merge.html",
        fragment="contacts/_company_merge_form.html",
        status=status,
        this=this,
        into=into,
        choices=field_choices(company_values(this), company_values(into), form, COMPANY_FIELDS),
        form=form,
        edits=all(edits),
        names=NAMES,
        whose=people.name(next(iter(others), None)),
        people=people,
    )
