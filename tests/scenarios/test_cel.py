"""Asterisk's CEL file alone, against what the people in the story did: what ``pbxcrm replay --cel`` prints.

Beside each ``NAME.cel.csv`` stands ``NAME.json``, the calls in the order they began.
"""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ami.replay import as_object, calls_in_cel, replay_files
from ami.tracker import TrackerSettings

HERE = Path(__file__).parent
FILES = sorted(HERE.glob("**/*.cel.csv"))

#: What the file cannot tell, and why.
UNTOLD = {
    # The phone in the story refuses or forwards within 3 ms of ringing, as no hand does: it looks like one that was busy.
    "refused_by_the_phone": {"rang"},
    "forward_302_outside_answered": {"rang"},
    "click_to_call_seller_refuses": {"rang"},
    # An Originate straight over a line: no row holds the number it calls (README of dialplan_examples: through a Local channel).
    "dialer_bridges_agent_and_client": {"client_number"},
    "agent_at_rest_in_a_conference": {"client_number"},
    "two_outside_numbers_by_originate": {"client_number"},
    "two_outside_numbers_bridged": {"client_number"},
    # Why everybody was hung up is seen when channels are counted again, which is after the end of these files.
    "restart_of_the_pbx": {"outcome"},
    "restart_while_ringing": {"outcome"},
}
#: Phones that are called in the same millisecond ring in an order that only AMI tells.
TOGETHER = {"queue_local_members_optimised", "ring_group_over_local_channels", "queue_local_members_answered"}


def name_of(file: Path) -> str:
    return file.name.removesuffix(".cel.csv")


def truth_beside(file: Path) -> list[dict[str, Any]]:
    truth: list[dict[str, Any]] = json.loads(file.with_name(f"{name_of(file)}.json").read_text())
    return truth


def told_of(call: dict[str, Any], wanted: dict[str, Any], name: str) -> dict[str, Any]:
    told = {key: call[key] for key in wanted if key not in UNTOLD.get(name, set())}
    return told | ({"rang": sorted(told["rang"])} if name in TOGETHER and "rang" in told else {})


@pytest.mark.parametrize("file", FILES, ids=lambda path: str(path.relative_to(HERE)))
def test_the_calls_are_what_happened(file: Path) -> None:
    truth, name = truth_beside(file), name_of(file)
    told = [as_object(call, "UA") for call in calls_in_cel(file, TrackerSettings())]
    wanted = [told_of(true, true, name) for true in truth]
    assert [told_of(call, true, name) for call, true in zip(told, truth, strict=True)] == wanted


def test_there_are_files_of_both_asterisks() -> None:
    assert len([file for file in FILES if file.parent.name == "cel-22"]) >= 50
    assert len([file for file in FILES if file.parent.name == "cel-16"]) >= 50


def test_replay_prints_the_same_object_as_of_a_stream() -> None:
    stream, file = HERE / "cel-22/hunting_second_answers.ami", HERE / "cel-22/hunting_second_answers.cel.csv"
    of_stream, of_file = io.StringIO(), io.StringIO()
    assert replay_files([stream], out=of_stream) == 0
    assert replay_files([file], out=of_file, from_cel=True) == 0
    heard, found = json.loads(of_stream.getvalue()), json.loads(of_file.getvalue())
    assert list(found) == list(heard)
    times = {"file", "started_at", "answered_at", "ended_at", "wait_seconds", "talk_seconds"}
    assert {key: value for key, value in found.items() if key not in times} == {
        key: value for key, value in heard.items() if key not in times
    }
    for span in ("wait_seconds", "talk_seconds"):
        assert found[span] == pytest.approx(heard[span], abs=0.1)


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 5000, b'"CHAN_START","x"\n' * 10, bytes(range(256)) * 100])
def test_garbage_is_no_call(tmp_path: Path, garbage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "garbage.csv"
    path.write_bytes(garbage)
    out = io.StringIO()
    assert replay_files([path], out=out, from_cel=True) == (2 if garbage else 0)
    assert ("found" in capsys.readouterr().err) is bool(garbage)
    assert not out.getvalue()


def test_a_file_that_cannot_be_read_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert replay_files([tmp_path / "none.csv"], out=io.StringIO(), from_cel=True) == 2
    assert "none.csv: cannot be read: No such file" in capsys.readouterr().err


def test_a_restart_in_the_file_interrupts_who_was_not_answered(tmp_path: Path) -> None:
    """The next call counts its channels from 0."""
    cut_off, after = (HERE / f"cel-22/{name}.cel.csv" for name in ("restart_of_the_pbx", "queue_nobody_can_serve"))
    both = tmp_path / "both.csv"
    both.write_text(cut_off.read_text() + after.read_text().replace("17958021", "17958031"))
    calls = calls_in_cel(both, TrackerSettings())
    assert [call.outcome.value for call in calls][:2] == ["answered", "interrupted"]
