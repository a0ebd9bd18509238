"""Parameters of reasons that are no plain text, in the reader's language and time zone: moments, stretches of time, amounts of working time."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from babel.dates import format_date

from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.checkpoints.counting import GAP, stretches_of
from web.formats import NBSP, local, with_apostrophes
from web.i18n import gettext as _
from web.i18n import here

NAMES = frozenset(
    {"stage", "pipeline", "key"}
)  # shipped names of stages and pipelines, and the names of fields: translated


def said(params: Mapping[str, str]) -> dict[str, str]:
    """The parameters of a stored reason, ready to be put into its sentence."""
    return {name: _said(name, value) for name, value in params.items()}


def _said(name: str, value: str) -> str:
    if name in NAMES or value == NO_NUMBER:
        return _(value)
    if name.endswith("_at"):
        return _local_time(datetime.fromisoformat(value))
    if name == "working_minutes":
        return _working(int(value))
    if name == "stretches":
        return ", ".join(_stretches(value))
    return value


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
        begins, ends = (local(datetime.fromisoformat(moment)) for moment in stretch.split("/"))
        named = f"{_day(begins)}{NBSP}" if begins.date() != day else ""
        day = begins.date()
        yield f"{named}{begins:%H:%M}–{ends:%H:%M}"


def _local_time(moment: datetime) -> str:
    then = local(moment)
    return f"{_day(then)}{NBSP}{then:%H:%M}"


def _day(then: datetime) -> str:
    pattern = "EEE d MMM" if then.year == local(here().now).year else "EEE d MMM yyyy"
    return with_apostrophes(format_date(then, pattern, locale=here().locale)).replace(" ", NBSP)
