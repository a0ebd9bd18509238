"""The chaos runs' own reader of CEL files, against the streams that were recorded with the files."""

from dataclasses import replace
from pathlib import Path

import pytest

from ami.replay import calls_in, calls_in_cel
from ami.tracker import TrackerSettings
from pbxcrm.calls.facts import CallState, Outcome
from tests.chaos.by_channel import ASKED_ONLY, Record
from tests.scenarios.test_cel import FILES, name_of

STREAMS = [file for file in FILES if file.with_name(f"{name_of(file)}.ami").exists()]
ALL = [pytest.param(file, id=str(file.relative_to(file.parents[1]))) for file in STREAMS]


def _calls(file: Path) -> list[CallState]:
    return calls_in([file.with_name(f"{name_of(file)}.ami").read_bytes()], TrackerSettings())


@pytest.mark.parametrize("file", ALL)
def test_a_stream_tells_what_its_cel_file_has_of_each_channel(file: Path) -> None:
    record = Record.read(file)
    assert record.names
    assert record.differences(_calls(file), record.names.keys(), asked_only=name_of(file) in ASKED_ONLY) == []


def test_it_finds_what_is_wrong() -> None:
    (file,) = [file for file in STREAMS if file.parent.name == "cel-22" and name_of(file) == "hunting_second_answers"]
    record, (call,) = Record.read(file), _calls(file)
    client, *phones = call.channel_ids
    missed = replace(call, outcome=Outcome.MISSED)
    nobody = replace(call, talked=())
    alone = replace(call, channel_ids=(client,))
    for told, words in (
        ([missed], "is missed, and 2 of its channels were in a bridge"),
        ([nobody], "talked, but only"),
        ([alone], "is in no call"),
        ([alone, replace(call, channel_ids=tuple(phones))], "are in no call together"),
        ([], "is in no call"),
    ):
        assert any(words in found for found in record.differences(told, record.names.keys())), words


def test_a_killed_pbx_has_not_written_how_long_its_calls_lasted() -> None:
    """Only then may a run leave waiting and talking times out."""
    killed, over = (
        next(Record.read(file) for file in STREAMS if file.parent.name == "cel-22" and name_of(file) == name)
        for name in ("pbx_killed", "hunting_second_answers")
    )
    assert killed.lacks_the_end_of(killed.names)
    assert not over.lacks_the_end_of(over.names)
    assert not over.lacks_the_end_of(["1.1"])  # another PBX's


def test_who_hangs_up_in_a_mailbox_within_its_greeting_may_have_left_a_message_or_not() -> None:
    """Only then may a run leave the outcome out. In that file the caller had left one, and hung up before the application ended:
    the same rows are written for a caller who listens for 3.6 s. The product says *missed*, so that somebody calls back.
    """
    file = Path(__file__).parent / "hung_up_in_the_mailbox.csv"  # both listeners killed, seed 41, play 75
    assert Record.read(file).in_greeting == {"1795867094.0"}
    (call,) = calls_in_cel(file, TrackerSettings(trunks=("trunk",)))
    assert call.outcome is Outcome.MISSED
    assert [name_of(file) for file in STREAMS if Record.read(file).in_greeting] == []


def test_only_phones_that_were_called_in_one_moment_may_ring_in_any_order() -> None:
    together, in_turn = (
        next(Record.read(file) for file in STREAMS if file.parent.name == "cel-22" and name_of(file) == name)
        for name in ("queue_local_members_abandoned", "hunting_second_answers")
    )
    assert together.rang_in_one_order(["101", "102"], ["102", "101"], together.names)
    assert not together.rang_in_one_order(["101", "102"], ["101"], together.names)
    assert in_turn.rang_in_one_order(["101", "102"], ["101", "102"], in_turn.names)
    assert not in_turn.rang_in_one_order(["101", "102"], ["102", "101"], in_turn.names)
