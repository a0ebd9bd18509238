"""A rule as a sentence in the reader's language: *when … if … then …*. What it says of each kind comes from the catalogue."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.catalogue import THEN, WHEN, AskedTerm, RuleKind, TermControl, terms_of
from pbxcrm.automation.hook_queries import load_hook_values, load_hooks
from pbxcrm.automation.models import AutomationRule, RuleVersion
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.queries import products_in_rules, ready_rule
from pbxcrm.automation.rule_formulas import IS_FORMULA
from pbxcrm.automation.triggers import CLIENT, DEAL, OTHER_FIELDS, TRIGGERS
from pbxcrm.automation.waits import MINUTES, MONTHS, WORKING_DAYS
from pbxcrm.calls.lines import load_lines
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.queries import Funnel, load_funnel
from pbxcrm.distribution.hooks import names_of_forms
from pbxcrm.fields.conditions import Op
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet, load_fields
from pbxcrm.fields.relative_times import read_relative
from pbxcrm.fields.terms import name_of_term
from pbxcrm.formulas.texts import BEGIN
from pbxcrm.messages.queries import names_of_templates
from pbxcrm.messages.webhook_queries import names_of_webhooks
from pbxcrm.money.models import LineTemplate, Product
from pbxcrm.money.queries import load_templates
from pbxcrm.people.directory import Directory, load_directory
from web import whom_words
from web.formats import exact_number, money, working_days, working_span
from web.i18n import N_, ngettext
from web.i18n import gettext as _
from web.rule_patterns import THEN_SAID, WHEN_SAID, kind_said

PATH = "/automation"
CUSTOM = "field."
HOOKED = "hook."
OPS: dict[str, str] = {
    Op.IS: "=",
    Op.IS_NOT: "≠",
    Op.LESS: "<",
    Op.AT_MOST: "≤",
    Op.MORE: ">",
    Op.AT_LEAST: "≥",
    Op.IN: N_("is one of"),
    Op.HAS: "=",
    Op.BEGINS: N_("begins with"),
    Op.CONTAINS: N_("contains"),
    Op.EMPTY: N_("is empty"),
    Op.FILLED: N_("is filled in"),
}
#: Of dates an order is one in time.
OPS_OF_TIME: dict[str, str] = {
    Op.LESS: N_("earlier than"),
    Op.AT_MOST: N_("not later than"),
    Op.MORE: N_("later than"),
    Op.AT_LEAST: N_("not earlier than"),
}
UNITS: dict[str, str] = {
    "min": N_("min"),
    "h": N_("h"),
    "d": N_("days"),
    "w": N_("weeks"),
    "m": N_("months"),
    "y": N_("years"),
}
#: A condition on the status of a deal, as a person would say it.
STATUS_SAID: dict[str, str] = {
    "open": N_("the deal is open"),
    "closed": N_("the deal is closed"),
    "won": N_("the deal is won"),
    "lost": N_("the deal is lost"),
}
TIMES = frozenset({TermControl.DATE, TermControl.MOMENT})
#: What conditions point to by its id; it is found by a part of its name.
LINKED = frozenset({TermControl.CONTACT, TermControl.COMPANY, TermControl.DEAL})
LONGEST_SAID = 60  # letters of a text that a sentence repeats


@dataclass(frozen=True, slots=True)
class NamesInRules:
    """The names of everything that rules name. ``terms``: what conditions ask, by the subject of the rule."""

    people: Directory
    funnel: Funnel
    fields: FieldSet
    forms: Mapping[int, str]
    templates: Mapping[int, str]
    terms: Mapping[str, Mapping[str, AskedTerm]]
    products: Mapping[int, Product]
    hooks: Mapping[int, str]
    hook_values: Mapping[str, str]
    line_templates: Mapping[int, LineTemplate]
    webhooks: Mapping[int, str]
    lines: Mapping[int, str] = field(default_factory=dict)
    linked: Mapping[tuple[str, int], str] = field(default_factory=dict)  # by what it is (``LINKED``) and its id

    def rule_said(self, when: Mapping[str, Any], condition: Mapping[str, Any], steps: Sequence[Any]) -> str:
        """The whole rule in one sentence."""
        subject = subject_of(when)
        asked = self.condition_said(condition, subject)
        done = "; ".join(self.step_said(step) for step in steps)
        if not asked:
            return _("{when} → {then}").format(when=self.when_said(when), then=done)
        return _("{when}, if {condition} → {then}").format(when=self.when_said(when), condition=asked, then=done)

    def when_said(self, when: Mapping[str, Any]) -> str:
        """``A deal enters “Offer”``."""
        return self._kind_said(WHEN, WHEN_SAID, when)

    def step_said(self, step: Mapping[str, Any]) -> str:
        """``Make a task: “Call them” (the responsible person, 2h)``."""
        return self._kind_said(THEN, THEN_SAID, step)

    def condition_said(self, tree: Mapping[str, Any], subject: str, *, nested: bool = False) -> str:
        """The condition with *and*, *or* and *not*; empty if it asks nothing."""
        if not tree:
            return ""
        how = next((each for each in ("all", "any", "none") if each in tree), None)
        if how is None:
            return self.test_said(tree, subject)
        parts = [said for part in tree[how] if (said := self.condition_said(part, subject, nested=True))]
        if not parts:
            return ""
        said = (_(" and ") if how == "all" else _(" or ")).join(parts)
        if how == "none":
            return _("not ({condition})").format(condition=said)
        return f"({said})" if nested and len(parts) > 1 else said

    def test_said(self, test: Mapping[str, Any], subject: str) -> str:
        """``Amount ≥ 1000``."""
        term, op = self.terms[subject].get(str(test.get("field"))), str(test.get("op", Op.IS))
        if term is None:
            return f"{test.get('field')} {op} {test.get('value', '')}".strip()
        if op in {Op.EMPTY, Op.FILLED}:
            return f"{self.title_of(term)} {op_said(op, term)}"
        values = test.get("value")
        if term.name == "status" and op in {Op.IS, Op.HAS, Op.IN}:
            return _(" or ").join(
                _(STATUS_SAID.get(str(each), str(each))) for each in (values if isinstance(values, list) else [values])
            )
        said = " / ".join(self.value_said(term, each) for each in (values if isinstance(values, list) else [values]))
        return f"{self.title_of(term)}: {said}" if op == Op.IN else f"{self.title_of(term)} {op_said(op, term)} {said}"

    def title_of(self, term: AskedTerm) -> str:
        """What a term is called. The title of a custom field is as somebody typed it."""
        name = term.name.removeprefix("client.")
        title = term.title if name.startswith((CUSTOM, HOOKED)) else _(term.title)
        return _("Client: {field}").format(field=title) if term.group == "client" and name != "name" else title

    def value_said(self, term: AskedTerm, value: Any) -> str:
        """A value that a term is compared with."""
        text = str(value)
        if term.choices:
            word = term.choices.get(text)
            return text if word is None else word if CUSTOM in term.name and not _is_yes_no(term) else _(word)
        if term.control in TIMES:
            return time_said(text)
        if term.control is TermControl.AMOUNT:
            return amount_said(text, is_money=term.name == "amount")
        named = self._named(term.control, text)
        return named or text

    def _named(self, control: TermControl, text: str) -> str:
        row_id = int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
        match control:
            case TermControl.PIPELINE:
                return _(self.funnel.name_of_pipeline(row_id)) if row_id in self.funnel.pipelines else ""
            case TermControl.STAGE:
                return self.stage_said(row_id)
            case TermControl.PERSON:
                return self.people.name(row_id) or ""
            case TermControl.LINE:
                return self.lines.get(row_id or 0, "")
            case TermControl.TEAM:
                team = self.people.teams.get(row_id) if row_id is not None else None
                return team.name if team is not None else ""
            case TermControl.FIELD:
                return self.field_said(text)
            case TermControl.CONTACT | TermControl.COMPANY | TermControl.DEAL:
                return self.linked.get((control.value, row_id or 0), "")
            case _:
                return ""

    def product_said(self, product: int | str) -> str:
        """A product that a step names, by its id or as it is typed."""
        found = self.products.get(product) if isinstance(product, int) else None
        return found.name if found is not None else f"#{product}" if isinstance(product, int) else product

    def template_said(self, template_id: int) -> str:
        """A template of lines."""
        found = self.line_templates.get(template_id)
        return found.name if found is not None else "—"

    def product_typed(self, product_id: int) -> str:
        """A product as the form takes it."""
        found = self.products.get(product_id)
        return found.sku if found is not None and found.sku else f"#{product_id}"

    def stage_said(self, stage_id: int | None) -> str:
        """A stage, with its pipeline where there are several."""
        stage = self.funnel.stages.get(stage_id)
        if stage is None:
            return ""
        several = sum(each.archived_at is None for each in self.funnel.pipelines.values()) > 1
        name = _(stage.name)
        return f"{name} ({_(self.funnel.name_of_pipeline(stage.pipeline_id))})" if several else name

    def field_said(self, name: str) -> str:
        """A field of a deal by its name in rules."""
        own = BY_KEY.get(name)
        if own is not None:
            return _(own.name)
        found = self.definition(name)
        return found.name if found is not None else _(OTHER_FIELDS.get(name, name))

    def definition(self, name: str) -> FieldDefinition | None:
        """The custom field of a deal with this name in rules."""
        return next(
            (each for each in self.fields.of(FieldEntity.DEAL, archived=True) if name_of_term(each) == name), None
        )

    def _kind_said(
        self, kinds: Mapping[str, RuleKind], patterns: Mapping[str, Sequence[str]], settings: Mapping[str, Any]
    ) -> str:
        code = str(settings.get("kind"))
        kind = kinds.get(code)
        if kind is None:
            return code
        words: dict[str, str] = {}
        for param in kind.params:
            value = settings.get(param.name)
            if param.kind is ParamKind.NUMBER and param.name == "days" and isinstance(value, int):
                words |= _days_said(value, signed=param.least < 0)
            elif param.kind is ParamKind.DAYS and isinstance(value, int):
                words[MINUTES] = length_said(param.name, value)
            elif param.kind not in _UNSAID and (said := self.param_said(param, value, settings)):
                words[param.name] = said
        return kind_said(kind, patterns.get(code, ()), words)

    def param_said(self, param: Param, value: Any, settings: Mapping[str, Any]) -> str:
        """The value of a parameter in words; empty for none."""
        if value is None or value in ("", []):
            return ""
        said = _SAID.get(param.kind)
        if said is not None:
            return said(self, value)
        match param.kind:
            case ParamKind.DATE_FIELD:
                return self.field_said(str(value))
            case ParamKind.VALUE:
                return self._set_value_said(str(settings.get("field", "")), value)
            case ParamKind.CHOICE:
                return _(param.choices[value]) if value in param.choices else str(value)
            case ParamKind.WHOM:
                word = _(param.choices[value]) if value in param.choices else ""
                return word[:1].lower() + word[1:] or whom_words.said(str(value), self.people)
            case ParamKind.AMOUNT:
                return amount_said(str(value), is_money=True)
            case ParamKind.TAGS:
                return ("− " if param.name == "remove" else "+ ") + ", ".join(map(str, value))
            case ParamKind.FORMULA:
                return (
                    ""
                    if settings.get("template_id")
                    else f"× {shortened(str(value)) if not value.isdigit() else value}"
                )
            case ParamKind.LINE | ParamKind.TEXT:
                return shortened(str(value))
            case ParamKind.PIPELINE:
                # A stage says its pipeline itself.
                return "" if settings.get("stage_id") else _(self.funnel.name_of_pipeline(value))
            case _:
                return ", ".join(map(str, value)) if isinstance(value, list) else str(value)

    def _set_value_said(self, field: str, value: Any) -> str:
        definition = self.definition(field)
        values = value if isinstance(value, list) else [value]
        if isinstance(value, str) and value.startswith(IS_FORMULA):
            return _("by the formula {formula}").format(formula=shortened(value.removeprefix(IS_FORMULA)))
        if isinstance(value, str) and value.startswith(BEGIN):
            return f"= {shortened(value)}"
        if definition is not None and definition.kind == ValueKind.YES_NO:
            return _("yes") if value in {True, "1", "true"} else _("no")
        if definition is not None and definition.kind == ValueKind.PERSON and str(value).isdigit():
            return self.people.name(int(value)) or str(value)
        options = {str(each["id"]): str(each["name"]) for each in definition.options} if definition is not None else {}
        return "= " + shortened(", ".join(options.get(str(each), str(each)) for each in values))


#: What a sentence leaves out: the form shows it.
_UNSAID = frozenset({ParamKind.CHECKLIST, ParamKind.INPUTS})
_SAID: Mapping[ParamKind, Callable[[NamesInRules, Any], str]] = {
    ParamKind.STAGE: lambda names, value: names.stage_said(value) or "—",
    ParamKind.OPEN_STAGE: lambda names, value: names.stage_said(value) or "—",
    ParamKind.WEBHOOK: lambda names, value: names.webhooks.get(value, "—"),
    ParamKind.HOOK: lambda names, value: names.hooks.get(value, "—"),
    ParamKind.FORM: lambda names, value: names.forms.get(value, "—"),
    ParamKind.TEMPLATE: lambda names, value: shortened(names.templates.get(value, "—")),
    ParamKind.FIELD: lambda names, value: names.field_said(str(value)),
    ParamKind.FIELDS: lambda names, value: ", ".join(names.field_said(str(each)) for each in value),
    ParamKind.PRODUCT: lambda names, value: names.product_said(value),
    ParamKind.LINE_TEMPLATE: lambda names, value: names.template_said(value),
    ParamKind.DISCOUNT: lambda _names, value: str(value),
    ParamKind.DUE: lambda _names, value: due_said(str(value)),
    ParamKind.MINUTES: lambda _names, value: working_days(value) if isinstance(value, int) else str(value),
}


def amount_said(text: str, *, is_money: bool) -> str:
    """``50,000 ₴`` for ``50000.00``; what is no number, as it is."""
    try:
        value = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return text
    if not value.is_finite():
        return text
    return money(value) if is_money else exact_number(value)


def _days(count: int) -> str:
    return ngettext("%(num)d day", "%(num)d days", count) % {"num": count}


def length_said(unit: str, count: int) -> str:
    """How long a wait lasts that is no working time: ``30 working days``."""
    if unit == MONTHS:
        return ngettext("%(num)d month", "%(num)d months", count) % {"num": count}
    if unit == WORKING_DAYS:
        return ngettext("%(num)d working day", "%(num)d working days", count) % {"num": count}
    return _days(count)


def due_said(text: str) -> str:
    """``2 h`` and ``1 day`` for ``2h`` and ``1d``; other deadlines as they are typed."""
    found = re.fullmatch(r"(\d{1,5})(min|h|d)", text)
    if found is None:
        return text[:LONGEST_SAID]
    amount = int(found[1])
    return _days(amount) if found[2] == "d" else working_span(amount * (60 if found[2] == "h" else 1))


def _days_said(days: int, *, signed: bool) -> dict[str, str]:
    """So many days; ``signed``: before or after something, and nothing on its day."""
    said = _days(abs(days))
    return {"days": said} if not signed else {"before" if days < 0 else "after": said} if days else {}


def _is_yes_no(term: AskedTerm) -> bool:
    return set(term.choices) == {"0", "1"}


def shortened(text: str) -> str:
    """A text that may be long, as a sentence repeats it."""
    line = " ".join(text.split())
    return _("“{text}”").format(text=line if len(line) <= LONGEST_SAID else f"{line[:LONGEST_SAID]}…")


def subject_of(when: Mapping[str, Any]) -> str:
    """What a rule with this ``when`` works on."""
    trigger = TRIGGERS.get(str(when.get("kind")))
    return trigger.subject if trigger is not None else DEAL


def op_said(op: str, term: AskedTerm) -> str:
    """How it is compared: ``≥``, ``begins with``, and ``before`` for dates."""
    word = (OPS_OF_TIME.get(op) if term.control in TIMES else None) or OPS.get(op, op)
    return _(word)


def time_said(text: str) -> str:
    """``today − 7 days`` for ``today-7d``; a date as it is."""
    found = read_relative(text)
    if found is None:
        return text
    word = _("today") if found.base == "today" else _("now")
    if not found.amount:
        return word
    return f"{word} {'+' if found.amount > 0 else '−'} {abs(found.amount)} {_(UNITS[found.unit])}"


async def load_rule_names(session: AsyncSession) -> NamesInRules:
    """What the pages of automation show names of."""
    people, fields = await load_directory(session), await load_fields(session)
    hooked = await load_hook_values(session)
    terms = {
        subject: {each.name: each for each in terms_of(fields, people, subject, hooked)} for subject in (DEAL, CLIENT)
    }
    return NamesInRules(
        people,
        await load_funnel(session),
        fields,
        await names_of_forms(session),
        await names_of_templates(session),
        terms,
        await products_in_rules(session),
        {hook.id or 0: hook.name for hook in (await load_hooks(session)).values()},
        hooked,
        {each.id or 0: each for each in await load_templates(session)},
        await names_of_webhooks(session),
        {line.id or 0: line.name for line in await load_lines(session)},
    )


def broken_said(rule: AutomationRule, names: NamesInRules) -> str:
    """What the rule asks for and is gone; empty if all is there."""
    error = ready_rule(rule, names.fields, names.people, names.hook_values, names.hooks.keys()).broken
    return _(error.message).format(**error.params) if error is not None else ""


#: What a version keeps, in the order of the form.
_PARTS: Mapping[str, str] = {
    "name": N_("Name"),
    "when": N_("When"),
    "conditions": N_("If"),
    "steps": N_("Then"),
    "goal": N_("Ends when"),
    "mode": N_("While it waits"),
    "most_per_hour": N_("At most an hour"),
    "owner_id": N_("Answers for it"),
}


@dataclass(frozen=True, slots=True)
class VersionChange:
    """A part of a rule that a version changed, before and after in words."""

    part: str
    before: str
    after: str


def version_changes(version: RuleVersion, before: RuleVersion | None, names: NamesInRules) -> list[VersionChange]:
    """What the version changed; of the first one nothing: it says the whole rule."""
    if before is None:
        return []
    return [
        VersionChange(_(word), _part_said(before.saved, part, names), _part_said(version.saved, part, names))
        for part, word in _PARTS.items()
        if before.saved.get(part) != version.saved.get(part)
    ]


def _part_said(saved: Mapping[str, Any], part: str, names: NamesInRules) -> str:
    value = saved.get(part)
    match part:
        case "when":
            return names.when_said(value or {})
        case "conditions" | "goal":
            said = names.condition_said(value or {}, subject_of(saved.get("when", {})))
            return said or (_("always") if part == "conditions" else "—")
        case "steps":
            return "; ".join(names.step_said(step) for step in value or ())
        case "owner_id":
            return names.people.name(value) or "—"
        case _:
            return str(value)
