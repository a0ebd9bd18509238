"""Merging two open deals of one client: the page that compares them, and the page of a merge with its undo."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.contacts.hooks import Left, Why
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.merge_queries import access_deal_merge, both_of, changed_since, may_undo, other_open_deals
from pbxcrm.deals.merge_rules import CUSTOM, FIELDS, default_choice
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal_row, as_rows
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.relinking import SeenVersions
from web import words
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import asked_id, show
from web.parts import now, parts, viewer

#: Columns that are no field of a form, with the names that people know.
NAMES = {
    "contact_id": N_("Client"),
    "company_id": N_("Company"),
    "client_number": N_("Number"),
    "currency": N_("Currency"),
}


async def page(request: Request) -> Response:
    """``GET /deals/{id}/merge?into_deal_id=``: the client's other open deals; with one chosen, both side by side."""
    return await _page(request, filled({"into_deal_id": asked_id(request, "into_deal_id")}))


async def merge(request: Request) -> Response:
    """``POST /deals/{id}/merge``: merge the deal into ``into_deal_id``; ``take_KEY`` says which value of a field counts."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    into = form.id("into_deal_id") or 0
    try:
        async with parts(request).db.write() as session:
            await merge_deals(
                session,
                viewer(request),
                deal_id,
                into,
                now=now(request),
                chosen={key: form[f"take_{key}"] for key in FIELDS if form[f"take_{key}"]},
                seen=SeenVersions(form.number("version"), form.number("into_version")),
            )
    except Invalid as error:
        form.refuse(Invalid("", error.code, error.message, **error.params))
        return await _page(request, form, HTTPStatus(error.status))
    return redirect(request, f"/deals/{into}", done="deals_merged")


async def merged(request: Request) -> Response:
    """``GET /deal-merges/{id}``: which deal was merged into which, and what an undo would leave unchanged."""
    who, merge_id = viewer(request), request.path_params["deal_merge_id"]
    async with parts(request).db.read() as session:
        found = await access_deal_merge(session, who, merge_id)
        this, into = await as_rows(session, list(await both_of(session, found)))
        people = await load_directory(session)
        left = [Left.load(each) for each in found.left]
        if found.undone_at is None:
            left = await changed_since(session, found, into.deal)
    return show(
        request,
        "deals/merged.html",
        merge=found,
        this=this,
        into=into,
        people=people,
        parts=[(why, [_sentence(each) for each in left if each.why is why]) for why in Why],
        may=may_undo(who, found, this.deal, into.deal, people) and into.deal.merged_into_id is None,
    )


async def undo(request: Request) -> Response:
    """``POST /deal-merges/{id}/undo``; the page then says what the undo left unchanged."""
    merge_id = request.path_params["deal_merge_id"]
    async with parts(request).db.write() as session:
        found = await undo_deal_merge(session, viewer(request), merge_id, now=now(request))
    to = f"/deal-merges/{merge_id}" if found.left else f"/deals/{found.from_id}"
    return redirect(request, to, done="deals_unmerged")


async def _page(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    who, deal_id = viewer(request), request.path_params["deal_id"]
    async with parts(request).db.read() as session:
        this = await access_deal_row(session, who, deal_id)
        if this.deal.id != deal_id:  # it has just been merged by somebody else
            raise Conflict("merges.already", "These two have just been merged.")
        others = await other_open_deals(session, who, this.deal)
        chosen = form.id("into_deal_id")
        into = await access_deal_row(session, who, chosen) if chosen is not None else None
        people = await load_directory(session)
    return show(
        request,
        "deals/merge.html",
        fragment="deals/_merge_form.html",
        status=status,
        this=this,
        into=into,
        others=others,
        people=people,
        choices=_choices(this.deal, into.deal, form) if into is not None else [],
        form=form,
    )


def _choices(this: Deal, into: Deal, form: Form) -> list[tuple[str, str]]:
    """The fields of both that differ: key and the ticked side."""
    return [
        (key, form.get(f"take_{key}") or default_choice(key, this, into))
        for key in FIELDS
        if getattr(this, key) != getattr(into, key)
    ]


def _sentence(each: Left) -> str:
    """One thing that an undo leaves, in words."""
    if each.why is Why.FIELD:
        name = each.what.removeprefix(f"{CUSTOM}.")
        if name == each.what:
            name = _(BY_KEY[name].name) if name in BY_KEY else _(NAMES.get(name, name))
        return _("{field}: what it says now stays.").format(field=name)
    return words.counted_rows(each.what, len(each.ids))
