"""Duplicate clients: the list of candidates, the page that merges two, and the page of a merge with its undo."""

from http import HTTPStatus

from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Viewer
from pbxcrm.callbacks.merge_actions import open_callbacks
from pbxcrm.contacts.duplicates import alike_to, in_common, list_duplicates, say_not_same, take_back_not_same
from pbxcrm.contacts.hooks import Left, Why
from pbxcrm.contacts.known_numbers import whose_numbers
from pbxcrm.contacts.likely_pairs import Alike
from pbxcrm.contacts.merge_actions import merge_contacts, values_of
from pbxcrm.contacts.merge_queries import access_merge, changed_since, may_undo
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import access_contact, edits_contact, with_numbers
from pbxcrm.contacts.unmerge_actions import undo_merge
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import DealRow, list_deals
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.relinking import SeenVersions
from web.answers import redirect, with_toast
from web.cursors import next_of_pair, read_pair
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.merge_forms import NAMES, TAKE, field_choices, seen_deals, told
from web.pages.common import LISTED, asked_id, asked_text, show
from web.parts import now, parts, viewer
from web.untrusted import local_path


async def duplicates(request: Request) -> Response:
    """``GET /contacts/duplicates?cursor=``: candidate pairs among visible clients, the surest first."""
    async with parts(request).db.read() as session:
        after = read_pair(request.query_params.get("cursor", ""))
        pairs, place = await list_duplicates(session, viewer(request), after=after, limit=LISTED)
        people = await load_directory(session)
    more = next_of_pair(place) if place is not None else ""
    return show(
        request,
        "contacts/duplicates.html",
        fragment="contacts/_pairs.html",
        Alike=Alike,
        pairs=pairs,
        more=more,
        people=people,
    )


async def merge_page(request: Request) -> Response:
    """``GET /contacts/{id}/merge?contact_id=&back=``: choose the other client, then compare both side by side."""
    with_id = asked_id(request, "contact_id")
    if with_id is None or with_id == request.path_params["contact_id"]:
        return await _choose_page(request, filled({}))
    return await _compare_page(request, filled({"back": asked_text(request, "back")}), with_id)


async def merge(request: Request) -> Response:
    """``POST /contacts/{id}/merge``: merge the client into the one in the field ``into``."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    into = form.id("into") or 0
    try:
        async with parts(request).db.write() as session:
            await merge_contacts(
                session,
                viewer(request),
                contact_id,
                into,
                now=now(request),
                chosen={field: form[name] for field, name in TAKE.items() if form[name]},
                seen=SeenVersions(form.number("version"), form.number("into_version")),
                asked=True,
            )
    except (Invalid, Conflict) as error:
        if isinstance(error, Conflict) and error.code != "merges.stale":
            raise
        form.refuse(Invalid(TAKE.get(getattr(error, "field", ""), ""), error.code, error.message, **error.params))
        return await _compare_page(request, form, into, HTTPStatus(error.status))
    return redirect(request, local_path(form["back"]) if form["back"] else f"/contacts/{into}", done="merged")


async def not_same(request: Request) -> Response:
    """``POST /contacts/{id}/not-same``: this client and ``other`` are two people; the pair leaves the list."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    other = form.id("other") or 0
    async with parts(request).db.write() as session:
        await say_not_same(session, viewer(request), contact_id, other, now=now(request))
    if form["back"]:
        return redirect(request, local_path(form["back"]), done="saved")
    undo = f"/contacts/{contact_id}/not-same/{other}/undo"
    row = "pair-{}-{}".format(
        *sorted((contact_id, other))
    )  # htmx would swap nothing for an answer that holds only partials
    gone = HTMLResponse(f'<hx-partial hx-target="#{row}" hx-swap="delete"></hx-partial>')
    return with_toast(request, gone, _("Two clients, then. They are not suggested again."), undo=undo)


async def undo_not_same(request: Request) -> Response:
    """``POST /contacts/{id}/not-same/{other}/undo``."""
    contact_id, other = request.path_params["contact_id"], request.path_params["other_id"]
    async with parts(request).db.write() as session:
        await take_back_not_same(session, viewer(request), contact_id, other, now=now(request))
    return redirect(request, "/contacts/duplicates", done="saved")


async def merged(request: Request) -> Response:
    """``GET /merges/{id}``: who was merged into whom, and what an undo would leave unchanged."""
    who, merge_id = viewer(request), request.path_params["merge_id"]
    async with parts(request).db.read() as session:
        found = await access_merge(session, who, merge_id)
        this, into = await session.get_one(Contact, found.from_id), await session.get_one(Contact, found.into_id)
        people = await load_directory(session)
        left = [Left.load(each) for each in found.left]
        if found.undone_at is None:
            left = await changed_since(session, found, into)
        deals = await seen_deals(session, who, left)
        company = (await with_numbers(session, [this]))[0].company
    return show(
        request,
        "contacts/merged.html",
        merge=found,
        this=this,
        into=into,
        company=company,
        people=people,
        parts=[(why, *told([each for each in left if each.why is why], deals)) for why in Why],
        names=NAMES,
        may=may_undo(who, found, this, into, people) and into.merged_into_id is None,
    )


async def undo(request: Request) -> Response:
    """``POST /merges/{id}/undo``; the page then says what the undo left unchanged."""
    merge_id = request.path_params["merge_id"]
    async with parts(request).db.write() as session:
        found = await undo_merge(session, viewer(request), merge_id, now=now(request))
    return redirect(request, f"/merges/{merge_id}" if found.left else f"/contacts/{found.from_id}", done="unmerged")


async def _choose_page(request: Request, form: Form) -> HTMLResponse:
    who, contact_id = viewer(request), request.path_params["contact_id"]
    async with parts(request).db.read() as session:
        found = await access_contact(session, who, contact_id)
        row = (await with_numbers(session, [found]))[0]
        numbers = [phone.number for phone in row.phones]
        alike = await alike_to(
            session,
            who,
            name=found.name,
            numbers=numbers,
            emails=[email.address for email in row.emails],
            without=found.id,
        )
        private = [known for known in await whose_numbers(session, who, numbers) if not known.contact]
        people = await load_directory(session)
    return show(
        request,
        "contacts/merge_with.html",
        contact=found,
        alike=alike,
        private=private,
        people=people,
        form=form,
    )


async def _compare_page(request: Request, form: Form, into_id: int, status: int = 200) -> HTMLResponse:
    who, contact_id = viewer(request), request.path_params["contact_id"]
    async with parts(request).db.read() as session:
        found = [
            await access_contact(session, who, contact_id),
            await access_contact(session, who, into_id, field="into" if status != 200 else ""),
        ]
        if found[0].id == found[1].id:  # they have just been merged by somebody else
            raise Conflict("merges.already", "These two have just been merged.")
        this, into = await with_numbers(session, found)
        deals = [await _open_deals(session, who, each) for each in found]
        callbacks = await open_callbacks(session, [each.id or 0 for each in found])
        edits = [await edits_contact(session, who, each.id or 0) for each in found]
        people = await load_directory(session)
    both = {row.deal.pipeline_id for row in deals[0]} & {row.deal.pipeline_id for row in deals[1]}
    return show(
        request,
        "contacts/merge.html",
        fragment="contacts/_merge_form.html",
        status=status,
        this=this,
        into=into,
        same=in_common(this, into),
        choices=field_choices(values_of(this.contact), values_of(into.contact), form),
        form=form,
        deals=[row for rows in deals for row in rows if row.deal.pipeline_id in both],
        callbacks=len(callbacks) > 1,
        edits=all(edits),
        names=NAMES,
        whose=people.name(next((each.responsible_id for each, may in zip(found, edits, strict=True) if not may), None)),
        people=people,
    )


async def _open_deals(session: AsyncSession, who: Viewer, contact: Contact) -> list[DealRow]:
    rows = await list_deals(session, who, col(Deal.contact_id) == contact.id, limit=LISTED)
    return [row for row in rows if row.deal.closed_at is None]
