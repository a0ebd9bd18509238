"""What conditions may ask of a client or a company: its own columns, and its custom fields from ``fields.terms``."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, exists
from sqlmodel import col, select

from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.contacts.rules import check_asked_number
from pbxcrm.fields import rules
from pbxcrm.fields.conditions import Op, Shape, Shorthand, Term, row_id_of
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import Checking, Stored, moment_text
from pbxcrm.fields.terms import MADE, SORTABLE, custom_terms
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.reasons import N_

NOBODY = "nobody"
BY_NAME = "name"  # the order of the alphabet
Table = type[Contact] | type[Company]


def contact_terms(fields: FieldSet, checking: Checking) -> dict[str, Term]:
    """Every term of a client by name; in Python they are asked of ``Contact``. Custom fields only if they have an index."""
    company = Term(
        "company",
        N_("Company"),
        Shape.REFERENCE,
        _column(Contact, "company_id"),
        lambda contact: contact.company_id,
        row_id_of("company"),
    )
    return _own(Contact, checking.people) | {
        "company": company,
        "number": _number(checking.region),
        **custom_terms(fields, FieldEntity.CONTACT, Contact, checking),
    }


def company_terms(fields: FieldSet, checking: Checking) -> dict[str, Term]:
    """The same of a company; in Python they are asked of ``Company``."""
    return _own(Company, checking.people) | custom_terms(fields, FieldEntity.COMPANY, Company, checking)


def sort_terms(entity: FieldEntity, terms: Mapping[str, Term]) -> dict[str, Term]:
    """By what the list of an entity is sorted: each has an index. ``terms``: those of its filters."""
    ordered = _column(Contact if entity is FieldEntity.CONTACT else Company, "name_order")
    named = Term(
        BY_NAME, N_("Name"), Shape.TEXT, ordered, lambda row: row.name, str, blank=ordered == "", order=ordered
    )
    born = Term("birthday", N_("Birthday"), Shape.INTEGER, col(Contact.birth_day), lambda _row: (), str)  # type: ignore[arg-type]
    own = (named, born) if entity is FieldEntity.CONTACT else (named,)
    return {term.name: term for term in own} | {
        name: term
        for name, term in terms.items()
        if name == MADE or (name.startswith("field.") and term.shape in SORTABLE)
    }


def asked_order(orders: Mapping[str, Term], by: str) -> Term:
    """The term by which ``NAME`` or ``-NAME`` (descending) sorts. Raises Invalid."""
    found = orders.get(by.removeprefix("-"))
    if found is None:
        raise Invalid("sort", "contacts.no_sort", "This list is not sorted by “{key}”.", key=by[:LONGEST_REPEATED])
    return found


def shorthands(user_id: int) -> Mapping[str, Shorthand]:
    """The short names of the most usual questions, as of deals."""
    return {"mine": lambda _text: [("responsible", Op.IS, str(user_id))], "who": _who}


def _who(text: str) -> list[tuple[str, Op, str]]:
    return [("responsible", Op.EMPTY, "1")] if text == NOBODY else [("responsible", Op.IS, text)]


def _own(table: Table, people: Directory) -> dict[str, Term]:
    def user(entered: Any) -> Stored:
        wanted = entered.lower() if isinstance(entered, str) else None
        found = next((user_id for user_id, user in people.users.items() if user.login == wanted), None)
        return found if found is not None else row_id_of("responsible")(entered)

    def team(entered: Any) -> Stored:
        found = next((team_id for team_id, team in people.teams.items() if team.name == entered), None)
        return found if found is not None else row_id_of("team")(entered)

    def team_of(row: Any) -> Stored:
        found = people.users.get(row.responsible_id)
        return found.team_id if found is not None else None

    def of_team(team_id: int) -> ColumnElement[bool]:
        return col(table.responsible_id).in_(select(User.id).where(User.team_id == team_id))

    responsible, made = _column(table, "responsible_id"), _column(table, "created_at")
    in_one = exists().where(col(User.id) == responsible, col(User.team_id).is_not(None)).correlate(table)
    terms = (
        Term("responsible", N_("Responsible"), Shape.REFERENCE, responsible, lambda row: row.responsible_id, user),
        Term("team", N_("Team"), Shape.REFERENCE, responsible, team_of, team, blank=~in_one, has=of_team),
        Term(
            MADE,
            N_("Since"),
            Shape.MOMENT,
            made,
            lambda row: moment_text(row.created_at),
            _moment,
            bind=datetime.fromisoformat,
        ),
    )
    return {term.name: term for term in terms}


def _column(table: Table, name: str) -> ColumnElement[Any]:
    return getattr(table, name)  # type: ignore[no-any-return]


def _moment(entered: Any) -> Stored:
    found = rules.check_moment(entered, "created_at")
    return None if found is None else moment_text(found)


def _number(region: str) -> Term:
    def check(entered: Any) -> Stored:
        if not isinstance(entered, str):
            raise Invalid("number", "conditions.number", "Write a telephone number.")
        return check_asked_number(entered, region, "number")

    def has(number: str) -> ColumnElement[bool]:
        return col(Contact.id).in_(select(Phone.contact_id).where(Phone.number == number))

    blank = ~exists().where(col(Phone.contact_id) == col(Contact.id)).correlate(Contact)
    return Term(
        "number", N_("Number"), Shape.LIST, _column(Contact, "id"), lambda _row: (), check, blank=blank, has=has
    )
