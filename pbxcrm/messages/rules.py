"""Pure decisions about messages: when one is tried again, when quiet hours end, how an address is compared, what an e-mail is known by."""

import hashlib
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from pbxcrm.calendars.rules import parse_spans
from pbxcrm.shared.timers import RETRY_SECONDS

LEASE = timedelta(minutes=5)  # longer than an attempt may take
_DAY = 24 * 60
_ID_LETTERS = 40  # of a hash: nobody guesses them


def retry_at(tries: int, now: datetime) -> datetime | None:
    """When a message that has failed ``tries`` times (from 1) is tried again; None: no more."""
    return now + timedelta(seconds=RETRY_SECONDS[tries - 1]) if tries <= len(RETRY_SECONDS) else None


def quiet_until(spans: str, now: datetime, timezone: ZoneInfo) -> datetime | None:
    """The end of the quiet hours that ``now`` is in; None outside them. ``spans``: 21:00-09:00."""
    local = now.astimezone(timezone)
    minute = 60 * local.hour + local.minute
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    for begins, ends in parse_spans(spans):
        for at, day in ((minute, 0), (minute + _DAY, -1)):  # a span may have begun yesterday
            if begins <= at < ends:
                hours, minutes = divmod(ends, 60)
                end = (midnight + timedelta(days=day + hours // 24)).replace(hour=hours % 24, minute=minutes)
                return end.astimezone(now.tzinfo)
    return None


def day_of(now: datetime, timezone: ZoneInfo) -> datetime:
    """When the local day began."""
    return now.astimezone(timezone).replace(hour=0, minute=0, second=0, microsecond=0).astimezone(now.tzinfo)


def address_key(address: str) -> str:
    """Equal for all spellings of one address."""
    return address.strip().casefold()


def message_id_of(secret: str) -> str:
    """The part of the Message-ID before the @. It is made of the secret of the e-mail's link, which it does not tell."""
    return f"m.{hashlib.sha256(secret.encode('utf-8', 'replace')).hexdigest()[:_ID_LETTERS]}"
