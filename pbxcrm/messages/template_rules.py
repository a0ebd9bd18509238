"""Pure: the texts of templates. ``{deal.title}`` stands for a value, ``{client.name|friend}`` has a word where it is missing, ``{= amount / 2}``
is a formula, ``{{`` is a brace.
"""

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.texts import BEGIN, check_piece, end_of_formula
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.texts import one_line

LANGUAGES = ("uk", "ru", "en")
LONGEST_SMS = 1000  # characters of a template
LONGEST_TEXT = 10_000
LONGEST_SUBJECT = 300
#: The field that becomes the link by which the reader ends messages. The stored text keeps it in braces: only the reader gets the link.
LINK = "own.unsubscribe"

_PART = re.compile(r"\{\{|\}\}|\{([^{}|]*)(?:\|([^{}]*))?\}|[{}]")


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """Where a value stands. ``otherwise``: the word if there is none; None: then nothing may be sent."""

    name: str
    otherwise: str | None = None


@dataclass(frozen=True, slots=True)
class FormulaPlace:
    """Where a formula stands. ``at``: its first character in the whole text, counted from 1."""

    formula: str
    at: int


Piece = str | FieldPlace | FormulaPlace


class MissingValue(Exception):
    """A field or a formula without a value, for which the template has no other word. Its text is the name of the field, or the formula."""


def parse(text: str, field: str = "") -> list[Piece]:
    """The text as pieces. Raises Invalid at ``field`` for a brace that opens or closes nothing."""
    found: list[Piece] = []
    at = 0
    while (match := _PART.search(text, at)) is not None:
        found.append(text[at : match.start()])
        if text.startswith(BEGIN, match.start()):
            try:
                at = end_of_formula(text, match.start()) + 1
            except FormulaError as error:
                raise error.at_field(field) from None
            first = match.start() + len(BEGIN)
            found.append(FormulaPlace(text[first : at - 1], first + 1))
            continue
        at = match.end()
        part = match[0]
        if part in {"{{", "}}"}:
            found.append(part[0])
        elif match[1] is None:
            around = one_line(text[max(0, match.start() - 10) : match.end() + 10])
            raise Invalid(
                field,
                "messages.brace",
                "A brace at “{around}” opens or closes nothing. Write {{{{ or }}}} for a brace itself.",
                around=around,
            )
        else:
            found.append(FieldPlace(match[1].strip(), match[2].strip() if match[2] is not None else None))
    found.append(text[at:])
    return [piece for piece in found if piece != ""]


def check_text(text: str, field: str, known: Collection[str], formula_names: Collection[str], most: int) -> str:
    """A text as it is stored. ``formula_names``: what formulas may read. Raises Invalid at ``field``: it is too long, a brace is alone, a
    field is unknown, or a formula is wrong.
    """
    kept = text.replace("\r\n", "\n").strip()
    if len(kept) > most or "\0" in kept:
        raise Invalid(field, "form.too_long", "Write at most {most} characters.", most=most)
    for place in parse(kept, field):
        if isinstance(place, FormulaPlace):
            if problems := check_piece(place.formula, place.at, formula_names):
                raise FormulaError(problems[0]).at_field(field)
        elif isinstance(place, FieldPlace) and place.name not in known:
            name = place.name[:LONGEST_REPEATED]
            raise Invalid(field, "messages.no_field", "There is no field “{name}” for messages.", name=name)
    return kept


def filled(text: str, values: Mapping[str, str], compute: Callable[[str], str]) -> str:
    """The text with its values. ``compute`` gives the value of a formula. Raises MissingValue, Invalid for a field that is gone, and what
    ``compute`` raises.
    """
    said: list[str] = []
    for piece in parse(text):
        if isinstance(piece, str):
            said.append(piece)
            continue
        if isinstance(piece, FormulaPlace):
            computed = compute(piece.formula)
            if not computed:
                raise MissingValue(f"{BEGIN[1:]} {piece.formula.strip()}")
            said.append(computed)
            continue
        value = values.get(piece.name, "")
        if not value and piece.otherwise is None:
            raise MissingValue(piece.name)
        said.append(value or piece.otherwise or "")
    return "".join(said)


def linked(text: str, link: str) -> str:
    """The text with the link that ends messages; without a link the lines that name it are left out."""
    mark = f"{{{LINK}}}"
    if link:
        return text.replace(mark, link)
    return "\n".join(line for line in text.split("\n") if mark not in line).rstrip()


def language_for(wanted: Iterable[str], texts: Mapping[str, str]) -> str:
    """The first language that is wanted and has a text, else the first that has one. A template has at least one."""
    return next((each for each in (*wanted, *LANGUAGES) if texts.get(each)), LANGUAGES[0])
