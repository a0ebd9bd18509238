"""The language of conditions: one for filters, views, automation and reports.

A condition is JSON, ``{"field", "op", "value"}`` or ``{"all" | "any" | "none": [condition…]}``, read by ``parse`` against a
vocabulary of terms. The same condition becomes SQL (``to_sql``) or is asked of one row in Python (``holds``); both give the same answer.
A comparison with an empty value is false, except *is not*. Whatever is not understood raises Invalid at its place (``if.all.1.value``).

Dates may be relative: ``today``, ``today-7d``, ``now+2h`` (units: min h d w m y). A day compared with a moment is the whole day of the
reader's time zone.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, and_, false, not_, or_, true

from pbxcrm.fields.relative_times import AskedAt, Relative, read_relative
from pbxcrm.fields.rules import Stored, check_moment, moment_text, read_date
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, LONGEST_SEARCH
from pbxcrm.shared.search_keys import word_readings

DEEPEST = 8  # groups within groups
MOST_TESTS = 100
LONGEST_LIST = 200  # values of one test
MOST_FILTERS = 50  # in one address
_LAST = "\U0010ffff"  # sorts behind every letter


class Shape(StrEnum):
    """What can be asked of a term's value."""

    INTEGER = "integer"
    REFERENCE = "reference"  # an id: it has no order
    TEXT = "text"
    DATE = "date"
    MOMENT = "moment"
    LIST = "list"  # of ids, or of words that can be said of a row


class Op(StrEnum):
    """How a value is compared."""

    IS = "="
    IS_NOT = "!="
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="
    IN = "in"
    HAS = "has"
    BEGINS = "begins"
    CONTAINS = "contains"
    EMPTY = "empty"
    FILLED = "filled"


_ORDER = (Op.IS, Op.IS_NOT, Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST)
_BLANK = (Op.EMPTY, Op.FILLED)
OPS: Mapping[Shape, tuple[Op, ...]] = {
    Shape.INTEGER: (*_ORDER, Op.IN, *_BLANK),
    Shape.REFERENCE: (Op.IS, Op.IS_NOT, Op.IN, *_BLANK),
    Shape.TEXT: (Op.IS, Op.IS_NOT, Op.IN, Op.BEGINS, Op.CONTAINS, *_BLANK),
    Shape.DATE: (*_ORDER, *_BLANK),
    Shape.MOMENT: (*_ORDER, *_BLANK),
    Shape.LIST: (Op.HAS, Op.IN, *_BLANK),
}


@dataclass(frozen=True, slots=True)
class WordSearch:
    """How *contains* works: ``sql`` for a text that was typed, ``holds`` for a value and that text. ``any_length``: also one letter."""

    sql: Callable[[str], ColumnElement[bool]]
    holds: Callable[[str, str], bool]
    any_length: bool = False


@dataclass(frozen=True, slots=True)
class Term:
    """Something a condition may ask of a row.

    ``read`` gives the value of a row as ``fields.rules`` stores it; ``check`` turns an entered value into such a one and raises Invalid;
    ``bind`` makes of it what ``sql`` is compared with. ``blank``: the condition for an empty value, if it is not NULL. ``has``: the
    condition that a list contains a value, or that a reference is it, where that is no comparison with ``sql``. ``only``: how it can be
    compared, if not in every way of its shape. ``target``: the ``LinkTarget`` of rows that may be merged, which it points to. ``order``: the column by which a list is sorted, if not ``sql``: a text in the order of
    the alphabet, empty where there is none.
    """

    name: str
    title: str
    shape: Shape
    sql: ColumnElement[Any]
    read: Callable[[Any], Stored | tuple[str, ...]]
    check: Callable[[Any], Stored]
    bind: Callable[[Any], Any] = lambda value: value
    blank: ColumnElement[bool] | None = None
    words: WordSearch | None = None
    has: Callable[[Any], ColumnElement[bool]] | None = None
    only: tuple[Op, ...] = ()
    target: str = ""
    order: ColumnElement[Any] | None = None

    @property
    def is_blank(self) -> ColumnElement[bool]:
        """The condition for an empty value."""
        return self.blank if self.blank is not None else self.sql.is_(None)

    @property
    def ops(self) -> tuple[Op, ...]:
        """What can be asked of it."""
        known = self.only or OPS[self.shape]
        return tuple(op for op in known if op is not Op.CONTAINS or self.words is not None)


Vocabulary = Mapping[str, Term]


@dataclass(frozen=True, slots=True)
class Test:
    """One comparison. ``values`` has one member, none for *empty* and *filled*, several for *in*. ``merged``: in Python, what was merged
    into one of them (``merged_links``).
    """

    term: Term
    op: Op
    values: tuple[Any, ...] = ()
    merged: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Junction:
    """``how``: all, any or none of the parts hold. Without parts, *all* and *none* hold and *any* does not."""

    how: str
    parts: tuple["Condition", ...] = ()


Condition = Test | Junction
EVERYTHING = Junction("all")


def parse(tree: object, vocabulary: Vocabulary, at: str = "if") -> Condition:
    """The condition in JSON. Raises Invalid at its place below ``at``. None and ``{}`` ask nothing."""
    if tree is None or tree == {}:
        return EVERYTHING
    left = [MOST_TESTS]
    return _parse(tree, vocabulary, at, DEEPEST, left)


def _parse(tree: object, vocabulary: Vocabulary, at: str, depth: int, left: list[int]) -> Condition:
    if not isinstance(tree, Mapping):
        raise Invalid(at, "conditions.form", "Write a condition: a field, how it is compared, and a value.")
    groups = [how for how in ("all", "any", "none") if how in tree]
    if not groups:
        left[0] -= 1
        if left[0] < 0:
            raise Invalid(at, "conditions.many", "A condition may ask at most {most} things.", most=MOST_TESTS)
        return _parse_test(tree, vocabulary, at)
    if set(tree) != set(groups[:1]) or not isinstance(tree[groups[0]], list):
        raise Invalid(at, "conditions.group", "“{how}” stands alone, with a list of conditions.", how=groups[0])
    if depth == 0:
        raise Invalid(at, "conditions.deep", "Conditions may stand within each other {most} deep.", most=DEEPEST)
    parts = enumerate(tree[groups[0]])
    return Junction(
        groups[0],
        tuple(_parse(part, vocabulary, f"{at}.{groups[0]}.{place}", depth - 1, left) for place, part in parts),
    )


def _parse_test(tree: Mapping[str, object], vocabulary: Vocabulary, at: str) -> Test:
    unknown = next((str(name) for name in tree if name not in {"field", "op", "value"}), None)
    if unknown is not None:
        raise Invalid(at, "conditions.member", "A condition has no “{name}”.", name=unknown[:LONGEST_REPEATED])
    term = _term(tree.get("field"), vocabulary, f"{at}.field")
    said = tree.get("op", Op.IS)
    if not isinstance(said, str) or said not in {op.value for op in term.ops}:
        raise Invalid(
            f"{at}.op",
            "conditions.op",
            "“{name}” can be compared by: {ops}",
            name=term.title,
            ops=", ".join(op.value for op in term.ops),
        )
    return _test(term, Op(said), tree.get("value"), f"{at}.value")


def _term(name: object, vocabulary: Vocabulary, at: str) -> Term:
    if not isinstance(name, str) or name not in vocabulary:
        raise Invalid(
            at, "conditions.field", "There is no field “{name}” to filter by.", name=str(name)[:LONGEST_REPEATED]
        )
    return vocabulary[name]


def _test(term: Term, op: Op, value: object, at: str) -> Test:
    if op in _BLANK:
        return Test(term, op)
    given = value if isinstance(value, list) and op is Op.IN else [value]
    if not given or len(given) > LONGEST_LIST:
        raise Invalid(at, "conditions.list", "Give at least one value and at most {most}.", most=LONGEST_LIST)
    return Test(term, op, tuple(_value(term, op, each, at) for each in given))


def _value(term: Term, op: Op, value: object, at: str) -> Any:
    if term.shape in {Shape.DATE, Shape.MOMENT}:
        return _time(term.shape, value, at)
    if op in {Op.BEGINS, Op.CONTAINS}:
        if not isinstance(value, str) or not value.strip() or len(value) > LONGEST_SEARCH:
            raise Invalid(at, "conditions.text", "Write a text of up to {most} characters.", most=LONGEST_SEARCH)
        if op is Op.CONTAINS and not (term.words and term.words.any_length) and not word_readings(value):
            raise Invalid(at, "conditions.short", "Write at least three letters of a word.")
        return value.strip()
    try:
        found = term.check(value)
    except Invalid as error:
        raise Invalid(at, error.code, error.message, **error.params) from error
    if found is None:
        raise Invalid(at, "conditions.no_value", "Give a value to compare with.")
    return found[0] if isinstance(found, list) else found


def _time(shape: Shape, value: object, at: str) -> date | datetime | Relative:
    text = value.strip().lower() if isinstance(value, str) else ""
    if (relative := read_relative(text)) is not None:
        return relative
    if (day := read_date(text)) is not None:
        return day
    if shape is Shape.MOMENT and isinstance(value, str):
        try:
            found = check_moment(value, at)
        except Invalid:
            found = None
        if found is not None:
            return found
    raise Invalid(at, "conditions.time", "Write a date like 2026-11-28, or today, today-7d, now+2h.")


#: What says the opposite as the value of *empty* and *filled*.
NO = frozenset({"0", "false", "no"})
#: The last part of a name in an address, and what it asks.
_SUFFIXES = {
    "min": Op.AT_LEAST,
    "max": Op.AT_MOST,
    "not": Op.IS_NOT,
    "begins": Op.BEGINS,
    "contains": Op.CONTAINS,
    "empty": Op.EMPTY,
    "filled": Op.FILLED,
}


#: What a short name in an address asks for a value: terms by name, how they are compared, and with what.
Shorthand = Callable[[str], Sequence[tuple[str, Op, str]]]


def from_query(
    pairs: Iterable[tuple[str, str]], vocabulary: Vocabulary, shorthands: Mapping[str, Shorthand] = MappingProxyType({})
) -> Condition:
    """The condition in an address: ``field.area.min=10&field.kind=3&field.kind=4``. Several values of one name: one of them.

    Empty values ask nothing. Raises Invalid at the parameter, also for one that nobody knows.
    """
    asked: dict[tuple[str, Op], list[str]] = {}
    places: dict[tuple[str, Op], str] = {}
    for name, value in pairs:
        if name in shorthands:
            meant = shorthands[name](value.strip()) if value.strip() else ()
        else:
            meant = _named(name, value, vocabulary)
        for term_name, op, each in meant:
            asked.setdefault((term_name, op), []).append(each)
            places[term_name, op] = name
    parts = []
    for (name, op), values in asked.items():
        term, place = vocabulary[name], places[name, op]
        tests = [_test(term, op, value, place) for value in dict.fromkeys(values)]
        parts.append(tests[0] if len(tests) == 1 else Junction("any", tuple(tests)))
    return Junction("all", tuple(parts))


def _named(name: str, value: str, vocabulary: Vocabulary) -> Sequence[tuple[str, Op, str]]:
    whole, _, suffix = name.rpartition(".")
    known = name in vocabulary or suffix not in _SUFFIXES
    term = _term(name if known else whole, vocabulary, name)
    op = (Op.HAS if term.shape is Shape.LIST else Op.IS) if known else _SUFFIXES[suffix]
    if op not in term.ops:
        raise Invalid(name, "conditions.op_here", "“{name}” cannot be filtered in this way.", name=term.title)
    if op in _BLANK and value.strip().lower() in NO:
        op = Op.EMPTY if op is Op.FILLED else Op.FILLED
    return [(term.name, op, value)] if value.strip() else []


def taken_apart(condition: Condition, name: str) -> tuple[tuple[Test, ...], Condition]:
    """The tests of a term that must hold whatever the rest says, and the rest."""
    if isinstance(condition, Test):
        return ((condition,), EVERYTHING) if condition.term.name == name else ((), condition)
    if condition.how != "all":
        return (), condition
    apart = [taken_apart(part, name) for part in condition.parts]
    rest = tuple(part for _found, part in apart if part != EVERYTHING)
    return tuple(test for found, _part in apart for test in found), Junction("all", rest)


def split(condition: Condition, wanted: Callable[[Condition], bool]) -> tuple[Condition, Condition]:
    """The parts that must hold whatever the others say: those that are ``wanted``, and the rest."""
    if isinstance(condition, Test) or condition.how != "all":
        return (condition, EVERYTHING) if wanted(condition) else (EVERYTHING, condition)
    parts = [split(part, wanted) for part in condition.parts]
    mine, others = (
        (tuple(part for part in some if part != EVERYTHING) for some in zip(*parts, strict=True)) if parts else ((), ())
    )
    return Junction("all", mine), Junction("all", others)


def terms_of(condition: Condition) -> frozenset[str]:
    """The names of all terms that a condition asks: what a rule must listen to."""
    if isinstance(condition, Test):
        return frozenset({condition.term.name})
    return frozenset().union(*(terms_of(part) for part in condition.parts))


def to_sql(condition: Condition, clock: AskedAt) -> ColumnElement[bool]:
    """The condition for WHERE. It is never NULL where that would matter: within *none*."""
    return _sql(condition, clock, strict=False)


def _sql(condition: Condition, clock: AskedAt, *, strict: bool) -> ColumnElement[bool]:
    if isinstance(condition, Test):
        return _test_sql(condition, clock, strict=strict)
    none = condition.how == "none"
    parts = [_sql(part, clock, strict=strict or none) for part in condition.parts]
    if condition.how == "all":
        return and_(true(), *parts)
    found = or_(false(), *parts)
    return not_(found) if none else found


def _test_sql(test: Test, clock: AskedAt, *, strict: bool) -> ColumnElement[bool]:
    term = test.term
    if test.op in _BLANK:
        return term.is_blank if test.op is Op.EMPTY else not_(term.is_blank)
    if test.op is Op.IS_NOT:
        same = _test_sql(Test(term, Op.IS, test.values), clock, strict=False)
        return or_(term.is_blank, not_(same))
    found = or_(*(_compare_sql(term, test.op, value, clock) for value in test.values))
    return and_(not_(term.is_blank), found) if strict else found


def _compare_sql(term: Term, op: Op, value: Any, clock: AskedAt) -> ColumnElement[bool]:
    if term.has is not None:
        return term.has(value)
    if op is Op.CONTAINS:
        assert term.words is not None
        return term.words.sql(value)
    if op is Op.BEGINS:
        begin = term.bind(value)
        return and_(term.sql >= begin, term.sql < begin + _LAST)
    low, high = _bounds(term, value, clock)
    if low == high:
        return _SQL[op](term.sql, low)
    # A whole day: from its beginning to the beginning of the next one.
    if op is Op.IS:
        return and_(term.sql >= low, term.sql < high)
    ends: Mapping[Op, ColumnElement[bool]] = {
        Op.LESS: term.sql < low,
        Op.AT_MOST: term.sql < high,
        Op.MORE: term.sql >= high,
        Op.AT_LEAST: term.sql >= low,
    }
    return ends[op]


_SQL: Mapping[Op, Callable[[ColumnElement[Any], Any], ColumnElement[bool]]] = {
    Op.IS: lambda column, value: column == value,
    Op.IN: lambda column, value: column == value,
    Op.LESS: lambda column, value: column < value,
    Op.AT_MOST: lambda column, value: column <= value,
    Op.MORE: lambda column, value: column > value,
    Op.AT_LEAST: lambda column, value: column >= value,
}


def _bounds(term: Term, value: Any, clock: AskedAt) -> tuple[Any, Any]:
    """What the column is compared with: twice the same, or the beginning and the end of a day."""
    if term.shape is Shape.DATE:
        day = value.moment(clock).date() if isinstance(value, Relative) else value
        found = term.bind(f"{day:%Y-%m-%d}")
        return found, found
    if term.shape is not Shape.MOMENT:
        found = term.bind(value)
        return found, found
    if isinstance(value, Relative) and not value.is_day:
        value = value.moment(clock)
    if isinstance(value, datetime):
        found = term.bind(moment_text(value))
        return found, found
    day = value.moment(clock).date() if isinstance(value, Relative) else value
    ends = (datetime.combine(each, time(), clock.timezone) for each in (day, day + timedelta(days=1)))
    low, high = (term.bind(moment_text(end)) for end in ends)
    return low, high


def holds(condition: Condition, row: Any, clock: AskedAt) -> bool:
    """Whether the condition holds for a row, as ``to_sql`` would find it."""
    if isinstance(condition, Test):
        return _test_holds(condition, row, clock)
    return joined(condition.how, (holds(part, row, clock) for part in condition.parts))


def tests_in(condition: Condition) -> Iterator[Test]:
    """The comparisons of a condition, in their order."""
    if isinstance(condition, Test):
        yield condition
        return
    for part in condition.parts:
        yield from tests_in(part)


def joined(how: str, answers: Iterable[bool]) -> bool:
    """The answer of a junction from those of its parts."""
    return all(answers) if how == "all" else any(answers) is (how == "any")


def _test_holds(test: Test, row: Any, clock: AskedAt) -> bool:
    term, stored = test.term, test.term.read(row)
    if stored is None or stored == ():
        return test.op in {Op.EMPTY, Op.IS_NOT}
    if test.op in _BLANK:
        return test.op is Op.FILLED
    if test.op is Op.IS_NOT:
        return not _test_holds(replace(test, op=Op.IS), row, clock)
    if test.merged and stored in test.merged:
        return True
    return any(_compare(term, test.op, stored, value, clock) for value in test.values)


def _compare(term: Term, op: Op, stored: Any, value: Any, clock: AskedAt) -> bool:
    if term.shape is Shape.LIST:
        return value in stored
    if op is Op.CONTAINS:
        assert term.words is not None
        return term.words.holds(stored, value)
    mine = term.bind(stored)
    if op is Op.BEGINS:
        return bool(str(mine).startswith(term.bind(value)))
    low, high = _bounds(term, value, clock)
    if low == high:
        return bool(_SQL[op](mine, low))
    return bool(
        {
            Op.IS: low <= mine < high,
            Op.LESS: mine < low,
            Op.AT_MOST: mine < high,
            Op.MORE: mine >= high,
            Op.AT_LEAST: mine >= low,
        }[op]
    )


def row_id_of(name: str) -> Callable[[Any], Stored]:
    """The check of a term that names a row: its id, as a number or as text. What the check raises names the field ``name``."""

    def check(entered: Any) -> Stored:
        if isinstance(entered, str) and entered.isascii() and entered.isdigit() and len(entered) < 19:
            entered = int(entered)
        if not isinstance(entered, int) or isinstance(entered, bool) or not 0 < entered <= LARGEST_ID:
            raise Invalid(name, "conditions.row", "Choose from the list.")
        return entered

    return check
