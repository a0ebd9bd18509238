"""Pure decisions of a merge of clients or of companies: which value each field gets, and how equal numbers and addresses are combined."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pbxcrm.shared.errors import Conflict, Invalid

#: The fields for which the user chooses a value, in the order of the page.
FIELDS = ("name", "company_id", "responsible_id", "birth_day", "language", "note")
COMPANY_FIELDS = ("name", "responsible_id", "note")
#: What comes with a field that is chosen.
WITH = {"birth_day": ("birth_year",)}
COLUMNS = (*FIELDS, *(other for others in WITH.values() for other in others))
CUSTOM = "fields"  # key in ``Merge.parts``: the custom fields that the survivor took over, by field id
THIS, INTO, BOTH = "this", "into", "both"
NOTE_MAX, LABEL_MAX = 4000, 50

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ContactPoint:
    """A number or an e-mail address. ``key`` is compared; ``extension`` is empty for an address."""

    key: str
    extension: str = ""
    label: str = ""


def default_choice(field: str, this: Values, into: Values) -> str:
    """The default: the survivor's value, or the other's if the survivor has none; both notes if they fit."""
    if not into[field]:
        return THIS if this[field] else INTO
    if field == "note" and this[field] and this[field] != into[field] and len(joined(this, into)) <= NOTE_MAX:
        return BOTH
    return INTO


def joined(this: Values, into: Values) -> str:
    """Both notes, the survivor's first."""
    return f"{into['note']}\n\n{this['note']}"


def choose(
    this: Values, into: Values, chosen: Mapping[str, str], fields: Sequence[str] = FIELDS
) -> dict[str, list[Any]]:
    """The survivor's changes: ``{field: [before, after]}`` for fields that change. Raises Invalid."""
    taken: dict[str, list[Any]] = {}
    for field in fields:
        choice = chosen.get(field) or default_choice(field, this, into)
        if choice not in {THIS, INTO} and not (choice == BOTH and field == "note"):
            raise Invalid(field, "merges.choice", "Choose one of the two.")
        value = {THIS: this[field], INTO: into[field]}.get(choice)
        if choice == BOTH:
            value = joined(this, into) if this["note"] and into["note"] else this["note"] or into["note"]
            if len(value) > NOTE_MAX:
                raise Invalid(field, "merges.long_note", "Both notes together are too long: choose one of them.")
        if value != into[field]:
            taken[field] = [into[field], value]
        for other in WITH.get(field, ()):
            if choice == THIS and this[other] != into[other]:
                taken[other] = [into[other], this[other]]
    return taken


def shared_way(mine: ContactPoint, known: ContactPoint) -> ContactPoint:
    """The survivor's ``known`` combined with the other's equal one, without losing extension or label."""
    label = known.label or mine.label
    if mine.extension and known.extension and mine.extension != known.extension:
        label = f"{label}, {mine.extension}" if label else mine.extension
    return ContactPoint(known.key, known.extension or mine.extension, label[:LABEL_MAX])


def merged_meanwhile() -> Conflict:
    """The error for a form of a client that has been merged: its values must not overwrite the survivor's."""
    return Conflict("contacts.merged", "This client has been merged with another. Open the client to see them.")


def company_merged_meanwhile() -> Conflict:
    """The error for a form of a company that has been merged: its values must not overwrite the survivor's."""
    return Conflict("companies.merged", "This company has been merged with another. Open the company to see it.")
