"""Unsorted: deals that calls made, worked from the oldest on with two keys each."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.callbacks import unsorted_actions
from pbxcrm.callbacks.unsorted_queries import load_unsorted
from pbxcrm.contacts.queries import get_contact
from pbxcrm.deals.actions import move_deal
from pbxcrm.deals.merge_actions import merge_deals
from pbxcrm.deals.merge_queries import others_of
from pbxcrm.deals.queries import access_deal_row
from pbxcrm.deals.second_deal_queries import open_there
from pbxcrm.deals.unmerge_actions import undo_deal_merge
from pbxcrm.deals.unsorted_queries import count_unsorted, first_stage_of_work
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.relinking import SeenVersions
from web import gate_dialog, words
from web.answers import toast, with_toast
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.pages.common import page_query, query_number, show, version_of
from web.parts import now, parts, viewer

AT_ONCE, AT_MOST = 25, 200
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def page(request: Request) -> Response:
    """``GET /unsorted?rows=``."""
    return await _list(request)


async def accept(request: Request) -> Response:
    """``POST /unsorted/{id}/accept``: to the first stage of work, if its gate lets the deal in; else the form asks for what is missing."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    async with parts(request).db.read() as session:
        row = await access_deal_row(session, viewer(request), deal_id)
        to = await first_stage_of_work(session, row.deal.pipeline_id)
    try:
        async with parts(request).db.write() as session:
            await gate_dialog.fill_in(session, request, form, deal_id)
            version = version_of(form) if not form["asked"] else None
            await move_deal(
                session, viewer(request), deal_id, to.id or 0, version=version, now=now(request),
                lost_reason=gate_dialog.lost_reason(form), second=form.ticked("second"),
            )  # fmt: skip
    except Invalid as error:
        if not gate_dialog.asks(form, error):
            raise
        return await gate_dialog.ask_missing(request, form, error, deal_id, stage_id=to.id, target="#unsorted")
    said = _("“{deal}” is in work, in “{stage}”.").format(deal=words.deal_title(row.deal), stage=words.stage(to))
    return with_toast(request, await _list(request), said, undo=f"/unsorted/{deal_id}/take-back")


async def merge(request: Request) -> Response:
    """``POST /unsorted/{id}/merge``: into the client's open deal ``into_deal_id``."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    into = form.id("into_deal_id") or 0
    async with parts(request).db.write() as session:
        made = await merge_deals(
            session, viewer(request), deal_id, into, now=now(request), seen=SeenVersions(version_of(form))
        )
        title = words.deal_title((await access_deal_row(session, viewer(request), into)).deal)
    said = _("Merged into “{deal}”.").format(deal=title)
    return with_toast(request, await _list(request), said, undo=f"/unsorted/merges/{made.id}/undo")


async def undo_merge(request: Request) -> Response:
    """``POST /unsorted/merges/{id}/undo``."""
    async with parts(request).db.write() as session:
        await undo_deal_merge(session, viewer(request), request.path_params["deal_merge_id"], now=now(request))
    return toast(request, _("Taken back."))


async def attach(request: Request) -> Response:
    """``POST /unsorted/{id}/attach``: the deal is of the client ``contact_id``, and with ``into_deal_id`` it is merged into that open deal."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    contact_id, into, merged = form.id("contact_id"), form.id("into_deal_id"), None
    try:
        async with parts(request).db.write() as session:
            await unsorted_actions.attach(
                session, viewer(request), deal_id, contact_id, version=version_of(form),
                region=parts(request).settings.region, now=now(request), second=form.ticked("second") or into is not None,
            )  # fmt: skip
            if into is not None:
                await session.flush()
                merged = await merge_deals(session, viewer(request), deal_id, into, now=now(request))
            row = await access_deal_row(session, viewer(request), into or deal_id)
    except Invalid as error:
        error.field = {"contact_id": "contact"}.get(error.field, error.field)
        form.refuse(error)
        return await _ask(request, form, "attach", UNPROCESSABLE)
    if merged is not None:
        said = _("Merged into “{deal}”.").format(deal=words.deal_title(row.deal))
        return with_toast(request, await _list(request), said, undo=f"/unsorted/merges/{merged.id}/undo")
    name = row.contact.name if row.contact is not None else "—"
    said = _("The deal is of {client} now.").format(client=name)
    return with_toast(request, await _list(request), said, undo=f"/unsorted/{deal_id}/detach")


async def detach(request: Request) -> Response:
    """``POST /unsorted/{id}/detach``: take ``attach`` back."""
    async with parts(request).db.write() as session:
        await unsorted_actions.detach(session, viewer(request), request.path_params["deal_id"], now=now(request))
    return toast(request, _("Taken back."))


async def refuse(request: Request) -> Response:
    """``POST /unsorted/{id}/refuse``: not a client, because of ``why`` (a code of ``NOT_CLIENTS``) or of ``text``."""
    form, deal_id = await read_form(request), request.path_params["deal_id"]
    try:
        async with parts(request).db.write() as session:
            await gate_dialog.fill_in(session, request, form, deal_id)
            deal = await unsorted_actions.refuse(
                session, viewer(request), deal_id, form["why"], text=form["text"],
                version=version_of(form) if not form["asked"] else None,
                region=parts(request).settings.region, now=now(request),
            )  # fmt: skip
            title = words.deal_title(deal)
    except Invalid as error:
        if gate_dialog.asks(form, error):
            return await gate_dialog.ask_missing(request, form, error, deal_id, target="#unsorted")
        form.refuse(error)
        return await _ask(request, form, "refuse", UNPROCESSABLE)
    said = _("“{deal}”: not a client.").format(deal=title)
    return with_toast(request, await _list(request), said, undo=f"/unsorted/{deal_id}/take-back")


async def take_back(request: Request) -> Response:
    """``POST /unsorted/{id}/take-back``: undo ``accept`` or ``refuse``."""
    async with parts(request).db.write() as session:
        await unsorted_actions.take_back(session, viewer(request), request.path_params["deal_id"], now=now(request))
    return toast(request, _("Taken back."))


async def ask(request: Request) -> Response:
    """``GET /unsorted/{id}/ask?what=merge|attach|refuse``: the inside of the dialog."""
    what = request.query_params.get("what", "")
    return await _ask(request, filled({}), what if what in {"merge", "attach"} else "refuse")


async def _ask(request: Request, form: Form, what: str, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        row = await access_deal_row(session, viewer(request), request.path_params["deal_id"])
        others = (await others_of(session, viewer(request), [row.deal]))[row.deal.id or 0]
        people = await load_directory(session)
        contact_id = form.id("contact_id") if what == "attach" else None
        known = await get_contact(session, viewer(request), contact_id) if contact_id is not None else None
        open_already = (
            await open_there(session, viewer(request), row.deal.pipeline_id, contact_id, None, deal_id=row.deal.id)
            if known is not None
            else None
        )
    response = show(
        request,
        "unsorted/_ask.html",
        status=status,
        form=form,
        what=what,
        row=row,
        others=others,
        people=people,
        open_already=open_already,
        directory=people,
        not_clients=unsorted_actions.NOT_CLIENTS,
    )
    response.headers.update({"HX-Retarget": "#ask-body", "HX-Reswap": "innerHTML"})
    return response


async def _list(request: Request) -> HTMLResponse:
    limit = min(max(AT_ONCE, query_number(page_query(request), "rows") or 0), AT_MOST)
    who = viewer(request)
    async with parts(request).db.read() as session:
        count = await count_unsorted(session, who)
        found = await load_unsorted(session, who, limit)
        people = await load_directory(session)
    return show(
        request,
        "unsorted/list.html",
        fragment="unsorted/_list.html",
        rows=found,
        count=count,
        people=people,
        path=f"/unsorted?rows={limit}" if limit != AT_ONCE else "/unsorted",
        more=f"/unsorted?rows={limit + AT_ONCE}" if count > limit and limit < AT_MOST else "",
        left=count - len(found),
    )
