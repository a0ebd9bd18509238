"""Settings: templates of messages to clients, what holds for all messages, and the stop list."""

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.formula_texts import text_names
from pbxcrm.deals.queries import list_deals
from pbxcrm.fields.queries import load_fields
from pbxcrm.messages.actions import compose, do_preview
from pbxcrm.messages.gateway_queries import load_gateway
from pbxcrm.messages.models import MessageTemplate
from pbxcrm.messages.option_actions import KEYS, add_stop, change_message_options, remove_stop
from pbxcrm.messages.queries import access_message_template, list_message_templates, list_stops, mail_trouble
from pbxcrm.messages.template_actions import (
    OFFERED,
    MessageDraft,
    archive_message_template,
    check_message,
    save_message_template,
)
from pbxcrm.messages.template_rules import LANGUAGES
from pbxcrm.messages.values import field_titles, load_message_facts
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.runtime_options import Options, load_options
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import Language
from web.i18n import gettext as _
from web.message_words import CHANNELS
from web.pages.common import show
from web.parts import now, parts, viewer
from web.two_tabs import check_unchanged, drawn, keep_typed

PATH = "/settings/messages"
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY
FEW = 20  # deals for a preview
_NUMBERS = ("message_most_a_day",)
_TICKED = ("message_needs_consent",)


async def listed(request: Request) -> Response:
    """``GET /settings/messages``."""
    return await _list_page(request)


async def options(request: Request) -> Response:
    """``POST /settings/messages/options``: what holds for all messages."""
    form = await read_form(request)
    values: dict[str, object] = {key: form[key] for key in KEYS if key not in _TICKED}
    for key in _NUMBERS:
        values[key] = form.number(key)
    for key in _TICKED:
        values[key] = form.ticked(key)
    try:
        async with parts(request).db.write() as session:
            region = parts(request).settings.region
            check_unchanged(form, _options_form(await load_options(session)))
            await change_message_options(session, viewer(request), values, region, now(request))
    except Invalid as error:
        form.refuse(error)
        return await _list_page(request, form, status=UNPROCESSABLE)
    return redirect(request, PATH, done="saved")


def _options_form(known: Options) -> Form:
    return drawn({key: getattr(known, key) for key in KEYS})


async def stop(request: Request) -> Response:
    """``POST /settings/messages/stop``: ``address`` and ``note`` onto the stop list."""
    form = await read_form(request)
    try:
        async with parts(request).db.write() as session:
            region = parts(request).settings.region
            await add_stop(session, viewer(request), form["address"], form["note"], region, now(request))
    except Invalid as error:
        form.refuse(error)
        return await _list_page(request, stop_form=form, status=UNPROCESSABLE)
    return redirect(request, PATH, done="added")


async def unstop(request: Request) -> Response:
    """``POST /settings/messages/stop/{message_stop_id}/remove``."""
    async with parts(request).db.write() as session:
        await remove_stop(session, viewer(request), request.path_params["message_stop_id"], now(request))
    return redirect(request, PATH, done="deleted")


async def new(request: Request) -> Response:
    """``GET /settings/messages/new``."""
    return await _form_page(request, filled({"channel": "email"}), None)


async def one(request: Request) -> Response:
    """``GET /settings/messages/{message_template_id}``."""
    template = await _template(request)
    assert template is not None
    values: dict[str, object] = {"name": template.name, "channel": template.channel, "version": template.version}
    for language in LANGUAGES:
        values[f"texts.{language}"] = template.texts.get(language, "")
        values[f"subjects.{language}"] = template.subjects.get(language, "")
    return await _form_page(request, filled(values), template)


async def save(request: Request) -> Response:
    """``POST`` of either form: ``name``, ``channel``, ``texts.uk`` …, ``subjects.uk`` …; ``version``."""
    form, template = await read_form(request), await _template(request)
    try:
        async with parts(request).db.write() as session:
            await save_message_template(
                session,
                viewer(request),
                template.id if template is not None else None,
                _draft(form),
                now(request),
                version=form.number("version"),
            )
    except Invalid as error:
        form.refuse(error)
        return await _form_page(request, form, template, UNPROCESSABLE)
    except Conflict as error:
        return await _form_page(request, form, template, keep_typed(form, error, template.version if template else 0))
    return redirect(request, PATH, done="saved" if template is not None else "added")


async def check(request: Request) -> Response:
    """``POST /settings/messages/check``: what the template that is being written says about the deal ``deal_id``, or what is wrong."""
    form = await read_form(request)
    preview = None
    said = {}
    try:
        async with parts(request).db.read() as session:
            subjects, texts = await check_message(session, _draft(form))
            template = MessageTemplate(
                name="", channel=form["channel"], subjects=subjects, texts=texts, created_at=now(request)
            )
            deal_id = form.id("deal_id")
            rows = await list_deals(session, viewer(request), limit=FEW)
            row = next((each for each in rows if deal_id in {None, each.deal.id}), None)
            if row is not None:
                preview = await do_preview(session, row.deal, template, now(request), by_id=None)
                facts = await load_message_facts(session, row.deal, None)
                for language in texts:
                    only = MessageTemplate(
                        name="",
                        channel=template.channel,
                        subjects={language: subjects.get(language, "")},
                        texts={language: texts[language]},
                        created_at=now(request),
                    )
                    said[Language(language).own_name] = compose(only, facts, now(request), address="—")
    except Invalid as error:
        form.refuse(error)
    return show(request, "messages/_said.html", form=form, preview=preview, said=said, is_sms=form["channel"] == "sms")


async def archive(request: Request) -> Response:
    """``POST /settings/messages/{message_template_id}/archive``: offer it no more, or with ``again`` again."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        template_id = request.path_params["message_template_id"]
        await archive_message_template(
            session, viewer(request), template_id, now(request), is_archived=not form.ticked("again")
        )
    return redirect(request, PATH, done="saved")


async def _template(request: Request) -> MessageTemplate | None:
    template_id = request.path_params.get("message_template_id")
    if template_id is None:
        return None
    async with parts(request).db.read() as session:
        return await access_message_template(session, template_id)


def _draft(form: Form) -> MessageDraft:
    return MessageDraft(
        form["name"],
        form["channel"],
        {language: form[f"texts.{language}"] for language in LANGUAGES},
        {language: form[f"subjects.{language}"] for language in LANGUAGES},
    )


async def _form_page(
    request: Request, form: Form, template: MessageTemplate | None, status: int = HTTPStatus.OK
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        fields = await load_fields(session)
        rows = await list_deals(session, viewer(request), limit=FEW)
    return show(
        request,
        "messages/template.html",
        status=status,
        form=form,
        template=template,
        titles=field_titles(fields),
        formula_titles=text_names(fields),
        text_languages=[Language(each) for each in LANGUAGES],
        channels=[(code, _(CHANNELS[code])) for code in OFFERED],
        deals=[(str(row.deal.id), row.deal) for row in rows],
    )


async def _list_page(
    request: Request, form: Form | None = None, stop_form: Form | None = None, status: int = HTTPStatus.OK
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        rows = await list_message_templates(session, archived=True)
        stops = await list_stops(session, viewer(request))
        trouble = await mail_trouble(session, viewer(request))
        known = await load_options(session)
        people = await load_directory(session)
        gateway = await load_gateway(session)
    settings = parts(request).settings
    return show(
        request,
        "messages/list.html",
        status=status,
        form=form or _options_form(known),
        stop_form=stop_form or Form(),
        rows=[row for row in rows if row.archived_at is None],
        archived=[row for row in rows if row.archived_at is not None],
        stops=stops,
        people=people,
        client_languages=[
            ("", _("the first that a template has")),
            *((each.value, each.own_name) for each in Language),
        ],
        has_server=bool(settings.smtp_url),
        trouble=trouble,
        sender=settings.mail_from,
        gateway=gateway if gateway is not None and gateway.is_on else None,
    )
