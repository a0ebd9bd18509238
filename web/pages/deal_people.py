"""The people of a deal besides its client, who watches it, and what happened on the deals that one watches."""

from datetime import timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from pbxcrm.contacts.actions import create_contact
from pbxcrm.deals.people_actions import add_person, remove_person, restore_person, set_role
from pbxcrm.deals.people_queries import (
    access_move,
    happened_on_watched,
    is_watching,
    watched_deals,
)
from pbxcrm.deals.queries import access_deal, load_funnel
from pbxcrm.deals.watcher_actions import unwatch, watch
from pbxcrm.notes.access import access_note
from pbxcrm.notes.mention_rules import beginning
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotFound
from pbxcrm.shared.news import NewsKind, read_news
from web import words
from web.answers import redirect, with_toast
from web.deal_panels import people_context, watchers_context
from web.forms import Form, read_form
from web.i18n import gettext as _
from web.known_numbers import check_unknown
from web.pages.common import asked_text, show
from web.parts import now, parts, viewer, wants_fragment

WATCHED_FOR = timedelta(days=14)  # so far back the page of watched deals tells what happened


async def people(request: Request) -> Response:
    """``GET /deals/{deal_id}/people``: the panel."""
    return await _panel(request, Form())


async def add(request: Request) -> Response:
    """``POST /deals/{deal_id}/people``: ``contact_id``, or ``contact`` and ``number`` of a new one, and ``person_role``."""
    form, who, deal_id = await read_form(request), viewer(request), request.path_params["deal_id"]
    try:
        async with parts(request).db.write() as session:
            await access_deal(session, who, deal_id)
            contact_id = form.id("contact_id")
            if contact_id is None:
                await check_unknown(session, request, form, "number", [form["number"]])
                made = await create_contact(
                    session,
                    who,
                    name=form["contact"],
                    phones=[form["number"]] if form["number"] else [],
                    now=now(request),
                    region=parts(request).settings.region,
                )
                contact_id = made.id
            await add_person(session, who, deal_id, contact_id or 0, form["person_role"], now(request))
    except Invalid as error:
        error.field = {"name": "contact", "contact_id": "contact", "phones": "number", "role": "person_role"}.get(
            error.field, error.field
        )
        form.refuse(error)
        return await _panel(request, form, error.status)
    return await _panel(request, Form())


async def role(request: Request) -> Response:
    """``POST /deals/{deal_id}/people/{person_id}/role``: ``person_role``."""
    form = await read_form(request)
    deal_id, person_id = request.path_params["deal_id"], request.path_params["person_id"]
    async with parts(request).db.write() as session:
        await set_role(session, viewer(request), deal_id, person_id, form["person_role"], now(request))
    return await _panel(request, Form())


async def remove(request: Request) -> Response:
    """``POST /deals/{deal_id}/people/{person_id}/remove``, with undo."""
    deal_id, person_id = request.path_params["deal_id"], request.path_params["person_id"]
    async with parts(request).db.write() as session:
        gone = await remove_person(session, viewer(request), deal_id, person_id, now(request))
    answer = await _panel(request, Form())
    if not isinstance(answer, HTMLResponse):
        return answer
    said = _("{name} has been taken off the deal.").format(name=gone.name)
    return with_toast(request, answer, said, undo=f"/deals/{deal_id}/people/{person_id}/restore")


async def restore(request: Request) -> Response:
    """``POST /deals/{deal_id}/people/{person_id}/restore``: undo of the removal."""
    deal_id, person_id = request.path_params["deal_id"], request.path_params["person_id"]
    async with parts(request).db.write() as session:
        await restore_person(session, viewer(request), deal_id, person_id, now(request))
    return redirect(request, f"/deals/{deal_id}", done="saved")


async def start_watching(request: Request) -> Response:
    """``POST /deals/{deal_id}/watch``: ``user_id``, else oneself."""
    return await _watching(request, True)


async def stop_watching(request: Request) -> Response:
    """``POST /deals/{deal_id}/unwatch``: ``user_id``, else oneself."""
    return await _watching(request, False)


async def _watching(request: Request, on: bool) -> Response:
    form, who, deal_id = await read_form(request), viewer(request), request.path_params["deal_id"]
    user_id = form.id("user_id") if "user_id" in form.values else who.user_id
    async with parts(request).db.write() as session:
        await (watch if on else unwatch)(session, who, deal_id, user_id or 0, now(request))
    if not wants_fragment(request):
        return redirect(request, f"/deals/{deal_id}")
    async with parts(request).db.read() as session:
        deal = await access_deal(session, who, deal_id)
        return show(request, "deals/_watchers.html", deal=deal, **await watchers_context(session, request, deal))


async def watching(request: Request) -> Response:
    """``GET /watching``: the deals that one watches, and what others did there."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        return show(
            request,
            "deals/watching.html",
            happened=await happened_on_watched(session, who, since=now(request) - WATCHED_FOR),
            deals=await watched_deals(session, who),
            days=WATCHED_FOR.days,
            people_of=await load_directory(session),
            stages=(await load_funnel(session)).stages,
        )


async def news(request: Request) -> Response:
    """``GET /news?what=``: what a hint of the topic ``news`` is about, as JSON, if the person may know it. 404 otherwise."""
    asked, who = read_news(asked_text(request, "what")), viewer(request)
    if asked is None:
        raise NotFound("news.gone", "There is no such news any more.")
    kind, row_id = asked
    async with parts(request).db.read() as session:
        directory = await load_directory(session)
        if kind in {NewsKind.NOTE, NewsKind.MENTION}:
            note = await access_note(session, who, row_id)
            deal = await access_deal(session, who, note.deal_id or 0)
            author = directory.name(note.author_id) or "—"
            said = (
                _("{who} asks you in a note: {text}") if kind is NewsKind.MENTION else _("{who} wrote a note: {text}")
            )
            told = said.format(who=author, text=beginning(note.text))
        elif kind is NewsKind.MOVE:
            move = await access_move(session, who, row_id)
            deal = await access_deal(session, who, move.deal_id)
            stage = (await load_funnel(session)).stages.get(move.to_stage_id)
            by = directory.name(move.by_id)
            said = _("{who} moved it to “{stage}”.") if by else _("Moved by itself to “{stage}”.")
            told = said.format(who=by, stage=words.stage(stage))
        else:
            deal = await access_deal(session, who, row_id)
            if not await is_watching(session, who, deal.id or 0):
                raise NotFound("news.gone", "There is no such news any more.")
            told = _("You watch this deal from now on: you are told of its moves and notes.")
    return JSONResponse(
        {"title": words.deal_title(deal), "text": told, "href": f"/deals/{deal.id}", "open": _("Open")},
        headers={"cache-control": "no-store"},
    )


async def _panel(request: Request, form: Form, status: int = 200) -> Response:
    deal_id = request.path_params["deal_id"]
    async with parts(request).db.read() as session:
        deal = await access_deal(session, viewer(request), deal_id)
        if request.method == "POST" and not wants_fragment(request) and not form.errors:
            return redirect(request, f"/deals/{deal_id}")
        context = await people_context(session, request, deal)
    return show(request, "deals/_people.html", status=status, deal=deal, people_form=form, **context)
