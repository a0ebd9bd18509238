"""What a rule can be made of, as pages and programs offer it: kinds of ``when``, of steps, and what conditions may ask."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from pbxcrm.automation.beside_facts import CONSENTS, WEEKDAYS, YES_NO
from pbxcrm.automation.facts import rule_terms
from pbxcrm.automation.params import Param
from pbxcrm.automation.steps.kinds import STEPS, STOP, WAIT, WAITS
from pbxcrm.automation.triggers import CLIENT, DEAL, DIRECTIONS, EVENT_KINDS, OUTCOMES, TRIGGERS, WRITERS
from pbxcrm.deals.fields import BY_KEY, FieldKind
from pbxcrm.fields.conditions import Shape, Term
from pbxcrm.fields.models import FieldDefinition, FieldEntity, LinkTarget, ValueKind
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import Checking
from pbxcrm.fields.terms import name_of_term
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import N_

SUBJECTS = frozenset({DEAL, CLIENT})


@dataclass(frozen=True, slots=True)
class RuleKind:
    """A kind of ``when`` or of step. ``subjects``: what the rules that may have it work on. ``group``: a heading, of triggers."""

    code: str
    title: str
    params: tuple[Param, ...]
    subjects: frozenset[str]
    group: str = ""
    repeats: str = ""  # of a step: a ``Repeats``


WHEN: Mapping[str, RuleKind] = {
    each.kind: RuleKind(each.kind, each.title, each.params, frozenset({each.subject}), each.group)
    for each in TRIGGERS.values()
}
THEN: Mapping[str, RuleKind] = {
    **{
        each.kind: RuleKind(
            each.kind,
            each.title,
            each.params,
            frozenset({DEAL}) if each.needs_deal else SUBJECTS,
            repeats=each.repeats.value,
        )
        for each in STEPS.values()
    },
    WAIT: RuleKind(WAIT, N_("Wait, then go on if it still holds"), WAITS, SUBJECTS),
    STOP: RuleKind(STOP, N_("Stop here"), (), SUBJECTS),
}


class TermControl(StrEnum):
    """How a page asks for the value that a term is compared with."""

    TEXT = "text"
    NUMBER = "number"
    AMOUNT = "amount"  # with up to two decimals
    DATE = "date"  # or today-7d
    MOMENT = "moment"  # or a day, now+2h
    PIPELINE = "pipeline"
    STAGE = "stage"
    PERSON = "person"
    TEAM = "team"
    COMPANY = "company"
    CONTACT = "contact"
    DEAL = "deal"
    TAG = "tag"
    PHONE = "phone"
    CHOICE = "choice"  # one of ``choices``
    FIELD = "field"  # the name of a field of a deal
    LINE = "line"


@dataclass(frozen=True, slots=True)
class AskedTerm:
    """Something that a condition may ask. ``ops``: how it is compared. ``choices``: codes of values with their words."""

    name: str
    title: str
    group: str
    control: TermControl
    ops: tuple[str, ...]
    choices: Mapping[str, str] = field(default_factory=dict)


GROUPS: Mapping[str, str] = {
    "deal": N_("Deal"),
    "client": N_("Client"),
    "company": N_("Company"),
    "calendar": N_("Calendar"),
    "call": N_("Call"),
    "event": N_("What happened"),
    "hook": N_("What the webhook sent"),
}
_YES_NO = {"1": N_("yes"), "0": N_("no")}
LANGUAGES: Mapping[str, str] = {"uk": N_("Ukrainian"), "ru": N_("Russian"), "en": N_("English")}
_CHOICES: Mapping[str, Mapping[str, str]] = {
    "status": {
        "open": N_("open deal"),
        "closed": N_("closed deal"),
        "won": N_("won deal"),
        "lost": N_("lost deal"),
    },
    "stage_kind": {
        "unsorted": N_("Unsorted"),
        "didnt_reach": N_("Didn't reach"),
        "open": N_("In work"),
        "won": N_("won"),
        "lost": N_("lost"),
    },
    "lamp": {
        "any": N_("a lamp burns"),
        "first": N_("due now"),
        "second": N_("with the manager"),
        "none": N_("no lamp burns"),
    },
    "event.kind": EVENT_KINDS,
    "event.client": WRITERS,
    "calendar.working": YES_NO,
    "calendar.weekday": WEEKDAYS,
    "calendar.holiday": YES_NO,
    "client.language": LANGUAGES,
    "client.birthday": YES_NO,
    "client.consent": CONSENTS,
    "client.bought": YES_NO,
    "call.direction": DIRECTIONS,
    "call.outcome": OUTCOMES,
}
_CONTROLS: Mapping[str, TermControl] = {
    "pipeline": TermControl.PIPELINE,
    "stage": TermControl.STAGE,
    "contact": TermControl.CONTACT,
    "company": TermControl.COMPANY,
    "responsible": TermControl.PERSON,
    "team": TermControl.TEAM,
    "tag": TermControl.TAG,
    "number": TermControl.PHONE,
    "event.field": TermControl.FIELD,
    "company.responsible": TermControl.PERSON,
    "call.line": TermControl.LINE,
}
_OF_SHAPE: Mapping[Shape, TermControl] = {
    Shape.INTEGER: TermControl.NUMBER,
    Shape.DATE: TermControl.DATE,
    Shape.MOMENT: TermControl.MOMENT,
}
_OF_FIELD: Mapping[str, TermControl] = {
    ValueKind.PERSON.value: TermControl.PERSON,
    ValueKind.MONEY.value: TermControl.AMOUNT,
    ValueKind.NUMBER.value: TermControl.AMOUNT,
    ValueKind.PHONE.value: TermControl.PHONE,
}
_NOT_ASKED = frozenset({ValueKind.FILE.value})  # by ids that nobody knows
_OF_TARGET: Mapping[str, TermControl] = {
    LinkTarget.DEAL.value: TermControl.DEAL,
    LinkTarget.CONTACT.value: TermControl.CONTACT,
    LinkTarget.COMPANY.value: TermControl.COMPANY,
}


def terms_of(fields: FieldSet, people: Directory, subject: str, hook_values: Mapping[str, str]) -> Sequence[AskedTerm]:
    """What the conditions of a rule may ask, in the order of its groups: the deal, its client, the call, what happened."""
    definitions = {name_of_term(each): each for each in fields.of(FieldEntity.DEAL)}
    definitions |= {f"client.{name_of_term(each)}": each for each in fields.of(FieldEntity.CONTACT)}
    terms = rule_terms(fields, Checking("", people), subject, hook_values)
    asked = [
        _asked(term, definitions.get(name)) for name, term in terms.items() if not _is_hidden(definitions.get(name))
    ]
    return sorted(asked, key=lambda each: list(GROUPS).index(each.group))


def _is_hidden(definition: FieldDefinition | None) -> bool:
    return definition is not None and definition.kind in _NOT_ASKED


def _asked(term: Term, definition: FieldDefinition | None) -> AskedTerm:
    prefix = term.name.partition(".")[0]
    group = prefix if prefix in GROUPS and "." in term.name else "deal"
    choices: Mapping[str, str] = _CHOICES.get(term.name, {})
    if definition is not None and definition.kind == ValueKind.YES_NO:
        choices = _YES_NO
    elif definition is not None and definition.options:
        choices = {str(each["id"]): str(each["name"]) for each in definition.options if not each.get("retired")}
    return AskedTerm(term.name, term.title, group, _control(term, definition, choices), term.ops, choices)


def prefix_of(term: Term) -> str:
    """``call`` of ``call.outcome``; empty without a prefix."""
    return term.name.partition(".")[0] if "." in term.name else ""


def _control(term: Term, definition: FieldDefinition | None, choices: Mapping[str, str]) -> TermControl:
    if choices:
        return TermControl.CHOICE
    if term.name in _CONTROLS:
        return _CONTROLS[term.name]
    if definition is not None and definition.kind == ValueKind.LINK and definition.target in _OF_TARGET:
        return _OF_TARGET[definition.target]
    if definition is not None and definition.kind in _OF_FIELD:
        return _OF_FIELD[definition.kind]
    if term.name in BY_KEY and BY_KEY[term.name].kind is FieldKind.AMOUNT:
        return TermControl.AMOUNT
    if prefix_of(term) == "hook" and term.shape is Shape.INTEGER:
        return TermControl.AMOUNT
    return _OF_SHAPE.get(term.shape, TermControl.TEXT)
