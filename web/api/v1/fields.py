"""Custom fields of deals, clients and companies. Everybody may read them; changing them needs the permission for settings."""

from typing import Annotated, Literal

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.deals.field_actions import check_places, set_required, stages_requiring
from pbxcrm.fields.actions import FieldDraft, archive_field, change_field, create_field, restore_field
from pbxcrm.fields.definition_rules import MOST_OPTIONS, OptionDraft
from pbxcrm.fields.models import FieldDefinition, FieldEntity, FieldSection, LinkTarget, ValueKind
from pbxcrm.fields.queries import access_definition, load_fields
from pbxcrm.shared.lengths import longest
from web.api.fields import KEY, ApiAnswer, ApiRequest, Id, ShortListQuery, Version, needed_text, optional_text
from web.api.resource import Ask, Page, Resource

fields = Resource("fields", "Custom fields of deals, contacts and companies.")

FieldName = Annotated[str, needed_text(FieldDefinition.name)]
Hint = Annotated[str, optional_text(FieldDefinition.hint)]
FormulaText = Annotated[str, optional_text(FieldDefinition.formula)]
MOST_STAGES = 500  # stages or pipelines of one field
Ids = Annotated[list[Id], Field(max_length=MOST_STAGES)]
FREE = "Only texts, numbers, phones and links."


class OptionOut(ApiAnswer):
    """An option of a choice. Its id stays the same when it is renamed or retired."""

    id: int
    name: str
    retired: bool


class OptionBody(ApiRequest):
    """An option; without an id a new one."""

    id: Id | None = None
    name: FieldName
    retired: bool = False


class FieldOut(ApiAnswer):
    """A custom field."""

    id: int
    key: str = Field(description="Its name in `fields` and in the filters `field.KEY=`; it never changes.")
    entity: FieldEntity
    kind: ValueKind
    name: str
    hint: str
    section: str | None = Field(description="The heading under which it stands.")
    options: list[OptionOut]
    target: str = Field(description="Of a link: `web`, `deal`, `contact` or `company`.")
    currency: str = Field(description="Of money.")
    pipelines: list[int] = Field(description="Ids of the pipelines where it is shown; empty: in all.")
    stages_shown: list[int] = Field(description="Ids of the stages where it is shown; empty: at all.")
    stages_required: list[int] = Field(description="Ids of the stages that a deal enters only with it.")
    formula: str = Field(description="By which the value is computed from other fields; empty: people fill it in.")
    unique: bool
    filterable: bool
    filter_ready: bool = Field(description="The index of a filterable field is made.")
    archived: bool
    version: int


class NewField(ApiRequest):
    """A new field, behind the others."""

    entity: Literal["deal", "contact", "company"]
    kind: Literal[
        "text", "long_text", "number", "money", "date", "moment", "choice", "several", "yes_no", "file", "person", "link", "phone",
        "address",
    ]  # fmt: skip
    name: FieldName
    key: Annotated[str, Field(max_length=longest(FieldDefinition.key), pattern=KEY)] = Field(
        "", description="Default: made from the name."
    )
    hint: Hint = ""
    options: list[OptionBody] = Field([], max_length=MOST_OPTIONS * 2)
    target: Literal["", "web", "deal", "contact", "company"] = ""
    pipelines: Ids = Field(default_factory=list)
    stages_shown: Ids = Field(default_factory=list)
    stages_required: Ids = Field(default_factory=list)
    formula: FormulaText = Field(
        "",
        description="The value is computed, never filled in. Of texts, numbers, money, dates, choices and yes or no.",
    )
    unique: bool = Field(False, description=FREE)
    filterable: bool = False


class FieldChange(ApiRequest):
    """Changes. What is left out stays unchanged."""

    version: Version | None = Field(None, description="The version you saw: a newer one is not overwritten (409).")
    name: FieldName | None = None
    hint: Hint | None = None
    options: list[OptionBody] | None = Field(
        None, max_length=MOST_OPTIONS * 2, description="All options; one that is left out is retired."
    )
    pipelines: Ids | None = None
    stages_shown: Ids | None = None
    stages_required: Ids | None = None
    formula: FormulaText | None = Field(None, description="Only of a field that has one.")
    unique: bool | None = Field(None, description=FREE)
    filterable: bool | None = None
    archived: bool | None = Field(None, description="An archived field keeps its values.")


class FieldQuery(ShortListQuery):
    """Which fields."""

    entity: Literal["deal", "contact", "company"] | None = None


@fields.get("/fields", needs=Permission.DEALS_READ, summary="All custom fields, in their order")
async def read_fields(ask: Ask, query: FieldQuery) -> Page[FieldOut]:
    known = await load_fields(ask.session)
    entities = [FieldEntity(query.entity)] if query.entity else list(FieldEntity)
    rows = [each for entity in entities for each in known.of(entity, archived=True)]
    return Page[FieldOut].part_of([await _out(ask, each) for each in rows], query)


@fields.get("/fields/{field_id}", needs=Permission.DEALS_READ, summary="One custom field")
async def read_field(ask: Ask, field_id: int) -> FieldOut:
    return await _out(ask, await access_definition(ask.session, field_id))


@fields.post(
    "/fields",
    needs=Permission.SETTINGS_EDIT,
    summary="Add a custom field",
    location=lambda field: f"/fields/{field.id}",
)
async def add_field(ask: Ask, body: NewField) -> FieldOut:
    await check_places(ask.session, body.pipelines, body.stages_shown)
    target = body.target or (LinkTarget.WEB.value if body.kind == "link" else "")
    made = await create_field(
        ask.session,
        ask.viewer,
        entity=FieldEntity(body.entity),
        kind=body.kind,
        key=body.key,
        target=target,
        draft=FieldDraft(
            name=body.name,
            hint=body.hint,
            options=_drafts(body.options),
            pipeline_ids=body.pipelines,
            shown_stage_ids=body.stages_shown,
            is_unique=body.unique,
            filterable=body.filterable,
            formula=body.formula,
        ),
        currency=ask.settings.currency,
        now=ask.now,
    )
    await set_required(ask.session, ask.viewer, made, body.stages_required, now=ask.now)
    return await _out(ask, made)


@fields.patch("/fields/{field_id}", needs=Permission.SETTINGS_EDIT, summary="Change a custom field")
async def edit_field(ask: Ask, field_id: int, body: FieldChange) -> FieldOut:
    """409 also where a field shall become unique and two rows have the same value."""
    await check_places(ask.session, body.pipelines or (), body.stages_shown or ())
    draft = FieldDraft(
        name=body.name,
        hint=body.hint,
        options=None if body.options is None else _drafts(body.options),
        pipeline_ids=body.pipelines,
        shown_stage_ids=body.stages_shown,
        is_unique=body.unique,
        filterable=body.filterable,
        formula=body.formula,
    )
    found = await change_field(ask.session, ask.viewer, field_id, draft, version=body.version, now=ask.now)
    if body.stages_required is not None:
        await set_required(ask.session, ask.viewer, found, body.stages_required, now=ask.now)
    if body.archived:
        await archive_field(ask.session, ask.viewer, field_id, version=None, now=ask.now)
    elif body.archived is not None:
        await restore_field(ask.session, ask.viewer, field_id, now=ask.now)
    return await _out(ask, found)


def _drafts(options: list[OptionBody]) -> list[OptionDraft]:
    return [OptionDraft(option.name, option.id, option.retired) for option in options]


async def _out(ask: Ask, definition: FieldDefinition) -> FieldOut:
    section = await ask.session.get(FieldSection, definition.section_id) if definition.section_id else None
    deals = definition.entity == FieldEntity.DEAL
    return FieldOut(
        id=definition.id or 0,
        key=definition.key,
        entity=FieldEntity(definition.entity),
        kind=ValueKind(definition.kind),
        name=definition.name,
        hint=definition.hint,
        section=section.name if section else None,
        options=[OptionOut(**option) for option in definition.options],
        target=definition.target,
        currency=definition.currency,
        pipelines=definition.pipeline_ids,
        stages_shown=definition.shown_stage_ids,
        stages_required=await stages_requiring(ask.session, definition.key) if deals else [],
        formula=definition.formula,
        unique=definition.is_unique,
        filterable=definition.filterable,
        filter_ready=definition.indexed_at is not None,
        archived=definition.archived_at is not None,
        version=definition.version,
    )
