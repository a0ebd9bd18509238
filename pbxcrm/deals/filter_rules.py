"""Reads the filter of deals in an address: terms of deals by name (``terms``), and the short names of the most usual questions.

What is no filter is an error, never "all deals".
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from pbxcrm.deals.filters import WORDS, DealFilter
from pbxcrm.deals.models import Pipeline, Stage
from pbxcrm.deals.queries import Funnel
from pbxcrm.fields.conditions import MOST_FILTERS, Junction, Op, Shorthand, Vocabulary, from_query, parse
from pbxcrm.fields.relative_times import AskedAt
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, LONGEST_SEARCH

MOST_DAYS = 36_500
NOBODY = "nobody"
CONDITION = "where"  # the name under which an address holds a whole condition in JSON
LONGEST_CONDITION = 10_000


@dataclass(frozen=True, slots=True)
class FilterReader:
    """What reading an address needs: the terms, who asks ("mine"), when, and the names of pipelines and stages."""

    terms: Vocabulary
    user_id: int
    clock: AskedAt
    funnel: Funnel

    def read(self, asked: Iterable[tuple[str, str]]) -> DealFilter:
        """The filter that an address asks for by ``(name, value)``; empty values ask for nothing. Raises Invalid at the name."""
        pairs = [(name, value.replace("\x00", "").strip()) for name, value in asked]
        if len(pairs) > MOST_FILTERS:
            raise Invalid(pairs[0][0][:LONGEST_REPEATED], "deals.many_filters", "These are too many filters.")
        trees = [self._tree(value) for name, value in pairs if name == CONDITION and value]
        named = [(name, value[:LONGEST_SEARCH]) for name, value in pairs if name != CONDITION]
        condition = from_query(named, self.terms, self._shorthands())
        if trees:
            condition = Junction("all", (condition, *(parse(tree, self.terms, CONDITION) for tree in trees)))
        return DealFilter(condition, self.clock)

    def _tree(self, text: str) -> object:
        try:
            return json.loads(text[:LONGEST_CONDITION])
        except (ValueError, RecursionError):
            raise Invalid(CONDITION, "conditions.json", "Write the condition as JSON.") from None

    def _shorthands(self) -> Mapping[str, Shorthand]:
        return {
            "q": lambda text: [(WORDS, Op.CONTAINS, text)],
            "mine": lambda _text: [("responsible", Op.IS, str(self.user_id))],
            "who": _who,
            "no_task": lambda _text: [("next_task", Op.EMPTY, "1"), ("closed_at", Op.EMPTY, "1")],
            "age.min": lambda text: [("stage_since", Op.AT_MOST, _days_ago("age.min", text))],
            "age.max": lambda text: [("stage_since", Op.AT_LEAST, _days_ago("age.max", text))],
            "stage": _ids_of("stage", self.funnel.stages),
            "pipeline": _ids_of("pipeline", self.funnel.pipelines),
            **{name: _short_for(term, op) for name, (term, op) in _OF_API.items()},
        }


#: The names that the API had before there were terms.
_OF_API = {
    "contact_id": ("contact", Op.IS),
    "company_id": ("company", Op.IS),
    "client_number": ("number", Op.HAS),
    "since": ("created_at", Op.AT_LEAST),
    "until": ("created_at", Op.LESS),
    "entered_since": ("stage_since", Op.AT_LEAST),
    "entered_until": ("stage_since", Op.LESS),
    "amount_min": ("amount", Op.AT_LEAST),
    "amount_max": ("amount", Op.AT_MOST),
}


def _short_for(term: str, op: Op) -> Shorthand:
    return lambda text: [(term, op, text)]


def _who(text: str) -> list[tuple[str, Op, str]]:
    return [("responsible", Op.EMPTY, "1")] if text == NOBODY else [("responsible", Op.IS, text)]


def _days_ago(name: str, text: str) -> str:
    if not (text.isascii() and text.isdigit()) or len(text) > 5 or int(text) > MOST_DAYS:
        raise _wrong(name, text)
    return f"now-{text}d"


def _ids_of(
    name: str, rows: Mapping[int | None, Stage] | Mapping[int | None, Pipeline]
) -> Callable[[str], list[tuple[str, Op, str]]]:
    """By id, or by the name, which several stages may have."""

    def read(text: str) -> list[tuple[str, Op, str]]:
        found = [str(row.id) for row in rows.values() if row.name == text]
        if not found and not (text.isascii() and text.isdigit()):
            raise _wrong(name, text)
        return [(name, Op.IS, each) for each in found or [text]]

    return read


def _wrong(name: str, text: str) -> Invalid:
    return Invalid(
        name,
        "deals.filter_value",
        "“{value}” is no value of the filter “{name}”.",
        value=text[:LONGEST_REPEATED],
        name=name,
    )
