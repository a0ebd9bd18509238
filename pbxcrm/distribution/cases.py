"""What the rules are asked about: a new deal that is nobody's yet, and what their conditions may ask of it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Self
from urllib.parse import parse_qsl

from sqlalchemy import null

from pbxcrm.contacts.models import Contact
from pbxcrm.deals.models import Deal
from pbxcrm.deals.terms import deal_terms
from pbxcrm.fields.conditions import (
    Condition,
    Junction,
    Op,
    Shape,
    Term,
    Vocabulary,
    from_query,
    parse,
    row_id_of,
)
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import Checking, Stored
from pbxcrm.fields.terms import custom_terms, name_of_term, under
from pbxcrm.people.directory import Directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_

WHERE = "where"  # the name under which the query holds a whole condition in JSON, as in the addresses of lists
CLIENT = "client."  # before the name of a custom field of the client
#: Of a deal itself; the others (lamp, tasks, tags, who has it) a new one does not have yet.
OF_DEAL = ("pipeline", "stage", "amount", "source", "title")
#: Kinds of custom fields that need a region, a row or a file to be understood.
NOT_ASKED = {ValueKind.PHONE, ValueKind.LINK, ValueKind.FILE}


@dataclass(frozen=True, slots=True)
class DealCase:
    """A new deal that is nobody's yet. ``custom`` and ``client_custom``: values of custom fields as they are stored.

    ``subject``: a key such as ``call:12`` under which the answer is stored, so that the same question is answered in the same way;
    None: it is asked once. ``form_id``: of the web form through which a request came.
    """

    pipeline_id: int | None
    stage_id: int | None = None
    subject: str | None = None
    line_id: int | None = None
    form_id: int | None = None
    source: str = ""
    title: str = ""
    amount: Decimal | None = None
    client_number: str | None = None
    custom: Mapping[str, Any] = field(default_factory=dict)
    client_custom: Mapping[str, Any] = field(default_factory=dict)

    @property
    def deal(self) -> Self:
        """Where the terms of deals look for its columns."""
        return self

    @property
    def client(self) -> "_Client":
        """Where the terms of the client's fields look for their values."""
        return _Client(self.client_custom)


@dataclass(frozen=True, slots=True)
class _Client:
    custom: Mapping[str, Any]


def case_of(deal: Deal, contact: Contact | None, *, line_id: int | None = None) -> DealCase:
    """The case of a deal that there is already. ``line_id``: of the call that made it."""
    return DealCase(
        deal.pipeline_id,
        deal.stage_id,
        line_id=line_id,
        source=deal.source,
        title=deal.title,
        amount=deal.amount,
        client_number=deal.client_number,
        custom=deal.custom,
        client_custom=contact.custom if contact is not None else {},
    )


def case_terms(fields: FieldSet, people: Directory) -> dict[str, Term]:
    """Every term of a case by name; they are asked in Python only."""
    checking = Checking("", people)
    known = deal_terms(fields, checking, filterable=False)
    asked = {name_of_term(each) for each in fields.of(FieldEntity.DEAL) if each.kind not in NOT_ASKED}
    own = {name: term for name, term in known.items() if name in OF_DEAL or name in asked}
    own |= {"line": _reference("line", N_("Line"), "line_id"), "form": _reference("form", N_("Web form"), "form_id")}
    own["number"] = _number()
    of_client = custom_terms(fields, FieldEntity.CONTACT, Contact, checking, filterable=False)
    shown = {name_of_term(each) for each in fields.of(FieldEntity.CONTACT) if each.kind not in NOT_ASKED}
    return own | under(CLIENT, of_client, lambda case: case.client, shown)


def read_query(query: str, terms: Vocabulary) -> Condition:
    """The condition of a rule from its filters. Raises Invalid at the name of one that is none: never every deal."""
    pairs = [(name, value.strip()) for name, value in parse_qsl(query.removeprefix("?"), keep_blank_values=True)]
    condition = from_query([pair for pair in pairs if pair[0] != WHERE], terms)
    trees = [_tree(value) for name, value in pairs if name == WHERE and value]
    if trees:
        condition = Junction("all", (condition, *(parse(tree, terms, WHERE) for tree in trees)))
    return condition


def _tree(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Invalid(WHERE, "conditions.json", "Write the condition as JSON.") from None


def _reference(name: str, title: str, attribute: str) -> Term:
    def read(case: DealCase) -> Stored:
        return getattr(case, attribute)  # type: ignore[no-any-return]

    return Term(name, title, Shape.REFERENCE, null(), read, row_id_of(name))


def _number() -> Term:
    """The client's number in E.164, of which mostly the beginning is asked: a country, a region, a language."""

    def check(entered: Any) -> Stored:
        if not isinstance(entered, str):
            raise Invalid("number", "conditions.text_only", "Write a text.")
        kept = "".join(letter for letter in entered if letter.isdigit())
        return f"+{kept}" if kept else None

    only = (Op.IS, Op.IN, Op.BEGINS, Op.EMPTY, Op.FILLED)
    return Term("number", N_("Number"), Shape.TEXT, null(), lambda case: case.client_number, check, only=only)
