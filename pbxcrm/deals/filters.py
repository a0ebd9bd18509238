"""The one filter of deals: board, table, export, bulk acts and API select by it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, func, or_
from sqlmodel import col, select

from pbxcrm.access.owners import there_is
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.models import Deal
from pbxcrm.fields.conditions import EVERYTHING, Condition, Op, split, taken_apart, terms_of, to_sql
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared.search_keys import readings, search_key
from pbxcrm.shared.text_match import digits_of, part_of
from pbxcrm.shared.trigrams import holds_digits, holds_words

STATUSES = ("open", "closed", "won", "lost")
LAMPS = ("any", "first", "second", "none")
WORDS = "words"  # the term of what is typed into a box of search


@dataclass(frozen=True, slots=True)
class DealFilter:
    """Which deals: a condition on the terms of deals (``terms``), asked at a time. ``among``: a further condition in SQL."""

    condition: Condition
    clock: AskedAt
    among: ColumnElement[bool] | None = None

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions for the WHERE clause of a query for deals."""
        found = [] if self.condition == EVERYTHING else [to_sql(self.condition, self.clock)]
        return found if self.among is None else [*found, self.among]

    @property
    def text(self) -> str:
        """What is typed into the box of search; empty for nothing."""
        tests, _rest = taken_apart(self.condition, WORDS)
        return str(tests[0].values[0]) if len(tests) == 1 else ""

    def by_index(self, terms: frozenset[str]) -> tuple["DealFilter", "DealFilter"]:
        """Two filters that hold together: what ``terms`` and custom fields ask, which have an index, and all else."""

        def known(part: Condition) -> bool:
            return all(name in terms or name.startswith("field.") for name in terms_of(part))

        mine, others = split(self.condition, known)
        return replace(self, condition=mine), replace(self, condition=others, among=None)

    def without_words(self, among: ColumnElement[bool]) -> "DealFilter":
        """The same with ``among`` in the place of the words."""
        return replace(self, condition=taken_apart(self.condition, WORDS)[1], among=among)

    def of_open(self) -> "DealFilter":
        """The same for deals in open stages, without the test that they are not closed: no index of stages knows that column."""
        tests, rest = taken_apart(self.condition, "closed_at")
        return replace(self, condition=rest) if tests and all(test.op is Op.EMPTY for test in tests) else self

    @property
    def whose(self) -> int | None:
        """Whose deals are asked for, by id: 0 for nobody's, None for everybody's."""
        tests, _rest = taken_apart(self.condition, "responsible")
        if len(tests) != 1:
            return None
        return 0 if tests[0].op is Op.EMPTY else tests[0].values[0] if tests[0].op is Op.IS else None

    @property
    def finds_open_only(self) -> bool:
        """Whether no closed deal can match: a lamp that burns, and *closed* that is empty, are of open deals."""
        closed, _rest = taken_apart(self.condition, "closed_at")
        lamps, _rest = taken_apart(self.condition, "lamp")
        statuses, _rest = taken_apart(self.condition, "status")
        return (
            any(test.op is Op.EMPTY for test in closed)
            or any("none" not in test.values for test in lamps)
            or any(set(test.values) == {"open"} for test in statuses)
        )

    @property
    def asks(self) -> frozenset[str]:
        """The names of all terms that are asked."""
        return terms_of(self.condition)


def tag_key(name: str) -> str:
    """The key under which all spellings of a tag are one."""
    return search_key(name) or name.strip().casefold()


def matches_text(text: str) -> ColumnElement[bool]:
    """The condition that a deal matches ``text``, tested for each deal."""
    return or_(*tests_of_match(text))


def tests_of_match(text: str) -> list[ColumnElement[bool]]:
    """The same in parts, in the order of ``ways_to_match``."""
    digits = digits_of(text)
    contact, company = col(Contact.id) == col(Deal.contact_id), col(Company.id) == col(Deal.company_id)
    # As an expression, a title is no reason for PostgreSQL to look up all deals that match, of which few are asked about.
    title: Any = func.coalesce(col(Deal.title_folded), "")
    named = [
        part_of(title, text),
        there_is(Deal, contact, part_of(col(Contact.name_folded), text)),
        there_is(Deal, company, part_of(col(Company.name_folded), text)),
    ]
    if digits:
        has_it = col(Phone.number).contains(digits, autoescape=True)
        named += [
            func.coalesce(col(Deal.client_number), "").contains(
                digits, autoescape=True
            ),  # never NULL: it may stand in a *none*
            there_is(Deal, col(Phone.contact_id) == col(Deal.contact_id), has_it),
        ]
    return named


def ways_to_match(text: str) -> list[ColumnElement[bool]]:
    """The same as ``matches_text`` in parts, each of which begins at the index of what it looks for. A deal may match several."""
    digits = digits_of(text)
    contacts = select(Contact.id).where(holds_words(Contact.name_folded, text))
    companies = select(Company.id).where(holds_words(Company.name_folded, text))
    found = [
        holds_words(Deal.title_folded, text),
        col(Deal.contact_id).in_(contacts),
        col(Deal.company_id).in_(companies),
    ]
    if digits:
        phones = select(Phone.contact_id).where(holds_digits(Phone.number, digits))
        found += [holds_digits(Deal.client_number, digits), col(Deal.contact_id).in_(phones)]
    return found


_NUL = "\x00"  # no text has one


def searched_text(title: str, client: str, company: str, numbers: Iterable[str]) -> str:
    """What ``matches_text`` looks through, in one text for ``has_words``: search keys of names, and numbers in E.164."""
    return _NUL.join([title, client, company, *numbers])


def has_words(searched: str, text: str) -> bool:
    """The same as ``matches_text`` for a ``searched_text``."""
    title, client, company, *numbers = searched.split(_NUL)
    digits = digits_of(text)
    if digits and any(digits in number for number in numbers):
        return True
    return any(all(word in part for word in words) for words in readings(text) for part in (title, client, company))
