"""A new deal, with a new client where one is named: the form and what it makes."""

from collections.abc import Sequence
from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.calls.queries import access_call
from pbxcrm.calls.rules import named_as
from pbxcrm.contacts.actions import create_contact
from pbxcrm.contacts.queries import (
    access_contact,
    get_contact,
    load_numbers,
    only_contact_of_number,
)
from pbxcrm.contacts.rules import check_numbers
from pbxcrm.deals.access import sees_deal
from pbxcrm.deals.creation_actions import create_deal
from pbxcrm.deals.merge_queries import OtherDeals
from pbxcrm.deals.models import Pipeline, Stage, StageKind
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import (
    default_pipeline,
    list_pipelines,
)
from pbxcrm.deals.second_deal_queries import open_there
from pbxcrm.distribution.actions import distribute_new
from pbxcrm.distribution.queries import any_rules
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.people.directory import load_directory
from pbxcrm.reactions.client_of_call import identify
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import read_numbers
from web import gate_dialog, words
from web.answers import redirect
from web.custom_values import entered_of
from web.deal_forms import values_in
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.known_numbers import check_unknown
from web.pages.common import asked_id, asked_text, choices, colleagues, show
from web.parts import now, parts, viewer

UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
BY_RULES = "rules"  # in place of a person: whoever the rules of distribution say


async def new(request: Request) -> Response:
    """``GET /deals/new?number=&call=&contact=``: a form, filled in from a call, a number or a client."""
    who = viewer(request)
    async with parts(request).db.read() as session:
        number, heard, contact_id = asked_text(request, "number"), "", asked_id(request, "contact")
        call_id = asked_id(request, "call")
        if call_id is not None:
            call = await access_call(session, who, call_id)
            number, heard, contact_id = call.client_number or "", named_as(call.client_name) or "", call.contact_id
        if contact_id is None and number:
            client = await identify(session, number, await load_numbers(session, [number] if number else []))
            known = client.contact.id if client.contact is not None else None
            # A client whom the viewer may not see looks like no client: the page is the same.
            contact = await get_contact(session, who, known or 0)
            if contact is None:
                own = await only_contact_of_number(session, who, number)
                contact = await get_contact(session, who, own or 0)
        else:
            contact = await access_contact(session, who, contact_id) if contact_id is not None else None
    form = filled(
        {
            "contact_id": contact.id if contact is not None else None,
            "contact": contact.name if contact is not None else heard,
            "number": number,
            "responsible_id": who.user_id,
        }
    )
    return await _new_page(request, form)


async def create(request: Request) -> Response:
    """``POST /deals/new``; a new client is created together with the deal. 422 with a form that asks for what the stage asks for."""
    who, settings = viewer(request), parts(request).settings
    form = await read_form(request)
    by_rules = form["responsible_id"] == BY_RULES
    try:
        async with parts(request).db.write() as session:
            if form.id("contact_id") is None:
                await check_unknown(session, request, form, "number", [form["number"]])
            contact_id, number = form.id("contact_id"), form["number"]
            _check_about(form)
            if contact_id is None and form["contact"]:
                numbers = check_numbers([number], settings.region)
                made = await create_contact(
                    session, who, name=form["contact"], phones=[number], now=now(request), region=settings.region
                )
                contact_id = made.id
                number = numbers[0].number if numbers else ""  # the client has them all
            found = await create_deal(
                session,
                who,
                title=form["title"] or form["contact"],
                values={key: value for key, value in values_in(form).items() if key != "title"},
                stage_id=form.id("stage_id"),
                responsible_id=None if by_rules else form.id("responsible_id"),
                for_nobody=by_rules,
                contact_id=contact_id,
                client_number=number,
                currency=settings.currency,
                region=settings.region,
                now=now(request),
                custom=entered_of(form, await load_fields(session), FieldEntity.DEAL),
                completed=await gate_dialog.of_new(session, request, form),
                second=form.ticked("second"),
            )
            if by_rules:
                await session.flush()
                await distribute_new(session, who, found, now(request), field="responsible_id")
            is_seen = sees_deal(who, found, await load_directory(session))
    except Invalid as refused:
        async with parts(request).db.read() as session:
            error = await gate_dialog.told_of_new(session, refused)
        if gate_dialog.asks(form, error):
            return await gate_dialog.ask_missing(request, form, error, None, stage_id=form.id("stage_id"))
        error.field = {"name": "contact", "phones": "number", "client_number": "number", "contact_id": "contact"}.get(
            error.field, error.field
        )
        form.refuse(error)
        return await _new_page(request, form, UNPROCESSABLE)
    return redirect(request, f"/deals/{found.id}" if is_seen else "/board", done="added" if is_seen else "given_away")


def _check_about(form: Form) -> None:
    """Raises Invalid if title and client are both missing: an empty title becomes the name of the client."""
    if not form["title"] and not form["contact"]:
        raise Invalid("title", "deals.about", "Write a title, or choose a client.")


async def _new_page(request: Request, form: Form, status: int = 200) -> HTMLResponse:
    async with parts(request).db.read() as session:
        pipelines = await list_pipelines(session)
        default = await default_pipeline(session)
        people = choices(await colleagues(session, viewer(request)))
        if await any_rules(session):
            people.append((BY_RULES, _("by the rules of distribution")))
        fields = await load_fields(session)
        known = await _open_already(session, request, form, pipelines, default)
        directory = await load_directory(session)
    pipelines.sort(key=lambda found: default is not None and found[0].id != default.id)
    stages = words.stage_choices(pipelines, {StageKind.OPEN, StageKind.UNSORTED})
    first = next((stage for _, some in pipelines for stage in some if stage.kind == StageKind.OPEN), None)
    place = (first.pipeline_id, first.id or 0) if first is not None else (0, 0)
    required = Requirements.load(first.requires).fields if first is not None else ()
    custom = [each for each in fields.shown_at(*place, required) if each.kind != ValueKind.FILE and not each.formula]
    return show(
        request,
        "deals/new.html",
        fragment="deals/_new_form.html",
        status=status,
        form=form,
        required_fields=[each for each in custom if each.key in required],
        more_fields=[each for each in custom if each.key not in required],
        stages=stages,
        people=people,
        open_already=known,
        directory=directory,
    )


async def _open_already(
    session: AsyncSession,
    request: Request,
    form: Form,
    pipelines: Sequence[tuple[Pipeline, Sequence[Stage]]],
    default: Pipeline | None,
) -> OtherDeals | None:
    """The open deals of the chosen client, or of the number, in the pipeline of the chosen stage."""
    number = next((one.number for one in read_numbers(form["number"], parts(request).settings.region)), None)
    wanted = form.id("stage_id")
    chosen = [each.id for each, stages in pipelines if wanted is not None and wanted in {one.id for one in stages}]
    pipeline_id = chosen[0] if chosen else default.id if default is not None else None
    contact_id = form.id("contact_id")
    if pipeline_id is None or (contact_id is None and number is None):
        return None
    contact = await get_contact(session, viewer(request), contact_id) if contact_id is not None else None
    if contact_id is not None and contact is None:
        return None
    return await open_there(session, viewer(request), pipeline_id, contact_id, number)
