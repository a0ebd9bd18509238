"""Tasks as an iCalendar stream (RFC 5545). Pure functions."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

LONGEST_LINE = 75  # octets, 3.1
SHOWN_FOR = timedelta(minutes=30)  # the length of the event, which ends at the deadline


@dataclass(frozen=True, slots=True)
class CalendarEntry:
    """A task for the calendar. The times are aware UTC."""

    uid: str
    title: str
    text: str
    due_at: datetime
    changed_at: datetime
    sequence: int
    url: str = ""


def calendar(name: str, entries: Iterable[CalendarEntry]) -> bytes:
    """The calendar as UTF-8 text: escaped, lines folded at 75 octets and ended by CRLF."""
    lines = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//pbxcrm//tasks//EN",
        "CALSCALE:GREGORIAN",
        "METHOD:PUBLISH",
        f"X-WR-CALNAME:{_escaped(name)}",
        "REFRESH-INTERVAL;VALUE=DURATION:PT15M",
    ]
    for entry in entries:
        lines += [
            "BEGIN:VEVENT",
            f"UID:{_escaped(entry.uid)}",
            f"DTSTAMP:{_utc_stamp(entry.changed_at)}",
            f"DTSTART:{_utc_stamp(entry.due_at - SHOWN_FOR)}",
            f"DTEND:{_utc_stamp(entry.due_at)}",
            f"SEQUENCE:{entry.sequence}",
            f"SUMMARY:{_escaped(entry.title)}",
            *([f"DESCRIPTION:{_escaped(entry.text)}"] if entry.text else []),
            *([f"URL:{entry.url}"] if entry.url else []),
            "TRANSP:TRANSPARENT",
            "END:VEVENT",
        ]
    lines.append("END:VCALENDAR")
    return b"".join(_folded(line) for line in lines)


def _utc_stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _escaped(text: str) -> str:
    """``text`` as the type TEXT (3.3.11), without control characters, which are not allowed."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    text = "".join(letter for letter in text if letter in "\n\t" or (ord(letter) >= 32 and ord(letter) != 127))
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def _folded(line: str) -> bytes:
    """A content line, folded between characters, never inside the bytes of one."""
    pieces, piece = [], b""
    for letter in line:
        raw = letter.encode(errors="replace")
        if len(piece) + len(raw) > LONGEST_LINE:
            pieces.append(piece)
            piece = b" "
        piece += raw
    return b"\r\n".join([*pieces, piece]) + b"\r\n"
