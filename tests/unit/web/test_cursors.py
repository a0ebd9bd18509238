"""The one codec of pages and API for where a list goes on."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.timeline.entries import EntryKind, TimelineCursor
from web import cursors

TIMES = st.integers(0, 7_258_118_400_000_000 - 1).map(lambda micros: cursors.EARLIEST + timedelta(microseconds=micros))
IDS = st.integers(0, LARGEST_ID)


@given(TIMES, IDS, st.sampled_from(EntryKind))
def test_what_was_written_is_read(at: datetime, row_id: int, kind: EntryKind) -> None:
    assert cursors.read_id(cursors.next_of_id(row_id)) == row_id
    assert cursors.read_time(cursors.next_of_time(at, row_id)) == (at, row_id)
    entry = TimelineCursor(at, kind, row_id)
    assert cursors.read_entry(cursors.next_of_entry(entry)) == entry


@given(st.text())
def test_anything_else_is_no_cursor(text: str) -> None:
    for read in (cursors.read_id, cursors.read_time, cursors.read_entry):
        read(text)  # whatever it is, it is no error


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "_",
        "x" * 5000,
        cursors.next_of_id(LARGEST_ID + 1),
        cursors.next_of_id(-1),
        cursors.next_of_id(None),
        cursors.next_of_time(cursors.LATEST + timedelta(microseconds=1), 1),
    ],
)
def test_what_no_list_gave_is_no_cursor(cursor: str) -> None:
    assert cursors.read_id(cursor) is None
    assert cursors.read_time(cursor) is None
    assert cursors.read_entry(cursor) is None


def test_a_cursor_of_one_list_is_none_of_another() -> None:
    assert cursors.read_time(cursors.next_of_id(7)) is None
    assert cursors.read_id(cursors.next_of_time(datetime(2026, 11, 27, tzinfo=UTC), 7)) is None
