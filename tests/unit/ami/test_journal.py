"""The journal keeps what it was given, whatever happens to the process or the disk."""

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from ami.errors import JournalFull, JournalInUse
from ami.journal import Journal, encode

NOW = datetime(2026, 3, 2, 9, 0, 0, 123456, tzinfo=UTC)


def message(number: int) -> bytes:
    return f"Event: Hangup\r\nUniqueid: {number}\r\nName: {'є' * (number % 50)}\r\n\r\n".encode()


def messages(first: int, count: int) -> list[tuple[datetime, bytes]]:
    return [(NOW + timedelta(milliseconds=n), message(n)) for n in range(first, first + count)]


def raws(journal: Journal, position: int = 0) -> list[bytes]:
    return [record.raw for record in journal.read(position)]


def test_gives_back_what_it_was_given_with_times_and_positions(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    written = journal.append(messages(0, 20))
    assert list(journal.read()) == written
    assert [record.received_at for record in written] == [when for when, _ in messages(0, 20)]
    assert all(a.next_position == b.position for a, b in pairwise(written))
    assert raws(journal, written[7].position) == [message(n) for n in range(7, 20)]
    journal.close()


def test_goes_on_where_it_ended_and_rotates(tmp_path: Path) -> None:
    for first in range(0, 100, 10):
        journal = Journal(tmp_path, segment_bytes=700)
        end = journal.end
        assert journal.append(messages(first, 10))[0].position == end
        journal.close()
    journal = Journal(tmp_path)
    assert raws(journal) == [message(n) for n in range(100)]
    assert len(list(tmp_path.glob("*.journal"))) > 10
    journal.close()


def test_cuts_off_a_torn_tail_at_every_byte(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    written = journal.append(messages(0, 3))
    journal.close()
    (segment,) = tmp_path.glob("*.journal")
    whole = segment.read_bytes()
    for length in range(written[-1].position, len(whole)):
        segment.write_bytes(whole[:length])
        journal = Journal(tmp_path)
        assert journal.end == written[-1].position
        journal.append([(NOW, b"Event: New\r\n\r\n")])
        assert raws(journal) == [message(0), message(1), b"Event: New\r\n\r\n"]
        assert journal.damaged == 0
        journal.close()


@pytest.mark.parametrize("byte", [0, 3, 5, 10, 17, 30])
def test_steps_over_a_damaged_record_and_counts_it(tmp_path: Path, byte: int) -> None:
    journal = Journal(tmp_path)
    written = journal.append(messages(0, 5))
    journal.close()
    (segment,) = tmp_path.glob("*.journal")
    data = bytearray(segment.read_bytes())
    data[written[2].position + byte] ^= 0xFF
    segment.write_bytes(data)
    journal = Journal(tmp_path)
    assert journal.end == written[-1].next_position
    assert raws(journal) == [message(n) for n in (0, 1, 3, 4)]
    assert journal.damaged == 1
    journal.close()


def test_survives_a_segment_of_garbage(tmp_path: Path) -> None:
    (tmp_path / f"{0:020d}.journal").write_bytes(random.Random(1).randbytes(5000))
    journal = Journal(tmp_path)
    journal.append(messages(0, 2))
    assert raws(journal) == [message(0), message(1)]
    journal.close()


def test_a_journal_keeps_its_name_and_a_copy_can_get_another(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a")
    name = journal.name
    assert journal.is_new
    journal.append(messages(0, 1))
    journal.close()
    again = Journal(tmp_path / "a")
    assert (again.name, again.is_new) == (name, False)
    again.rename("0" * 32)
    again.close()
    third = Journal(tmp_path / "a")
    assert third.name == "0" * 32
    third.close()
    other = Journal(tmp_path / "b")
    assert other.name != name
    other.close()


def test_only_one_process_writes(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(JournalInUse):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_prunes_only_what_is_old_and_not_needed(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=500)
    written = journal.append(messages(0, 60))
    segments = sorted(tmp_path.glob("*.journal"))
    needed = written[30].position
    later = datetime.now(UTC) + timedelta(days=8)
    assert journal.prune(needed, timedelta(days=7), datetime.now(UTC)) == 0
    gone = journal.prune(needed, timedelta(days=7), later)
    assert 0 < gone < len(segments)
    assert raws(journal, needed) == [message(n) for n in range(30, 60)]
    journal.prune(journal.end, timedelta(0), later)
    assert journal.append(messages(60, 1))[0].position == written[-1].next_position
    journal.close()


async def test_syncs_in_the_background(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=400)
    journal.append(messages(0, 40))
    before = len(os.listdir("/proc/self/fd"))
    await journal.sync()
    assert len(os.listdir("/proc/self/fd")) < before
    await journal.sync()
    assert raws(journal) == [message(n) for n in range(40)]
    journal.close()


@pytest.fixture
def unmounted(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB."""
    folder = tmp_path / "tiny"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_keeps_messages_in_memory_and_goes_on(unmounted: Path) -> None:
    journal = Journal(unmounted / "pbx", segment_bytes=10_000)
    ballast = unmounted / "ballast"
    ballast.write_bytes(b"x" * 40_000)
    written = []
    for first in range(0, 400, 40):
        written += journal.append(messages(first, 40))
    assert journal.unwritten_bytes > 0
    with pytest.raises(JournalFull, match="no space left"):
        journal.flush()
    assert list(journal.read()) == written  # nothing is lost, and positions stay true
    ballast.unlink()
    journal.flush()
    assert journal.unwritten_bytes == 0
    written += journal.append(messages(400, 1))
    journal.close()
    journal = Journal(unmounted / "pbx")
    assert list(journal.read()) == written
    assert (journal.lost, journal.damaged) == (0, 0)
    journal.close()


def test_a_disk_full_for_long_loses_the_oldest_with_a_count(unmounted: Path) -> None:
    journal = Journal(unmounted / "pbx", max_unwritten=20_000)
    (unmounted / "ballast").write_bytes(b"x" * 60_000)
    written = []
    for first in range(0, 400, 20):
        written += journal.append(messages(first, 20))
    assert journal.unwritten_bytes <= 20_000
    (unmounted / "ballast").unlink()
    journal.flush()
    kept = list(journal.read())
    assert len(kept) + journal.lost == len(written)
    assert journal.lost > 0
    assert kept[-1] == written[-1]
    assert set(kept) <= set(written)
    journal.close()


WRITER = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from ami.journal import Journal
journal = Journal(Path(sys.argv[1]), segment_bytes=20_000)
number = int(sys.argv[2])
print("ready", flush=True)
while True:
    batch = [(datetime.now(UTC), b"Event: X\\r\\nNumber: %d\\r\\n\\r\\n" % n) for n in range(number, number + 7)]
    journal.append(batch)
    number += 7
    print(number, flush=True)
"""


def test_kill_9_at_random_moments_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    dice = random.Random(7)
    number = 0
    for _ in range(12):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path), str(number)],
            stdout=subprocess.PIPE,
            text=True,
            cwd=Path.cwd(),
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        acknowledged = number
        for _ in range(dice.randint(1, 300)):
            acknowledged = int(writer.stdout.readline())
        writer.kill()
        for line in writer.stdout.read().splitlines():
            acknowledged = int(line) if line else acknowledged
        writer.wait()
        writer.stdout.close()
        journal = Journal(tmp_path)
        numbers = [int(record.raw.split(b"Number: ")[1]) for record in journal.read()]
        assert numbers == list(range(len(numbers)))
        assert len(numbers) >= acknowledged
        assert journal.damaged == 0
        number = len(numbers)
        journal.close()


def test_the_smallest_record_is_a_header_and_the_message() -> None:
    assert len(encode(NOW, b"")) == 20


def test_the_last_record_of_a_kind_before_a_position_is_found_in_earlier_segments(tmp_path: Path) -> None:
    journal = Journal(tmp_path, segment_bytes=4000)
    journal.append([(NOW, b"Event: Snapshot\r\nNumber: 1\r\n\r\n")])
    journal.append(messages(0, 40))
    second = journal.append([(NOW, b"Event: Snapshot\r\nNumber: 2\r\n\r\n")])[0]
    journal.append(messages(40, 5))
    found = journal.last_before(journal.end, b"Event: Snapshot")
    assert found == second
    found = journal.last_before(second.position, b"Event: Snapshot")
    assert found is not None
    assert b"Number: 1" in found.raw
    assert journal.last_before(journal.end, b"Event: Nothing") is None
    assert len(list(tmp_path.glob("*.journal"))) > 1
    journal.close()


def test_who_wrote_here_before_is_known_but_not_in_a_copy(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "a")
    assert journal.former_owner() == ""
    journal.sign("first")
    journal.close()
    journal = Journal(tmp_path / "a")
    assert journal.former_owner() == "first"
    journal.close()
    shutil.copytree(tmp_path / "a", tmp_path / "b")
    journal = Journal(tmp_path / "b")
    assert journal.former_owner() == ""
    journal.close()
