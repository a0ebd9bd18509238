"""The terms of ``beside_facts``: calendar, client, company, and the line of a call. Asked in Python only."""

from collections.abc import Callable, Collection
from typing import Any

from sqlalchemy import null

from pbxcrm.automation.beside_facts import CONSENTS, NO, WEEKDAYS, YES, YES_NO
from pbxcrm.contacts.rules import LANGUAGES
from pbxcrm.fields.conditions import Op, Shape, Term, row_id_of
from pbxcrm.fields.rules import Stored
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_

_CODES = (Op.IS, Op.IS_NOT, Op.IN, Op.EMPTY, Op.FILLED)
_TEXT = (Op.IS, Op.IS_NOT, Op.IN, Op.BEGINS, Op.EMPTY, Op.FILLED)
_COUNT = (Op.IS, Op.IS_NOT, Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST)
_ROW = (Op.IS, Op.IS_NOT, Op.IN, Op.EMPTY, Op.FILLED)


def beside_terms() -> tuple[Term, ...]:
    """Those of every rule."""
    return (
        _code("calendar.working", N_("It is working time"), YES_NO, lambda facts: _clock(facts, "is_working")),
        _code("calendar.weekday", N_("Day of the week"), WEEKDAYS, lambda facts: _clock(facts, "weekday")),
        _code("calendar.holiday", N_("It is a holiday"), YES_NO, lambda facts: _clock(facts, "is_holiday")),
        _code("client.language", N_("Language"), [each for each in LANGUAGES if each], _language),
        _code("client.birthday", N_("Birthday is known"), YES_NO, _birthday),
        _code("client.consent", N_("Consent"), CONSENTS, lambda facts: facts.beside.consent),
        _code("client.bought", N_("Has bought"), YES_NO, lambda facts: YES if facts.beside.won else NO),
        _count("client.won_deals", N_("Won deals"), lambda facts: facts.beside.won),
        Term("company.name", N_("Company name"), Shape.TEXT, null(), _company_name, _text, only=_TEXT),
        _count("company.deals", N_("Deals of the company"), lambda facts: facts.beside.company_deals),
        Term(
            "company.responsible",
            N_("Responsible for the company"),
            Shape.REFERENCE,
            null(),
            lambda facts: facts.beside.company.responsible_id if facts.beside.company is not None else None,
            row_id_of("company.responsible"),
            only=_ROW,
        ),
    )


LINE = Term(
    "call.line",
    N_("Line of the call"),
    Shape.REFERENCE,
    null(),
    lambda facts: facts.data.get("line_id"),
    row_id_of("call.line"),
    only=_ROW,
)


def _clock(facts: Any, name: str) -> str | None:
    return None if facts.clock is None else str(getattr(facts.clock, name))


def _language(facts: Any) -> str | None:
    return facts.contact.language or None if facts.contact is not None else None


def _birthday(facts: Any) -> str | None:
    if facts.contact is None:
        return None
    return YES if facts.contact.birth_day is not None else NO


def _company_name(facts: Any) -> str | None:
    return facts.beside.company.name if facts.beside.company is not None else None


def _code(name: str, title: str, known: Collection[str], read: Callable[[Any], Stored]) -> Term:
    def check(entered: Any) -> Stored:
        if entered not in known:
            raise Invalid(name, "conditions.word", "Choose one of: {words}", words=", ".join(known))
        return str(entered)

    return Term(name, title, Shape.TEXT, null(), read, check, only=_CODES)


def _count(name: str, title: str, read: Callable[[Any], Stored]) -> Term:
    return Term(name, title, Shape.INTEGER, null(), read, whole, only=_COUNT)


def _text(entered: Any) -> Stored:
    if not isinstance(entered, str):
        raise Invalid("", "conditions.text_only", "Write a text.")
    return entered.strip() or None


def whole(entered: Any) -> Stored:
    """A whole number, also as text. Raises Invalid."""
    text = str(entered) if isinstance(entered, int) and not isinstance(entered, bool) else entered
    if not isinstance(text, str) or not text.isascii() or not text.isdigit() or len(text) > 9:
        raise Invalid("", "conditions.whole", "Write a whole number.")
    return int(text)
