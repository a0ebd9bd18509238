"""Pure checks of what an administrator enters for a field."""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from pbxcrm.fields.models import FieldDefinition, FieldSection, LinkTarget, ValueKind
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line, longest
from pbxcrm.shared.search_keys import search_key

MOST_FIELDS = 200  # of one entity, without archived ones
MOST_FILTERABLE = 40  # of one entity: each is an index that every change of a row may have to write
MOST_OPTIONS = 100  # offered by one field
WITH_OPTIONS = frozenset({ValueKind.CHOICE, ValueKind.SEVERAL})
MAY_BE_UNIQUE = frozenset({ValueKind.TEXT, ValueKind.NUMBER, ValueKind.PHONE, ValueKind.LINK})
#: Names that deals, clients and companies have already, in forms, conditions or the API, besides ``hooks.reserved_keys``.
RESERVED = frozenset(
    [
        "id",
        "contact_id",
        "company_id",
        "pipeline_id",
        "stage_id",
        "name",
        "note",
        "phones",
        "emails",
        "responsible",
        "version",
        "fields",
        "currency",
    ]
)
_KEY = re.compile(r"[a-z][a-z0-9_]*")
_LONGEST_OPTION = 100


@dataclass(frozen=True, slots=True)
class OptionDraft:
    """An option as it was entered; ``id`` None for a new one."""

    name: str
    id: int | None = None
    retired: bool = False


def check_field_name(name: str) -> str:
    """The name in one line. Raises Invalid at ``name``."""
    return check_line(name, FieldDefinition.name, "name", "fields.name", "Write a name of up to {most} characters.")


def check_section_name(name: str) -> str:
    """The name in one line. Raises Invalid at ``name``."""
    return check_line(name, FieldSection.name, "name", "fields.name", "Write a name of up to {most} characters.")


def check_kind(kind: str) -> ValueKind:
    """Raises Invalid at ``kind``."""
    if kind not in set(ValueKind):
        raise Invalid("kind", "fields.kind", "Choose a kind.")
    return ValueKind(kind)


def check_target(kind: ValueKind, target: str) -> str:
    """What a link points to; empty for other kinds. Raises Invalid at ``target``."""
    if kind is not ValueKind.LINK:
        return ""
    if target not in set(LinkTarget):
        raise Invalid("target", "fields.target", "Choose what it points to.")
    return target


def check_key(key: str, taken: Collection[str]) -> str:
    """Raises Invalid at ``key``. ``taken``: the keys of the entity, also of archived fields, and reserved ones."""
    if not _KEY.fullmatch(key) or len(key) > longest(FieldDefinition.key):
        raise Invalid(
            "key",
            "fields.key",
            "Begin with a Latin letter; then small letters, digits and _, up to {most}.",
            most=longest(FieldDefinition.key),
        )
    if key in taken or key in RESERVED:
        raise Invalid("key", "fields.key_taken", "This key is taken.")
    return key


def key_from(name: str, taken: Collection[str]) -> str:
    """A key that is made from the name and is not taken."""
    plain = re.sub(r"[^a-z0-9]+", "_", search_key(name)).strip("_")[:32]
    first = plain if _KEY.fullmatch(plain) else f"field_{plain}".strip("_")
    number, key = 1, first
    while key in taken or key in RESERVED:
        number += 1
        key = f"{first}_{number}"
    return key


def merge_options(
    known: Sequence[dict[str, Any]], made: int, drafts: Sequence[OptionDraft]
) -> tuple[list[dict[str, Any]], int]:
    """The options after a change and how many were ever made. A known one that is not among the drafts is retired, never deleted.

    Raises Invalid at ``options``.
    """
    by_id = {option["id"]: option for option in known}
    found: list[dict[str, Any]] = []
    for draft in drafts:
        name = " ".join(draft.name.split())
        if not name or len(name) > _LONGEST_OPTION:
            raise Invalid(
                "options", "fields.option", "Write each option in up to {most} characters.", most=_LONGEST_OPTION
            )
        if draft.id is not None and draft.id not in by_id:
            raise Invalid("options", "fields.no_option", "There is no option with the id {id}.", id=draft.id)
        if draft.id is None:
            made += 1
        found.append({"id": draft.id or made, "name": name, "retired": draft.retired})
    used = {option["id"] for option in found}
    if len(used) != len(found):
        raise Invalid("options", "fields.option_twice", "An option stands there twice.")
    offered = [option["name"].casefold() for option in found if not option["retired"]]
    twice = next((name for name in offered if offered.count(name) > 1), None)
    if twice is not None:
        raise Invalid(
            "options", "fields.option_named_twice", "Two options are called “{name}”.", name=twice[:LONGEST_REPEATED]
        )
    if len(offered) > MOST_OPTIONS:
        raise Invalid("options", "fields.many_options", "A field may offer at most {most} options.", most=MOST_OPTIONS)
    found += [{**option, "retired": True} for option in known if option["id"] not in used]
    return found, made


def check_unique(kind: ValueKind, *, asked: bool) -> bool:
    """Raises Invalid at ``is_unique`` for a kind of which many rows have the same value."""
    if asked and kind not in MAY_BE_UNIQUE:
        raise Invalid(
            "is_unique", "fields.unique_kind", "Only texts, numbers, telephone numbers and links can be unique."
        )
    return asked
