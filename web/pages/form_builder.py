"""Settings: web forms and mailboxes. A form is put together here, with a preview beside it, and the text that puts it on a site."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from html import escape
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.queries import list_pipelines
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.forms.form_actions import FormDraft, archive_form, save_form
from pbxcrm.forms.models import FormKind, WebForm
from pbxcrm.forms.queries import access_form, consent_of, consents_of, counts_of_forms, load_forms, load_mailboxes
from pbxcrm.forms.rules import (
    CUSTOM,
    LABELS,
    LONGEST_HINT,
    LONGEST_LABEL,
    LONGEST_NAME,
    FormField,
    Target,
    check_fields,
    is_askable,
)
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Conflict, Invalid
from web.answers import redirect
from web.forms import Form, filled, read_form
from web.i18n import Here, Language, here, speaking
from web.i18n import gettext as _
from web.pages.common import choices, colleagues, show, version_of
from web.parts import home, now, parts, viewer
from web.public_form import public_form

PATH = "/settings/forms"
COUNTED = timedelta(days=30)
MOST = {"label": LONGEST_LABEL, "hint": LONGEST_HINT, "name": LONGEST_NAME}  # characters
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


@dataclass(frozen=True, slots=True)
class FieldRow:
    """A field that a form can ask for, as a row of the settings. ``word``: what it fills in; ``usual``: its label unless one is typed."""

    target: str
    word: str
    usual: str
    asked: bool
    required: bool
    label: str
    name: str
    hint: str


async def listed(request: Request) -> Response:
    """``GET /settings/forms``: all forms, with what came through each in thirty days."""
    async with parts(request).db.read() as session:
        forms = (await load_forms(session)).all
        counts = await counts_of_forms(session, now(request) - COUNTED)
        pipelines = {pipeline.id: pipeline.name for pipeline, _stages in await list_pipelines(session)}
        mailboxes = await load_mailboxes(session)
        people = await load_directory(session)
    return show(
        request,
        "forms/list.html",
        forms=sorted(forms, key=lambda form: (form.archived_at is not None, form.name)),
        counts=counts,
        pipelines=pipelines,
        mailboxes=mailboxes,
        has_mailboxes=bool(parts(request).settings.mailboxes),
        people=people,
    )


async def new(request: Request) -> Response:
    """``GET /settings/forms/new?kind=mail``: the form of a new one."""
    kind = FormKind.MAIL if request.query_params.get("kind") == FormKind.MAIL else FormKind.WEB
    async with parts(request).db.read() as session:
        pipeline = next((each.id for each, _stages in await list_pipelines(session) if each.is_default), None)
    asked = [Target.NAME.value, Target.PHONE.value, Target.EMAIL.value, Target.MESSAGE.value]
    values = {
        "kind": kind.value,
        "pipeline_id": pipeline,
        "language": here().language.value,
        "per_minute": 10,
        "field_target": list(asked),
        "field_asked": list(asked),
        "field_required": [Target.PHONE.value],
        "title": _("Write to us") if kind is FormKind.WEB else "",
    }
    return await _form_page(request, filled(values), None)


async def one(request: Request) -> Response:
    """``GET /settings/forms/12``: its form."""
    async with parts(request).db.read() as session:
        form = await access_form(session, request.path_params["form_id"])
        consent = await consent_of(session, form)
    fields = [FormField.load(each) for each in form.fields]
    values: dict[str, object] = {
        name: getattr(form, name)
        for name in (
            "kind", "name", "pipeline_id", "language", "mailbox", "responsible_id", "source", "title", "intro",
            "button", "thanks", "thanks_url", "asks_proof", "per_minute", "version",
        )
    }  # fmt: skip
    values |= {
        "consent": consent.text if consent is not None else "",
        "field_target": [each.target for each in fields],
        "field_asked": [each.target for each in fields],
        "field_required": [each.target for each in fields if each.required],
        "field_label": [each.label for each in fields],
        "field_name": [each.name for each in fields],
        "field_hint": [each.hint for each in fields],
    }
    typed = filled(values)
    typed.values["origins"] = "\n".join(form.origins)
    return await _form_page(request, typed, form)


async def save(request: Request) -> Response:
    """``POST /settings/forms/new`` and ``/settings/forms/12``; there with ``act`` archive or restore."""
    typed, form_id = await read_form(request), request.path_params.get("form_id")
    settings = parts(request).settings
    try:
        async with parts(request).db.write() as session:
            if form_id is not None and typed["act"] in {"archive", "restore"}:
                back = typed["act"] == "restore"
                form = await archive_form(session, viewer(request), form_id, now(request), back=back)
            else:
                form = await save_form(
                    session,
                    viewer(request),
                    form_id,
                    _draft(typed),
                    now(request),
                    version=version_of(typed) if form_id is not None else None,
                    mailboxes=[each.name for each in settings.mailboxes],
                )
    except (Invalid, Conflict) as error:
        if isinstance(error, Invalid):
            typed.refuse(error)
        else:
            typed.errors[""] = _(error.message).format(**error.params)
        async with parts(request).db.read() as session:
            known = await access_form(session, form_id) if form_id is not None else None
        if isinstance(error, Conflict) and known is not None:
            typed.values["version"] = str(known.version)
        return await _form_page(request, typed, known, int(error.status))
    path = f"{PATH}/{form.id}" if form_id is None else PATH
    return redirect(request, path, done="added" if form_id is None else "saved")


async def preview(request: Request) -> Response:
    """``POST /settings/forms/preview``: the form as it is typed now; with ``act`` ``up:name`` or ``down:name`` also its fields, reordered."""
    typed = await read_form(request)
    async with parts(request).db.read() as session:
        definitions = (await load_fields(session)).by_key(FieldEntity.DEAL, typed=True)
    rows = _rows(typed, definitions)
    act, _colon, target = typed["act"].partition(":")
    place = next((at for at, row in enumerate(rows) if row.target == target), None)
    if place is not None and act in {"up", "down"}:
        other = place + (-1 if act == "up" else 1)
        if 0 <= other < len(rows):
            rows[place], rows[other] = rows[other], rows[place]
        return show(request, "forms/_fields.html", rows=rows, form=typed, moved=target, most=MOST)
    return show(request, "forms/_preview.html", **_looked(request, typed, rows, definitions))


def _draft(typed: Form) -> FormDraft:
    return FormDraft(
        kind=FormKind.MAIL if typed["kind"] == FormKind.MAIL else FormKind.WEB,
        name=typed["name"],
        pipeline_id=typed.id("pipeline_id"),
        language=typed["language"] or here().language.value,
        fields=_typed_fields(typed),
        mailbox=typed["mailbox"],
        responsible_id=typed.id("responsible_id"),
        source=typed["source"],
        title=typed["title"],
        intro=typed["intro"],
        button=typed["button"],
        thanks=typed["thanks"],
        thanks_url=typed["thanks_url"],
        consent=typed["consent"],
        origins=typed["origins"],
        asks_proof=typed.ticked("asks_proof"),
        per_minute=typed.number("per_minute"),
    )


def _typed_fields(typed: Form) -> list[FormField]:
    asked, required = set(typed.all("field_asked")), set(typed.all("field_required"))

    def of(name: str, at: int) -> str:
        values = typed.all(name)
        return values[at].strip() if at < len(values) else ""

    return [
        FormField(target, of("field_name", at), of("field_label", at), target in required, of("field_hint", at))
        for at, target in enumerate(typed.all("field_target"))
        if target in asked
    ]


def _rows(typed: Form, definitions: Mapping[str, FieldDefinition]) -> list[FieldRow]:
    """All that a form can ask for: first what was typed, in its order, then the rest."""
    usual: dict[str, str] = {target: _(label) for target, label in LABELS.items()}
    usual |= {f"{CUSTOM}{key}": each.name for key, each in definitions.items() if is_askable(each)}
    asked, required = set(typed.all("field_asked")), set(typed.all("field_required"))
    order = [target for target in dict.fromkeys(typed.all("field_target")) if target in usual]
    at = {target: place for place, target in enumerate(typed.all("field_target"))}

    def of(name: str, target: str) -> str:
        values, place = typed.all(name), at.get(target)
        return values[place] if place is not None and place < len(values) else ""

    return [
        FieldRow(
            target,
            usual[target],
            usual[target],
            target in asked,
            target in required,
            of("field_label", target),
            of("field_name", target) or target.removeprefix(CUSTOM),
            of("field_hint", target),
        )
        for target in [*order, *(each for each in usual if each not in at)]
    ]


def _looked(
    request: Request, typed: Form, rows: Sequence[FieldRow], definitions: Mapping[str, FieldDefinition]
) -> dict[str, Any]:
    """What the preview shows: the typed form in its own language, or why there is none."""
    asked = [FormField(row.target, row.name, row.label, row.required, row.hint) for row in rows if row.asked]
    wrong = ""
    try:
        check_fields(asked, definitions)
    except Invalid as error:
        wrong = _(error.message).format(**error.params)
    form = WebForm(
        kind=FormKind.WEB.value, key="", secret="", name=typed["name"], pipeline_id=0, language=typed["language"],
        title=typed["title"], intro=typed["intro"], button=typed["button"], fields=[each.stored() for each in asked],
    )  # fmt: skip
    settings = parts(request).settings
    language = Language.of(typed["language"]) or Language(settings.language)
    with speaking(Here(language, here().timezone, now(request), settings.currency)):
        shown = public_form(form, definitions, consent=typed["consent"], action="", typed={}, errors={})
        html = parts(request).templates.text("forms/_form.html", f=shown, inert=True, whole_page=False)
    return {"looks": html, "wrong": wrong, "language": language}


def _snippet(home: str, form: WebForm) -> str:
    """The two lines that put the form on a site: its place, with a link for where the script does not run, and the script."""
    link = f'<a href="{home}/f/{form.key}">{escape(form.title or form.name)}</a>'
    return f'<div data-pbxcrm-form="{form.key}">{link}</div>\n<script src="{home}/f/form.js" defer></script>'


async def _form_page(request: Request, typed: Form, form: WebForm | None, status: int = 200) -> HTMLResponse:
    at = parts(request)
    async with at.db.read() as session:
        pipelines = await list_pipelines(session)
        people = await colleagues(session, viewer(request))
        definitions = (await load_fields(session)).by_key(FieldEntity.DEAL, typed=True)
        consents = await consents_of(session, form.id or 0) if form is not None else []
        mailbox = (await load_mailboxes(session)).get(form.mailbox) if form is not None else None
    rows = _rows(typed, definitions)
    is_mail = typed["kind"] == FormKind.MAIL
    address = home(request)
    return show(
        request,
        "forms/edit.html",
        fragment="forms/_edit.html",
        status=status,
        form=typed,
        f=form,
        is_mail=is_mail,
        rows=rows,
        most=MOST,
        moved="",
        pipelines=[(pipeline.id, _(pipeline.name)) for pipeline, _stages in pipelines],
        people=choices(people, _("by the rules of distribution")),
        form_languages=[(language.value, language.own_name) for language in Language],
        mailboxes=[(each.name, each.name) for each in at.settings.mailboxes],
        mailbox=mailbox,
        consents=consents,
        home=address,
        snippet=_snippet(address, form) if form is not None else "",
        **({} if is_mail else _looked(request, typed, rows, definitions)),
    )
