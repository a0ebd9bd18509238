"""Parameters of reasons that are no plain text, in the reader's language and time zone: moments, stretches of time, amounts of working time."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta, timezone, tzinfo

from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.checkpoints.counting import GAP, stretches_of
from pbxcrm.shared.reasons import SAID_AS, filled
from web.formats import NBSP, date_text, local, working_days
from web.i18n import gettext as _
from web.i18n import here
from web.rule_codes import code_said

DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
NAMES = frozenset(
    {"stage", "pipeline", "key", "field"}
)  # shipped names of stages and pipelines, and the names of fields: translated
_PERHAPS_DATES = frozenset({"until", "value", "saw", "day"})  # a date, a moment, or any other text
_COMPARED = frozenset({"value", "saw"})  # of a condition; ``field`` is what it asked
_ISO = re.compile(r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?")


def said(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a stored reason, ready to be put into its sentence."""
    asked = params.get("field", "")
    return {
        name: _error(name, params) or _said(name, value, asked) for name, value in params.items() if "." not in name
    }


def _error(name: str, params: Mapping[str, str]) -> str:
    """The error that a parameter holds, with its own parameters (``reasons.reason``); empty if it holds none."""
    message = params.get(f"{name}{SAID_AS}", "")
    own = {each.partition(".")[2]: value for each, value in params.items() if each.startswith(f"{name}.")}
    return (
        filled(_(message), {each: _(value) if each in NAMES else value for each, value in own.items()})
        if message
        else ""
    )


def _said(name: str, value: str, asked: str) -> str:
    if (
        name in NAMES or value == NO_NUMBER or (name == "why" and value)
    ):  # a sentence of ours, or words of another program
        return _(value)
    if name.endswith("_at"):
        return _local_time(datetime.fromisoformat(value))
    if name in _COMPARED and (word := code_said(asked, value)) is not None:
        return word
    if name in _PERHAPS_DATES:
        return date_in_words(value)
    if name == "working_minutes":
        return _working(int(value))
    if name == "wait_minutes":
        return working_days(int(value))
    if name == "stretches":
        return ", ".join(_stretches(value))
    return value


def date_in_words(value: str) -> str:
    """A date or moment as it is stored (ISO 8601) in the reader's words; any other text as it is."""
    if not _ISO.fullmatch(value):
        return value
    try:
        found = datetime.fromisoformat(value)
    except ValueError:  # 2027-02-30
        return value
    return _local_time(found) if found.tzinfo is not None else _day(found)


def _working(minutes: int) -> str:
    """Hours and minutes, never days: a working day is shorter than 24 hours."""
    hours, rest = divmod(minutes, 60)
    texts = [_("{n} h").format(n=hours)] if hours else []
    texts += [_("{n} min").format(n=rest)] if rest else []
    return " ".join(texts).replace(" ", NBSP) or _("no time at all")


def _stretches(value: str) -> Iterator[str]:
    """Each stretch of working time as text. The weekday is written only where it changes."""
    day = None
    for stretch in stretches_of(value):
        if stretch == GAP:
            yield GAP
            continue
        whole_begins, whole_ends = (local(datetime.fromisoformat(moment)) for moment in stretch.split("/"))
        for begins, ends in _by_one_clock(whole_begins, whole_ends):
            last, until = _end(begins, ends)
            since = f"{begins:%H:%M}" if begins.date() == day else f"{_day(begins)}{NBSP}{begins:%H:%M}"
            day = last.date()
            text = f"{since}–{until}" if day == begins.date() else f"{since}–{_day(last)}{NBSP}{until}"
            is_last = ends.astimezone(UTC) == whole_ends.astimezone(UTC)
            yield text if is_last else _("{until} (the clocks change)").format(until=text)


def _by_one_clock(begins: datetime, ends: datetime) -> Iterator[tuple[datetime, datetime]]:
    """The stretch in parts between changes of the clocks, so that no part runs backwards and each is as long as it reads."""
    zone = begins.tzinfo
    reached, until = begins.astimezone(UTC), ends.astimezone(UTC)
    while reached < until:
        offset, known = _offset(reached, zone), reached
        while known < until and _offset(min(known + DAY, until), zone) == offset:
            known = min(known + DAY, until)
        later = min(known + DAY, until)
        while later - known > SECOND:  # between them the clocks change
            middle = known + (later - known) / 2
            known, later = (middle, later) if _offset(middle, zone) == offset else (known, middle)
        changed = later.replace(microsecond=0) if later < until else until
        yield reached.astimezone(zone), changed.astimezone(timezone(offset))
        reached = changed
    if begins.astimezone(UTC) == until:
        yield begins, ends


def _offset(moment: datetime, zone: tzinfo | None) -> timedelta:
    return moment.astimezone(zone).utcoffset() or timedelta(0)


def _end(begins: datetime, ends: datetime) -> tuple[datetime, str]:
    """The day of the end and its time: midnight is the end of the day before."""
    if ends > begins and (ends.hour, ends.minute) == (0, 0) and ends.date() > begins.date():
        return ends - timedelta(minutes=1), "24:00"
    return ends, f"{ends:%H:%M}"


def _local_time(moment: datetime) -> str:
    then = local(moment)
    return f"{_day(then)}{NBSP}{then:%H:%M}"


def _day(then: datetime) -> str:
    pattern = "EEE d MMM" if then.year == local(here().now).year else "EEE d MMM yyyy"
    return date_text(then, pattern).replace(" ", NBSP)
