"""The file the PBX writes is read as it grows, and what it tells is not told a second time by what is heard."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ami import cel
from ami.backfill import SETTLES, Backfill
from ami.backfill_thread import Gap
from ami.heard_messages import Heard
from ami.snapshot import Snapshot
from ami.tracker import Tracker

CEL = Path(__file__).parents[2] / "scenarios/cel-22/click_to_call_client_fails.cel.csv"
HANGUP = '"HANGUP"'


def now() -> datetime:
    return datetime.now(UTC)


def rows_of_now() -> list[str]:
    """A recorded call, as if it happened now."""
    recorded = 1795802091
    return CEL.read_text().replace(str(recorded), str(int(now().timestamp()))).splitlines(keepends=True)


async def test_rows_that_come_a_moment_after_the_snapshot_are_waited_for(tmp_path: Path) -> None:
    """The row of the far end's hang-up is there, that of the caller is still on its way."""
    file, rows = tmp_path / "Master.csv", rows_of_now()
    first = next(number for number, row in enumerate(rows) if row.startswith(HANGUP))
    file.write_text("".join(rows[: first + 1]))
    seen = Snapshot(channels=(), asked_at=cel.read(file)[-1].at)
    backfill = Backfill(Tracker, cel_csv=file)
    assert backfill.is_unsettled(seen, now())
    reading = asyncio.create_task(Gap(backfill, now).told(seen, now(), now(), booted_before=None))
    await asyncio.sleep(0)
    file.write_text("".join(rows))
    told = [message["Event"] for _, message in await reading]
    assert told.count("Hangup") == 2


async def test_a_file_at_rest_and_a_replay_are_not_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "Master.csv"
    file.write_text("".join(rows_of_now()))
    later = now() + timedelta(seconds=30)
    assert not Backfill(Tracker, cel_csv=file).is_unsettled(Snapshot(channels=(), asked_at=later), later)
    clock = asyncio.get_running_loop().time
    began = clock()
    long_ago = now() - timedelta(hours=1)
    await Gap(Backfill(Tracker, cel_csv=file), now).told(Snapshot(channels=()), None, long_ago, booted_before=None)
    assert clock() - began < SETTLES.total_seconds()


def test_a_channel_that_the_file_does_not_know_yet_is_waited_for(tmp_path: Path) -> None:
    file = tmp_path / "Master.csv"
    file.write_text("".join(rows_of_now()))
    later = now() + timedelta(seconds=30)
    there = Snapshot(channels=({"Uniqueid": "17.1", "Channel": "PJSIP/101-1"},), asked_at=later)
    assert Backfill(Tracker, cel_csv=file).is_unsettled(there, later)


def test_a_transfer_between_login_and_snapshot_is_told_once() -> None:
    heard, at = Heard(), now()
    transfer = {"Event": "AttendedTransfer", "OrigTransfererUniqueid": "1.1"}
    heard.begin_file(at)
    assert heard.is_new(transfer)
    assert not heard.note(transfer, at - timedelta(milliseconds=5))
    assert heard.note(transfer, at - timedelta(milliseconds=5))  # the next one
    heard.begin_file(at)
    assert not heard.is_new(transfer)
    assert not heard.is_new(transfer)


def test_what_happens_after_the_file_is_not_taken_for_what_it_told() -> None:
    heard, at = Heard(), now()
    transfer = {"Event": "BlindTransfer", "TransfererUniqueid": "1.1"}
    heard.begin_file(at)
    assert heard.is_new(transfer)
    assert heard.note(transfer, at + timedelta(seconds=5))
