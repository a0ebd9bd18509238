"""Two listeners of one PBX: one is active, the other stands by."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from ami.journal import Journal
from pbxcrm.calls.facts import Outcome
from pbxcrm.pbx.state import Lease, PbxState
from tests.fakes.ami_server import FakeAmiServer
from tests.integration.ami.office import PbxOffice, journalled, now, office

__all__ = ["office"]


async def test_a_standby_listens_and_tells_what_the_active_one_did_not(office: PbxOffice, tmp_path: Path) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1") + office.begin("1.2"))
    await office.heard("1.2 opened:#1")
    active = office.tasks.pop()
    standby = office.listen(tmp_path / "elsewhere")
    await office.standing_by()
    await office.pbx.connected(2)
    assert not [report for report in office.sink.reports if report.state is PbxState.STANDBY]
    async with asyncio.timeout(30):
        while len(office.sink.hearing) < 2:
            await asyncio.sleep(0.01)
    active.cancel()
    await asyncio.gather(active, return_exceptions=True)
    await office.pbx.send(office.end("1.1"))  # only the standby hears it
    await office.call("1.3")
    await office.heard("1.1 ended:#1", "1.3 ended:#1")
    for call in ("1.1", "1.3"):
        assert office.sink.facts[call, "ended:#1"].call.outcome is Outcome.MISSED  # heard, not guessed
    assert office.sink.leases["main"][0].epoch == 2
    await office.sink.until_state(PbxState.LISTENING)
    assert office.pbx.connections == 2  # the one it had
    await office.pbx.send(office.end("1.2"))
    await office.heard("1.2 ended:#1")
    assert len([key for key in office.sink.applied() if "ended" in key]) == 3
    assert standby.report.code == "listening"


async def test_the_database_knows_how_far_each_journal_was_applied(office: PbxOffice, tmp_path: Path) -> None:
    """What the dead one heard and did not apply does not count as applied because another one has gone on."""
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.gate.clear()
    await office.call("1.1")
    await journalled(office.folder / "journal", "1.1")
    await office.kill()  # it dies with what it has heard
    office.sink.gate.set()
    office.listen(tmp_path / "elsewhere")
    await office.listening(2)
    for n in range(50):
        await office.call(f"2.{n}")
    await office.heard("2.49 ended:#1")
    assert ("1.1", "ended:#1") not in office.sink.facts
    await office.kill()
    office.listen()
    await office.heard("1.1 ended:#1")
    assert office.sink.facts["1.1", "ended:#1"].call.outcome is Outcome.MISSED


async def test_a_standby_tells_of_calls_that_only_its_journal_has(
    office: PbxOffice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami.follower._NOBODY_TELLS", 0.5)
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.gate.clear()
    await office.call("1.1")
    await journalled(office.folder / "journal", "1.1")
    await office.kill()
    office.sink.gate.set()
    office.listen(tmp_path / "elsewhere")
    await office.listening(2)
    await office.call("1.2")
    await office.heard("1.2 ended:#1")
    office.listen()  # it returns, and stays a standby
    await office.standing_by()
    await office.heard("1.1 ended:#1")
    assert office.sink.leases["main"][0].epoch == 2


async def test_one_who_lost_the_lease_is_refused_and_stands_by(office: PbxOffice) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.leases["main"] = (Lease("somebody else", 7), now() + timedelta(seconds=1))
    await office.call("1.1")
    await office.standing_by()
    assert ("1.1", "opened:#1") not in office.sink.facts
    await office.heard("1.1 ended:#1")  # it leads again once the other one is gone
    assert office.sink.leases["main"][0].epoch == 8


async def test_a_deaf_listener_leaves_the_lease_to_one_that_hears(office: PbxOffice, tmp_path: Path) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    first = office.sink.leases["main"][0]
    async with FakeAmiServer() as gate:
        gate.responders["coreshowchannels"] = office._show_channels
        office.listen(tmp_path / "elsewhere", url=gate.url)
        await office.standing_by()
        async with asyncio.timeout(30):
            while len(office.sink.hearing) < 2:
                await asyncio.sleep(0.01)
        await office.pbx.stop()
        async with asyncio.timeout(30):
            while office.sink.leases["main"][0] == first:
                await asyncio.sleep(0.01)
        await gate.send(office.begin("1.1") + office.end("1.1"))
        await office.heard("1.1 ended:#1")


async def test_two_listeners_on_one_journal_are_told_apart(office: PbxOffice) -> None:
    other = Journal(office.folder / "journal")
    office.listen()
    await office.sink.until_state(PbxState.TROUBLE, "journal_in_use")
    other.close()
    await office.sink.until_state(PbxState.LISTENING)
