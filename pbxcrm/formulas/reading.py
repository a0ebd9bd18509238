"""Reads the text of a formula into a tree of the few operations that a formula may have.

We cut the text into words ourselves and give Python's parser only signs, brackets and names of our own (``n0``, ``c1``, ``f2``). So no
Python that somebody writes ever reaches it: no attributes, no indexes, no keywords. Numbers are exact decimals, names may be in any
alphabet, and every error has its place in the text.
"""

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from pbxcrm.formulas.problems import NOTHING, TOO_DEEP, TOO_LONG, FormulaError, FormulaProblem
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.reasons import N_

LONGEST = 1000  # characters
MOST_WORDS = 400
DEEPEST = 60  # levels of the tree; evaluating takes a few frames of the stack for each
MOST_DIGITS = 20

_WORD = re.compile(
    r"""(?P<blank>\s+)|(?P<text>"[^"]*"|'[^']*')|(?P<number>[0-9]+(?:\.[0-9]+)?(?![\w.]))|(?P<name>[^\W\d_]\w*)"""
    r"""|(?P<sign><=|>=|<>|!=|==|\*\*|[-+*/%^<>=])|(?P<open>\()|(?P<close>\))|(?P<comma>[,;])"""
)
#: Signs as spreadsheets write them, in Python's spelling.
_PYTHON = {"=": "==", "<>": "!=", "^": "**"}
_WORDS = ("and", "or", "not")
_FIRST = frozenset({"+", "-"})  # signs that may stand before a value
_NODES = (
    ast.Expression,
    ast.Name,
    ast.Load,
    ast.UnaryOp,
    ast.UAdd,
    ast.USub,
    ast.Not,
    ast.BinOp,
    ast.Add,
    ast.Sub,
    ast.Mult,
    ast.Div,
    ast.Mod,
    ast.Pow,
    ast.BoolOp,
    ast.And,
    ast.Or,
    ast.Compare,
    ast.Eq,
    ast.NotEq,
    ast.Lt,
    ast.LtE,
    ast.Gt,
    ast.GtE,
    ast.Call,
)


@dataclass(frozen=True, slots=True)
class Formula:
    """A formula that can be evaluated. ``tree`` has only names: ``names`` are fields, ``constants`` values, ``functions`` functions.

    ``places``: where each character of the tree stands in the text, counted from 1.
    """

    text: str
    tree: ast.expr
    names: Mapping[str, str]
    constants: Mapping[str, Decimal | str | bool]
    functions: Mapping[str, str]
    places: tuple[int, ...]

    def place_of(self, node: ast.AST) -> int:
        """Where the node stands in the text, counted from 1."""
        return self.places[getattr(node, "col_offset", 0)]

    @property
    def fields(self) -> frozenset[str]:
        """The names of fields that occur."""
        return frozenset(self.names.values())


@lru_cache(maxsize=2000)
def read(text: str) -> Formula:
    """The formula. Raises FormulaError with its first problem."""
    if len(text) > LONGEST:
        raise _problem(LONGEST, "too_long", TOO_LONG, most=LONGEST)
    words = _Words()
    for kind, word, at in _cut(text):
        words.add(kind, word, at)
    words.end()
    try:
        tree = ast.parse("".join(words.python), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # the order of words has been checked: not expected
        raise _problem(1, "unreadable", N_("This formula cannot be read.")) from None
    formula = Formula(text, tree.body, words.names, words.constants, words.functions, tuple(words.places))
    _check_tree(formula)
    return formula


def _problem(at: int, code: str, message: str, **params: str | int) -> FormulaError:
    return FormulaError(FormulaProblem(at, code, message, params))


def _cut(text: str) -> Iterator[tuple[str, str, int]]:
    """The words of the text as (kind, word, place)."""
    at = 0
    while at < len(text):
        found = _WORD.match(text, at)
        if found is None:
            if text[at] in "\"'":
                raise _problem(at + 1, "quote", N_("This quotation mark is never closed."))
            if text[at].isdigit():
                raise _problem(at + 1, "number", N_("This number cannot be read. Write 2.5, and the unit elsewhere."))
            raise _problem(at + 1, "sign", N_("“{sign}” means nothing in a formula."), sign=text[at])
        if found.lastgroup != "blank":
            yield found.lastgroup or "", found.group(), at + 1
        at = found.end()


class _Words:
    """Collects the words as Python, and checks that they follow each other."""

    def __init__(self) -> None:
        self.python: list[str] = []
        self.places: list[int] = []
        self.names: dict[str, str] = {}
        self.constants: dict[str, Decimal | str | bool] = {}
        self.functions: dict[str, str] = {}
        self.open: list[tuple[int, bool]] = []  # place of a bracket, and whether it holds values for a function
        self.last: tuple[str, str, int] = ("", "", 1)
        self.count = 0

    def add(self, kind: str, word: str, at: int) -> None:
        if kind == "name" and word.lower() in _WORDS:
            kind, word = "sign", word.lower()
        self.count += 1
        if self.count > MOST_WORDS or len(self.open) > DEEPEST:
            raise _problem(at, "too_deep", TOO_DEEP)
        after_value = self.last[0] in {"value", "name", "close"}
        if kind == "open":
            self._open(at, after_value)
        elif kind in {"text", "number", "name"}:
            if after_value:
                raise _problem(at, "no_sign", N_("A sign is missing before “{word}”."), word=word[:LONGEST_REPEATED])
            self._value(kind, word, at)
        elif kind == "sign" and not after_value:
            if word not in _FIRST and word != "not":
                raise _problem(at, "no_value", N_("A value is missing before “{word}”."), word=word)
            self._put(f" {word} ", at)
            self.last = ("sign", word, at)
        elif kind == "sign":
            if word == "not":
                raise _problem(at, "no_sign", N_("A sign is missing before “{word}”."), word=word)
            self._put(f" {_PYTHON.get(word, word)} ", at)
            self.last = ("sign", word, at)
        elif kind == "close":
            self._close(at, after_value)
        else:
            self._comma(word, at, after_value)

    def end(self) -> None:
        if not self.count:
            raise _problem(1, "nothing", NOTHING)
        if self.last[0] not in {"value", "name", "close"}:
            raise _problem(self.last[2], "no_value_after", N_("A value is missing after “{word}”."), word=self.last[1])
        if self.open:
            raise _problem(self.open[-1][0], "open", N_("This bracket is never closed."))

    def _open(self, at: int, after_value: bool) -> None:
        calls = self.last[0] == "name"
        if after_value and not calls:
            raise _problem(at, "no_sign", N_("A sign is missing before “{word}”."), word="(")
        if calls:
            name = self.python.pop()
            del self.places[-len(name) :]
            word = self.names.pop(name)
            called = f"f{self.count}"
            self.functions[called] = word.lower()
            self._put(called, self.last[2])
        self.open.append((at, calls))
        self._put("(", at)
        self.last = ("call" if calls else "open", "(", at)

    def _value(self, kind: str, word: str, at: int) -> None:
        name = f"{'n' if kind == 'name' else 'c'}{self.count}"
        if kind == "number":
            if len(word.replace(".", "")) > MOST_DIGITS:
                raise _problem(at, "digits", N_("A number can have at most {most} digits."), most=MOST_DIGITS)
            self.constants[name] = Decimal(word)
        elif kind == "text":
            self.constants[name] = word[1:-1]
        elif word.lower() in {"true", "false"}:
            self.constants[name], kind = word.lower() == "true", "value"
        else:
            self.names[name] = word
        self._put(name, at)
        self.last = ("name" if kind == "name" else "value", word, at)

    def _close(self, at: int, after_value: bool) -> None:
        if not self.open:
            raise _problem(at, "close", N_("There is no bracket to close here."))
        if not after_value and self.last[0] != "call":
            raise _problem(at, "no_value", N_("A value is missing before “{word}”."), word=")")
        self.open.pop()
        self._put(")", at)
        self.last = ("close", ")", at)

    def _comma(self, word: str, at: int, after_value: bool) -> None:
        if not self.open or not self.open[-1][1]:
            raise _problem(
                at, "comma", N_("A comma only stands between the values of a function. Write 2.5 with a point.")
            )
        if not after_value:
            raise _problem(at, "no_value", N_("A value is missing before “{word}”."), word=word)
        self._put(", ", at)
        self.last = ("comma", word, at)

    def _put(self, python: str, at: int) -> None:
        if not self.python:
            python = python.lstrip()  # a space before the first word would be an indent
        self.python.append(python)
        self.places += [at] * len(python)


def _check_tree(formula: Formula) -> None:
    """Only what a formula may have, and not too deep. The words allow nothing else; this is the second lock."""
    waiting: list[tuple[ast.AST, int]] = [(formula.tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if depth > DEEPEST:
            raise _problem(formula.place_of(node), "too_deep", TOO_DEEP)
        if not isinstance(node, _NODES) or (
            isinstance(node, ast.Call) and (node.keywords or not isinstance(node.func, ast.Name))
        ):
            raise _problem(formula.place_of(node), "unreadable", N_("This formula cannot be read."))
        waiting += [(child, depth + 1) for child in ast.iter_child_nodes(node)]
