"""Formats of times, durations, amounts and names for people.

Everything here speaks the language, time zone and moment of ``web.i18n.here()``. A space inside a value is a no-break
space, so that a line never breaks between a number and its unit.
"""

from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from zlib import crc32

from babel.dates import format_date
from babel.numbers import format_decimal, get_currency_symbol

from pbxcrm.contacts.birthday_rules import age_on
from web.i18n import Language, here, ngettext
from web.i18n import gettext as _

NBSP = "\u00a0"
SYMBOLS_OF = "ru"  # the locale whose currency signs are short (₴, €, $)


def local(moment: datetime) -> datetime:
    """In the reader's time zone."""
    return moment.astimezone(here().timezone)


def date_text(day: date, pattern: str) -> str:
    """A day by a pattern of the locale data (``EEE d MMM``), with the apostrophe of our own texts."""
    return _date_text(day.date() if isinstance(day, datetime) else day, pattern, here().language)


@lru_cache(maxsize=20_000)  # Babel takes 50 µs for each, and a page says hundreds of a few days
def _date_text(day: date, pattern: str, language: Language) -> str:
    return with_apostrophes(format_date(day, pattern, locale=language.locale))


def in_file(moment: datetime) -> datetime:
    """A time as a file holds it: the reader's clock to the minute, without a zone, which spreadsheets do not know."""
    return local(moment).replace(tzinfo=None, second=0, microsecond=0)


def day_time(moment: datetime) -> str:
    """``today 14:05``, ``yesterday 9:10``, ``Thu 3 Nov 16:05`` within six days, else ``3 Nov 14:05``; of another year ``3 Nov 2025``,
    or ``3 Nov 2027 14:05`` if it is still to come.

    A weekday always has its date: one list can hold last Saturday and next Sunday.
    """
    place = here()
    then, today = local(moment), local(place.now).date()
    clock = f"{then:%H:%M}"
    days = (then.date() - today).days
    if days in {-1, 0, 1}:
        word = {-1: _("yesterday"), 0: _("today"), 1: _("tomorrow")}[days]
        return f"{word}{NBSP}{clock}"
    if abs(days) < 7:
        return f"{date_text(then, 'EEE d MMM')}{NBSP}{clock}".replace(" ", NBSP)
    if then.year == today.year:
        return f"{date_text(then, 'd MMM')}{NBSP}{clock}".replace(" ", NBSP)
    said = date_text(then, "d MMM yyyy")
    return (f"{said} {clock}" if days > 0 else said).replace(" ", NBSP)


def with_apostrophes(name: str) -> str:
    """A name of the locale data with the apostrophe of our own texts: "п’ятниця", "В’єтнам"."""
    return name.replace("\N{MODIFIER LETTER APOSTROPHE}", "\N{RIGHT SINGLE QUOTATION MARK}")


def day_date(day: date) -> str:
    """``Thu, 3 Nov``, with the year where it is not this one."""
    return date_text(day, "EEE, d MMM" if day.year == today().year else "EEE, d MMM yyyy").replace(" ", NBSP)


def today() -> date:
    """The day it is where the reader is."""
    return local(here().now).date()


def birthday(year: int | None, day: int | None) -> str:
    """``31 December 1990, 35 years old``; without a year only the day. Empty for no birthday."""
    if day is None:
        return ""
    day_of = date(year or 2000, day // 100, day % 100)
    said = date_text(day_of, "d MMMM y" if year is not None else "d MMMM")
    years = age_on(today(), year, day)
    said = said.replace(" ", NBSP)
    if years is None:
        return said
    old = ngettext("%(num)d year old", "%(num)d years old", years) % {"num": years}
    return f"{said}, {old}"


def birthday_typed(year: int | None, day: int | None) -> str:
    """A birthday as people type it in a form: ``31.12.1990``, ``31.12``."""
    if day is None:
        return ""
    return f"{day % 100:02d}.{day // 100:02d}" + (f".{year:04d}" if year is not None else "")


def full_time(moment: datetime) -> str:
    """The whole date and time with seconds, for the tooltip."""
    then = local(moment)
    return f"{date_text(then, 'EEEE, d MMMM yyyy')}, {then:%H:%M:%S}"


def clock_seconds(seconds: float | timedelta) -> str:
    """How long a call lasted: ``0:48``, ``12:05``, ``1:02:33``."""
    whole = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    hours, rest = divmod(max(0, whole), 3600)
    minutes, second = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{second:02}" if hours else f"{minutes}:{second:02}"


def span(seconds: float | timedelta) -> str:
    """How long somebody has waited, in one unit or two: ``now``, ``34 min``, ``2 h 10 min``, ``3 d``."""
    whole = int(seconds.total_seconds() if isinstance(seconds, timedelta) else seconds)
    minutes = max(0, whole) // 60
    if minutes == 0:
        return _("now")
    if minutes < 60:
        return _("{n} min").format(n=minutes).replace(" ", NBSP)
    hours, minute = divmod(minutes, 60)
    if hours < 24:
        text = _("{n} h").format(n=hours)
        if minute and hours < 10:
            text += " " + _("{n} min").format(n=minute)
        return text.replace(" ", NBSP)
    return _("{n} d").format(n=hours // 24).replace(" ", NBSP)


def working_span(minutes: float) -> str:
    """Working time in minutes and hours, ``2 h 10 min`` or ``48 h``, never in days: a working day has nine hours here and eight there."""
    hours = int(minutes) // 60
    return _("{n} h").format(n=hours).replace(" ", NBSP) if hours >= 24 else span(int(minutes) * 60)


def took(minutes: float) -> str:
    """How much working time something took: as ``working_span``, but what took no time was not "now"."""
    return working_span(minutes) if minutes >= 1 else _("under a minute")


def working_days(minutes: int) -> str:
    """Working time that may be long, in days of nine hours and the rest, with the hours: where a day has eight, they are others.

    ``60 working d (540 h)``, ``2 working d 8 h (26 h)``; up to 24 hours as ``working_span``, except for whole days.
    """
    days, rest = divmod(minutes, WORKING_DAY)
    if not days or (rest and minutes < 24 * 60):
        return working_span(minutes)
    told = _("{n} working d {rest} ({hours})") if rest else _("{n} working d ({hours})")
    return told.format(n=days, rest=working_span(rest), hours=working_span(minutes))


def waited(minutes: float, since: datetime) -> str:
    """How long somebody waits: working time up to a day of it, then the days since ``since``: nobody counts 2231 hours."""
    return working_span(minutes) if minutes < 24 * 60 else age(since)


def age(moment: datetime) -> str:
    """The time since ``moment``, in the format of ``span``."""
    return span(here().now - moment)


def money(amount: Decimal | float | None, currency: str | None = None) -> str:
    """``48 000 ₴``; kopecks only if there are any; a dash for no amount."""
    if amount is None:
        return "—"
    return _money(Decimal(str(amount)), currency or here().currency, here().language)


@lru_cache(maxsize=20_000)
def _money(value: Decimal, currency: str, language: Language) -> str:
    pattern = "#,##0" if value == value.to_integral_value() else "#,##0.00"
    symbol = get_currency_symbol(currency, locale=SYMBOLS_OF)
    return f"{format_decimal(value, pattern, locale=language.locale)}{NBSP}{symbol}"


def number(value: float) -> str:
    """A number with the separators of the reader's language."""
    return _number(value, here().language)


@lru_cache(maxsize=20_000)
def _number(value: float, language: Language) -> str:
    return format_decimal(value, locale=language.locale)


def exact_number(value: Decimal) -> str:
    """All digits of a number (six after the point at most), with the separators of the reader's language."""
    return format_decimal(value, "#,##0.######", locale=here().locale)


def file_size(size: int) -> str:
    """Bytes as people say them: "640 bytes", "12 KB", "3.4 MB"."""
    if size < 1 << 10:
        return ngettext("{n} byte", "{n} bytes", size).format(n=size)
    if size < 1 << 20:
        return _("{amount} KB").format(amount=number(round(size / (1 << 10))))
    return _("{amount} MB").format(amount=number(round(size / (1 << 20), 1)))


WORKING_DAY = 9 * 60  # minutes


def initials(name: str) -> str:
    """One or two letters for a round avatar; ``?`` for a name without letters."""
    words = [word for word in name.split() if word[:1].isalnum()]
    if not words:
        return "?"
    return (words[0][0] + (words[-1][0] if len(words) > 1 else "")).upper()


def tint(name: str) -> int:
    """The avatar colour of a name: one of eight, always the same for one name."""
    return crc32(name.encode()) % 8
