"""Pure decisions of a merge: which value of each field stays, which numbers and addresses go over."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pbxcrm.shared.errors import Invalid

#: What one chooses between, in the order of the page.
FIELDS = ("name", "company_id", "responsible_id", "note")
THIS, INTO, BOTH = "this", "into", "both"
NOTE_MAX, LABEL_MAX = 4000, 50

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Way:
    """A number or an e-mail address. ``key`` is what is compared; ``extension`` is empty for an address."""

    key: str
    extension: str = ""
    label: str = ""


def default_choice(field: str, this: Values, into: Values) -> str:
    """What is taken where nobody chooses: the survivor's, the other's where the survivor has none, both notes where they fit."""
    if not into[field]:
        return THIS if this[field] else INTO
    if field == "note" and this[field] and this[field] != into[field] and len(joined(this, into)) <= NOTE_MAX:
        return BOTH
    return INTO


def joined(this: Values, into: Values) -> str:
    """Both notes, the survivor's first."""
    return f"{into['note']}\n\n{this['note']}"


def choose(this: Values, into: Values, chosen: Mapping[str, str]) -> dict[str, list[Any]]:
    """What the survivor takes: ``{field: [before, after]}`` of the fields that become different. Raises Invalid."""
    taken: dict[str, list[Any]] = {}
    for field in FIELDS:
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
    return taken


def shared_way(mine: Way, known: Way) -> Way:
    """What the survivor's ``known`` becomes when the other one had the same: nothing that was written with it is lost."""
    label = known.label or mine.label
    if mine.extension and known.extension and mine.extension != known.extension:
        label = f"{label}, {mine.extension}" if label else mine.extension
    return Way(known.key, known.extension or mine.extension, label[:LABEL_MAX])
