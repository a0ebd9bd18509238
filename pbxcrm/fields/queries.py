"""Reading definitions (cached), and the names of people and rows that values point to."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.formula_rules import ordered
from pbxcrm.fields.hooks import names_of
from pbxcrm.fields.models import FieldDefinition, FieldEntity, FieldSection, ValueKind
from pbxcrm.fields.rules import Checking, Entered, check_value, is_web, stored_in, with_value
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.config_cache import cached_until_changed
from pbxcrm.shared.errors import Invalid, NotFound


@dataclass(frozen=True)
class FieldSet:
    """All definitions and sections, in the order of the settings."""

    definitions: tuple[FieldDefinition, ...]
    sections: tuple[FieldSection, ...]

    @cached_property
    def by_id(self) -> Mapping[int, FieldDefinition]:
        """Every definition, also archived ones."""
        return {definition.id or 0: definition for definition in self.definitions}

    def of(self, entity: FieldEntity, *, archived: bool = False, typed: bool = False) -> list[FieldDefinition]:
        """The fields of an entity; with ``archived`` also those; with ``typed`` only those that people fill in."""
        return [
            each
            for each in self.definitions
            if each.entity == entity and (archived or each.archived_at is None) and not (typed and each.formula)
        ]

    def by_key(self, entity: FieldEntity, *, archived: bool = False, typed: bool = False) -> dict[str, FieldDefinition]:
        """The same by key."""
        return {each.key: each for each in self.of(entity, archived=archived, typed=typed)}

    @cached_property
    def _computed(self) -> Mapping[str, tuple[FieldDefinition, ...]]:
        return {entity.value: ordered(self.of(entity)) for entity in FieldEntity}

    def computed(self, entity: FieldEntity) -> tuple[FieldDefinition, ...]:
        """The fields of an entity that are computed, each after those it reads."""
        return self._computed[entity.value]

    def sections_of(self, entity: FieldEntity) -> list[FieldSection]:
        """The headings of an entity."""
        return [each for each in self.sections if each.entity == entity]

    def shown_at(self, pipeline_id: int, stage_id: int, required: Collection[str] = ()) -> list[FieldDefinition]:
        """The fields of a deal there: those of its pipeline and stage, and those that the stage requires."""
        return [
            each
            for each in self.of(FieldEntity.DEAL)
            if each.key in required
            or (
                (not each.pipeline_ids or pipeline_id in each.pipeline_ids)
                and (not each.shown_stage_ids or stage_id in each.shown_stage_ids)
            )
        ]


async def load_fields(session: AsyncSession) -> FieldSet:
    """All definitions, from memory until one changes."""
    return await cached_until_changed(session, _read_fields)


async def _read_fields(session: AsyncSession) -> FieldSet:
    sections = await session.exec(select(FieldSection).order_by(col(FieldSection.position), col(FieldSection.id)))
    ordered = tuple(sections.all())
    places = {section.id: place for place, section in enumerate(ordered)}
    definitions = await session.exec(
        select(FieldDefinition).order_by(col(FieldDefinition.position), col(FieldDefinition.id))
    )
    # Fields without a heading stand first.
    return FieldSet(tuple(sorted(definitions.all(), key=lambda each: places.get(each.section_id, -1))), ordered)


async def access_definition(session: AsyncSession, definition_id: int) -> FieldDefinition:
    """The definition. Raises NotFound."""
    found = await session.get(FieldDefinition, definition_id)
    if found is None:
        raise NotFound("fields.not_found", "There is no such field.")
    return found


async def as_stored(
    session: AsyncSession, entity: FieldEntity, entered: Mapping[str, Entered], region: str
) -> dict[str, Any]:
    """Entered values by key as a row would hold them (``custom``), before there is a row. What cannot be stored is left out."""
    known, custom = (await load_fields(session)).by_key(entity, typed=True), dict[str, Any]()
    checking = Checking(region, await load_directory(session))
    for key, each in entered.items():
        with suppress(KeyError, Invalid):
            custom = with_value(custom, known[key], check_value(known[key], each, None, checking))
    return custom


@dataclass(frozen=True)
class Named:
    """The names of what values point to: all people, and the linked rows and files that the viewer may see."""

    people: Directory
    rows: Mapping[str, Mapping[int, str]]  # by LinkTarget, and "file"

    def of(self, definition: FieldDefinition, row_id: int) -> str | None:
        """The name of a person, a linked row or a file; None for one that the viewer may not see or that is gone."""
        if definition.kind == ValueKind.PERSON:
            return self.people.name(row_id) or None
        return self.rows.get(target_of(definition), {}).get(row_id)


def target_of(definition: FieldDefinition) -> str:
    """Under which name the rows that the field points to are registered (``hooks``); empty where it points to none."""
    if definition.kind == ValueKind.FILE:
        return ValueKind.FILE.value
    return definition.target if definition.kind == ValueKind.LINK and not is_web(definition) else ""


async def load_named(
    session: AsyncSession, viewer: Viewer, definitions: Iterable[FieldDefinition], customs: Iterable[Mapping[str, Any]]
) -> Named:
    """What the values of these rows point to: one query per kind of target, however many rows and fields there are."""
    pointing = [definition for definition in definitions if target_of(definition)]
    wanted: dict[str, set[int]] = {}
    for custom in customs if pointing else ():
        for definition in pointing:
            value = stored_in(custom, definition)
            ids = value if isinstance(value, list) else [value] if isinstance(value, int) else []
            wanted.setdefault(target_of(definition), set()).update(ids)
    rows = {target: await names_of(target)(session, viewer, ids) for target, ids in wanted.items() if ids}
    return Named(await load_directory(session), rows)
