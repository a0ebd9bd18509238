"""Changing definitions and sections; an administrator may. Nothing is deleted: a field is archived, an option retired."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Role, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.fields import definition_rules as rules
from pbxcrm.fields.definition_rules import OptionDraft
from pbxcrm.fields.formula_jobs import do_compute_all
from pbxcrm.fields.formula_queries import names_for_formulas
from pbxcrm.fields.formula_rules import check_computed, readers_of
from pbxcrm.fields.hooks import reserved_keys
from pbxcrm.fields.index_actions import do_set_indexes
from pbxcrm.fields.models import FieldDefinition, FieldEntity, FieldSection, ValueKind
from pbxcrm.fields.queries import access_definition, load_fields
from pbxcrm.fields.unique_queries import values_used_twice
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid, NotFound
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import check_optional_text
from pbxcrm.shared.locking import lock_row


@dataclass(frozen=True, slots=True)
class FieldDraft:
    """What can be changed of a field. None leaves it as it is; ``section_id`` 0 takes the field out of its section."""

    name: str | None = None
    hint: str | None = None
    section_id: int | None = None
    options: Sequence[OptionDraft] | None = None
    pipeline_ids: Sequence[int] | None = None
    shown_stage_ids: Sequence[int] | None = None
    is_unique: bool | None = None
    filterable: bool | None = None
    formula: str | None = None  # a field that people fill in never gets one, and one with a formula always keeps one


async def create_field(
    session: AsyncSession,
    viewer: Viewer,
    *,
    entity: FieldEntity,
    kind: str,
    draft: FieldDraft,
    currency: str,
    now: datetime,
    key: str = "",
    target: str = "",
) -> FieldDefinition:
    """Add a field at the end of its entity. ``currency``: of money. Raises Invalid, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    await lock(session, f"fields:{entity}")
    name, known_kind = rules.check_field_name(draft.name or ""), rules.check_kind(kind)
    if known_kind is ValueKind.FILE and entity is not FieldEntity.DEAL:
        raise Invalid("kind", "fields.files_of_deals", "Files are attached to deals: only deals have such a field.")
    known = (await session.exec(select(FieldDefinition).where(FieldDefinition.entity == entity.value))).all()
    if sum(each.archived_at is None for each in known) >= rules.MOST_FIELDS:
        raise Invalid("name", "fields.many", "There may be at most {most} fields.", most=rules.MOST_FIELDS)
    taken = reserved_keys() | {each.key for each in known}
    definition = FieldDefinition(
        entity=entity.value,
        key=rules.check_key(key, taken) if key else rules.key_from(name, taken),
        kind=known_kind.value,
        name=name,
        target=rules.check_target(known_kind, target),
        currency=currency if known_kind is ValueKind.MONEY else "",
        position=max((each.position for each in known), default=0) + 1,
    )
    if draft.formula:
        await _set_formula(session, definition, draft.formula)
    await _apply(session, definition, draft)
    session.add(definition)
    await session.flush()
    await do_set_indexes(session, definition, now, owner_id=viewer.user_id)
    if definition.formula:
        await do_compute_all(session, definition.entity, now, owner_id=viewer.user_id)
    record(session, now, "field.created", "field", definition.id, actor=viewer, name=name, kind=known_kind.value)
    say_fields_changed(session, now)
    return definition


async def change_field(
    session: AsyncSession, viewer: Viewer, field_id: int, draft: FieldDraft, *, version: int | None, now: datetime
) -> FieldDefinition:
    """Change a field. Raises Conflict for an old ``version``, or for *unique* where two rows have the same value; Invalid, NotFound."""
    definition = await _access_for_change(session, viewer, field_id, version)
    before = _said(definition)
    if draft.formula is not None and draft.formula.strip() != definition.formula:
        if not definition.formula:
            raise Invalid("formula", "fields.typed", "People fill this field in. Add another one that is computed.")
        await lock(session, f"fields:{definition.entity}")
        await _set_formula(session, definition, draft.formula)
    await _apply(session, definition, draft)
    after = _said(definition)
    changed = {key for key, value in after.items() if value != before[key]}
    if not changed:
        return definition
    await do_set_indexes(session, definition, now, owner_id=viewer.user_id)
    definition.version += 1
    if "formula" in changed or ("options" in changed and await _readers(session, definition)):
        await do_compute_all(session, definition.entity, now, owner_id=viewer.user_id)
    record(
        session,
        now,
        "field.changed",
        "field",
        field_id,
        actor=viewer,
        before={key: before[key] for key in sorted(changed)},
        after={key: after[key] for key in sorted(changed)},
    )
    say_fields_changed(session, now)
    return definition


async def archive_field(
    session: AsyncSession, viewer: Viewer, field_id: int, *, version: int | None, now: datetime
) -> FieldDefinition:
    """The field is shown and asked for no more; its values stay. For an archived one nothing changes."""
    definition = await _access_for_change(session, viewer, field_id, version)
    if definition.archived_at is None:
        if readers := await _readers(session, definition):
            raise Conflict(
                "fields.read",
                "The formula of “{name}” reads this field. Change that first.",
                name=readers[0].name,
            )
        definition.archived_at = now
        definition.version += 1
        await do_set_indexes(session, definition, now, owner_id=viewer.user_id)
        record(session, now, "field.archived", "field", field_id, actor=viewer, name=definition.name)
        say_fields_changed(session, now)
    return definition


async def restore_field(session: AsyncSession, viewer: Viewer, field_id: int, *, now: datetime) -> FieldDefinition:
    """Undo of ``archive_field``, at any later time, with all values. Raises Conflict where a unique one is no longer."""
    definition = await _access_for_change(session, viewer, field_id, None)
    if definition.archived_at is not None:
        definition.archived_at = None
        await _check_unique(session, definition)
        if definition.formula:
            await _set_formula(session, definition, definition.formula)
            await do_compute_all(session, definition.entity, now, owner_id=viewer.user_id)
        definition.version += 1
        await do_set_indexes(session, definition, now, owner_id=viewer.user_id)
        record(session, now, "field.restored", "field", field_id, actor=viewer, name=definition.name)
        say_fields_changed(session, now)
    return definition


async def move_field(
    session: AsyncSession, viewer: Viewer, field_id: int, section_id: int | None, position: int, *, now: datetime
) -> FieldDefinition:
    """Put a field at a place (from 0) of a section, or before all sections. Raises Invalid, NotAllowed, NotFound."""
    definition = await _access_for_change(session, viewer, field_id, None)
    await lock(session, f"fields:{definition.entity}")
    definition.section_id = await _section(session, definition, section_id or 0)
    query = select(FieldDefinition).where(
        FieldDefinition.entity == definition.entity,
        FieldDefinition.section_id == definition.section_id,
        col(FieldDefinition.archived_at).is_(None),
        FieldDefinition.id != field_id,
    )
    others = list((await session.exec(query.order_by(col(FieldDefinition.position), col(FieldDefinition.id)))).all())
    others.insert(max(0, min(position, len(others))), definition)
    for place, each in enumerate(others, 1):
        each.position = place
    record(session, now, "field.moved", "field", field_id, actor=viewer, name=definition.name)
    say_fields_changed(session, now)
    return definition


async def create_section(
    session: AsyncSession, viewer: Viewer, entity: FieldEntity, name: str, *, now: datetime
) -> FieldSection:
    """Add a heading behind the others. Raises Invalid, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    last = await session.exec(select(func.max(FieldSection.position)).where(FieldSection.entity == entity.value))
    position = (last.one() or 0) + 1
    section = FieldSection(entity=entity.value, name=rules.check_section_name(name), position=position)
    session.add(section)
    await session.flush()
    record(session, now, "field.section", "field", entity.value, actor=viewer, name=section.name)
    say_fields_changed(session, now)
    return section


async def rename_section(
    session: AsyncSession, viewer: Viewer, section_id: int, name: str, *, now: datetime
) -> FieldSection:
    """Raises Invalid, NotAllowed, NotFound."""
    section = await _access_section(session, viewer, section_id)
    section.name = rules.check_section_name(name)
    record(session, now, "field.section", "field", section.entity, actor=viewer, name=section.name)
    say_fields_changed(session, now)
    return section


async def delete_section(session: AsyncSession, viewer: Viewer, section_id: int, *, now: datetime) -> None:
    """Take a heading away; its fields stay, without one. Raises NotAllowed, NotFound."""
    section = await _access_section(session, viewer, section_id)
    await session.exec(
        update(FieldDefinition).where(col(FieldDefinition.section_id) == section_id).values(section_id=None)
    )
    await session.delete(section)
    record(session, now, "field.section_deleted", "field", section.entity, actor=viewer, name=section.name)
    say_fields_changed(session, now)


async def _access_section(session: AsyncSession, viewer: Viewer, section_id: int) -> FieldSection:
    check(viewer, Permission.SETTINGS_EDIT)
    section = await session.get(FieldSection, section_id, with_for_update=True)
    if section is None:
        raise NotFound("fields.no_section", "There is no such section.")
    return section


async def _access_for_change(
    session: AsyncSession, viewer: Viewer, field_id: int, version: int | None
) -> FieldDefinition:
    check(viewer, Permission.SETTINGS_EDIT)
    await access_definition(session, field_id)
    definition = await lock_row(session, FieldDefinition, field_id)
    if version is not None and definition.version != version:
        raise Conflict("fields.stale", "Somebody else has changed this field meanwhile. Look at it again.")
    return definition


async def _set_formula(session: AsyncSession, definition: FieldDefinition, formula: str) -> None:
    """Raises Invalid at ``formula`` with what is wrong with it."""
    problem = await formula_problem(session, FieldEntity(definition.entity), definition.kind, formula, definition.key)
    if problem is not None:
        raise FormulaError(problem).at_field("formula")
    definition.formula = formula.strip()


async def formula_problem(
    session: AsyncSession, entity: FieldEntity, kind: str, formula: str, key: str
) -> FormulaProblem | None:
    """What is wrong with a formula of a field of this kind, also while it is typed; None when nothing is. ``key``: of the field; empty for one that
    is not there yet.
    """
    others = {each.key: each.formula for each in await _definitions(session, entity) if each.formula}
    names = await names_for_formulas(session, entity, besides=key)
    return check_computed(formula, rules.check_kind(kind), key, names, others)


async def _readers(session: AsyncSession, definition: FieldDefinition) -> list[FieldDefinition]:
    return readers_of(definition.key, await _definitions(session, FieldEntity(definition.entity)))


async def _definitions(session: AsyncSession, entity: FieldEntity) -> list[FieldDefinition]:
    return (await load_fields(session)).of(entity)


async def _apply(session: AsyncSession, definition: FieldDefinition, draft: FieldDraft) -> None:
    kind = ValueKind(definition.kind)
    if draft.name is not None:
        definition.name = rules.check_field_name(draft.name)
    if draft.hint is not None:
        definition.hint = check_optional_text(draft.hint, FieldDefinition.hint, "hint")
    if draft.section_id is not None:
        definition.section_id = await _section(session, definition, draft.section_id)
    if kind in rules.WITH_OPTIONS:
        drafts = [OptionDraft(**each) for each in definition.options] if draft.options is None else draft.options
        merged, made = rules.merge_options(definition.options, definition.options_made, drafts)
        if not any(not option["retired"] for option in merged):
            raise Invalid("options", "fields.no_options", "Write at least one option.")
        definition.options, definition.options_made = merged, made
    elif draft.options:
        raise Invalid("options", "fields.options_here", "Only a choice has options.")
    for name in ("pipeline_ids", "shown_stage_ids"):
        ids = getattr(draft, name)
        if ids is not None:
            if ids and definition.entity != FieldEntity.DEAL:
                raise Invalid(name, "fields.places", "Only fields of deals depend on pipelines and stages.")
            setattr(definition, name, sorted(set(ids)))
    if draft.filterable is not None:
        if draft.filterable and not definition.filterable:
            await _check_few(session, definition)
        definition.filterable = draft.filterable
    if draft.is_unique and definition.formula:
        raise Invalid("is_unique", "fields.unique_reckoned", "What is computed cannot be unique.")
    if draft.is_unique is not None and draft.is_unique != definition.is_unique:
        definition.is_unique = rules.check_unique(kind, asked=draft.is_unique)
        await _check_unique(session, definition)


async def _check_unique(session: AsyncSession, definition: FieldDefinition) -> None:
    if definition.is_unique and definition.id is not None and (twice := await values_used_twice(session, definition)):
        raise Conflict(
            "fields.not_unique",
            "{count} values of this field stand in more than one place. Correct them first.",
            count=twice,
        )


async def _section(session: AsyncSession, definition: FieldDefinition, section_id: int) -> int | None:
    if section_id == 0:
        return None
    section = await session.get(FieldSection, section_id)
    if section is None or section.entity != definition.entity:
        raise Invalid("section_id", "fields.no_section", "There is no such section.")
    return section_id


async def _check_few(session: AsyncSession, definition: FieldDefinition) -> None:
    query = select(func.count()).where(
        FieldDefinition.entity == definition.entity,
        col(FieldDefinition.filterable).is_(True),
        col(FieldDefinition.archived_at).is_(None),
    )
    if (await session.exec(query)).one() >= rules.MOST_FILTERABLE:
        raise Invalid(
            "filterable",
            "fields.many_filterable",
            "At most {most} fields can be for filtering and sorting.",
            most=rules.MOST_FILTERABLE,
        )


_TOLD = tuple(each.name for each in fields(FieldDraft))


def _said(definition: FieldDefinition) -> dict[str, Any]:
    return definition.model_dump(include=set(_TOLD))


def say_fields_changed(session: AsyncSession, now: datetime) -> None:
    """Notify everybody: every open card shows the fields."""
    emit(session, "field", None, now, roles=[role.value for role in Role])
