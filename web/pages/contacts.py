"""Clients: people with their numbers. Their list: ``client_lists``."""

from collections.abc import Callable
from http import HTTPStatus

from sqlmodel import col
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.access import Permission, can, decides_for
from pbxcrm.contacts import actions
from pbxcrm.contacts.birthday_rules import read_birthday
from pbxcrm.contacts.consent_queries import consents_of
from pbxcrm.contacts.duplicates import alike_to
from pbxcrm.contacts.kind_rules import EMAIL_KINDS, PHONE_KINDS, ChosenKinds, WayChoice
from pbxcrm.contacts.likely_pairs import Alike
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import (
    ContactRow,
    access_contact,
    edits_contact,
    list_companies,
    special_numbers_of,
    with_numbers,
)
from pbxcrm.contacts.rules import check_emails, check_name, check_numbers
from pbxcrm.deals.models import Deal
from pbxcrm.deals.people_queries import deals_of_person
from pbxcrm.deals.queries import list_deals
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.forms.queries import consent_rows
from pbxcrm.global_search import find_clients
from pbxcrm.messages.queries import reached_at, stops_among
from pbxcrm.notes.actions import add_note
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import check_optional_text
from pbxcrm.timeline.entries import EntryKind
from pbxcrm.timeline.queries import timeline
from web import formats
from web.answers import redirect, toast
from web.cursors import read_entry
from web.custom_values import entered_of, shown_fields
from web.forms import Form, filled, read_form
from web.i18n import Language
from web.i18n import gettext as _
from web.known_numbers import MEANT, check_unknown, known_of
from web.pages.common import LISTED, asked_number, asked_text, choices, colleagues, show, version_of
from web.parts import now, parts, viewer

SUGGESTED = 8
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
WITH_CLIENT = frozenset({EntryKind.CALL, EntryKind.NOTE, EntryKind.TASK, EntryKind.MERGE, EntryKind.MESSAGE})


async def find(request: Request) -> Response:
    """``GET /contacts/find?q=``: a few clients, for forms that choose one."""
    text = asked_text(request) or asked_text(request, "contact")
    async with parts(request).db.read() as session:
        rows = await find_clients(session, viewer(request), text, limit=SUGGESTED) if len(text) >= 2 else []
    private = [known for known in await known_of(request, [text]) if known.contact is None]
    return show(request, "contacts/_found.html", rows=rows, private=private, text=text)


async def whose(request: Request) -> Response:
    """``GET /contacts/whose?meant=&number=&phones=&mobiles=&name=&emails=&without=&contact_id=``: the clients who already have what is being typed."""
    asked = request.query_params
    several = ",".join((asked.get("phones", ""), asked.get("mobiles", "")))
    typed = [asked.get("number", ""), *several.replace(",", "\n").splitlines()]
    without, meant = asked_number(request, "without"), asked.get("meant", "")
    found = [] if asked.get("contact_id") else await known_of(request, typed, without=without)
    emails = asked.get("emails", "").replace(",", "\n").splitlines()[:20]
    alike = await _alike(request, asked_text(request, "name"), emails, without) if meant in {"client", "link"} else []
    named = {known.contact.id: None for known in found if known.contact is not None}
    alike = [(row, same) for row, same in alike if row.contact.id not in named]
    clients = [contact_id for contact_id in (*named, *(row.contact.id for row, _same in alike)) if contact_id]
    async with parts(request).db.read() as session:
        edits = [each for each in clients if await edits_contact(session, viewer(request), each)]
    return show(
        request,
        "contacts/_known.html",
        found=found,
        alike=alike,
        clients=clients,
        edits=edits if can(viewer(request), Permission.CONTACTS_EDIT) else [],
        meant=meant if meant in MEANT else "client",
        without=without,
    )


async def _alike(
    request: Request, name: str, emails: list[str], without: int | None
) -> list[tuple[ContactRow, tuple[tuple[Alike, str], ...]]]:
    """Visible clients with the typed name or one of the typed e-mail addresses."""
    if not name and not any(emails):
        return []
    async with parts(request).db.read() as session:
        return await alike_to(session, viewer(request), name=name, emails=emails, without=without, limit=3)


async def contact(request: Request) -> Response:
    """``GET /contacts/{id}``."""
    who, contact_id = viewer(request), request.path_params["contact_id"]
    async with parts(request).db.read() as session:
        found = await access_contact(session, who, contact_id)
        if found.id != contact_id:  # the client was merged into another one
            return redirect(request, f"/contacts/{found.id}")
        row = (await with_numbers(session, [found]))[0]
        special = await special_numbers_of(session, row)
        edits = await edits_contact(session, who, contact_id)
        after = read_entry(request.query_params.get("after", ""))
        told = await timeline(session, who, contact_id=contact_id, kinds=WITH_CLIENT, after=after)
        deals = await list_deals(session, who, col(Deal.contact_id) == contact_id, limit=LISTED)
        on_deals = await deals_of_person(session, who, contact_id)
        people = await load_directory(session)
        custom_fields = await shown_fields(session, who, FieldEntity.CONTACT, found.custom, row=found)
        consents = await consent_rows(session, await consents_of(session, contact_id))
        stops = await stops_among(session, reached_at(row))
    return show(
        request,
        "contacts/contact.html",
        custom_fields=custom_fields,
        fragment="contacts/_timeline.html",
        row=row,
        special=special,
        may_unmark={number for number, each in special.items() if decides_for(who, each.added_by_id or 0, people)},
        edits=edits,
        contact=found,
        told=told,
        deals=deals,
        on_deals=on_deals,
        people=people,
        number_form=filled({}),
        consents=consents,
        stops=stops,
        consent_form=filled({}),
    )


async def new(request: Request) -> Response:
    """``GET /contacts/new?number=&name=&company_name=``."""
    form = filled(
        {
            "phones": asked_text(request, "number"),
            "name": asked_text(request, "name"),
            "company_name": asked_text(request, "company_name"),
            "responsible_id": viewer(request).user_id,
        }
    )
    return await _form_page(request, form)


async def create(request: Request) -> Response:
    """``POST /contacts/new``; goes to the card, or shows the form again with its errors."""
    form = await read_form(request)
    if form.gather(lambda: check_name(form["name"]), *_checks(request, form)):
        return await _form_page(request, form, status=UNPROCESSABLE)
    try:
        async with parts(request).db.write() as session:
            await check_unknown(session, request, form, "phones", _lines(form, "phones"))
            made = await actions.create_contact(
                session,
                viewer(request),
                name=form["name"],
                phones=_lines(form, "phones"),
                emails=_lines(form, "emails"),
                company_name=form["company_name"],
                responsible_id=form.id("responsible_id"),
                note=form["note"],
                region=parts(request).settings.region,
                now=now(request),
                custom=entered_of(form, await load_fields(session), FieldEntity.CONTACT),
                birthday=form["birthday"],
                language=form["language"],
            )
    except Invalid as error:
        form.refuse(error)
        return await _form_page(request, form, status=UNPROCESSABLE)
    return redirect(request, f"/contacts/{made.id}", done="added")


async def add(request: Request) -> Response:
    """``POST /contacts/{id}/add``: what was typed of a new client becomes a known one's; nothing of theirs is replaced."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    try:
        async with parts(request).db.write() as session:
            await check_unknown(session, request, form, "phones", _lines(form, "phones"), without=contact_id)
            await actions.add_to_contact(
                session,
                viewer(request),
                contact_id,
                name=form["name"],
                phones=_lines(form, "phones"),
                emails=_lines(form, "emails"),
                company_name=form["company_name"],
                note=form["note"],
                region=parts(request).settings.region,
                now=now(request),
            )
    except Invalid as error:
        form.refuse(error)
        return await _form_page(request, form, status=UNPROCESSABLE)
    return redirect(request, f"/contacts/{contact_id}", done="saved")


async def edit(request: Request) -> Response:
    """``GET /contacts/{id}/edit``: the form, for people who may change the client."""
    contact_id = request.path_params["contact_id"]
    async with parts(request).db.read() as session:
        found = await access_contact(session, viewer(request), contact_id)
        if found.id != contact_id:
            return redirect(request, f"/contacts/{found.id}")
        await actions.check_editable(session, viewer(request), found)
        row = (await with_numbers(session, [found]))[0]
    form = filled(
        {
            "name": found.name,
            "phones": "\n".join(phone.written for phone in row.phones),
            "emails": "\n".join(email.address for email in row.emails),
            "company_name": row.company.name if row.company is not None else "",
            "responsible_id": found.responsible_id,
            "note": found.note,
            "birthday": formats.birthday_typed(found.birth_year, found.birth_day),
            "language": found.language,
            "version": found.version,
        }
    )
    return await _form_page(request, form, contact_id)


async def save(request: Request) -> Response:
    """``POST /contacts/{id}/edit``. A stale ``version`` is refused and nothing typed is lost."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    async with parts(
        request
    ).db.read() as session:  # whoever may not change the client is told that, not what is wrong with the form
        found = await access_contact(session, viewer(request), contact_id)
        await actions.check_editable(session, viewer(request), found)
    if form.gather(lambda: check_name(form["name"]), *_checks(request, form)):
        return await _form_page(request, form, contact_id, UNPROCESSABLE)
    try:
        async with parts(request).db.write() as session:
            await check_unknown(session, request, form, "phones", _lines(form, "phones"), without=contact_id)
            await actions.edit_contact(
                session,
                viewer(request),
                contact_id,
                version=version_of(form),
                name=form["name"],
                phones=_lines(form, "phones"),
                emails=_lines(form, "emails"),
                company_name=form["company_name"],
                responsible_id=form.id("responsible_id"),
                note=form["note"],
                region=parts(request).settings.region,
                now=now(request),
                birthday=form["birthday"],
                language=form["language"],
                kinds=_kinds(form),
            )
    except Invalid as error:
        form.refuse(error)
        return await _form_page(request, form, contact_id, UNPROCESSABLE)
    return redirect(request, f"/contacts/{contact_id}", done="saved")


async def link_number(request: Request) -> Response:
    """``POST /contacts/{id}/numbers``: add a number; its calls and deals become those of the client."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    try:
        async with parts(request).db.write() as session:
            await check_unknown(session, request, form, "number", [form["number"]], without=contact_id)
            region = parts(request).settings.region
            await actions.link_number(
                session, viewer(request), contact_id, form["number"], region=region, now=now(request)
            )
    except Invalid as error:
        form.refuse(error)
        return show(
            request,
            "contacts/number.html",
            fragment="contacts/_number_form.html",
            status=UNPROCESSABLE,
            form=form,
            contact_id=contact_id,
        )
    return redirect(request, f"/contacts/{contact_id}", done="saved")


async def note(request: Request) -> Response:
    """``POST /contacts/{id}/note``: write a note, then go back to the card."""
    form, contact_id = await read_form(request), request.path_params["contact_id"]
    try:
        async with parts(request).db.write() as session:
            found = await access_contact(session, viewer(request), contact_id)
            await add_note(session, viewer(request), form["text"], now(request), contact=found)
    except Invalid as error:
        return toast(request, _(error.message).format(**error.params), tone="red", status=error.status)
    return redirect(request, f"/contacts/{contact_id}", done="saved")


async def _form_page(request: Request, form: Form, contact_id: int | None = None, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        people = await colleagues(session, viewer(request))
        companies = (await list_companies(session, viewer(request), limit=200)).rows
        fields = (await load_fields(session)).of(FieldEntity.CONTACT, typed=True) if contact_id is None else []
        known = None
        if contact_id is not None:
            known = (await with_numbers(session, [await access_contact(session, viewer(request), contact_id)]))[0]
    return show(
        request,
        "contacts/edit.html",
        fragment="contacts/_form.html",
        status=status,
        form=form,
        contact_id=contact_id,
        people=choices(people),
        client_languages=[("", "—"), *((each.value, each.own_name) for each in Language)],
        companies=companies,
        more_fields=fields,
        known=known,
        kinds_of={"phone": PHONE_KINDS, "email": EMAIL_KINDS},
    )


def _kinds(form: Form) -> ChosenKinds:
    """What was chosen for the numbers and addresses that the client has: one kind for each ``way``, and the main ones."""
    phones = dict(zip(form.all("phone_way"), form.all("phone_kind"), strict=False))
    emails = dict(zip(form.all("email_way"), form.all("email_kind"), strict=False))
    return ChosenKinds(
        {way: WayChoice(kind, way == form["main_phone"]) for way, kind in phones.items()},
        {way: WayChoice(kind, way == form["main_email"]) for way, kind in emails.items()},
    )


def _checks(request: Request, form: Form) -> tuple[Callable[[], object], ...]:
    region = parts(request).settings.region
    return (
        lambda: check_numbers(_lines(form, "phones"), region),
        lambda: check_emails(_lines(form, "emails")),
        lambda: check_optional_text(form["note"], Contact.note, "note"),
        lambda: read_birthday(form["birthday"], now(request).date()),
    )


def _lines(form: Form, name: str) -> list[str]:
    """The numbers or addresses of a field, one per line or separated by commas."""
    return [part.strip() for line in form.get(name).splitlines() for part in line.split(",") if part.strip()]
