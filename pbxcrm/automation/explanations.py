"""The comparisons of a condition in words: what was asked, and what the rule saw. Stored with each firing, as it was then."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from pbxcrm.deals.queries import Funnel
from pbxcrm.fields.conditions import Condition, Op, Shape, Term
from pbxcrm.fields.explained import SeenComparison, explain, guilty
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.relative_times import AskedAt, Relative
from pbxcrm.fields.rules import as_entered
from pbxcrm.fields.terms import name_of_term
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason

NOTHING = "—"


@dataclass(frozen=True, slots=True)
class Names:
    """What ids in conditions are called."""

    people: Directory
    funnel: Funnel
    fields: FieldSet
    lines: Mapping[int, str] = field(default_factory=dict)

    def said(self, term: Term, value: Any) -> str:
        """A value of the term in words; ``NOTHING`` for none."""
        if value is None or value == ():
            return NOTHING
        if isinstance(value, tuple | list):
            return ", ".join(self.said(term, each) for each in value)
        if isinstance(value, Relative):
            sign = f"{'+' if value.amount >= 0 else '-'}{abs(value.amount)}{value.unit}" if value.amount else ""
            return value.base + sign
        if isinstance(value, date | datetime):
            return value.isoformat()
        if term.shape in {Shape.REFERENCE, Shape.LIST} and isinstance(value, int):
            return self._named(term.name, value)
        definition = self._field(term.name)
        bound = term.bind(value) if term.shape is Shape.INTEGER else value
        if definition is not None:
            return str(as_entered(definition, value))
        return f"{bound:.2f}" if isinstance(bound, Decimal) else str(bound)

    def _named(self, name: str, row_id: int) -> str:
        row: Any = None
        if name == "pipeline":
            row = self.funnel.pipelines.get(row_id)
        elif name == "stage":
            row = self.funnel.stages.get(row_id)
        elif name == "call.line":
            return self.lines.get(row_id, f"#{row_id}")
        elif name in {"responsible", "company.responsible"}:
            row = self.people.users.get(row_id)
        elif name == "team":
            row = self.people.teams.get(row_id)
        elif (option := self._option(name, row_id)) is not None:
            return option
        return row.name if row is not None else f"#{row_id}"

    def _option(self, name: str, row_id: int) -> str | None:
        """What a custom field holds: an option, yes or no, a person."""
        definition = self._field(name)
        if definition is None:
            return None
        if definition.kind == ValueKind.YES_NO:
            return "yes" if row_id else "no"
        if definition.kind == ValueKind.PERSON:
            return self.people.name(row_id) or None
        return next((str(each["name"]) for each in definition.options if each.get("id") == row_id), None)

    def _field(self, name: str) -> FieldDefinition | None:
        entity = FieldEntity.CONTACT if name.startswith("client.") else FieldEntity.DEAL
        wanted = name.removeprefix("client.")
        return next((each for each in self.fields.of(entity, archived=True) if name_of_term(each) == wanted), None)


@dataclass(frozen=True, slots=True)
class SeenTest:
    """A comparison as it is stored: the name and title of the term, how it was compared and with what, what was there, and the answer."""

    field: str
    title: str
    op: str
    value: str
    saw: str
    held: bool

    def stored(self) -> dict[str, Any]:
        """As a JSON object, for ``load``."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def load(cls, stored: Mapping[str, Any]) -> "SeenTest":
        """The test from ``stored``."""
        return cls(**{name: stored[name] for name in cls.__slots__})

    def why(self) -> Reason:
        """A sentence of why it decides against a rule. One that held stands where nothing of the kind may."""
        said = {"field": self.title, "op": self.op, "value": self.value, "saw": self.saw}
        if self.held:
            return self._why_held(said)
        if self.saw == NOTHING and self.op != Op.FILLED:
            return reason("automation.test_nothing", **said)
        return reason(f"automation.test_{_CODES.get(Op(self.op), 'order')}", **said)

    def _why_held(self, said: dict[str, str]) -> Reason:
        """It held within *none*: what is asked is the opposite, said without a double negation."""
        op = Op(self.op)
        if op in _OPPOSITE:
            return reason("automation.test_order", **said | {"op": _OPPOSITE[op].value})
        if op is Op.IS_NOT and self.saw == NOTHING:
            return reason("automation.test_nothing", **said | {"op": Op.IS.value})
        return reason(f"automation.test_{_CODES_OF_NONE[op]}", **said)


_OPPOSITE = {Op.LESS: Op.AT_LEAST, Op.AT_LEAST: Op.LESS, Op.MORE: Op.AT_MOST, Op.AT_MOST: Op.MORE}
_CODES_OF_NONE = {
    Op.IS: "is_not",
    Op.IS_NOT: "is",
    Op.IN: "none_of",
    Op.HAS: "none_of",
    Op.BEGINS: "begins_not",
    Op.CONTAINS: "contains_not",
    Op.EMPTY: "filled",
    Op.FILLED: "empty",
}
_CODES = {
    Op.IS: "is",
    Op.IS_NOT: "is_not",
    Op.IN: "in",
    Op.HAS: "has",
    Op.BEGINS: "begins",
    Op.CONTAINS: "contains",
    Op.EMPTY: "empty",
    Op.FILLED: "filled",
}


def in_words(seen: SeenComparison, names: Names) -> SeenTest:
    """One comparison with its answer."""
    term, op = seen.test.term, seen.test.op
    asked = "" if op in {Op.EMPTY, Op.FILLED} else names.said(term, seen.test.values)
    return SeenTest(term.name, term.title, op.value, asked, names.said(term, seen.value), seen.held)


@dataclass(frozen=True, slots=True)
class ConditionAnswer:
    """Whether a condition holds, why not, and its comparisons, stored ``SeenTest``."""

    held: bool
    why_not: Reason
    seen: Sequence[dict[str, Any]]


Said = dict[tuple[object, ...], ConditionAnswer]  # answers of one condition, by what it saw
_MOST_KEPT = 1000


def answer_in_words(condition: Condition, row: Any, clock: AskedAt, names: Names, kept: Said) -> ConditionAnswer:
    """Ask a condition. ``kept``: its answers so far, because most deals have one of a few values."""
    held, seen = explain(condition, row, clock)
    key = tuple((tuple(each.value) if isinstance(each.value, list) else each.value, each.held) for each in seen)
    found = kept.get(key)
    if found is None:
        decided = guilty(condition, seen)
        why_not = reason("automation.not_so", in_words(decided, names).why() if decided is not None else None)
        if len(kept) >= _MOST_KEPT:
            kept.clear()
        found = kept[key] = ConditionAnswer(held, why_not, [in_words(each, names).stored() for each in seen])
    return found
