"""Every recorded stream, against what the one who recorded it knows to have happened.

Beside each ``NAME.ami`` stands ``NAME.json``: the calls in the order they began, with the fields that are certain.
"""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from ami.replay import as_object, calls_in, replay_files
from ami.tracker import TrackerSettings

HERE = Path(__file__).parent
STREAMS = sorted(HERE.glob("**/*.ami"))
CONFIG = TrackerSettings()

every_stream = pytest.mark.parametrize("stream", STREAMS, ids=lambda path: str(path.relative_to(HERE)))


def calls(data: bytes, step: int = 1 << 16) -> list[dict[str, Any]]:
    chunks = (data[i : i + step] for i in range(0, len(data), step))
    return [json.loads(json.dumps(as_object(call, "UA"))) for call in calls_in(chunks, CONFIG)]


def known(stream: Path) -> list[dict[str, Any]]:
    truth: list[dict[str, Any]] = json.loads(stream.with_suffix(".json").read_text())
    return truth


def test_there_are_streams() -> None:
    assert len(STREAMS) >= 100


@every_stream
def test_the_calls_are_what_happened(stream: Path) -> None:
    truth = known(stream)
    told = calls(stream.read_bytes())
    assert [{name: call[name] for name in true} for call, true in zip(told, truth, strict=True)] == truth


def test_tearing_the_stream_changes_nothing() -> None:
    for stream in STREAMS[:5]:
        data = stream.read_bytes()
        assert calls(data, step=97) == calls(data)


def test_replay_prints_one_object_a_line_in_a_fixed_order() -> None:
    out = io.StringIO()
    stream = HERE / "shared-22" / "ring_group_answered.ami"
    assert replay_files([stream, stream], (), r"\d{2,5}", "UA", out) == 0
    lines = out.getvalue().splitlines()
    assert len(lines) == 2
    assert list(json.loads(lines[0])) == [
        *("file", "linkedid", "direction", "outcome", "missed_reason", "client_number", "client_name", "did", "queue"),
        *("made_by", "rang", "answered_by", "talked", "transfers", "started_at", "answered_at", "ended_at"),
        *("wait_seconds", "talk_seconds", "click_to_call"),
    ]
    call = json.loads(lines[0])
    assert call["file"] == str(stream)
    assert call["started_at"].endswith("Z")
    assert call["wait_seconds"] == pytest.approx(1.0, abs=0.2)
    assert call["talk_seconds"] == pytest.approx(2.0, abs=0.3)


def test_a_file_that_cannot_be_read_is_said_and_the_rest_is_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = io.StringIO()
    stream = HERE / "shared-22" / "ring_group_answered.ami"
    assert replay_files([tmp_path / "none.ami", tmp_path, stream], (), r"\d{2,5}", "UA", out) == 2
    assert len(out.getvalue().splitlines()) == 1
    said = capsys.readouterr().err
    assert "none.ami: cannot be read: No such file" in said
    assert str(tmp_path) in said


@pytest.mark.parametrize("garbage", [b"", b"\x00" * 5000, b"Event: \r\n\r\n" * 10, bytes(range(256)) * 100])
def test_garbage_is_no_call(tmp_path: Path, garbage: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "garbage.ami"
    path.write_bytes(garbage)
    out = io.StringIO()
    assert replay_files([path], (), r"\d{2,5}", "UA", out) == (2 if garbage else 0)
    assert ("found" in capsys.readouterr().err) is bool(garbage)
    assert not out.getvalue()


def test_a_stream_cut_short_shows_its_call_as_open() -> None:
    stream = HERE / "shared-22" / "ring_group_answered.ami"
    data = stream.read_bytes()
    (call,) = calls(data[: data.rindex(b"Event: BridgeLeave")])
    assert (call["outcome"], call["answered_by"], call["ended_at"]) == ("open", "102", None)
