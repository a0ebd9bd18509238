"""Custom fields on pages: the inputs of a form, and values as they are read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.formula_queries import problems_of
from pbxcrm.fields.models import FieldDefinition, FieldEntity, FieldSection, ValueKind
from pbxcrm.fields.queries import FieldSet, Named, load_fields, load_named, target_of
from pbxcrm.fields.rules import LONGEST, MILLION, Entered, Stored, filled_percent, is_web, place_of, stored_in
from pbxcrm.formulas.problems import FormulaProblem
from pbxcrm.shared.errors import Invalid
from pbxcrm.timeline.entries import Timeline
from web import formats
from web.forms import Form, local_text
from web.i18n import gettext as _

_LONGEST_SAID = 1_000  # letters of what was entered into a field that is gone
LINKED = {"deal": "/deals/{id}", "contact": "/contacts/{id}", "company": "/companies/{id}", "file": "/files/{id}"}


@dataclass(frozen=True, slots=True)
class ShownValue:
    """A field of a row as a page shows it. ``parts``: texts with the path each leads to, which may be empty."""

    definition: FieldDefinition
    value: Stored
    parts: tuple[tuple[str, str], ...]
    required: bool = False
    problem: FormulaProblem | None = None  # why its formula gives nothing

    @property
    def text(self) -> str:
        """All in one line, for lists and files."""
        return ", ".join(text for text, _path in self.parts)


@dataclass(frozen=True, slots=True)
class ShownFields:
    """The fields of a row by section: those that its stage requires or shows first."""

    first: list[ShownValue]
    sections: list[tuple[FieldSection | None, list[ShownValue]]]

    @property
    def filled_percent(self) -> int | None:
        """How many per cent of them have a value; None without fields."""
        return filled_percent(
            (shown.definition for shown in self.all),
            {str(shown.definition.id): shown.value for shown in self.all if shown.value is not None},
        )

    @property
    def all(self) -> list[ShownValue]:
        """In the order of the page."""
        return [*self.first, *(shown for _section, values in self.sections for shown in values)]


async def shown_fields(
    session: AsyncSession,
    viewer: Viewer,
    entity: FieldEntity,
    custom: Mapping[str, Any],
    *,
    place: tuple[int, int] | None = None,
    required: Iterable[str] = (),
    row: Any = None,
) -> ShownFields:
    """The fields of one row with their values. ``place``: pipeline and stage of a deal; ``required``: keys that the stage requires;
    ``row``: to tell why formulas of it give nothing.
    """
    fields, asked = await load_fields(session), set(required)
    definitions = fields.of(entity) if place is None else fields.shown_at(*place, asked)
    # A field that is not shown at this stage is shown all the same where it has a value: nothing is hidden.
    here = {definition.id for definition in definitions}
    definitions = [each for each in fields.of(entity) if each.id in here or stored_in(custom, each) is not None]
    named = await load_named(session, viewer, definitions, [custom])
    problems = await problems_of(session, entity, row) if row is not None else {}
    shown = [
        replace(
            show_value(each, stored_in(custom, each), named, required=each.key in asked),
            problem=problems.get(each.id or 0),
        )
        for each in definitions
    ]
    first = [each for each in shown if each.required or (place and place[1] in each.definition.shown_stage_ids)]
    rest = [each for each in shown if each not in first]
    sections = _by_section(fields, entity, rest)
    return ShownFields(first, sections)


def _by_section(
    fields: FieldSet, entity: FieldEntity, shown: list[ShownValue]
) -> list[tuple[FieldSection | None, list[ShownValue]]]:
    sections: list[FieldSection | None] = [None, *fields.sections_of(entity)]
    grouped = [
        (section, [each for each in shown if each.definition.section_id == (section.id if section else None)])
        for section in sections
    ]
    return [(section, values) for section, values in grouped if values]


def show_value(definition: FieldDefinition, value: Stored, named: Named, *, required: bool = False) -> ShownValue:
    """The value in the reader's words; linked rows that the viewer may not see are said so."""
    return ShownValue(definition, value, tuple(_parts(definition, value, named)), required)


def _parts(definition: FieldDefinition, value: Stored, named: Named) -> list[tuple[str, str]]:
    if value is None:
        return []
    if isinstance(value, list):
        if definition.kind == ValueKind.SEVERAL:
            return [(_option(definition, each), "") for each in value]
        return [_linked(definition, each, named) for each in value]
    if isinstance(value, str):
        if definition.kind == ValueKind.DATE:
            return [(formats.day_date(date.fromisoformat(value)), "")]
        if definition.kind == ValueKind.MOMENT:
            return [(formats.day_time(datetime.fromisoformat(value)), "")]
        return [(value, value if is_web(definition) else "")]
    if definition.kind == ValueKind.CHOICE:
        return [(_option(definition, value), "")]
    if definition.kind == ValueKind.NUMBER:
        return [(formats.exact_number(Decimal(value) / MILLION), "")]
    if definition.kind == ValueKind.MONEY:
        return [(formats.money(Decimal(value) / 100, definition.currency or None), "")]
    if definition.kind == ValueKind.YES_NO:
        return [(_("yes") if value else _("no"), "")]
    return [_linked(definition, value, named)]


def changes(told: Timeline, data: Mapping[str, Any]) -> list[tuple[str, ShownValue, ShownValue]]:
    """Name, value before and value after of the custom fields that an entry of a deal's timeline changed."""
    known = told.fields.by_key(FieldEntity.DEAL, archived=True)
    changed = data.get("changed", {})
    return [
        (
            definition.name,
            show_value(definition, changed[place_of(key)]["before"], told.named),
            show_value(definition, changed[place_of(key)]["after"], told.named),
        )
        for key, definition in known.items()
        if place_of(key) in changed
    ]


def _option(definition: FieldDefinition, option_id: int) -> str:
    return next((str(each["name"]) for each in definition.options if each["id"] == option_id), "?")


def _linked(definition: FieldDefinition, row_id: int, named: Named) -> tuple[str, str]:
    name = named.of(definition, row_id)
    if name is None:
        return _("not visible to you"), ""
    path = LINKED.get(target_of(definition), "")
    return name or "—", path.format(id=row_id)


def entered_of(form: Form, fields: FieldSet, entity: FieldEntity) -> dict[str, Entered]:
    """The values of all fields of an entity in a form. Raises Invalid as ``check_still_there`` does."""
    check_still_there(form, fields, entity)
    return entered(form, fields.of(entity))


def check_still_there(form: Form, fields: FieldSet, entity: FieldEntity) -> None:
    """Raise Invalid, once, for what was entered into a field that was put into the archive while the form was open: the form that is
    shown then has it no longer.
    """
    there = {each.id for each in fields.of(entity)}
    for definition in fields.of(entity, archived=True):
        if definition.id not in there and (typed := [each for each in form.all(place_of(definition.key)) if each]):
            said = ", ".join(dict(offered(definition, form)).get(each, each) for each in typed)
            raise Invalid(
                "",
                "fields.put_away",
                "The field “{name}” was put into the archive meanwhile. You had entered: {value}. Save again to go on without it.",
                name=definition.name,
                value=said[:_LONGEST_SAID],
            )


def entered(form: Form, fields: Iterable[FieldDefinition]) -> dict[str, Entered]:
    """The values in a form by key; only of fields that it had. Raises Invalid for a moment that cannot be read."""
    found: dict[str, Entered] = {}
    for definition in fields:
        name = place_of(definition.key)
        if name not in form.values:
            continue
        if definition.kind == ValueKind.MOMENT:
            found[definition.key] = form.utc_time(name)
        elif definition.kind in {ValueKind.SEVERAL, ValueKind.FILE}:
            found[definition.key] = [each for each in form.all(name) if each]
        else:
            found[definition.key] = form.get(name)
    return found


def typed_values(definition: FieldDefinition, value: Stored) -> list[str]:
    """The value as its inputs hold it; empty for none."""
    if value is None:
        return []
    if isinstance(value, list):
        return [str(each) for each in value]
    if definition.kind == ValueKind.NUMBER:
        return [f"{(Decimal(value) / MILLION).normalize():f}"]
    if definition.kind == ValueKind.MONEY:
        return [f"{Decimal(value) / 100:.2f}"]
    if definition.kind == ValueKind.MOMENT:
        return [local_text(datetime.fromisoformat(str(value)))]
    return [str(value)]


def fill_form(form: Form, definitions: Iterable[FieldDefinition], custom: Mapping[str, Any]) -> Form:
    """Add the stored values to a form."""
    for definition in definitions:
        name, values = place_of(definition.key), typed_values(definition, stored_in(custom, definition))
        form.lists[name] = values
        form.values[name] = values[0] if values else ""
    return form


def offered(definition: FieldDefinition, form: Form, people: Iterable[tuple[str, str]] = ()) -> list[tuple[str, str]]:
    """What can be chosen, with a retired option where the row has it."""
    chosen = form.all(place_of(definition.key))
    if definition.kind == ValueKind.YES_NO:
        return [("", "—"), ("1", _("yes")), ("0", _("no"))]
    if definition.kind == ValueKind.PERSON:
        return [("", "—"), *people]
    options = [
        (str(each["id"]), each["name"] if not each["retired"] else _("{name} (retired)").format(name=each["name"]))
        for each in definition.options
        if not each["retired"] or str(each["id"]) in chosen
    ]
    return [("", "—"), *options] if definition.kind == ValueKind.CHOICE else options


def longest_value(definition: FieldDefinition) -> int | None:
    """How many characters a text may have."""
    return LONGEST.get(ValueKind(definition.kind)) if definition.kind != ValueKind.LINK or is_web(definition) else None


def seen_text(value: Stored) -> str:
    """What a form remembers of the value that its reader saw."""
    return json.dumps(value)


def read_seen(text: str) -> Stored:
    """The reverse of ``seen_text``; None for what is no value."""
    try:
        found = json.loads(text)
    except ValueError:
        return None
    if isinstance(found, list):
        return [each for each in found if isinstance(each, int)]
    return found if isinstance(found, int | str) else None
