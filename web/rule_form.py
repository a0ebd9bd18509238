"""The form of a rule: what is typed as rows of *when … if … then …*, and these rows as the rule's JSON and back.

The names of the fields are the places of errors: ``when.stage_id``, ``if.1.value``, ``then.0.due``. A group has ``if.how`` and its parts by number.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pbxcrm.automation.catalogue import THEN, WHEN, AskedTerm, RuleKind
from pbxcrm.automation.models import AutomationRule, Mode
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.rule_checks import RuleDraft
from pbxcrm.automation.waits import DAYS, MINUTES, MONTHS, WORKING_DAYS
from pbxcrm.fields.conditions import Op
from pbxcrm.fields.relative_times import read_relative
from pbxcrm.shared.errors import Invalid
from pbxcrm.tasks import checklist_rules
from web.forms import Form
from web.i18n import N_
from web.norms import minutes_typed, wait_as_typed
from web.rule_sentences import TIMES, NamesInRules, subject_of
from web.untrusted import whole_number

IF, GOAL, WHEN_PLACE, THEN_PLACE = "if", "goal", "when", "then"
DEEPEST = 10  # parts of a name; conditions themselves may stand less deep within each other
HOWS: dict[str, str] = {
    "all": N_("all of these hold"),
    "any": N_("one of these holds"),
    "none": N_("none of these holds"),
}
#: How a time is asked that depends on when it is asked: its beginning, sign and unit.
RELATIVE: dict[str, tuple[str, str, str, str]] = {
    "today": ("today", "", "", N_("today")),
    "ago_d": ("today", "-", "d", N_("days ago")),
    "in_d": ("today", "+", "d", N_("days from today")),
    "ago_h": ("now", "-", "h", N_("hours ago")),
    "in_h": ("now", "+", "h", N_("hours from now")),
    "raw": ("", "", "", N_("as typed: today-2w, now+3h")),
}
_BLANK = frozenset({Op.EMPTY.value, Op.FILLED.value})
_WHOLE = frozenset(
    {
        ParamKind.STAGE,
        ParamKind.OPEN_STAGE,
        ParamKind.PIPELINE,
        ParamKind.FORM,
        ParamKind.HOOK,
        ParamKind.WEBHOOK,
        ParamKind.NUMBER,
        ParamKind.LINE_TEMPLATE,
        ParamKind.TEMPLATE,
    }
)


@dataclass
class AskedRow:
    """A comparison as typed. ``base``: a key of ``RELATIVE``, or empty for a date in ``values``; ``amount``: how many days or hours."""

    asked: str = ""  # the name of a term
    op: str = Op.IS.value
    values: list[str] = field(default_factory=list)
    base: str = ""
    amount: str = ""

    @property
    def value(self) -> str:
        """The one value."""
        return self.values[0] if self.values else ""


@dataclass
class GroupRow:
    """Conditions that hold together: ``how`` is one of ``HOWS``."""

    how: str = "all"
    parts: list["AskedRow | GroupRow"] = field(default_factory=list)

    @property
    def is_group(self) -> bool:
        """For templates."""
        return True


@dataclass
class KindRow:
    """The *when*, or a step: its kind, and what is typed for each parameter, several values of a list."""

    kind: str = ""
    values: dict[str, list[str]] = field(default_factory=dict)

    def get(self, name: str) -> str:
        """The one value of a parameter."""
        return (self.values.get(name) or [""])[0]

    def all(self, name: str) -> list[str]:
        """The values of a parameter that is a list."""
        return self.values.get(name, [])


@dataclass
class TypedRule:
    """A rule as it is typed."""

    when: KindRow = field(default_factory=KindRow)
    condition: GroupRow = field(default_factory=GroupRow)
    steps: list[KindRow] = field(default_factory=list)
    goal: GroupRow = field(default_factory=GroupRow)

    @property
    def subject(self) -> str:
        """What the rule works on, by its *when*."""
        return subject_of({"kind": self.when.kind})

    def group(self, place: str) -> GroupRow | None:
        """The group at ``if`` or ``if.2``; None if there is none."""
        root, *way = place.split(".")
        found: AskedRow | GroupRow | None = {IF: self.condition, GOAL: self.goal}.get(root)
        for part in way:
            number = whole_number(part)
            if not isinstance(found, GroupRow) or number is None or number >= len(found.parts):
                return None
            found = found.parts[number]
        return found if isinstance(found, GroupRow) else None


# --- from the form


def read_typed(form: Form) -> TypedRule:
    """What was typed. Names that mean nothing here are left out."""
    form["when.kind"], form["then.0.kind"]  # by name: tests fill in what they see a page read
    tree: dict[str, Any] = {}
    for name, values in form.lists.items():
        *way, last = name.split(".")
        if not way or way[0] not in {IF, GOAL, WHEN_PLACE, THEN_PLACE} or len(way) > DEEPEST:
            continue
        node: Any = tree
        for part in way:
            node = node.setdefault(part, {}) if isinstance(node, dict) else None
        if isinstance(node, dict) and not isinstance(node.get(last), dict):
            node[last] = list(values)
    return TypedRule(
        _kind_row(tree.get(WHEN_PLACE)),
        _group(tree.get(IF)),
        [_kind_row(each) for each in _numbered(tree.get(THEN_PLACE))],
        _group(tree.get(GOAL)),
    )


def _numbered(node: Any) -> Iterable[Any]:
    if not isinstance(node, dict):
        return []
    numbers = sorted(int(key) for key in node if key.isascii() and key.isdigit() and len(key) < 4)
    return [node[key] for number in numbers if isinstance(node.get(key := str(number)), dict)]


def _kind_row(node: Any) -> KindRow:
    if not isinstance(node, dict):
        return KindRow()
    values = {name: value for name, value in node.items() if isinstance(value, list) and name != "kind"}
    return KindRow(_first(node.get("kind")), values)


def _group(node: Any) -> GroupRow:
    if not isinstance(node, dict):
        return GroupRow()
    how = _first(node.get("how"))
    return GroupRow(how if how in HOWS else "all", [_part(each) for each in _numbered(node)])


def _part(node: dict[str, Any]) -> AskedRow | GroupRow:
    if "how" in node:
        return _group(node)
    texts = {name: _first(node.get(name)) for name in ("field", "op", "base", "amount")}
    values = node.get("value")
    return AskedRow(
        texts["field"],
        texts["op"] or Op.IS.value,
        values if isinstance(values, list) else [],
        texts["base"],
        texts["amount"],
    )


def _first(values: Any) -> str:
    return str(values[0]).strip() if isinstance(values, list) and values else ""


# --- acts that change the shape of the form


def reshape(typed: TypedRule, act: str, was: str = "") -> str:
    """Add, remove or move a part as ``act`` says (``add:if.2``, ``drop:then.1``). Returns the name of the field that gets the focus.

    ``was``: the kind that the *when* or the step had before another one was chosen.
    """
    word, _colon, rest = act.partition(":")
    place, _colon, to = rest.partition(":")
    if was and word == "focus":
        _leave_what_fits(typed, place, was)
    if word == "add" and place == THEN_PLACE:
        typed.steps.append(KindRow())
        return f"then.{len(typed.steps) - 1}.kind"
    if word in {"add", "group"} and (group := typed.group(place)) is not None:
        group.parts.append(AskedRow() if word == "add" else GroupRow("any", [AskedRow()]))
        at = f"{place}.{len(group.parts) - 1}"
        return f"{at}.field" if word == "add" else f"{at}.0.field"
    above, _dot, last = place.rpartition(".")
    number = whole_number(last)
    if number is None:
        return place if word == "focus" else ""
    parts: list[Any] = typed.steps if above == THEN_PLACE else (typed.group(above) or GroupRow()).parts
    if number >= len(parts):
        return ""
    if word == "drop":
        del parts[number]
        return f"{above}.{min(number, len(parts) - 1)}" if parts else above
    target = {"up": number - 1, "down": number + 1, "place": whole_number(to)}.get(word)
    if target is None or not 0 <= target < len(parts):
        return ""
    parts.insert(target, parts.pop(number))
    return f"{above}.{target}"


def _leave_what_fits(typed: TypedRule, place: str, was: str) -> None:
    """Of another kind keep what both ask in the same way: the days of a date are not the days of the week."""
    above, number = place.removesuffix(".kind"), whole_number(place.removesuffix(".kind").rpartition(".")[2])
    if above == WHEN_PLACE:
        row, kinds = typed.when, WHEN
    elif number is not None and number < len(typed.steps):
        row, kinds = typed.steps[number], THEN
    else:
        return
    old, new = kinds.get(was), kinds.get(row.kind)
    if old is not None and new is not None and old is not new:
        both = {param.name for param in new.params if param in old.params}
        row.values = {name: values for name, values in row.values.items() if name.removesuffix("_unit") in both}


# --- as the rule's JSON


def draft_typed(
    form: Form, typed: TypedRule, names: NamesInRules, *, owner_id: int, state: str, kept: AutomationRule | None
) -> RuleDraft:
    """The rule that was typed. Raises Invalid at the wrong field."""
    terms = names.terms[typed.subject]
    most = form.number("most_per_hour")
    return RuleDraft(
        name=form["name"],
        owner_id=owner_id,
        when=kind_json(typed.when, WHEN.get(typed.when.kind), "when"),
        conditions=group_json(typed.condition, IF, terms),
        steps=[kind_json(step, THEN.get(step.kind), f"then.{place}") for place, step in enumerate(typed.steps)],
        goal=group_json(typed.goal, GOAL, terms),
        state=state,
        mode=form["mode"] or Mode.ONCE.value,
        most_per_hour=most if most is not None else 20,
        paused_until=kept.paused_until if kept is not None else None,
    )


def group_json(group: GroupRow, at: str, terms: Mapping[str, AskedTerm]) -> dict[str, Any]:
    """The condition as JSON; ``{}`` if it asks nothing. Raises Invalid at its place."""
    parts = [
        group_json(part, f"{at}.{place}", terms)
        if isinstance(part, GroupRow)
        else _test_json(part, f"{at}.{place}", terms)
        for place, part in enumerate(group.parts)
    ]
    parts = [part for part in parts if part]
    return {group.how: parts} if parts else {}


def _test_json(row: AskedRow, at: str, terms: Mapping[str, AskedTerm]) -> dict[str, Any]:
    if not row.asked:
        raise Invalid(f"{at}.field", "automation.asked", "Choose what is compared.")
    term = terms.get(row.asked)
    if row.op in _BLANK or term is None:
        return {"field": row.asked, "op": row.op}
    if row.op == Op.IN:
        values = row.values if term.choices or len(row.values) != 1 else row.value.split(",")
        return {"field": row.asked, "op": row.op, "value": [each.strip() for each in values if each.strip()]}
    return {
        "field": row.asked,
        "op": row.op,
        "value": _value_json(row, at) if term.control in TIMES else row.value.strip(),
    }


def _value_json(row: AskedRow, at: str) -> str:
    base, sign, unit, _word = RELATIVE.get(row.base, ("", "", "", ""))
    if not base or not sign:
        return base or row.value.strip()
    if whole_number(row.amount.strip()) is None:
        raise Invalid(f"{at}.amount", "form.number", "Write a whole number.")
    return f"{base}{sign}{row.amount.strip()}{unit}"


def kind_json(row: KindRow, kind: RuleKind | None, at: str) -> dict[str, Any]:
    """A *when* or a step as JSON. Raises Invalid at its place."""
    if kind is None:
        raise Invalid(f"{at}.kind", "automation.kind", "Choose what it is.")
    found: dict[str, Any] = {"kind": row.kind}
    for param in kind.params:
        value = _param_json(row, param, f"{at}.{param.name}")
        if value is not None:
            found[param.name] = value
    return found


def _param_json(row: KindRow, param: Param, at: str) -> Any:
    text = row.get(param.name).strip()
    match param.kind:
        case ParamKind.MINUTES:
            unit = row.get(f"{MINUTES}_unit")
            return None if unit in {WORKING_DAYS, DAYS, MONTHS} else minutes_typed(at, text, unit)
        case ParamKind.DAYS:
            chosen = row.get(f"{MINUTES}_unit") == param.name
            return minutes_typed(at, row.get(MINUTES), "min") if chosen else None
        case ParamKind.CHECKLIST:
            return checklist_rules.parse_lines(row.get(param.name), field=at) or None
        case ParamKind.TAGS:
            return [each.strip() for each in text.split(",") if each.strip()] or None
        case ParamKind.VALUE:
            values = [each for each in row.all(param.name) if each.strip()]
            return None if not values else values[0] if len(values) == 1 else values
        case ParamKind.TEXT:
            return row.get(param.name) or None
        case ParamKind.INPUTS:
            return _inputs(row.get(param.name), at) or None
        case ParamKind.FIELDS:
            return [each for each in row.all(param.name) if each] or None
    if not text:
        return None
    if param.kind in _WHOLE:
        number = whole_number(text.removeprefix("-"))
        if number is None:
            raise Invalid(at, "form.number", "Write a whole number.")
        return -number if text.startswith("-") else number
    return text


def _inputs(text: str, at: str) -> dict[str, str]:
    """``name: value``, one per line."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, colon, value = line.partition(":")
        if line.strip() and not colon:
            raise Invalid(at, "automation.inputs", "Write what the template asks as name: value.")
        if line.strip():
            found[name.strip()] = value.strip()
    return found


# --- from a stored rule


def typed_of(
    when: Mapping[str, Any],
    condition: Mapping[str, Any],
    steps: Iterable[Mapping[str, Any]],
    goal: Mapping[str, Any],
    names: NamesInRules,
) -> TypedRule:
    """The rows of a rule that there is."""
    terms = names.terms[subject_of(when)]
    return TypedRule(
        _typed_kind(when, WHEN.get(str(when.get("kind"))), names),
        _typed_root(condition, terms),
        [_typed_kind(step, THEN.get(str(step.get("kind"))), names) for step in steps],
        _typed_root(goal, terms),
    )


def _typed_root(tree: Mapping[str, Any], terms: Mapping[str, AskedTerm]) -> GroupRow:
    if not tree:
        return GroupRow()
    found = _typed_part(tree, terms)
    return found if isinstance(found, GroupRow) else GroupRow("all", [found])


def _typed_part(tree: Mapping[str, Any], terms: Mapping[str, AskedTerm]) -> AskedRow | GroupRow:
    how = next((each for each in HOWS if each in tree), None)
    if how is not None:
        return GroupRow(how, [_typed_part(part, terms) for part in tree[how]])
    value, term = tree.get("value"), terms.get(str(tree.get("field")))
    values = [str(each) for each in value] if isinstance(value, list) else [] if value is None else [str(value)]
    row = AskedRow(str(tree.get("field", "")), str(tree.get("op", Op.IS.value)), values)
    if term is not None and term.control in TIMES and values:
        row.base, row.amount = _relative(values[0])
        if row.base not in {"", "raw"}:
            row.values = []
    return row


def _relative(text: str) -> tuple[str, str]:
    found = read_relative(text)
    if found is None:
        return "", ""
    if not found.amount:
        return ("today", "") if found.base == "today" else ("raw", "")
    asked = (found.base, "+" if found.amount > 0 else "-", found.unit)
    known = next((code for code, (*parts, _word) in RELATIVE.items() if tuple(parts) == asked), "raw")
    return known, "" if known == "raw" else str(abs(found.amount))


def _typed_kind(stored: Mapping[str, Any], kind: RuleKind | None, names: NamesInRules) -> KindRow:
    row = KindRow(str(stored.get("kind", "")))
    for param in kind.params if kind is not None else ():
        value = stored.get(param.name)
        if value is None:
            continue
        if param.kind is ParamKind.MINUTES:
            amount, unit = wait_as_typed(value)
            row.values |= {MINUTES: [amount], f"{MINUTES}_unit": [unit]}
        elif param.kind is ParamKind.DAYS:
            row.values |= {MINUTES: [str(value)], f"{MINUTES}_unit": [param.name]}
        elif param.kind is ParamKind.CHECKLIST:
            row.values[param.name] = [checklist_rules.as_lines(value)]
        elif param.kind is ParamKind.INPUTS:
            row.values[param.name] = ["\n".join(f"{key}: {each}" for key, each in value.items())]
        elif param.kind is ParamKind.PRODUCT and isinstance(value, int):
            row.values[param.name] = [names.product_typed(value)]
        elif param.kind is ParamKind.TAGS:
            row.values[param.name] = [", ".join(value)]
        elif isinstance(value, list):
            row.values[param.name] = [str(each) for each in value]
        else:
            row.values[param.name] = [("1" if value else "0") if isinstance(value, bool) else str(value)]
    return row


# --- errors

_HOW = re.compile(r"\.(?:all|any|none)(?=\.|$)")
_LENGTH = re.compile(rf"(then\.\d+)\.(?:{WORKING_DAYS}|{DAYS}|{MONTHS})")


def place_in_form(place: str) -> str:
    """The field of the form for the place of an error: ``if.1.value`` for ``if.all.1.value``."""
    length = _LENGTH.fullmatch(place)
    if length is not None:
        return f"{length[1]}.{MINUTES}"
    found = _HOW.sub("", place)
    return f"{found}.how" if found in {IF, GOAL} or re.fullmatch(r"(?:if|goal)(?:\.\d+)+", found) else found


def refuse(form: Form, error: Invalid) -> None:
    """Store an error of a rule at its field of the form."""
    form.refuse(Invalid(place_in_form(error.field), error.code, error.message, **error.params))
