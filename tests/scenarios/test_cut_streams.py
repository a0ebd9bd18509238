"""A listener that is killed in the middle of a call, whatever the moment, tells the same as one that never slept.

Each stream that has a CEL file is cut at a message, the rest is not heard; the next listener reads the journal, meets the
snapshot of a PBX at rest, and what Asterisk's own record says of the time between.
"""

import random
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ami import cel
from ami.backfill import SETTLES, Backfill
from ami.heard_messages import Heard
from ami.messages import Framer, Message, is_wanted, parse
from ami.pbx_clock import in_our_time
from ami.replay import as_object
from ami.snapshot import Snapshot
from ami.tracker import Tracker
from pbxcrm.calls.facts import CallFact, CallState, FactKind
from tests.scenarios.moments import Shown
from tests.scenarios.test_cel import FILES, HERE, TOGETHER, UNTOLD, name_of

_QUIET = timedelta(milliseconds=50)
_LOGIN = _QUIET + timedelta(
    milliseconds=20
)  # between the login and the snapshot both are told: what is heard, and the file
#: These end where the PBX went away.
RESTARTED = {"restart_of_the_pbx", "restart_while_ringing", "pbx_killed"}
FILES_WITH_STREAM = [file for file in FILES if file.with_name(f"{name_of(file)}.ami").exists()]
STREAMS = [file for file in FILES_WITH_STREAM if name_of(file) not in RESTARTED]


def messages_of(stream: Path) -> list[Message]:
    return [parse(raw) for raw in Framer().feed(stream.read_bytes()) if is_wanted(raw)]


def time_of(message: Message) -> datetime:
    return datetime.fromtimestamp(float(message["Timestamp"]), UTC)


class CutListener:
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
        if self.heard.note(message, at):
            self.take(self.tracker.feed(message, at))

    def wake_up(self, cel_csv: Path, slept_from: datetime | None, now: datetime, seen: Snapshot | None = None) -> None:
        """The PBX is asked again, and shows ``seen``; without it, it is at rest."""
        seen = seen or Snapshot(channels=(), asked_at=now)
        self.heard.begin_file(seen.asked_at or now)
        restarted = seen.booted_at != self.tracker.booted_at
        for at, message in Backfill(Tracker, cel_csv=cel_csv).missed(seen, slept_from, now, restarted=restarted):
            if self.heard.is_new(message):
                self.take(self.tracker.feed(message, at))
        self.take(self.tracker.reconcile(seen, now, slept_from))

    def close(self) -> None:
        self.take(self.tracker.close())

    def told(self) -> list[dict[str, Any]]:
        in_order = sorted(self.calls.values(), key=lambda call: (call.started_at, call.linkedid))
        return [as_object(call, "UA") for call in in_order]


#: What the file tells and a stream with the recommended filters does not; nor one in which nobody hangs up by themselves, that
#: the dialplan did it.
TOLD_BY_FILE_ONLY = {"queue_nobody_can_serve": {"queue"}, "only_a_program_speaks": {"missed_reason"}}


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
    whole = CutListener()
    for message in messages:
        whole.hear(message)
    whole.close()
    now = time_of(messages[-1]) + timedelta(seconds=60)
    wrong = []
    for cut in range(len(messages)):
        killed = CutListener()
        for message in messages[:cut]:
            killed.hear(message)
        slept_from = time_of(messages[max(0, cut - 1)])
        killed.wake_up(file, slept_from, now)
        killed.close()
        found = differences(killed.told(), whole.told(), name_of(file))
        wrong += [f"cut at {cut} ({messages[cut]['Event']}): {what}" for what in found]
        assert len(killed.keys) == len(set(killed.keys)), f"cut at {cut}: told twice"
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:20])


def cuts(messages: list[Message], count: int, seed: str) -> list[tuple[int, int]]:
    """Where one listener dies, and where the next one comes or the PBX goes, the same in each run.

    The second happens in a moment in which nothing happens: a login and a snapshot take some time, too.
    """
    dice = random.Random(seed)
    times = [time_of(message) for message in messages]
    quiet = [n for n in range(1, len(messages)) if times[n] - times[n - 1] > _QUIET]
    if seed in RESTARTED:
        quiet = [len(messages)]
    ends = [dice.choice(quiet) for _ in range(count)] if quiet else []
    return [(dice.randrange(end), end) for end in ends]


def written_until(file: Path, moment: datetime, pieces: Path) -> Path:
    """The file as it stood then: of the row that is just being written only a part is there."""
    lines = file.read_bytes().splitlines(keepends=True)
    known = [line for line, row in zip(lines, cel.read(file), strict=True) if row.at <= moment]
    pieces.write_bytes(b"".join(known) + b"".join(lines[len(known) :])[:30])
    return pieces


@pytest.mark.parametrize("file", STREAMS, ids=lambda path: str(path.relative_to(HERE)))
def test_back_before_the_call_is_over_it_is_told_as_heard(file: Path, tmp_path: Path) -> None:
    """Every second time the listener logs in a moment before the snapshot, and is told twice what happens between."""
    messages = messages_of(file.with_name(f"{name_of(file)}.ami"))
    whole = CutListener()
    for message in messages:
        whole.hear(message)
    whole.close()
    wrong = []
    for died, came in cuts(messages, 12, name_of(file)):
        killed, shown = CutListener(), Shown()
        for message in messages[:died]:
            killed.hear(message)
        for message in messages[:came]:
            shown.happens(message)
        now = time_of(messages[came - 1]) + _QUIET
        there = written_until(file, now + SETTLES, tmp_path / "Master.csv")
        slept_from = time_of(messages[died - 1]) if died else now
        killed.wake_up(there, slept_from, now, shown.snapshot(cel.read(there), now))
        logged_in = came if died % 2 else next(n for n in range(died, came) if now - time_of(messages[n]) < _LOGIN)
        for message in messages[logged_in:]:
            killed.hear(message)
        killed.close()
        found = differences(killed.told(), whole.told(), name_of(file))
        wrong += [f"dead at {died}, back at {came} ({messages[came]['Event']}): {what}" for what in found]
        assert len(killed.keys) == len(set(killed.keys)), f"dead at {died}, back at {came}: told twice"
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:20])


@pytest.mark.parametrize("file", FILES_WITH_STREAM, ids=lambda path: str(path.relative_to(HERE)))
def test_the_pbx_was_started_anew_meanwhile(file: Path, tmp_path: Path) -> None:
    """Told as by one who heard the PBX until it went."""
    messages = messages_of(file.with_name(f"{name_of(file)}.ami"))
    first, again = (Snapshot((), booted_at=time_of(messages[0]) + timedelta(days=days)) for days in (-1, 1))
    wrong = []
    for died, went in cuts(messages, 12, name_of(file)):
        last = time_of(messages[went - 1])
        now = last + timedelta(seconds=60)
        there = written_until(file, last + _QUIET, tmp_path / "Master.csv")
        told = []
        for heard in (went, died):
            listener = CutListener()
            listener.take(listener.tracker.reconcile(first, time_of(messages[0])))
            for message in messages[:heard]:
                listener.hear(message)
            slept_from = time_of(messages[heard - 1]) if heard else time_of(messages[0])
            listener.wake_up(there, slept_from, now, replace(again, asked_at=now))
            listener.close()
            told.append(listener.told())
            assert len(listener.keys) == len(set(listener.keys)), f"heard {heard}, gone at {went}: told twice"
        found = differences(told[1], told[0], name_of(file))
        wrong += [f"heard {died}, gone at {went} ({messages[went - 1]['Event']}): {what}" for what in found]
        wrong += [f"heard {died}, gone at {went}: still open" for call in told[1] if call["outcome"] == "open"]
    assert not wrong, f"{len(wrong)}\n" + "\n".join(wrong[:20])


def test_a_stop_of_long_ago_ends_no_call_of_today(tmp_path: Path) -> None:
    """The file still tells how the PBX stopped; the call that was interrupted by our end began after that."""
    stopped, file = HERE / "cel-22/restart_of_the_pbx.cel.csv", HERE / "cel-22/queue_nobody_can_serve.cel.csv"
    messages = messages_of(file.with_name("queue_nobody_can_serve.ami"))
    later = int(cel.read(stopped)[-1].at.timestamp()) + 20 - int(time_of(messages[0]).timestamp())
    both = tmp_path / "Master.csv"
    both.write_text(stopped.read_text() + _later(file.read_text(), later))
    messages = [{name: _later(value, later) for name, value in message.items()} for message in messages]
    whole = CutListener()
    for message in messages:
        whole.hear(message)
    whole.close()
    for cut in range(1, len(messages)):
        killed = CutListener()
        for message in messages[:cut]:
            killed.hear(message)
        killed.wake_up(both, time_of(messages[cut - 1]), time_of(messages[-1]) + timedelta(seconds=60))
        killed.close()
        assert differences(killed.told()[-1:], whole.told(), name_of(file)) == []


def test_a_call_after_the_stop_that_was_over_before_anybody_looked_is_told_as_it_was(tmp_path: Path) -> None:
    stopped, file = HERE / "cel-22/restart_of_the_pbx.cel.csv", HERE / "cel-22/queue_nobody_can_serve.cel.csv"
    later = int(cel.read(stopped)[-1].at.timestamp()) + 20 - int(cel.read(file)[0].at.timestamp())
    both = tmp_path / "Master.csv"
    both.write_text(stopped.read_text() + _later(file.read_text(), later))
    listener, began = CutListener(), cel.read(stopped)[0].at
    listener.take(listener.tracker.reconcile(Snapshot((), booted_at=began - timedelta(days=1)), began))
    ends = cel.read(both)[-1].at
    listener.wake_up(both, began, ends, Snapshot((), booted_at=ends - timedelta(seconds=5), asked_at=ends))
    listener.close()
    assert [call["outcome"] for call in listener.told()] == ["answered", "interrupted", "missed"]


def test_who_hung_up_a_moment_before_the_stop_was_not_interrupted() -> None:
    stream = HERE / "cel-22/neither_phone_nor_mobile.ami"
    listener = CutListener()
    messages = messages_of(stream)
    assert any(message["Event"] == "HangupRequest" for message in messages)
    for message in messages:
        listener.hear(message)
    listener.hear({"Event": "Shutdown", "Timestamp": str(float(messages[-1]["Timestamp"]) + 1.4)})
    assert [(call["outcome"], call["missed_reason"]) for call in listener.told()] == [("missed", "abandoned_ringing")]


def test_an_earlier_restart_in_the_file_is_not_the_one_that_cut_the_call_off(tmp_path: Path) -> None:
    """The PBX is started again twice within half a minute; the first time was heard."""
    first, second = HERE / "cel-22/restart_of_the_pbx.cel.csv", HERE / "cel-22/restart_while_ringing.cel.csv"
    messages = messages_of(second.with_name("restart_while_ringing.ami"))
    later = int(cel.read(first)[-1].at.timestamp()) + 20 - int(time_of(messages[0]).timestamp())
    both = tmp_path / "Master.csv"
    both.write_text(first.read_text() + _later(second.read_text(), later))
    messages = [{name: _later(value, later) for name, value in message.items()} for message in messages]
    listener, began = CutListener(), time_of(messages[0])
    listener.take(listener.tracker.reconcile(Snapshot((), booted_at=began - timedelta(seconds=5)), began))
    for message in messages[:3]:
        listener.hear(message)
    ends = time_of(messages[-1]) + timedelta(seconds=2)
    listener.wake_up(both, time_of(messages[2]), ends, Snapshot((), booted_at=ends, asked_at=ends))
    listener.close()
    assert listener.told()[-1]["outcome"] == "interrupted"


def _later(text: str, seconds: int) -> str:
    """Times and the channels' ids."""
    return re.sub(r"\b(17\d{8})(?=\.\d)", lambda found: str(int(found[1]) + seconds), text)
