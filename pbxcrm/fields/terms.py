"""The terms of custom fields in the language of conditions (``conditions``), and how lists are sorted by them."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, false
from sqlmodel import select

from pbxcrm.fields import value_sql
from pbxcrm.fields.conditions import Shape, Term, WordSearch
from pbxcrm.fields.merged_links import same_rows
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet, target_of
from pbxcrm.fields.rules import Checking, check_value, is_list, is_text, stored_in, text_key
from pbxcrm.shared.listed import RowOrder
from pbxcrm.shared.search_keys import word_readings, words_of
from pbxcrm.shared.search_words import rows_with

_SHAPES = {
    ValueKind.NUMBER: Shape.INTEGER,
    ValueKind.MONEY: Shape.INTEGER,
    ValueKind.DATE: Shape.DATE,
    ValueKind.MOMENT: Shape.MOMENT,
    ValueKind.CHOICE: Shape.REFERENCE,
    ValueKind.YES_NO: Shape.REFERENCE,
    ValueKind.PERSON: Shape.REFERENCE,
    ValueKind.SEVERAL: Shape.LIST,
    ValueKind.FILE: Shape.LIST,
}
MADE = "created_at"  # the term of when a row was made, which every row has
#: By what a list may be sorted.
SORTABLE = frozenset({Shape.INTEGER, Shape.TEXT, Shape.DATE, Shape.MOMENT})


def shape_of(definition: FieldDefinition) -> Shape:
    """What can be asked of the field."""
    return Shape.TEXT if is_text(definition) else _SHAPES.get(ValueKind(definition.kind), Shape.REFERENCE)


def name_of_term(definition: FieldDefinition) -> str:
    """The name of the field in conditions and addresses."""
    return f"field.{definition.key}"


def value_of(definition: FieldDefinition, custom: Any) -> ColumnElement[Any]:
    """The value of the field in SQL, by which a list is filtered; ``custom`` is the column of the table."""
    number = definition.id or 0
    if is_text(definition):
        return value_sql.text(custom, number, key=True)
    if is_list(definition):
        return value_sql.as_list(custom, number)
    if definition.kind in {ValueKind.DATE, ValueKind.MOMENT}:
        return value_sql.text(custom, number, key=False)
    return value_sql.integer(custom, number)


def custom_terms(
    fields: FieldSet, entity: FieldEntity, table: Any, checking: Checking, *, filterable: bool = True
) -> dict[str, Term]:
    """The fields of an entity by name. ``table`` is its model or an alias of it. ``filterable``: only those with an index, for lists."""
    return {
        name_of_term(each): _term(each, table, checking)
        for each in fields.of(entity)
        if each.filterable or not filterable
    }


def under(
    prefix: str, terms: Mapping[str, Term], row_of: Callable[[Any], Any], given: Collection[str] | None = None
) -> dict[str, Term]:
    """The terms of a row that another row has beside it, their names with ``prefix``; asked in Python only. ``given``: only these."""
    return {
        prefix + name: _beside(prefix, term, row_of) for name, term in terms.items() if given is None or name in given
    }


def _beside(prefix: str, term: Term, row_of: Callable[[Any], Any]) -> Term:
    return replace(term, name=prefix + term.name, read=lambda row: term.read(row_of(row)))


def _term(definition: FieldDefinition, table: Any, checking: Checking) -> Term:
    shape = shape_of(definition)
    everything = _with_retired(definition)
    term = Term(
        name_of_term(definition),
        definition.name,
        shape,
        value_of(definition, table.custom),
        lambda row: stored_in(row.custom, definition),
        lambda entered: check_value(everything, entered, None, checking),
    )
    if shape is Shape.TEXT:
        words = WordSearch(partial(_with_words, definition, table), has_words)
        return replace(term, bind=text_key, words=words, order=value_sql.sorted_text(table.custom, definition.id or 0))
    if definition.kind == ValueKind.LINK:
        target = target_of(definition)
        return replace(term, has=partial(_points_to, term.sql, target), target=target)
    if shape is Shape.LIST:
        return replace(term, has=partial(value_sql.has_id, table.custom, definition.id or 0))
    return term


def _points_to(value: ColumnElement[Any], target: str, row_id: int) -> ColumnElement[bool]:
    return value.in_(same_rows(target, [row_id]))


def _with_retired(definition: FieldDefinition) -> FieldDefinition:
    """The same field with every option offered: rows that have a retired one can be found."""
    offered = [{**option, "retired": False} for option in definition.options]
    return FieldDefinition(**{**definition.model_dump(), "options": offered})


def words_kind(definition_id: int | None) -> str:
    """Under which kind the words of the field's texts stand in the index of words."""
    return f"field:{definition_id}"


def _with_words(definition: FieldDefinition, table: Any, asked: str) -> ColumnElement[bool]:
    found = rows_with(words_kind(definition.id), asked)
    return false() if found is None else table.id.in_(select(found.c.row_id))


def has_words(value: str, asked: str) -> bool:
    """Whether each word of ``asked``, in any keyboard layout, begins a word of ``value``; false for one without words."""
    words = words_of(value)
    return any(all(any(mine.startswith(word) for mine in words) for word in way) for way in word_readings(asked))


def sorted_by(term: Term, *, descending: bool) -> RowOrder:
    """The order of a list by a term."""
    order = term.order
    if order is None:
        return RowOrder(term.sql, None if term.name == MADE else term.is_blank, descending)
    return RowOrder(order, order.is_(None) if term.blank is None else term.blank, descending, filled=order > "")
