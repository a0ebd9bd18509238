"""Reasons: why the product did something automatically, as a code with facts that is shown in the reader's language.

A reason is stored as ``{"code", "params", "because": [reason…]}`` in the row that it explains. Each context keeps the
English sentences of its codes in its ``reasons.py``; ``pbxcrm.composition`` registers them. Pages pass gettext; the API and the
logs use the English text.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from pbxcrm.shared.errors import PbxcrmError


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate this later"
    """Mark a sentence for the catalogues and return it unchanged."""
    return message


@dataclass(frozen=True, slots=True)
class Counted:
    """A sentence with plural forms; ``by`` names the parameter that holds the number."""

    one: str
    many: str
    by: str


def N_counted(one: str, many: str, by: str) -> Counted:  # noqa: N802 - like N_: it marks both forms for the catalogues
    """Mark both plural forms of a sentence for the catalogues."""
    return Counted(one, many, by)


def english(one: str, many: str, number: int) -> str:
    """``ngettext`` for English, the source language."""
    return one if number == 1 else many


MESSAGES: dict[str, str | Counted] = {}
SAID_AS = ".message"  # after the name of a parameter: the English message of the error that it holds


def register_reasons(*parts: Mapping[str, str | Counted]) -> None:
    """Add the sentences of contexts (``<context>/reasons.py``). Raises ValueError for two sentences of one code."""
    for part in parts:
        for code, message in part.items():
            if MESSAGES.setdefault(code, message) != message:
                raise ValueError(f"two sentences for the reason {code}")


@dataclass(frozen=True, slots=True)
class Reason:
    """A code, its parameters and the reasons behind it (``because``). Raises KeyError for an unknown code."""

    code: str
    params: Mapping[str, str] = field(default_factory=dict)
    because: tuple["Reason", ...] = ()

    def __post_init__(self) -> None:
        if self.code not in MESSAGES:
            raise KeyError(self.code)

    def stored(self) -> dict[str, Any]:
        """As a JSON object, for ``load``."""
        found: dict[str, Any] = {"code": self.code, "params": dict(self.params)}
        if self.because:
            found["because"] = [reason.stored() for reason in self.because]
        return found

    @classmethod
    def load(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """The reason from the JSON object of ``stored``; None when it is empty or its code is unknown."""
        if not stored or stored.get("code") not in MESSAGES:
            return None
        return cls(
            stored["code"],
            stored.get("params", {}),
            tuple(r for r in map(cls.load, stored.get("because", ())) if r is not None),
        )


def reason(code: str, *because: Reason | None, **params: object) -> Reason:
    """Build a Reason: ``because`` are the reasons behind it (None is skipped), ``params`` its facts, stored as text.

    Of a business error its message and its parameters are stored beside its text (``why.message``, ``why.NAME``), so that pages can say it
    in another language.
    """
    facts: dict[str, str] = {}
    for key, value in params.items():
        facts[key] = "" if value is None else str(value)
        if isinstance(value, PbxcrmError):
            facts[f"{key}{SAID_AS}"] = value.message
            facts |= {f"{key}.{name}": str(each) for name, each in value.params.items()}
    return Reason(code, facts, tuple(r for r in because if r is not None))


def sentences(
    stored: Mapping[str, Any] | Reason | None,
    _: Callable[[str], str] = N_,
    ngettext: Callable[[str, str, int], str] = english,
) -> list[str]:
    """One sentence for the reason and each one behind it, translated by ``_`` and ``ngettext``. Missing facts are left blank."""
    found = stored if isinstance(stored, Reason) else Reason.load(stored)
    if found is None:
        return []
    message = MESSAGES[found.code]
    if isinstance(message, Counted):
        told = found.params.get(message.by, "")
        sentence = ngettext(message.one, message.many, int(told) if told.isdecimal() else 0)
    else:
        sentence = _(message)
    said = [filled(sentence, found.params)]
    for behind in found.because:
        said += sentences(behind, _, ngettext)
    return said


def text(
    stored: Mapping[str, Any] | Reason | None,
    _: Callable[[str], str] = N_,
    ngettext: Callable[[str, str, int], str] = english,
) -> str:
    """The ``sentences`` joined by spaces."""
    return " ".join(sentences(stored, _, ngettext))


def filled(sentence: str, facts: Mapping[str, str]) -> str:
    """The sentence with its facts; one that is missing leaves an empty place."""
    return sentence.format_map(_Blank(facts))


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
