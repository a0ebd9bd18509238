"""The listener when the database is away or refuses a fact, or the disk is full: nothing is lost and it is told."""

import asyncio
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from ami.journal import Journal
from pbxcrm.pbx.state import PbxState
from tests.integration.ami.office import PbxOffice, journalled, office, quick

__all__ = ["office"]


async def test_a_database_that_is_away_loses_nothing_and_is_told(office: PbxOffice) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.away = True
    tried = office.sink.tried
    await office.call("1.1")
    await office.sink.until(lambda: office.sink.tried > tried + 1)
    for n in range(200):
        await office.call(f"2.{n}")
    assert office.listeners[0].report.state is PbxState.TROUBLE
    assert office.listeners[0].report.code == "database_away"
    assert not office.sink.facts
    office.sink.away = False
    await office.heard("1.1 ended:#1", "2.199 ended:#1")
    assert len(office.sink.facts) == 402
    await office.sink.until_state(PbxState.LISTENING)
    assert office.sink.repeated == 0


async def test_a_database_that_is_away_at_the_start_is_waited_for(office: PbxOffice) -> None:
    office.sink.away = True
    listener = office.listen()
    async with asyncio.timeout(30):
        while listener.report.code != "database_away":
            await asyncio.sleep(0.01)
    await office.call("1.1")
    await journalled(office.folder / "journal", "1.1")  # the PBX is heard meanwhile
    office.sink.away = False
    await office.heard("1.1 ended:#1")
    await office.sink.until_state(PbxState.LISTENING)


async def test_a_fact_that_cannot_be_applied_is_put_aside_and_the_rest_goes_on(office: PbxOffice) -> None:
    office.sink.refuses.add("1.2")
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(b"".join(office.begin(f"1.{n}") + office.end(f"1.{n}") for n in range(5)))
    await office.heard(*(f"1.{n} ended:#1" for n in (0, 1, 3, 4)))
    await office.call("2.0")
    await office.heard("2.0 ended:#1")
    assert not [key for key in office.sink.applied() if key.startswith("1.2 ")]
    lines = (office.folder / "journal" / "rejected.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert '"linkedid": "1.2"' in lines[0]
    assert any(report.code == "fact_put_aside" for report in office.sink.reports)


async def test_a_journal_folder_that_cannot_be_made_is_told(office: PbxOffice, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    office.listen(folder=tmp_path / "file" / "journal")
    report = await office.sink.until_state(PbxState.TROUBLE, "journal_unusable")
    assert report.params["why"]


async def test_a_full_disk_is_told_and_calls_still_reach_the_database(office: PbxOffice, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"cannot mount a small file system here: {done.stderr.strip()}")
    try:
        office.listen(folder=folder / "journal", settings=quick(keep=timedelta(0)))
        await office.sink.until_state(PbxState.LISTENING)
        (folder / "ballast").write_bytes(b"x" * 40_000)
        for n in range(500):
            await office.call(f"1.{n}")
        report = await office.sink.until_state(PbxState.TROUBLE, "journal_full")
        assert int(report.params["waiting"]) > 0
        await office.heard("1.499 ended:#1")
        subprocess.run(["mount", "-o", "remount,size=1m", str(folder)], check=True)
        await office.sink.until_state(PbxState.LISTENING)
        await office.kill()
        journal = Journal(folder / "journal")
        assert sum(b"Hangup" in record.raw for record in journal.read()) == 500
        journal.close()
    finally:
        await office.kill()
        subprocess.run(["umount", "-l", str(folder)], check=True)
