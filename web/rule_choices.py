"""What the form of a rule offers: stages, people, fields, terms and kinds, with the words of the reader."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from pbxcrm.automation.catalogue import GROUPS, THEN, WHEN, AskedTerm, RuleKind, TermControl
from pbxcrm.automation.param_checks import date_fields
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.rule_formulas import IS_FORMULA
from pbxcrm.automation.steps.field_step import settable_fields
from pbxcrm.automation.steps.step import Repeats
from pbxcrm.automation.triggers import OTHER_FIELDS
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.deals.rules import is_closing
from pbxcrm.fields.conditions import Op
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.terms import name_of_term
from pbxcrm.formulas.texts import BEGIN
from pbxcrm.money.models import Product
from pbxcrm.people.whom import USER
from web.i18n import N_
from web.i18n import gettext as _
from web.norms import WAIT_UNITS
from web.rule_form import HOWS, RELATIVE, AskedRow, KindRow
from web.rule_sentences import CUSTOM, LINKED, TIMES, NamesInRules, op_said

Options = list[tuple[str, str]]
#: Where the things are made that a parameter is chosen from, while there is none.
MADE_AT: dict[ParamKind, str] = {
    ParamKind.WEBHOOK: "/automation/webhooks",
    ParamKind.HOOK: "/automation/hooks",
    ParamKind.TEMPLATE: "/settings/messages/new",
    ParamKind.LINE_TEMPLATE: "/settings/products/templates/new",
}
#: By ``Repeats`` of a step.
_REPEATS: dict[str, str] = {
    Repeats.TOGETHER.value: N_("If the server dies in its midst, it is still done once."),
    Repeats.SAFE.value: N_(
        "If the server dies in its midst, it is sent again; the other side knows a repetition by its key."
    ),
    Repeats.UNSAFE.value: N_(
        "If the server dies in its midst, nobody knows whether it was sent: it is not sent again, a person decides."
    ),
}
Grouped = list[tuple[str, Options]]
#: How a value is typed: the control that a template draws.
CHOOSE, SEVERAL, LINE, LONG, DAY, MOMENT, FIND = "choose", "several", "line", "long", "day", "moment", "find"


@dataclass(frozen=True, slots=True)
class ValueControl:
    """How a value is asked for. ``options``: of a choice; ``mode``: the keyboard of a phone."""

    how: str
    options: Sequence[tuple[str, str]] = ()
    mode: str = ""
    finds: str = ""  # what is found by its name


@dataclass(frozen=True, slots=True)
class RuleChoices:
    """The options of every control of the form of a rule."""

    names: NamesInRules
    subject: str
    offered: Sequence[Product] = ()  # products that are suggested
    silent: Mapping[int, str] = field(default_factory=dict)  # why messages of a template cannot be sent, by its id

    @property
    def products(self) -> Options:
        """Products as they are typed, and their names."""
        return [(each.sku or each.name, each.name) for each in self.offered]

    @property
    def hows(self) -> Options:
        """How the parts of a group hold."""
        return [(code, _(word)) for code, word in HOWS.items()]

    @property
    def relatives(self) -> Options:
        """How a time is said."""
        return [("", _("on the date")), *((code, _(parts[-1])) for code, parts in RELATIVE.items())]

    @property
    def units(self) -> Options:
        """What the length of a wait is counted in."""
        return [(code, _(word)) for code, word in WAIT_UNITS.items()]

    def whens(self) -> Grouped:
        """The kinds of *when* under their headings."""
        return _grouped((_(kind.group), kind.code, _(kind.title)) for kind in WHEN.values())

    def thens(self) -> Options:
        """The kinds of steps that fit what the rule works on."""
        return [(kind.code, _(kind.title)) for kind in THEN.values() if self.subject in kind.subjects]

    def when(self, row: KindRow) -> RuleKind | None:
        """The kind that is chosen."""
        return WHEN.get(row.kind)

    def then(self, row: KindRow) -> RuleKind | None:
        """The kind of a step that is chosen."""
        return THEN.get(row.kind)

    def terms(self) -> Grouped:
        """What a condition may ask, under headings."""
        every = self.names.terms[self.subject].values()
        return _grouped((_(GROUPS.get(term.group, term.group)), term.name, self.names.title_of(term)) for term in every)

    def term(self, row: AskedRow) -> AskedTerm | None:
        """The term that is chosen."""
        return self.names.terms[self.subject].get(row.asked)

    def ops(self, term: AskedTerm, row: AskedRow) -> Options:
        """How it may be compared; *one of* only where there is a choice, and where it is used already."""
        return [
            (op, op_said(op, term))
            for op in term.ops
            if op != Op.IN or op == row.op or self.control(term, op).how == SEVERAL
        ]

    def control(self, term: AskedTerm, op: str) -> ValueControl:
        """How the value of a condition is asked for."""
        if term.control in TIMES:
            return ValueControl(DAY if term.control is TermControl.DATE else MOMENT)
        if term.control in LINKED:
            return ValueControl(LINE if op == Op.IN else FIND, finds=term.control.value)
        options = self._of_term(term)
        if options:
            return ValueControl(SEVERAL if op == Op.IN else CHOOSE, options)
        number = term.control in {TermControl.NUMBER, TermControl.AMOUNT}
        return ValueControl(LINE, mode="decimal" if number else "tel" if term.control is TermControl.PHONE else "")

    def _of_term(self, term: AskedTerm) -> Options:
        names = self.names
        if term.choices:
            own = term.name.removeprefix("client.").startswith(CUSTOM) and set(term.choices) != {"0", "1"}
            return [(code, word if own else _(word)) for code, word in term.choices.items()]
        match term.control:
            case TermControl.PIPELINE:
                return self.pipelines()
            case TermControl.STAGE:
                return [(code, word) for _heading, options in self.stages() for code, word in options]
            case TermControl.PERSON:
                people = sorted(names.people.users.items(), key=lambda each: each[1].name)
                return [(str(user_id), user.name) for user_id, user in people if user.is_active]
            case TermControl.LINE:
                return [(str(line_id), name) for line_id, name in names.lines.items()]
            case TermControl.TEAM:
                return [(str(team_id), team.name) for team_id, team in names.people.teams.items()]
            case TermControl.FIELD:
                return [*((code, _(word)) for code, word in OTHER_FIELDS.items()), *self.fields()]
            case _:
                return []

    def pipelines(self) -> Options:
        """The pipelines in which deals are worked on."""
        return [
            (str(each.id), _(each.name)) for each in self.names.funnel.pipelines.values() if each.archived_at is None
        ]

    def stages(self, *, only_open: bool = False) -> Grouped:
        """The stages of each pipeline; ``only_open``: those in which deals are worked on."""
        funnel = self.names.funnel
        several = len(self.pipelines()) > 1
        found = []
        for pipeline in self.names.funnel.pipelines.values():
            stages = [each for each in funnel.stages_of(pipeline.id) if not only_open or not is_closing(each)]
            if pipeline.archived_at is None and stages:
                suffix = f" ({_(pipeline.name)})" if several else ""
                found.append((_(pipeline.name), [(str(each.id), _(each.name) + suffix) for each in stages]))
        return found

    def forms(self) -> Options:
        """The web forms and mailboxes."""
        return [(str(form_id), name) for form_id, name in self.names.forms.items()]

    def fields(self, param: Param | None = None) -> Options:
        """The fields of a deal, and what the parameter offers besides."""
        more = [(code, _(word)) for code, word in param.choices.items()] if param is not None else []
        own = [(key, _(each.name)) for key, each in BY_KEY.items()]
        return [*more, *own, *((name_of_term(each), each.name) for each in self.names.fields.of(FieldEntity.DEAL))]

    def settable(self) -> Options:
        """The fields that a step can set."""
        own = [(key, _(each.name)) for key, each in BY_KEY.items()]
        return [*own, *((name, each.name) for name, each in settable_fields(self.names.fields).items())]

    def dates(self) -> Options:
        """The fields of a deal that hold a date or a moment."""
        found = date_fields(self.names.fields).items()
        return [(name, title if name.startswith(CUSTOM) else _(title)) for name, title in found]

    def whom(self, param: Param, chosen: str) -> Options:
        """Whom a step asks: words, and people by login."""
        users = sorted(self.names.people.users.values(), key=lambda user: user.name)
        people = [
            (f"{USER}{user.login}", user.name) for user in users if user.is_active or f"{USER}{user.login}" == chosen
        ]
        return [*((code, _(word)) for code, word in param.choices.items()), *people]

    def value_of(self, row: KindRow) -> ValueControl:
        """How the value of the field that the step sets is asked for."""
        name = row.get("field")
        own, definition = BY_KEY.get(name), self.names.definition(name)
        if own is not None or definition is None or row.get("value").startswith((IS_FORMULA, BEGIN)):
            return ValueControl(
                LINE
            )  # also of a number: the keyboard of numbers of a phone has no letters for formulas
        by_formula = (IS_FORMULA, _("by a formula …"))  # chosen, it becomes a line to type it into
        options = [(str(each["id"]), str(each["name"])) for each in definition.options if not each.get("retired")]
        match definition.kind:
            case ValueKind.YES_NO:
                return ValueControl(CHOOSE, [("1", _("yes")), ("0", _("no")), by_formula])
            case ValueKind.PERSON:
                users = sorted(self.names.people.users.items(), key=lambda each: each[1].name)
                return ValueControl(CHOOSE, [(str(user_id), user.name) for user_id, user in users if user.is_active])
            case ValueKind.SEVERAL:
                return ValueControl(SEVERAL, options)
            case _:
                return ValueControl(CHOOSE, [*options, by_formula]) if options else ValueControl(LINE)

    def warning(self, param: Param, row: KindRow) -> str:
        """Why what is chosen does nothing now; empty if it works."""
        chosen = row.get(param.name)
        return self.silent.get(int(chosen), "") if param.kind is ParamKind.TEMPLATE and chosen.isdecimal() else ""

    def repeats(self, row: KindRow) -> str:
        """What becomes of the chosen step if the server dies in its midst."""
        kind = self.then(row)
        return _(_REPEATS[kind.repeats]) if kind is not None and kind.repeats else ""

    def made_at(self, param: Param) -> str:
        """The page on which the first option of a parameter is made; empty for what is there from the beginning."""
        return MADE_AT.get(param.kind, "")

    def options(self, param: Param, row: KindRow) -> Options:
        """The options of a parameter that is chosen from a list; empty for one that is typed."""
        match param.kind:
            case ParamKind.PIPELINE:
                return self.pipelines()
            case ParamKind.FORM:
                return self.forms()
            case ParamKind.TEMPLATE:
                return [(str(template_id), name) for template_id, name in self.names.templates.items()]
            case ParamKind.WEBHOOK:
                return [(str(webhook_id), name) for webhook_id, name in self.names.webhooks.items()]
            case ParamKind.HOOK:
                return [(str(hook_id), name) for hook_id, name in self.names.hooks.items()]
            case ParamKind.FIELD:
                return self.settable()
            case ParamKind.DATE_FIELD:
                return self.dates()
            case ParamKind.WHOM:
                return self.whom(param, row.get(param.name))
            case ParamKind.LINE_TEMPLATE:
                return [(str(each.id), each.name) for each in self.names.line_templates.values()]
            case ParamKind.CHOICE:
                return [(code, _(word)) for code, word in param.choices.items()]
            case _:
                return []


def _grouped(rows: Iterable[tuple[str, str, str]]) -> Grouped:
    found: dict[str, Options] = {}
    for heading, code, word in rows:
        found.setdefault(heading, []).append((code, word))
    return list(found.items())
