"""Checks the PBX's own CEL and CDR files, from which calls that end while nobody listens are recovered."""

import csv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from pbxcrm.shared.settings import Pbx
from pbxcrm.upkeep.doctor.findings import Finding, bad, counted, good, odd

Row = TypeVar("Row")
_LOOKED_AT = 256 << 10  # bytes at the end of a file
_LATE = timedelta(minutes=2)  # the file is written when a call ends, with some buffering


def check_records(pbx: Pbx, last_ended: datetime | None) -> list[Finding]:
    """Check the files of a PBX. ``last_ended``: when the last call we heard ended; the files must hold it."""
    from ami import cdr, cel

    name = f"PBX {pbx.name}"
    if not pbx.cel_csv and not pbx.cdr_csv:
        todo = "Let it write CEL (dialplan_examples/README.md) and set PBXCRM_CEL_CSV."
        return [odd(f"{name}: the outcome of calls that end while nobody listens cannot be recovered.", todo)]
    findings: list[Finding] = []
    if pbx.cel_csv:
        findings.append(_look(f"{name}: its CEL file", Path(pbx.cel_csv), cel.read, last_ended, _of_cel))
        findings += _called_straight(name, Path(pbx.cel_csv), pbx)
    if pbx.cdr_csv:
        findings.append(_look(f"{name}: its CDR file", Path(pbx.cdr_csv), cdr.read, last_ended, lambda _: None))
    return findings


def _look(
    what: str,
    path: Path,
    read: Callable[[Path, int], list[Row]],
    last_ended: datetime | None,
    lacks: Callable[[Sequence[Row]], str | None],
) -> Finding:
    try:
        rows = read(path, _LOOKED_AT)
        lines = sum(1 for line in csv.reader(_tail(path)) if line)
        changed = datetime.fromtimestamp(path.stat().st_mtime, UTC)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        return bad(f"{what} {path} cannot be read: {why}.", "Check the setting, and whether our user may read it.")
    if not lines:
        return odd(
            f"{what} {path} is empty.", "Call a phone. If that changes nothing, see dialplan_examples/README.md."
        )
    if len(rows) * 2 < lines:
        todo = "Write the columns as in dialplan_examples."
        return bad(f"{what} {path} has unexpected columns ({lines - len(rows)} of {lines} lines).", todo)
    if lack := lacks(rows):
        return bad(f"{what} {path} {lack}.", "Write the columns as in dialplan_examples.")
    if last_ended is not None and changed + _LATE < last_ended:
        since = f"{changed:%Y-%m-%d %H:%M} UTC"
        return bad(
            f"{what} {path} has not grown since {since}, though calls have ended.", "Is it the file of this PBX?"
        )
    return good(f"{what} can be read and grows ({path}).")


def _called_straight(name: str, path: Path, pbx: Pbx) -> list[Finding]:
    """Warn of programs that originate calls directly on a trunk: no CEL row holds the number they called."""
    from ami import cel
    from ami.tracker import TrackerSettings
    from ami.tracker.endpoints import EndpointKind, Places

    pattern = pbx.extension_pattern or TrackerSettings().extension_pattern
    places = Places(TrackerSettings(trunks=pbx.trunks, extension_pattern=pattern))
    try:
        rows = cel.read(path, _LOOKED_AT)
    except OSError:
        return []  # already reported
    called = {row.unique_id for row in rows if row.app == "AppDial2" and row.unique_id == row.linked_id}
    straight = {
        row.unique_id
        for row in rows
        if row.unique_id in called and places.of(row.channel, row.context).kind is EndpointKind.TRUNK
    }
    if not straight:
        return []
    what = f"{name}: programs have called outside numbers directly on a trunk ({counted(len(straight), 'call', 'calls')} at the end of the CEL file)."
    why = "If nobody listens at that moment, the called numbers are lost."
    return [odd(f"{what} {why}", "Let them call Local/NUMBER@CONTEXT/n (dialplan_examples/README.md).")]


def _tail(path: Path) -> list[str]:
    from ami import cel

    return cel.tail(path, _LOOKED_AT)


def _of_cel(rows: "Sequence[object]") -> str | None:
    hangups = [row for row in rows if getattr(row, "event", "") == "HANGUP"]
    if hangups and not any(getattr(row, "extra", None) for row in hangups):
        return "does not say why calls ended (eventextra)"
    if not any(getattr(row, "linked_id", "") for row in rows):
        return "does not say which channels belong together (linkedid)"
    return None
