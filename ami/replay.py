"""Turns recorded AMI bytes, or Asterisk's CEL file, into calls, one JSON object per line. ``pbxcrm replay`` calls it.

Needs no database, no Redis and no configuration. The object is a contract with other programs (docs/architecture.md).
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TextIO

from ami import cel, cel_translation
from ami.messages import Framer, is_wanted, parse
from ami.tracker import Tracker, TrackerSettings
from pbxcrm.calls import call_json
from pbxcrm.calls.facts import CallFact, CallState, Direction, FactKind
from pbxcrm.shared.numbers import normalise

DEFAULT_EXTENSION_PATTERN = r"\d{2,5}"
DEFAULT_REGION = "UA"
CHUNK = 1 << 16  # bytes
WHOLE_FILE = 1 << 62  # bytes


#: What every AMI stream has: an event, a response, an action or the greeting.
_AMI = re.compile(rb"(?:^|\n)(?:Event|Response|Action): \S|Asterisk Call Manager/")
_LONGEST_HEADER = 64  # bytes


class Unreadable(Exception):
    """A file cannot be read; the text says which file and why."""


def replay_files(
    paths: Sequence[str | Path],
    trunks: Sequence[str] = (),
    extension_pattern: str = DEFAULT_EXTENSION_PATTERN,
    region: str | None = None,
    out: TextIO | None = None,
    *,
    from_cel: bool = False,
) -> int:
    """Write one line of JSON per call. Each file is a separate stream; its calls come in the order they began.

    With ``from_cel`` the files are CEL files, read as recovery after a gap reads them.
    ``region`` (ISO 3166) is the country of national numbers; None means ``PBXCRM_REGION``, else "UA". Returns the exit code: 0, or 2 when a
    file could not be read (told on stderr; the others are still replayed).
    """
    region = region or os.environ.get("PBXCRM_REGION") or DEFAULT_REGION
    settings = TrackerSettings(trunks=tuple(trunks), extension_pattern=extension_pattern, region=region)
    exit_code = 0
    for path in paths:
        try:
            for call in calls_in_cel(path, settings) if from_cel else calls_in(_chunks(path), settings):
                line = json.dumps({"file": str(path), **as_object(call, region)}, ensure_ascii=False)
                print(line, file=out or sys.stdout)
        except Unreadable as error:
            print(error, file=sys.stderr)
            exit_code = 2
    return exit_code


def calls_in(chunks: Iterable[bytes], settings: TrackerSettings) -> list[CallState]:
    """The calls of one stream in the order they began; calls still in progress at its end have the outcome ``open``."""
    return _latest(facts_in(chunks, settings))


def calls_in_cel(path: str | Path, settings: TrackerSettings) -> list[CallState]:
    """The calls of a CEL file in the order they began; calls without an end in the file have the outcome ``open``.

    Raises Unreadable.
    """
    try:
        rows = cel.read(Path(path), WHOLE_FILE)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not rows and Path(path).stat().st_size:
        raise Unreadable(f"{path}: no CEL rows found.")
    tracker = Tracker(settings)
    facts = [fact for at, message in cel_translation.messages(rows) for fact in tracker.feed(message, at)]
    return _latest([*facts, *tracker.close()])


def _latest(facts: Iterable[CallFact]) -> list[CallState]:
    order: dict[str, int] = {}
    calls: dict[str, CallState] = {}
    for fact in facts:
        name = fact.call.linkedid
        order.setdefault(name, len(order))
        calls[name] = fact.call
        if fact.kind is FactKind.ABSORBED:
            del calls[name]
    return sorted(calls.values(), key=lambda call: (call.started_at, order[call.linkedid]))


def facts_in(chunks: Iterable[bytes], settings: TrackerSettings) -> Iterator[CallFact]:
    """All facts the tracker derives from one stream, including the verdicts still held at its end."""
    tracker, framer = Tracker(settings), Framer()
    for chunk in chunks:
        for raw in framer.feed(chunk):
            if is_wanted(raw):
                yield from tracker.feed(parse(raw))
    yield from tracker.close()


def as_object(call: CallState, region: str) -> dict[str, object]:
    """The call as a JSON object for other programs: the same object as in the API."""
    internal = call.direction is Direction.INTERNAL
    return call_json.as_object(call, None if internal else normalise(call.client_heard, region))


def _chunks(path: str | Path) -> Iterator[bytes]:
    try:
        with Path(path).open("rb") as file:
            tail, empty, is_ami = b"", True, False
            while chunk := file.read(CHUNK):
                empty, is_ami = False, is_ami or _AMI.search(tail + chunk) is not None
                tail = chunk[-_LONGEST_HEADER:]
                yield chunk
    except OSError as error:
        raise _unreadable(path, error) from error
    if not empty and not is_ami:
        raise Unreadable(f"{path}: no AMI messages found.")


def _unreadable(path: str | Path, error: OSError) -> Unreadable:
    return Unreadable(f"{path}: cannot be read: {error.strerror or error}")
