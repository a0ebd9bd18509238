"""Finds rows by a part of what stands in their custom fields: texts by the beginnings of words, numbers as a whole, links and persons by
the name of what they point to.

Fields ticked *filter or sort* are looked through, each by its own index, in one query. One whose index is still being made is left out:
every search would read the whole table meanwhile, a second for three million deals.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import Select, literal, select, union_all
from sqlmodel import SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.fields.models import TABLES, FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import load_fields, target_of
from pbxcrm.fields.rules import LARGEST_MONEY, LARGEST_NUMBER, MILLION, is_text, read_decimal
from pbxcrm.fields.terms import words_kind
from pbxcrm.fields.value_sql import integer
from pbxcrm.shared.core_sql import fetch
from pbxcrm.shared.numbers import normalise
from pbxcrm.shared.search_words import newest_with
from pbxcrm.shared.text_match import digits_of

MOST = 200  # rows of one field


async def rows_by_field(
    session: AsyncSession, text: str, region: str | None, pointed_to: Mapping[str, Sequence[int]] = MappingProxyType({})
) -> dict[FieldEntity, list[tuple[int, FieldDefinition]]]:
    """Ids of rows and the field that matches, the newest of each entity first. ``region``: for telephone numbers as people type them;
    ``pointed_to``: by ``LinkTarget`` and ``person``, what is named so.

    Access is not checked here.
    """
    fields = await load_fields(session)
    queries = [
        query
        for entity in FieldEntity
        for definition in fields.of(entity)
        if definition.filterable and (query := _rows_of(definition, text, region, pointed_to)) is not None
    ]
    found: dict[FieldEntity, list[tuple[int, FieldDefinition]]] = {}
    if not queries:
        return found
    for row_id, field_id in await fetch(session, union_all(*queries)):
        definition = fields.by_id[field_id]
        found.setdefault(FieldEntity(definition.entity), []).append((row_id, definition))
    return {entity: sorted(rows, key=lambda row: -row[0]) for entity, rows in found.items()}


def points_to(definition: FieldDefinition) -> str:
    """Under which name the rows or people that the field points to stand in ``pointed_to``; empty where it points to none."""
    return ValueKind.PERSON.value if definition.kind == ValueKind.PERSON else target_of(definition)


def _rows_of(
    definition: FieldDefinition, text: str, region: str | None, pointed_to: Mapping[str, Sequence[int]]
) -> Select[Any] | None:
    field_id = literal(definition.id).label("field_id")
    if is_text(definition):
        typed = region is not None and definition.kind == ValueKind.PHONE and bool(digits_of(text))
        number = normalise(text, region or "") if typed else None
        words = newest_with(words_kind(definition.id), number or text, most=MOST)
        if words is None:
            return None
        found = words.subquery()
        return select(found.c.row_id, field_id)
    if definition.indexed_at is None:
        return None
    table = SQLModel.metadata.tables[TABLES[FieldEntity(definition.entity)]]
    if ids := pointed_to.get(points_to(definition)):
        links = integer(table.c.custom, definition.id or 0).in_(ids)
        newest = select(table.c.id).where(links).order_by(table.c.id.desc()).limit(MOST).subquery()
        return select(newest.c.id, field_id)
    if definition.kind not in {ValueKind.NUMBER, ValueKind.MONEY} or (asked := read_decimal(text)) is None:
        return None
    times, most = (MILLION, LARGEST_NUMBER) if definition.kind == ValueKind.NUMBER else (100, LARGEST_MONEY)
    if abs(asked) >= most or asked * times % 1:
        return None
    same = integer(table.c.custom, definition.id or 0) == int(asked * times)
    newest = select(table.c.id).where(same).order_by(table.c.id.desc()).limit(MOST).subquery()
    return select(newest.c.id, field_id)
