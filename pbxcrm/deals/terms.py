"""What conditions may ask of a deal: its own columns here, its custom fields from ``fields.terms``."""

from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import ColumnElement
from sqlmodel import col

from pbxcrm.deals.fields import FIELDS, FieldKind
from pbxcrm.deals.models import Deal
from pbxcrm.deals.rules import check_amount
from pbxcrm.fields import rules
from pbxcrm.fields.conditions import Shape, Term, WordSearch
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import Checking, Stored, moment_text
from pbxcrm.fields.terms import custom_terms
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.search_keys import readings, search_key
from pbxcrm.shared.text_match import part_of

_REFERENCES = (
    ("responsible", N_("Responsible"), "responsible_id"),
    ("pipeline", N_("Pipeline"), "pipeline_id"),
    ("stage", N_("Stage"), "stage_id"),
    ("contact", N_("Client"), "contact_id"),
    ("company", N_("Company"), "company_id"),
)
_MOMENTS = (
    ("created_at", N_("Made"), "created_at"),
    ("stage_since", N_("In this stage since"), "stage_since"),
    ("closed_at", N_("Closed"), "closed_at"),
    *((field.key, field.name, field.key) for field in FIELDS if field.kind is FieldKind.MOMENT),
)


def deal_terms(fields: FieldSet, checking: Checking, *, filterable: bool = True) -> dict[str, Term]:
    """Every term of a deal by name. ``filterable``: custom fields only if they have an index, for lists."""
    own = (
        *(_reference(name, title, column, checking) for name, title, column in _REFERENCES),
        *(_moment(name, title, column) for name, title, column in _MOMENTS),
        Term(
            "amount",
            N_("Amount"),
            Shape.INTEGER,
            _column("amount"),
            lambda deal: None if deal.amount is None else int(deal.amount * 100),
            _check_amount,
            bind=lambda hundredths: Decimal(hundredths) / 100,
        ),
        _text("source", N_("Source"), None),
        _text("lost_reason", N_("Lost because"), None),
        _text("title", N_("Title"), WordSearch(lambda asked: part_of(col(Deal.title_folded), asked), _part_of)),
    )
    return {term.name: term for term in own} | custom_terms(
        fields, FieldEntity.DEAL, Deal, checking, filterable=filterable
    )


def _column(name: str) -> ColumnElement[Any]:
    return getattr(Deal, name)  # type: ignore[no-any-return]


def _reader(name: str) -> Callable[[Any], Stored]:
    return lambda deal: getattr(deal, name)


def _reference(name: str, title: str, column: str, checking: Checking) -> Term:
    def check(entered: Any) -> Stored:
        if name == "responsible" and isinstance(entered, str):
            found = next((user_id for user_id, user in checking.people.users.items() if user.login == entered), None)
            if found is not None:
                return found
        if isinstance(entered, str) and entered.isascii() and entered.isdigit() and len(entered) < 19:
            entered = int(entered)
        if not isinstance(entered, int) or isinstance(entered, bool) or not 0 < entered <= LARGEST_ID:
            raise Invalid(name, "conditions.row", "Choose from the list.")
        return entered

    return Term(name, title, Shape.REFERENCE, _column(column), _reader(column), check)


def _moment(name: str, title: str, column: str) -> Term:
    def read(deal: Any) -> Stored:
        found: datetime | None = getattr(deal, column)
        return None if found is None else moment_text(found)

    def check(entered: Any) -> Stored:
        found = rules.check_moment(entered, name)
        return None if found is None else moment_text(found)

    return Term(name, title, Shape.MOMENT, _column(column), read, check, bind=datetime.fromisoformat)


def _text(name: str, title: str, words: WordSearch | None) -> Term:
    def check(entered: Any) -> Stored:
        if not isinstance(entered, str):
            raise Invalid(name, "conditions.text_only", "Write a text.")
        return entered.strip() or None

    column = _column(name)
    return Term(
        name,
        title,
        Shape.TEXT,
        column,
        lambda deal: getattr(deal, name) or None,
        check,
        blank=column == "",
        words=words,
    )


def _part_of(value: str, asked: str) -> bool:
    key = search_key(value)
    return any(all(word in key for word in words) for words in readings(asked))


def _check_amount(entered: Any) -> Stored:
    found = check_amount(entered if isinstance(entered, str | Decimal | None) else str(entered))
    return None if found is None else int(found * 100)
