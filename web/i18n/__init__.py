"""English, Ukrainian and Russian: the language of the current text, and its catalogue.

English is the source. The catalogues are the ``.po`` files beside this module; they are read when the program starts,
so nothing must be compiled and nothing can be stale. ``python -m web.i18n.update`` brings them up to date.

The reader of a text stands in a context variable, so that templates, error messages and the live stream find the
language, time zone and current time without passing them through every call.
"""

import gettext as gettext_module
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import cache
from io import BytesIO
from pathlib import Path
from zoneinfo import ZoneInfo

from babel import Locale
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

from pbxcrm.shared.reasons import N_ as N_  # the one that marks messages, for pages too

DOMAIN = "pbxcrm"
FOLDER = Path(__file__).parent


class Language(StrEnum):
    """A language of the pages; its value is the code in cookies, addresses and catalogues."""

    EN = "en"
    UK = "uk"
    RU = "ru"

    __hash__ = str.__hash__  # every text asks for it; that of an enumeration is written in Python

    @classmethod
    def of(cls, text: str) -> "Language | None":
        """The language with this code, or None; for text from a browser or a table."""
        return cls(text) if text in set(cls) else None

    @property
    def own_name(self) -> str:
        """The name of the language in the language itself."""
        return {"en": "English", "uk": "Українська", "ru": "Русский"}[self.value]

    @property
    def locale(self) -> Locale:
        """Babel's locale, for dates, numbers and plurals."""
        return _locale(self.value)


@cache
def _locale(code: str) -> Locale:
    return Locale.parse(code)


@dataclass(frozen=True, slots=True)
class Here:
    """What a text depends on besides its words: the language and time zone of its reader, and the current time."""

    language: Language
    timezone: ZoneInfo
    now: datetime  # aware UTC
    currency: str = "UAH"

    @property
    def locale(self) -> Locale:
        """Babel's locale of the reader's language."""
        return self.language.locale

    @property
    def next_midnight(self) -> datetime:
        """When the reader's day ends: from then on pages say "yesterday" where they said "today". Aware UTC."""
        tomorrow = self.now.astimezone(self.timezone).date() + timedelta(days=1)
        return datetime.combine(tomorrow, time(), self.timezone).astimezone(UTC)


_here: ContextVar[Here] = ContextVar("pbxcrm_here")


def here() -> Here:
    """The value that ``speaking`` set. Raises LookupError outside of it: a text without a reader is a mistake."""
    return _here.get()


@contextmanager
def speaking(place: Here) -> Iterator[None]:
    """A context in which texts are written for this reader: language, time zone, time."""
    token = _here.set(place)
    try:
        yield
    finally:
        _here.reset(token)


def catalogue_path(language: Language) -> Path:
    """The path of the catalogue of a language."""
    return FOLDER / language.value / "LC_MESSAGES" / f"{DOMAIN}.po"


@cache
def translations(language: Language) -> gettext_module.NullTranslations:
    """The catalogue of a language; untranslated messages come out in English."""
    if language is Language.EN:
        return gettext_module.NullTranslations()
    with catalogue_path(language).open("rb") as file:
        catalogue = read_po(file, locale=language.value, domain=DOMAIN)
    compiled = BytesIO()
    write_mo(compiled, catalogue)
    compiled.seek(0)
    return gettext_module.GNUTranslations(compiled)


def gettext(message: str) -> str:
    """The message in the reader's language; in English where the catalogue lacks it."""
    # An empty message is the catalogue's own header.
    return translations(here().language).gettext(message) if message else ""


def word_in(language: str, word: str) -> str:
    """One of our words in the language with this code, for readers who are not at a page; for ``register_words``."""
    return translations(Language(language)).gettext(word) if word else ""


def ngettext(singular: str, plural: str, number: int) -> str:
    """The form of the message for this number in the reader's language."""
    return translations(here().language).ngettext(singular, plural, number)


def pgettext(context: str, message: str) -> str:
    """The message in the reader's language. ``context`` tells the meanings of one English word apart."""
    return translations(here().language).pgettext(context, message)


def preferred(accept_language: str, default: Language) -> Language:
    """The first of our languages in an ``Accept-Language`` header (RFC 9110, 12.5.4), else ``default``."""
    wanted: list[tuple[float, int, str]] = []
    for position, part in enumerate(accept_language.split(",")[:20]):
        tag, _, quality = part.strip().partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=")) if quality else 1.0
        except ValueError:
            continue
        wanted.append((-weight, position, tag.strip().lower().partition("-")[0]))
    for weight, _, tag in sorted(wanted):
        language = Language.of(tag)
        if language is not None and weight < 0:
            return language
    return default
