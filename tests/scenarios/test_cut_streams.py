"""A listener that is killed in the middle of a call, whatever the moment, tells the same as one that never slept.

Each stream that has a CEL file is cut at a message, the rest is not heard; the next listener reads the journal, meets the
snapshot of a PBX at rest, and what Asterisk's own record says of the time between.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ami.backfill import Backfill
from ami.follower import in_our_time
from ami.heard import Heard
from ami.messages import Framer, Message, is_wanted, parse
from ami.replay import as_object
from ami.snapshot import Snapshot
from ami.tracker import Tracker
from pbxcrm.calls.facts import CallFact, CallState, FactKind
from tests.scenarios.test_cel import FILES, HERE, TOGETHER, UNTOLD, name_of

#: These end where the PBX went away.
RESTARTED = {"restart_of_the_pbx", "restart_while_ringing", "pbx_killed"}
STREAMS = [file for file in FILES if file.with_name(f"{name_of(file)}.ami").exists() and name_of(file) not in RESTARTED]


def messages_of(stream: Path) -> list[Message]:
    return [parse(raw) for raw in Framer().feed(stream.read_bytes()) if is_wanted(raw)]


def time_of(message: Message) -> datetime:
    return datetime.fromtimestamp(float(message["Timestamp"]), UTC)


class Listener:
    """As ``ami.follower`` feeds its tracker."""

    def __init__(self) -> None:
        self.tracker = Tracker()
        self.heard = Heard()
        self.calls: dict[str, CallState] = {}
        self.keys: list[tuple[str, str]] = []

    def take(self, facts: list[CallFact]) -> None:
        for fact in facts:
            self.calls[fact.call.linkedid] = fact.call
            self.keys.append((fact.call.linkedid, fact.key))
            if fact.kind is FactKind.ABSORBED:
                del self.calls[fact.call.linkedid]

    def hear(self, message: Message) -> None:
        at = time_of(message)
        message = in_our_time(message, at)
        self.heard.note(message)
        self.take(self.tracker.feed(message, at))

    def wake_up(self, cel_csv: Path, slept_from: datetime, now: datetime) -> None:
        """The PBX is at rest when it is asked again."""
        nobody = Snapshot(channels=(), asked_at=now)
        self.heard.begin_file()
        for at, message in Backfill(Tracker, cel_csv=cel_csv).missed(nobody, slept_from, now):
            if self.heard.is_new(message):
                self.take(self.tracker.feed(message, at))
        self.take(self.tracker.reconcile(nobody, now, slept_from))
        self.take(self.tracker.close())

    def told(self) -> list[dict[str, Any]]:
        in_order = sorted(self.calls.values(), key=lambda call: (call.started_at, call.linkedid))
        return [as_object(call, "UA") for call in in_order]


#: What the file tells and a stream with the recommended filters does not.
TOLD_BY_FILE_ONLY = {"queue_nobody_can_serve": {"queue"}}


def comparable(call: dict[str, Any], name: str) -> dict[str, Any]:
    """Without the times, which two clocks or two places in the PBX tell a few milliseconds apart."""
    left_out = TOLD_BY_FILE_ONLY.get(name, set()) | UNTOLD.get(name, set())
    values = {k: v for k, v in call.items() if not k.endswith(("_at", "_seconds")) and k not in left_out}
    return values | ({"rang": sorted(values["rang"])} if name in TOGETHER else {})


def differences(told: list[dict[str, Any]], true: list[dict[str, Any]], name: str) -> list[str]:
    if len(told) != len(true):
        return [f"{len(told)} calls instead of {len(true)}"]
    found = []
    for mine, right in zip(told, true, strict=True):
        here = comparable(mine, name)
        found += [
            f"{key}: {here[key]!r} instead of {value!r}"
            for key, value in comparable(right, name).items()
            if here[key] != value
        ]
        for span in ("wait_seconds", "talk_seconds"):
            if abs((mine[span] or 0) - (right[span] or 0)) > 0.5:
                found.append(f"{span}: {mine[span]} instead of {right[span]}")
    return found


@pytest.mark.parametrize("file", STREAMS, ids=lambda path: str(path.relative_to(HERE)))
def test_cut_anywhere_the_calls_are_told_as_heard(file: Path) -> None:
    messages = messages_of(file.with_name(f"{name_of(file)}.ami"))
    whole = Listener()
    for message in messages:
        whole.hear(message)
    whole.take(whole.tracker.close())
    now = time_of(messages[-1]) + timedelta(seconds=60)
    wrong = []
    for cut in range(len(messages)):
        killed = Listener()
        for message in messages[:cut]:
            killed.hear(message)
        slept_from = time_of(messages[max(0, cut - 1)])
        killed.wake_up(file, slept_from, now)
        found = differences(killed.told(), whole.told(), name_of(file))
        wrong += [f"cut at {cut} ({messages[cut]['Event']}): {what}" for what in found]
        assert len(killed.keys) == len(set(killed.keys)), f"cut at {cut}: told twice"
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:20])
