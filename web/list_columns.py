"""The columns of lists of deals, clients and companies: built-in ones and custom fields, of which each person chooses."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet, Named
from pbxcrm.fields.rules import MILLION, stored_in
from pbxcrm.fields.terms import name_of_term
from web import formats
from web.custom_values import show_value

_NUMERIC = frozenset({ValueKind.NUMBER.value, ValueKind.MONEY.value})


@dataclass(frozen=True, slots=True)
class ListColumn:
    """A column. ``definition``: of a custom field. ``sort``: the name of its term; empty where it cannot be sorted by."""

    key: str
    title: str
    definition: FieldDefinition | None = None
    sort: str = ""
    is_numeric: bool = False  # its values stand at the right


def custom_columns(
    fields: FieldSet, entity: FieldEntity, sort: Callable[[str], str] = lambda _name: ""
) -> dict[str, ListColumn]:
    """The custom fields of an entity as columns, by key; ``sort``: by which term one is sorted."""
    return {
        (name := name_of_term(each)): ListColumn(name, each.name, each, sort(name), each.kind in _NUMERIC)
        for each in fields.of(entity)
    }


def those_shown(
    known: Mapping[str, ListColumn], chosen: Sequence[str] | None, always: str, first: Sequence[str]
) -> list[ListColumn]:
    """The chosen columns that still exist, ``always`` before all others; ``first``: where nobody has chosen yet."""
    keys = dict.fromkeys([always, *(first if chosen is None else chosen)])
    return [known[key] for key in keys if key in known]


def value_of_field(definition: FieldDefinition, custom: Mapping[str, Any], named: Named) -> str | Decimal | date:
    """What a file holds of a custom field: a number, a date and a time as such, everything else in the reader's words."""
    stored = stored_in(custom, definition)
    if isinstance(stored, int) and definition.kind in _NUMERIC:
        return Decimal(stored) / (MILLION if definition.kind == ValueKind.NUMBER else 100)
    if isinstance(stored, str) and definition.kind == ValueKind.DATE:
        return date.fromisoformat(stored)
    if isinstance(stored, str) and definition.kind == ValueKind.MOMENT:
        return formats.in_file(datetime.fromisoformat(stored))
    return show_value(definition, stored, named).text
