"""Asterisk's channel event log (CEL): the rows of the file in UTC, and the calls they form.

The file is written by cel_custom in the column order of Asterisk's sample configuration (see dialplan_examples).
"""

import csv
import json
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

_COLUMNS = 20
_UNIQUE = re.compile(r"(?:.*-)?(\d{9,11})\.\d+")
_QUARTER = 900  # seconds; time zones differ by whole quarters of an hour
_BIRTH = 5  # seconds at most between a Uniqueid and the first event of its channel
_DISORDER = timedelta(minutes=1)  # rows may be out of order by at most this


@dataclass(frozen=True, slots=True)
class Row:
    """One channel event; ``at`` is aware UTC."""

    event: str
    at: datetime
    name: str
    number: str
    exten: str
    context: str
    channel: str
    app: str
    app_data: str
    unique_id: str
    linked_id: str
    extra: dict[str, str]
    redirecting: str = ""  # RDNIS: who forwarded


def read(path: Path, most: int = 32 << 20) -> list[Row]:
    """The rows in the last ``most`` bytes of a CEL file. Other lines are skipped. Raises OSError."""
    return list(_in_utc([row for line in csv.reader(tail(path, most)) if (row := _parse(line))]))


def tail(path: Path, most: int) -> list[str]:
    """The complete lines in the last ``most`` bytes of a file. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(0, size - most))
        data = file.read()
    if size > most:
        data = data.partition(b"\n")[2]
    return data.replace(b"\0", b"").decode("utf-8", "replace").splitlines()


def utc_shift(born: datetime, unique_id: str) -> timedelta | None:
    """What to add to the file's local time at a channel's birth to get UTC; None if its Uniqueid does not tell.

    Asterisk writes local time, but a Uniqueid begins with the epoch of the channel's birth. A difference that is not an
    offset of a time zone means that the channel was born earlier.
    """
    found = _UNIQUE.fullmatch(unique_id)
    if found is None:
        return None
    difference = timedelta(seconds=int(found[1]) - born.timestamp())
    shift = whole_quarters(difference)
    return shift if abs(difference - shift).total_seconds() <= _BIRTH else None


def whole_quarters(time: timedelta) -> timedelta:
    """The time rounded to whole quarters of an hour."""
    return timedelta(seconds=round(time.total_seconds() / _QUARTER) * _QUARTER)


def _in_utc(rows: Sequence[Row]) -> Iterator[Row]:
    """The rows in UTC, even when the local clock changed for summer time in between.

    Each birth of a channel gives the offset at that time. Rows between two births with different offsets get the earlier of
    the two times, unless time would run backwards.
    """
    births = [utc_shift(row.at, row.unique_id) if row.event == "CHAN_START" else None for row in rows]
    following: list[timedelta | None] = []
    coming: timedelta | None = None
    for birth in reversed(births):
        coming = coming if birth is None else birth
        following.append(coming)
    shift, last = coming or timedelta(0), datetime.min.replace(tzinfo=UTC)
    for row, birth, coming in zip(rows, births, reversed(following), strict=True):
        if birth is not None:
            shift = birth
        elif coming is not None and coming != shift:
            earlier, later = sorted((shift, coming))
            shift = earlier if row.at + earlier >= last else later
        at = row.at + shift
        last = at - _DISORDER
        yield replace(row, at=at)


def parse_time(text: str) -> datetime | None:
    """``%F %T``, the same with a fraction, or seconds since 1970; read as UTC whatever its zone was; None if invalid."""
    try:
        return datetime.fromisoformat(text).replace(tzinfo=UTC)
    except ValueError:
        pass
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _parse(line: Sequence[str]) -> Row | None:
    at = parse_time(line[1]) if len(line) >= _COLUMNS - 1 else None
    if at is None or not line[14]:
        return None
    extra: dict[str, str] = {}
    if len(line) >= _COLUMNS and line[19].startswith("{"):
        try:
            extra = {key: str(value) for key, value in json.loads(line[19]).items()}
        except ValueError:
            extra = {}
    return Row(
        line[0], at, line[2], line[3], line[7], line[8], line[9], line[10], line[11], line[14], line[15], extra, line[5]
    )


def calls(rows: Iterable[Row]) -> list[list[Row]]:
    """The rows of each call, calls in order of their first row. A transfer may have changed a channel's Linkedid.

    Channels that met in a bridge belong to one call.
    """
    leader: dict[str, str] = {}

    def find(name: str) -> str:
        while leader.setdefault(name, name) != name:
            name = leader[name]
        return name

    rows = list(rows)
    for row in rows:
        names = [row.linked_id, row.unique_id]
        bridge = row.extra.get("bridge_id")
        if bridge and row.extra.get("bridge_technology") != "holding_bridge":
            names.append(f"bridge {bridge}")
        for name in names[1:]:
            first, second = find(names[0]), find(name)
            if first != second:
                leader[second] = first
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(find(row.linked_id), []).append(row)
    return list(groups.values())


def known_by(rows: Iterable[Row], asked_at: datetime, there: Collection[str]) -> list[Row]:
    """The rows already reflected in a snapshot that was requested at ``asked_at`` and shows the channels ``there``.

    A channel born before the request that is not in the snapshot hung up while it was being taken.
    """
    known: set[str] = set()
    found = []
    for row in rows:
        if row.at <= asked_at:
            known.add(row.unique_id)
        elif row.unique_id not in known or row.unique_id in there:
            continue
        found.append(row)
    return found


def is_over(call: Sequence[Row]) -> bool:
    """Whether the rows hold both CHAN_START and CHAN_END of every channel in them."""
    born = {row.unique_id for row in call if row.event == "CHAN_START"}
    died = {row.unique_id for row in call if row.event == "CHAN_END"}
    seen = {row.unique_id for row in call}
    return born == died == seen
