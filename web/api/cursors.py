"""Where a list goes on: opaque to programs, checked when it comes back. It grants nothing: rows are filtered as always."""

import base64
import binascii
import json
from datetime import UTC, datetime

from pbxcrm.shared.columns import LARGEST_ID
from web.api.fields import EARLIEST, LATEST
from web.api.problems import Wrong


def next_of_id(row_id: int | None) -> str:
    return _packed([row_id])


def next_of_moment(at: datetime, row_id: int | None) -> str:
    return _packed([int(at.timestamp()) * 1_000_000 + at.microsecond, row_id])


def read_id(cursor: str | None) -> int | None:
    """The id of the last row seen; None for the beginning. Raises Wrong."""
    if cursor is None:
        return None
    found = _unpacked(cursor, 1)[0]
    return _checked(found, LARGEST_ID)


def read_moment(cursor: str | None) -> tuple[datetime, int] | None:
    """The sort time and id of the last row seen; None for the beginning. Raises Wrong."""
    if cursor is None:
        return None
    microseconds, row_id = _unpacked(cursor, 2)
    latest = int(LATEST.timestamp()) * 1_000_000
    seconds, rest = divmod(_checked(microseconds, latest), 1_000_000)
    at = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest)
    return max(at, EARLIEST), _checked(row_id, LARGEST_ID)


def _packed(parts: list[int | None]) -> str:
    return base64.urlsafe_b64encode(json.dumps(parts, separators=(",", ":")).encode()).decode().rstrip("=")


def _unpacked(cursor: str, length: int) -> list[object]:
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        parts = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, binascii.Error, RecursionError):
        raise _wrong() from None
    if not isinstance(parts, list) or len(parts) != length:
        raise _wrong()
    return parts


def _checked(part: object, most: int) -> int:
    if not isinstance(part, int) or isinstance(part, bool) or not 0 <= part <= most:
        raise _wrong()
    return part


def _wrong() -> Wrong:
    return Wrong("api.cursor", "This cursor is not one of ours: leave it away to begin at the beginning.", "cursor")
