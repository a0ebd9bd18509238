"""One custom field of a deal, a client or a company, edited where it stands, with undo and its history."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from pbxcrm.access import Permission, can
from pbxcrm.audit.queries import list_edits
from pbxcrm.audit.rules import check_may_take_back
from pbxcrm.contacts.actions import edit_company, edit_contact
from pbxcrm.contacts.models import Company, Contact
from pbxcrm.contacts.queries import access_company, access_contact, edits_company, edits_contact
from pbxcrm.deals.access import edits_deal
from pbxcrm.deals.actions import edit_deal
from pbxcrm.deals.models import Deal
from pbxcrm.deals.pipeline_rules import Requirements
from pbxcrm.deals.queries import access_deal, load_funnel
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import access_definition, load_named, target_of
from pbxcrm.fields.rules import Stored, place_of, stored_in
from pbxcrm.fields.value_actions import ChangedMeanwhile, ValueTaken
from pbxcrm.files.queries import list_files
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid, NotFound
from web.answers import redirect, with_toast
from web.custom_values import ShownValue, entered, fill_form, read_seen, seen_text, show_value
from web.forms import Form, filled, read_form
from web.i18n import gettext as _
from web.link_targets import find_targets
from web.pages.common import asked_text, choices, colleagues, show
from web.parts import now, parts, viewer, wants_fragment
from web.routing import POST, page

Row = Deal | Contact | Company


@dataclass(frozen=True, slots=True)
class Keeper:
    """What has the field: ``param`` names its id in the path, ``field`` that of the field."""

    entity: FieldEntity
    path: str
    param: str
    field: str
    reads: Permission
    writes: Permission
    access: Callable[[AsyncSession, Any, int], Awaitable[Row]]
    edits: Callable[[AsyncSession, Any, Row], Awaitable[bool]]

    def id_in(self, request: Request) -> int:
        """The id of the row in the path."""
        return int(request.path_params[self.param])


async def _edits_deal(session: AsyncSession, who: Any, row: Any) -> bool:
    return edits_deal(who, row, await load_directory(session))


async def _edits_contact(session: AsyncSession, who: Any, row: Row) -> bool:
    return can(who, Permission.CONTACTS_EDIT) and await edits_contact(session, who, row.id or 0)


async def _edits_company(session: AsyncSession, who: Any, row: Row) -> bool:
    return can(who, Permission.CONTACTS_EDIT) and await edits_company(session, who, row.id or 0)


KEEPERS = (
    Keeper(
        FieldEntity.DEAL,
        "/deals",
        "deal_id",
        "field_id",
        Permission.DEALS_READ,
        Permission.DEALS_EDIT,
        access_deal,
        _edits_deal,
    ),
    Keeper(
        FieldEntity.CONTACT,
        "/contacts",
        "contact_id",
        "contact_field_id",
        Permission.CONTACTS_READ,
        Permission.CONTACTS_EDIT,
        access_contact,
        _edits_contact,
    ),
    Keeper(
        FieldEntity.COMPANY,
        "/companies",
        "company_id",
        "company_field_id",
        Permission.CONTACTS_READ,
        Permission.CONTACTS_EDIT,
        access_company,
        _edits_company,
    ),
)


def _owner(request: Request) -> Keeper:
    return next(owner for owner in KEEPERS if owner.param in request.path_params)


async def field(request: Request) -> Response:
    """``GET /deals/{id}/fields/{field}``: its form; with ``?shown`` the value as it is read."""
    owner = _owner(request)
    async with parts(request).db.read() as session:
        row, definition = await _asked(session, request, owner)
        if "shown" in request.query_params:
            return await _shown(session, request, owner, row, definition)
        return await _form(session, request, owner, row, definition)


async def save(request: Request) -> Response:
    """``POST /deals/{id}/fields/{field}``: the value, and ``seen``, the one that the form began with."""
    owner, form = _owner(request), await read_form(request)
    try:
        async with parts(request).db.write() as session:
            row, definition = await _asked(session, request, owner)
            name = place_of(definition.key)
            form.values.setdefault(name, "")  # nothing was ticked
            form.lists.setdefault(name, [])
            typed, before = entered(form, [definition]), row.version
            row = await _set(session, request, owner, definition, typed[definition.key], read_seen(form["seen"]))
            await session.flush()
            answer = await _shown(session, request, owner, row, definition)
            _tell_version(answer, owner, row, before)
    except (Invalid, ChangedMeanwhile, ValueTaken) as error:
        form.errors[error.field or ""] = _(error.message).format(**error.params)
        async with parts(request).db.read() as session:
            row, definition = await _asked(session, request, owner)
            if definition.formula:
                raise
            return await _form(session, request, owner, row, definition, form, int(error.status))
    if not wants_fragment(request):
        return redirect(request, f"{owner.path}/{row.id}", done="saved")
    undo = f"{owner.path}/{row.id}/fields/{definition.id}/undo"
    return with_toast(request, answer, _("“{name}” saved.").format(name=definition.name), undo=undo)


async def undo(request: Request) -> Response:
    """``POST /deals/{id}/fields/{field}/undo``: take back the viewer's own latest change, if nobody has changed the field since."""
    owner, who = _owner(request), viewer(request)
    async with parts(request).db.write() as session:
        row, definition = await _asked(session, request, owner)
        name = place_of(definition.key)
        edits = await list_edits(session, owner.entity.value, row.id or 0, name)
        last = edits[0].data["changed"][name] if edits else {"before": None, "after": None}
        is_still_so = last["after"] == stored_in(row.custom, definition)
        check_may_take_back(who, edits[0].actor_id if edits else None, is_still_so=is_still_so)
        version = row.version
        row = await _set(session, request, owner, definition, _entered_again(definition, last["before"]), None)
    if not wants_fragment(request):
        return redirect(request, f"{owner.path}/{row.id}", done="saved")
    async with parts(request).db.read() as session:
        answer = await _shown(session, request, owner, row, definition)
    _tell_version(answer, owner, row, version)
    answer.headers.update({"HX-Retarget": f"#field-{definition.id}", "HX-Reswap": "outerHTML"})
    return with_toast(request, answer, _("Undone."))


def _tell_version(answer: HTMLResponse, owner: Keeper, row: Row, before: int) -> None:
    """Other forms of the page may go on (js/versions.js), if nobody else changed the row in between."""
    if row.version == before + 1:
        answer.headers["X-Version"] = f"{owner.path}/{row.id} {before} {row.version}"


def routes_of(of: Keeper) -> list[Route]:
    """The routes of the fields of one entity."""
    one = f"{of.path}/{{{of.param}:int}}/fields/{{{of.field}:int}}"
    return [
        page(one, field, needs=of.reads, name=f"{of.entity}_field"),
        page(one, save, needs=of.writes, methods=POST, name=f"save_{of.entity}_field"),
        page(f"{one}/undo", undo, needs=of.writes, methods=POST, name=f"undo_{of.entity}_field"),
    ]


async def find(request: Request) -> Response:
    """``GET /fields/{field}/find?q=``: what a link may point to."""
    text, who = asked_text(request), viewer(request)
    async with parts(request).db.read() as session:
        definition = await access_definition(session, request.path_params["field_id"])
        found = await find_targets(session, who, definition.target or "", text)
    return show(request, "fields/_found.html", found=found)


async def _asked(session: AsyncSession, request: Request, owner: Keeper) -> tuple[Row, FieldDefinition]:
    """The row and the field in the path. Raises NotFound."""
    row = await owner.access(session, viewer(request), owner.id_in(request))
    definition = await access_definition(session, request.path_params[owner.field])
    if definition.entity != owner.entity or definition.archived_at is not None:
        raise NotFound("fields.not_found", "There is no such field.")
    return row, definition


async def _set(
    session: AsyncSession, request: Request, owner: Keeper, definition: FieldDefinition, value: Any, seen: Stored
) -> Row:
    """``seen`` is compared only if a form sent it."""
    who, row_id, region = viewer(request), owner.id_in(request), parts(request).settings.region
    custom, before = {definition.key: value}, {definition.key: seen}
    compared = before if request.url.path.endswith(f"/{definition.id}") else None
    if owner.entity is FieldEntity.DEAL:
        return await edit_deal(
            session, who, row_id, version=None, now=now(request), custom=custom, seen=compared, region=region
        )
    if owner.entity is FieldEntity.CONTACT:
        return await edit_contact(
            session, who, row_id, version=None, now=now(request), custom=custom, seen=compared, region=region
        )
    return await edit_company(
        session, who, row_id, version=None, now=now(request), custom=custom, seen=compared, region=region
    )


def _entered_again(definition: FieldDefinition, stored: Stored) -> Any:
    """A stored value as somebody would enter it."""
    if stored is None or definition.kind not in {ValueKind.NUMBER, ValueKind.MONEY}:
        return stored
    form = fill_form(Form(), [definition], {str(definition.id): stored})
    return form[place_of(definition.key)]


async def _required(session: AsyncSession, owner: Keeper, row: Row, definition: FieldDefinition) -> bool:
    if not isinstance(row, Deal):
        return False
    stage = (await load_funnel(session)).stages[row.stage_id]
    return definition.key in Requirements.load(stage.requires).fields


async def _shown(
    session: AsyncSession, request: Request, owner: Keeper, row: Row, definition: FieldDefinition
) -> HTMLResponse:
    named = await load_named(session, viewer(request), [definition], [row.custom])
    required = await _required(session, owner, row, definition)
    value: ShownValue = show_value(definition, stored_in(row.custom, definition), named, required=required)
    path = f"{owner.path}/{row.id}"
    return show(
        request,
        "fields/_row.html",
        shown=value,
        path=path,
        edits=await owner.edits(session, viewer(request), row),
        focus=True,
    )


async def _form(
    session: AsyncSession,
    request: Request,
    owner: Keeper,
    row: Row,
    definition: FieldDefinition,
    form: Form | None = None,
    status: int = HTTPStatus.OK,
) -> HTMLResponse:
    who = viewer(request)
    if definition.formula or not await owner.edits(session, who, row):
        return await _shown(session, request, owner, row, definition)
    named = await load_named(session, who, [definition], [row.custom])
    stored = stored_in(row.custom, definition)
    name = place_of(definition.key)
    history = await list_edits(session, owner.entity.value, row.id or 0, name)
    told = [
        (
            edit,
            show_value(definition, edit.data["changed"][name]["before"], named),
            show_value(definition, edit.data["changed"][name]["after"], named),
        )
        for edit in history
    ]
    files = await list_files(session, who, deal_id=row.id) if target_of(definition) == "file" else []
    return show(
        request,
        "fields/edit.html",
        fragment="fields/_edit.html",
        status=status,
        f=definition,
        form=form if form is not None else fill_form(filled({}), [definition], row.custom),
        now_there=show_value(definition, stored, named),
        seen=seen_text(stored),
        path=f"{owner.path}/{row.id}",
        history=told,
        people_of=await load_directory(session),
        people=choices(await colleagues(session, who)),
        files=[(str(file.id), file.name) for file in files],
        required=await _required(session, owner, row, definition),
    )
