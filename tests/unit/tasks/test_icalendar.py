"""Tasks as an iCalendar stream: what RFC 5545 asks of it, whatever people write in their tasks."""

import re
from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.tasks.icalendar import CalendarEntry, calendar

DUE = datetime(2026, 11, 27, 13, 0, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


def unfolded(stream: bytes) -> list[str]:
    return re.sub(b"\r\n[ \t]", b"", stream).decode().split("\r\n")


def meant(text: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] == "n" else found[1], text)


def test_a_task_as_a_calendar_shows_it() -> None:
    entry = CalendarEntry(
        "task-7@pbxcrm", "Call; then, write", "Line\nTwo \\ three", DUE, DUE, 2, "https://crm.example/tasks/7"
    )
    lines = unfolded(calendar("Ivan", [entry]))
    for expected in (
        "UID:task-7@pbxcrm", "DTSTART:20261127T123000Z", "DTEND:20261127T130000Z", "SEQUENCE:2",
        "SUMMARY:Call\\; then\\, write", "DESCRIPTION:Line\\nTwo \\\\ three", "URL:https://crm.example/tasks/7",
    ):  # fmt: skip
        assert expected in lines


@given(TEXTS, TEXTS)
def test_whatever_is_written_stays_in_its_line(title: str, text: str) -> None:
    stream = calendar("Ivan", [CalendarEntry("task-7@pbxcrm", title, text, DUE, DUE, 0)])
    assert stream.endswith(b"END:VCALENDAR\r\n")
    for line in stream.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()  # no letter is cut in two
        assert not re.search(rb"[\x00-\x08\x0a-\x1f\x7f]", line)
    lines = unfolded(stream)
    assert lines.count("BEGIN:VEVENT") == 1
    [summary] = [line.removeprefix("SUMMARY:") for line in lines if line.startswith("SUMMARY:")]
    kept = "".join(
        each
        for each in title.replace("\r\n", "\n").replace("\r", "\n")
        if each in "\n\t" or (ord(each) >= 32 and ord(each) != 127)
    )
    assert meant(summary) == kept
