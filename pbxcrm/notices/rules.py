"""Pure rules for when a digest is due, when it is retried, and for quiet hours."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta

from pbxcrm.calendars.rules import parse_spans
from pbxcrm.shared.errors import Invalid

DAY = 24 * 60  # minutes
LATEST = timedelta(hours=8)  # a digest is no longer planned this long after its time
RETRY_MINUTES = (1, 5, 15, 30, 60)  # the last one repeats
_CLOCK = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)")


def parse_clock(text: str, field: str) -> int | None:
    """``8:30`` as minutes after midnight; None for an empty text. Raises Invalid at ``field``."""
    if not text:
        return None
    found = _CLOCK.fullmatch(text)
    if found is None:
        raise Invalid(field, "notices.clock", "Write a time of day, for example 8:30.")
    return 60 * int(found[1]) + int(found[2])


def format_clock(minute: int | None) -> str:
    """The text for ``parse_clock``."""
    return "" if minute is None else f"{minute // 60:02}:{minute % 60:02}"


def is_quiet(spans: str, local: datetime) -> bool:
    """Whether the local time is within ``spans`` (the format of ``parse_spans``). A span may end on the next day."""
    return _covers(parse_spans(spans), 60 * local.hour + local.minute)


def _covers(spans: Iterable[tuple[int, int]], minute: int) -> bool:
    return any(start <= at < end for start, end in spans for at in (minute, minute + DAY))


def is_due(digest_at: int, quiet: str, local: datetime) -> bool:
    """Whether the digest of the local day is due: from ``digest_at`` (minutes) for ``LATEST``, but not in quiet hours."""
    since = timedelta(hours=local.hour, minutes=local.minute) - timedelta(minutes=digest_at)
    return timedelta() <= since < LATEST and not is_quiet(quiet, local)


def next_try(tries: int, now: datetime) -> datetime:
    """When to try again after ``tries`` failed attempts."""
    return now + timedelta(minutes=RETRY_MINUTES[min(tries, len(RETRY_MINUTES)) - 1])
