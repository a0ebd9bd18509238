"""Pure: fields whose values are computed by a formula over the other fields of the same row."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.fields.models import FieldDefinition, ValueKind
from pbxcrm.fields.rules import MILLION, Checking, Entered, Stored, check_value, stored_in
from pbxcrm.formulas.evaluating import evaluate
from pbxcrm.formulas.functions import FormulaTime, Value, kind_of
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.formulas.reading import read
from pbxcrm.formulas.rules import Circle, dependencies, in_order
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_

#: The kinds that a formula can give.
COMPUTED = frozenset(
    {
        ValueKind.TEXT,
        ValueKind.NUMBER,
        ValueKind.MONEY,
        ValueKind.DATE,
        ValueKind.MOMENT,
        ValueKind.CHOICE,
        ValueKind.YES_NO,
    }
)
#: A value is kept until what it is computed from changes, so it cannot depend on the time.
NOT_KEPT = frozenset({"now", "today"})
#: Functions that count by working hours, which an administrator may change.
BY_HOURS = frozenset({"workdateadd", "addworkdays"})
_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)  # no formula of a field reads it
_KINDS: Mapping[ValueKind, type] = {
    ValueKind.TEXT: str,
    ValueKind.CHOICE: str,
    ValueKind.NUMBER: Decimal,
    ValueKind.MONEY: Decimal,
    ValueKind.DATE: date,
    ValueKind.MOMENT: date,
    ValueKind.YES_NO: bool,
}


def check_computed(
    formula: str, kind: ValueKind, key: str, names: Collection[str], others: Mapping[str, str]
) -> FormulaProblem | None:
    """What is wrong with the formula of the field ``key``; None when nothing is. ``names``: the fields it may read; ``others``: the
    formulas of the other fields by key.
    """
    if kind not in COMPUTED:
        return FormulaProblem(1, "kind", N_("A field of this kind cannot be computed."))
    problems = check_formula(formula, {*names, key})
    if problems:
        return problems[0]
    if timely := sorted(functions_of(formula) & NOT_KEPT):
        said = N_("“{name}” cannot stand here: the value is kept until what it is computed from changes.")
        return FormulaProblem(1, "not_kept", said, {"name": timely[0]})
    try:
        in_order({**others, key: formula})
    except Circle as circle:
        return circle.problem
    return None


def functions_of(formula: str) -> frozenset[str]:
    """The names of the functions that a formula calls. Raises FormulaError when it cannot be read."""
    return frozenset(read(formula).functions.values())


def ordered(definitions: Iterable[FieldDefinition]) -> tuple[FieldDefinition, ...]:
    """Those with a formula, each after those it reads."""
    by_key = {each.key: each for each in definitions if each.formula}
    return tuple(by_key[key] for key in in_order({key: each.formula for key, each in by_key.items()}))


def readers_of(key: str, definitions: Iterable[FieldDefinition]) -> list[FieldDefinition]:
    """The fields whose formula reads the field ``key``."""
    return [each for each in definitions if each.formula and key in dependencies(each.formula)]


def reading_any(keys: Collection[str], computed: Sequence[FieldDefinition]) -> frozenset[str]:
    """The keys of those among ``computed`` (in order) that read one of ``keys``, also by way of another."""
    found = set(keys)
    for each in computed:
        if dependencies(each.formula) & found:
            found.add(each.key)
    return frozenset(found - set(keys))


def value_of(definition: FieldDefinition, stored: Stored) -> Value:
    """A stored value as formulas read it: the name of a choice, a number, a date. None for an empty one, and for kinds that they cannot read."""
    if stored is None:
        return None
    if isinstance(stored, int):
        if definition.kind == ValueKind.NUMBER:
            return Decimal(stored) / MILLION
        if definition.kind == ValueKind.MONEY:
            return Decimal(stored) / 100
        if definition.kind == ValueKind.YES_NO:
            return bool(stored)
        if definition.kind == ValueKind.CHOICE:
            return next((str(option["name"]) for option in definition.options if option["id"] == stored), None)
        return None
    if not isinstance(stored, str):
        return None
    if definition.kind == ValueKind.DATE:
        return date.fromisoformat(stored)
    return datetime.fromisoformat(stored) if definition.kind == ValueKind.MOMENT else stored


def values_in(definitions: Iterable[FieldDefinition], custom: Mapping[str, Any]) -> dict[str, Value]:
    """The values of these fields in a row's ``custom``, by key."""
    return {each.key: value_of(each, stored_in(custom, each)) for each in definitions}


def compute(definition: FieldDefinition, known: Mapping[str, Value], hours: WorkingTime, checking: Checking) -> Stored:
    """The value that the formula gives, as it is stored. Raises FormulaError, also for one that the field cannot hold."""
    found = evaluate(definition.formula, known, FormulaTime(_ANY_TIME, hours))
    try:
        return check_value(definition, entered_by(definition, found, hours), None, checking)
    except Invalid as refused:
        raise FormulaError(FormulaProblem(1, "refused", refused.message, dict(refused.params))) from None


def entered_by(definition: FieldDefinition, found: Value, hours: WorkingTime) -> Entered:
    """What a formula gave, as somebody would enter it into a field of one of the kinds ``COMPUTED``; None for nothing. Raises FormulaError."""
    if found is None or found == "":
        return None
    kind = ValueKind(definition.kind)
    if kind_of(found) is not _KINDS[kind]:
        raise other_kind()
    return _entered(kind, found, hours)


def other_kind() -> FormulaError:
    """The error of a formula whose value does not fit the field."""
    return FormulaError(FormulaProblem(1, "other_kind", N_("The formula gives a value of another kind.")))


def _entered(kind: ValueKind, value: Value, hours: WorkingTime) -> Entered:
    """The value as somebody would enter it: rounded, in the time of the working hours."""
    if isinstance(value, Decimal):
        places = Decimal("0.01") if kind is ValueKind.MONEY else Decimal("0.000001")
        return value.quantize(places, rounding=ROUND_HALF_UP)
    if kind is ValueKind.DATE and isinstance(value, datetime):
        return value.astimezone(hours.timezone).date()
    if kind is ValueKind.MOMENT and isinstance(value, date) and not isinstance(value, datetime):
        return datetime.combine(value, time(), hours.timezone)
    return value
