"""Settings: the custom fields of deals, clients and companies, their sections, options and places."""

from http import HTTPStatus

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from pbxcrm.deals.field_actions import check_places, set_required, stages_requiring
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import list_pipelines
from pbxcrm.fields import actions
from pbxcrm.fields.actions import FieldDraft
from pbxcrm.fields.definition_rules import MAY_BE_UNIQUE, WITH_OPTIONS, OptionDraft
from pbxcrm.fields.formula_queries import names_for_formulas, tried_on_latest
from pbxcrm.fields.formula_rules import COMPUTED
from pbxcrm.fields.index_actions import progress_of
from pbxcrm.fields.models import FieldDefinition, FieldEntity, FieldSection, LinkTarget, ValueKind
from pbxcrm.fields.queries import access_definition, load_fields, load_named
from pbxcrm.fields.rules import Stored
from pbxcrm.formulas.problems import FormulaProblem
from pbxcrm.formulas.reading import LONGEST as LONGEST_FORMULA
from pbxcrm.shared.errors import Conflict, Invalid
from web.answers import redirect, with_toast
from web.custom_values import ShownValue, show_value
from web.forms import Form, filled, read_form
from web.i18n import N_
from web.i18n import gettext as _
from web.pages.common import show, version_of
from web.parts import now, parts, viewer, wants_fragment

PATH = "/settings/fields"
ENTITIES = {FieldEntity.DEAL: N_("Deals"), FieldEntity.CONTACT: N_("Clients"), FieldEntity.COMPANY: N_("Companies")}
KINDS = {
    ValueKind.TEXT: N_("Text"),
    ValueKind.LONG_TEXT: N_("Long text"),
    ValueKind.NUMBER: N_("Whole or decimal number"),
    ValueKind.MONEY: N_("Money"),
    ValueKind.DATE: N_("Date"),
    ValueKind.MOMENT: N_("Date and time"),
    ValueKind.CHOICE: N_("Choice of one"),
    ValueKind.SEVERAL: N_("Choice of several"),
    ValueKind.YES_NO: N_("Yes or no"),
    ValueKind.FILE: N_("Files"),
    ValueKind.PERSON: N_("Person of ours"),
    ValueKind.LINK: N_("Link"),
    ValueKind.PHONE: N_("Telephone number"),
    ValueKind.ADDRESS: N_("Postal address"),
}
TARGETS = {
    LinkTarget.WEB: N_("a page on the web"),
    LinkTarget.DEAL: N_("a deal"),
    LinkTarget.CONTACT: N_("a client"),
    LinkTarget.COMPANY: N_("a company"),
}
SPARE_OPTIONS = 3  # empty lines for further options
UNPROCESSABLE = HTTPStatus.UNPROCESSABLE_ENTITY


async def listed(request: Request) -> Response:
    """``GET /settings/fields?of=deal``."""
    return await _list_page(request, _entity(request.query_params.get("of", "")))


async def new(request: Request) -> Response:
    """``GET /settings/fields/new?of=deal``: the form of a new field."""
    of = _entity(request.query_params.get("of", ""))
    return await _form_page(request, filled({"entity": of.value, "field_kind": ValueKind.TEXT.value}), of, None)


async def create(request: Request) -> Response:
    """``POST /settings/fields/new``."""
    form = await read_form(request)
    of = _entity(form["entity"])
    try:
        async with parts(request).db.write() as session:
            draft = await _draft(session, form)
            made = await actions.create_field(
                session,
                viewer(request),
                entity=of,
                kind=form["field_kind"],
                key=form["key"],
                target=form["target"],
                draft=draft,
                currency=parts(request).settings.currency,
                now=now(request),
            )
            await set_required(session, viewer(request), made, form.ids("stages_required"), now=now(request))
    except Invalid as error:
        error.field = "field_kind" if error.field == "kind" else error.field
        form.refuse(error)
        return await _form_page(request, form, of, None, UNPROCESSABLE)
    return redirect(request, f"{PATH}?of={of.value}", done="added")


async def check(request: Request) -> Response:
    """``GET /settings/fields/check``: what is wrong with the ``formula`` of the form that is being typed, else what it gives for the newest
    row.
    """
    form = Form()
    form.values.update(request.query_params)
    of, kind, formula = _entity(form["entity"]), form["field_kind"], form["formula"]
    if not formula:
        return show(request, "fields/_formula_said.html", problem=None, tried=None)
    async with parts(request).db.read() as session:
        problem = await actions.formula_problem(session, of, kind, formula, form["own_key"])
        tried: tuple[str, Stored, FormulaProblem | None] | None = None
        value: ShownValue | None = None
        if problem is None:
            definition = FieldDefinition(
                entity=of.value,
                key=form["own_key"],
                kind=kind,
                name="",
                formula=formula,
                currency=parts(request).settings.currency if kind == ValueKind.MONEY else "",
            )
            tried = None if kind == ValueKind.CHOICE else await tried_on_latest(session, definition)
            named = await load_named(session, viewer(request), [], [])
            value = show_value(definition, tried[1], named) if tried is not None else None
    return show(request, "fields/_formula_said.html", problem=problem, tried=tried, value=value)


async def one(request: Request) -> Response:
    """``GET /settings/fields/12``: its form."""
    async with parts(request).db.read() as session:
        definition = await access_definition(session, request.path_params["field_id"])
        required = await stages_requiring(session, definition.key)
    form = filled(
        {
            "name": definition.name,
            "hint": definition.hint,
            "section_id": definition.section_id,
            "is_unique": definition.is_unique,
            "filterable": definition.filterable,
            "version": definition.version,
            "pipelines": definition.pipeline_ids,
            "stages": definition.shown_stage_ids,
            "stages_required": required,
            "field_kind": definition.kind,
            "target": definition.target,
            "key": definition.key,
            "formula": definition.formula,
        }
    )
    return await _form_page(request, form, FieldEntity(definition.entity), definition)


async def save(request: Request) -> Response:
    """``POST /settings/fields/12``: its form, or with ``act`` archive or restore."""
    form, field_id = await read_form(request), request.path_params["field_id"]
    who, at = viewer(request), now(request)
    try:
        async with parts(request).db.write() as session:
            if form["act"] == "archive":
                definition = await actions.archive_field(session, who, field_id, version=None, now=at)
            elif form["act"] == "restore":
                definition = await actions.restore_field(session, who, field_id, now=at)
            else:
                draft = await _draft(session, form)
                definition = await actions.change_field(session, who, field_id, draft, version=version_of(form), now=at)
                if definition.entity == FieldEntity.DEAL:
                    await set_required(session, who, definition, form.ids("stages_required"), now=at)
    except (Invalid, Conflict) as error:
        # Nothing typed is lost: also two administrators at once get their form again, with what it is about.
        if isinstance(error, Invalid):
            form.refuse(error)
        else:
            form.errors[""] = _(error.message).format(**error.params)
        async with parts(request).db.read() as session:
            definition = await access_definition(session, field_id)
        if isinstance(error, Conflict) and error.code == "fields.stale":
            form.values["version"] = str(definition.version)
        return await _form_page(request, form, FieldEntity(definition.entity), definition, int(error.status))
    if form["act"] == "archive" and wants_fragment(request):
        page = await _list_page(request, FieldEntity(definition.entity))
        return with_toast(
            request, page, _("“{name}” is in the archive, with all its values.").format(name=definition.name)
        )
    return redirect(request, f"{PATH}?of={definition.entity}", done="saved")


async def move(request: Request) -> Response:
    """``POST /settings/fields/12/place``: ``section_id`` (empty: none) and ``position`` from 0."""
    form = await read_form(request)
    async with parts(request).db.write() as session:
        definition = await actions.move_field(
            session,
            viewer(request),
            request.path_params["field_id"],
            form.id("section_id"),
            form.number("position") or 0,
            now=now(request),
        )
    return await _list_page(request, FieldEntity(definition.entity), focus=definition.id)


async def sections(request: Request) -> Response:
    """``POST /settings/fields/sections``: add one (``name``), rename (``section_id``, ``name``) or with ``act=delete`` take it away."""
    form = await read_form(request)
    of, who, at = _entity(form["entity"]), viewer(request), now(request)
    try:
        async with parts(request).db.write() as session:
            section_id = form.id("section_id")
            if section_id is None:
                await actions.create_section(session, who, of, form["name"], now=at)
            elif form["act"] == "delete":
                await actions.delete_section(session, who, section_id, now=at)
            else:
                await actions.rename_section(session, who, section_id, form["name"], now=at)
    except Invalid as error:
        form.refuse(error)
        return await _list_page(request, of, form=form, status=UNPROCESSABLE)
    return redirect(request, f"{PATH}?of={of.value}", done="saved")


def _entity(text: str) -> FieldEntity:
    return FieldEntity(text) if text in set(FieldEntity) else FieldEntity.DEAL


async def _draft(session: AsyncSession, form: Form) -> FieldDraft:
    pipelines, stages = form.ids("pipelines"), form.ids("stages")
    await check_places(session, pipelines, stages)
    retired = set(form.all("retired"))
    ids = form.all("option_id")
    options = [
        OptionDraft(
            text, int(option_id) if option_id.isdecimal() and len(option_id) < 10 else None, option_id in retired
        )
        for option_id, text in zip(ids, form.all("option_name"), strict=False)
        if text.strip() or option_id
    ]
    return FieldDraft(
        name=form["name"],
        hint=form["hint"],
        section_id=form.id("section_id") or 0,
        options=options if form["field_kind"] in {kind.value for kind in WITH_OPTIONS} else None,
        pipeline_ids=pipelines,
        shown_stage_ids=stages,
        is_unique=form.ticked("is_unique"),
        filterable=form.ticked("filterable"),
        formula=form["formula"],
    )


async def _list_page(
    request: Request, of: FieldEntity, *, form: Form | None = None, focus: int | None = None, status: int = 200
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        fields = await load_fields(session)
        definitions = fields.of(of)
        required: dict[str, int] = {}
        if of is FieldEntity.DEAL:
            for _pipeline, stages in await list_pipelines(session):
                for stage in stages:
                    for key in Requirements.load(stage.requires).fields:
                        required[key] = required.get(key, 0) + 1
        building = {
            each.id: await progress_of(session, each)
            for each in definitions
            if (each.filterable or each.is_unique) and each.indexed_at is None
        }
    groups: list[tuple[FieldSection | None, list[FieldDefinition]]] = [
        (None, [each for each in definitions if each.section_id is None])
    ]
    groups += [
        (section, [each for each in definitions if each.section_id == section.id]) for section in fields.sections_of(of)
    ]
    return show(
        request,
        "fields/list.html",
        fragment="fields/_list.html",
        status=status,
        of=of,
        entities=ENTITIES,
        groups=groups,
        archived=[each for each in fields.of(of, archived=True) if each.archived_at is not None],
        required=required,
        building=building,
        kinds=KINDS,
        targets=TARGETS,
        form=form or filled({}),
        focus=focus,
    )


async def _form_page(
    request: Request, form: Form, of: FieldEntity, definition: FieldDefinition | None, status: int = 200
) -> HTMLResponse:
    async with parts(request).db.read() as session:
        pipelines = await list_pipelines(session)
        known = (await load_fields(session)).sections_of(of)
        names = await names_for_formulas(session, of, besides=definition.key if definition else "")
    if "option_id" in form.lists:
        retired = set(form.all("retired"))
        options = [
            (option_id, text, option_id in retired)
            for option_id, text in zip(form.all("option_id"), form.all("option_name"), strict=False)
            if text or option_id
        ]
    else:
        options = [
            (str(each["id"]), each["name"], each["retired"]) for each in (definition.options if definition else ())
        ]
    kinds = [
        (kind.value, _(text)) for kind, text in KINDS.items() if of is FieldEntity.DEAL or kind is not ValueKind.FILE
    ]
    return show(
        request,
        "fields/definition.html",
        fragment="fields/_definition_form.html",
        status=status,
        form=form,
        of=of,
        entities=ENTITIES,
        f=definition,
        kinds=kinds,
        targets=[(target.value, _(text)) for target, text in TARGETS.items()],
        section_choices=[("", _("without a heading")), *((str(each.id), each.name) for each in known)],
        pipelines=pipelines,
        ticked={int(each) for name in ("stages", "stages_required") for each in form.all(name) if each.isdecimal()},
        options=[*options, *[("", "", False)] * SPARE_OPTIONS],
        with_options={kind.value for kind in WITH_OPTIONS},
        may_be_unique={kind.value for kind in MAY_BE_UNIQUE},
        computed={kind.value for kind in COMPUTED},
        names=names,
        longest_formula=LONGEST_FORMULA,
    )
