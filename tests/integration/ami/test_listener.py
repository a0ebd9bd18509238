"""The listener brings everything a PBX says into the database, once and in order, whatever breaks."""

import asyncio
import random
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from ami.cel_translation import Told
from ami.journal import Journal
from ami.snapshot import Snapshot, is_record
from ami.tracker import Tracker
from pbxcrm.calls.facts import CallFact, Outcome
from pbxcrm.pbx.report_sentences import REPORTS
from pbxcrm.pbx.state import JournalPosition, Lease, PbxState
from tests.fakes.ami_server import FakeAmiServer, error, listing, message, success
from tests.integration.ami.office import Office, now, quick


@pytest.fixture
async def office(tmp_path: Path) -> AsyncIterator[Office]:
    async with FakeAmiServer() as pbx:
        made = Office(pbx, tmp_path)
        yield made
        await made.kill()
        for report in made.sink.reports:
            assert "s3cret" not in REPORTS[report.code].format_map(report.params)


class Files:
    """No CEL file; what a CDR file says is made up."""

    def __init__(self, better: Callable[[Sequence[CallFact], datetime, datetime], list[CallFact]]) -> None:
        self.better = better

    def missed(
        self, snapshot: Snapshot, since: datetime | None, until: datetime, *, restarted: bool = False
    ) -> list[Told]:
        return []

    def is_unsettled(self, snapshot: Snapshot, until: datetime) -> bool:
        return False

    def __call__(self, facts: Sequence[CallFact], since: datetime, until: datetime) -> list[CallFact]:
        return self.better(facts, since, until)


async def test_a_call_goes_from_the_socket_to_the_database(office: Office) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    before = now()
    await office.call("1.1")
    await office.heard("1.1 opened:#1", "1.1 ended:#1")
    assert office.sink.facts["1.1", "opened:#1"].at >= before
    await office.stop()
    assert office.sink.reports[-1].code == "stopped"
    journal = Journal(office.folder / "journal")
    assert office.sink.cursors[journal.name] == JournalPosition(journal.end, journal.end)
    journal.close()


async def test_reports_tell_version_clock_lag_and_last_event(office: Office) -> None:
    ahead = datetime.now(UTC).timestamp() + 3600
    office.pbx.responders["ping"] = lambda action: success(action, Ping="Pong", Timestamp=f"{ahead:.6f}")
    office.listen()
    report = await office.sink.until_state(PbxState.LISTENING, "clock_off")
    assert report.asterisk_version == "22.10.1"
    assert report.clock_offset_seconds is not None
    assert 3540 < report.clock_offset_seconds < 3660
    await office.call("1.1")
    await office.heard("1.1 ended:#1")
    last = office.listeners[0].report
    assert last.last_event_at is not None
    assert last.lag_seconds is not None
    assert 0 <= last.lag_seconds < 60


async def test_what_happens_while_we_ask_comes_after_the_answer(office: Office) -> None:
    def late(action: dict[str, str]) -> bytes:
        rows = listing("CoreShowChannel", "CoreShowChannelsComplete", [{"Uniqueid": "1.1"}, {"Uniqueid": "1.2"}])
        live = message(Event="Hangup", Uniqueid="1.1") + message(Event="Newchannel", Uniqueid="1.3")
        return live + (rows(action) or b"")

    office.pbx.responders["coreshowchannels"] = late
    office.listen()
    await office.heard("1.3 opened:#1")
    await office.heard("1.1 ended:#1")
    assert office.sink.applied()[:2] == ["1.1 opened:#1", "1.2 opened:#1"]
    assert sorted(office.sink.applied()[2:]) == [
        "1.1 ended:#1",
        "1.3 opened:#1",
    ]  # what opens need not wait for what ends


async def test_calls_that_ended_while_the_link_was_down_are_unknown_not_missed(office: Office) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1") + office.begin("1.2"))
    await office.heard("1.2 opened:#1")
    office.end("1.1")  # nobody hears it
    office.pbx.drop()
    await office.heard("1.1 ended:#1")
    assert office.sink.facts["1.1", "ended:#1"].call.outcome is Outcome.UNKNOWN
    await office.pbx.send(office.end("1.2"))
    await office.heard("1.2 ended:#1")
    assert office.sink.facts["1.2", "ended:#1"].call.outcome is Outcome.MISSED


async def test_recovery_betters_what_a_snapshot_could_not_know(office: Office) -> None:
    gaps: list[timedelta] = []

    def recover(_facts: Sequence[CallFact], since: datetime, until: datetime) -> list[CallFact]:
        gaps.append(until - since)
        return []

    office.listen(recover=Files(recover))
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1"))
    await office.heard("1.1 opened:#1")
    office.end("1.1")
    office.pbx.drop()
    await office.listening(2)
    await office.call("1.3")
    await office.heard("1.3 ended:#1")
    assert ("1.1", "ended:#1") not in office.sink.facts
    assert len(gaps) == 1
    assert timedelta(0) < gaps[0] < timedelta(seconds=60)


async def test_a_recovery_that_fails_leaves_endings_unknown(office: Office) -> None:
    def recover(_facts: Sequence[CallFact], _since: datetime, _until: datetime) -> list[CallFact]:
        raise ZeroDivisionError

    office.listen(recover=Files(recover))
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1"))
    await office.heard("1.1 opened:#1")
    office.end("1.1")
    office.pbx.drop()
    await office.heard("1.1 ended:#1")
    assert office.sink.facts["1.1", "ended:#1"].call.outcome is Outcome.UNKNOWN


async def test_recovery_also_looks_back_after_a_quiet_restart(office: Office) -> None:
    """No call was going on when the listener died: nothing is replayed, yet the gap begins at the last message."""
    gaps: list[tuple[datetime, datetime]] = []

    def recover(facts: Sequence[CallFact], since: datetime, until: datetime) -> list[CallFact]:
        gaps.append((since, until))
        return list(facts)

    office.listen(recover=Files(recover))
    await office.listening()
    before = now()
    await office.call("1.1")
    await office.heard("1.1 ended:#1")
    await office.stop()
    stopped = now()
    assert gaps == []  # before the first message ever, there is nothing to recover
    office.listen(recover=Files(recover))
    await office.listening(2)
    await office.call("1.2")
    await office.heard("1.2 ended:#1")
    ((since, until),) = gaps
    assert before <= since <= stopped <= until


async def test_a_pbx_whose_clock_is_an_hour_off_gives_calls_our_time(office: Office) -> None:
    office.listen(make_tracker=Tracker)
    await office.listening()
    ahead = f"{now().timestamp() + 3600:.6f}"
    channel = {"Channel": "PJSIP/trunk-1", "Uniqueid": "1.1", "Linkedid": "1.1", "Exten": "100"}
    await office.pbx.send(message(Event="Newchannel", Timestamp=ahead, **channel))
    await office.pbx.send(message(Event="Hangup", Timestamp=ahead, **channel))
    await office.heard("1.1 ended:#1")
    call = office.sink.facts["1.1", "ended:#1"].call
    assert abs((call.started_at - now()).total_seconds()) < 20
    assert call.ended_at is not None
    assert call.ended_at >= call.started_at


async def test_a_user_who_may_not_ask_still_listens_and_is_told(office: Office) -> None:
    for name in ("corestatus", "coresettings", "coreshowchannels", "status"):
        office.pbx.responders[name] = lambda action: error(action, "Permission denied")
    office.listen()
    report = await office.sink.until_state(PbxState.LISTENING, "snapshot_refused")
    assert report.params["why"] == "Permission denied"
    await office.call("1.1")
    await office.heard("1.1 ended:#1")


async def test_a_message_we_cannot_digest_silences_nothing(office: Office) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(message(Event="Newchannel", Uniqueid="bomb") + message(Event="Newchannel", Nothing="here"))
    await office.call("1.1")
    await office.heard("1.1 ended:#1")


async def test_a_refused_login_is_told_and_not_repeated(office: Office) -> None:
    office.pbx.secret = "changed"
    office.listen(url=office.pbx.url.replace("changed", "old"))
    report = await office.sink.until_state(PbxState.REFUSED, "login_refused")
    assert report.params["user"] == "pbxcrm"
    await office.sink.until(lambda: "main" in office.sink.leases)
    await office.stop()
    assert office.pbx.names().count("Login") == 1


async def test_a_database_that_is_away_loses_nothing_and_is_told(office: Office) -> None:
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


async def test_a_database_that_is_away_at_the_start_is_waited_for(office: Office) -> None:
    office.sink.away = True
    listener = office.listen()
    async with asyncio.timeout(30):
        while listener.report.code != "database_away":
            await asyncio.sleep(0.01)
    await office.call("1.1")
    await _journalled(office.folder / "journal", "1.1")  # the PBX is heard meanwhile
    office.sink.away = False
    await office.heard("1.1 ended:#1")
    await office.sink.until_state(PbxState.LISTENING)


async def test_under_load_batches_grow_and_when_quiet_each_fact_goes_at_once(office: Office) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.call("0.0")
    await office.heard("0.0 ended:#1")
    office.sink.gate.clear()
    tried = office.sink.tried
    await office.call("1.0")
    await office.sink.until(lambda: office.sink.tried > tried)
    for n in range(1, 400):
        await office.call(f"1.{n}")
    journal = office.folder / "journal"
    async with asyncio.timeout(30):  # the journal takes everything while the database stands still
        while b"Uniqueid: 1.399\r\n" not in next(journal.glob("*.journal")).read_bytes():
            await asyncio.sleep(0.01)
    before = len(office.sink.batches)
    office.sink.gate.set()
    await office.heard("1.399 ended:#1")
    assert len(office.sink.batches) - before < 20
    assert [key for key in office.sink.applied() if "opened" in key][1:] == [f"1.{n} opened:#1" for n in range(400)]


async def test_what_begins_goes_in_at_once_and_by_itself(office: Office) -> None:
    """What ends waits a moment; until it is in, the cursor stays, so that whoever dies reads it again."""
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(office.begin("1.1"))
    await office.heard("1.1 opened:#1")
    await office.pbx.send(office.end("1.1") + office.begin("1.2"))
    await office.heard("1.1 ended:#1")
    first, then = [batch for batch in office.sink.batches if batch.facts][-2:]
    assert [fact.call.linkedid for fact in first.facts] == ["1.2"]
    assert [fact.call.linkedid for fact in then.facts] == ["1.1"]
    assert first.cursor.position < then.cursor.position
    assert first.heard_until is not None
    assert first.heard_until <= min(fact.at for fact in then.facts)


async def test_far_behind_it_reads_from_the_journal_instead_of_memory(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami.follower._LIVE_MOST", 50)  # a real 50,000 would take the test a minute
    monkeypatch.setattr("ami.follower._ROUND", 17)
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    for round_ in range(4):
        office.sink.gate.clear()
        tried = office.sink.tried
        await office.call(f"{round_}.0")
        await office.sink.until(lambda tried=tried: office.sink.tried > tried)  # type: ignore[misc]
        await office.pbx.send(
            b"".join(office.begin(f"{round_}.{n}") + office.end(f"{round_}.{n}") for n in range(1, 300))
        )
        office.sink.gate.set()
        await office.heard(f"{round_}.299 ended:#1")
    opened = [key for key in office.sink.applied() if "opened" in key]
    assert opened == [f"{r}.{n} opened:#1" for r in range(4) for n in range(300)]
    assert office.sink.repeated == 0


async def test_a_fact_that_cannot_be_applied_is_put_aside_and_the_rest_goes_on(office: Office) -> None:
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


async def test_killed_at_any_moment_it_ends_as_if_nothing_had_happened(office: Office) -> None:
    """Random calls; the database stands still or not; the listener is killed and started again, many times."""
    dice = random.Random(11)
    begun: list[str] = []
    for round_ in range(25):
        office.listen()
        await office.listening()
        if dice.random() < 0.6:
            office.sink.gate.clear()
        for n in range(dice.randint(1, 40)):
            if office.alive and dice.random() < 0.45:
                await office.pbx.send(office.end(dice.choice(list(office.alive))))
            else:
                begun.append(f"{round_}.{n}")
                await office.pbx.send(office.begin(begun[-1]))
        mark = f"mark.{round_}"
        await office.call(mark)  # once this is in the journal, everything before it is
        await _journalled(office.folder / "journal", mark)
        await office.kill()
        office.sink.gate.set()
        office.sink.reports.clear()
    office.listen()
    await office.listening()
    for call in list(office.alive):
        await office.pbx.send(office.end(call))
    await office.call("last")
    await office.heard("last ended:#1")
    assert {call for call, _ in office.sink.facts} == {*begun, *(f"mark.{r}" for r in range(25)), "last"}
    for call in begun:
        ended = office.sink.facts[call, "ended:#1"].call
        assert ended.outcome is Outcome.MISSED  # heard, not guessed
        assert ended.started_at == office.sink.facts[call, "opened:#1"].at


async def _journalled(folder: Path, call: str) -> None:
    needle = f"Hangup\r\nUniqueid: {call}\r\n".encode()
    async with asyncio.timeout(30):
        while not any(needle in segment.read_bytes() for segment in folder.glob("*.journal")):
            await asyncio.sleep(0.005)


async def test_a_replay_meets_the_snapshot_where_it_was_taken(office: Office) -> None:
    office.alive["9.9"] = None
    office.listen()
    await office.heard("9.9 opened:#1")
    await office.kill()
    first = office.sink.facts["9.9", "opened:#1"].at
    office.sink.facts.clear()
    office.sink.cursors.clear()  # a database restored from before
    office.listen()
    await office.heard("9.9 opened:#1")
    assert office.sink.facts["9.9", "opened:#1"].at == first
    await office.listening(2)
    await office.stop()
    journal = Journal(office.folder / "journal")
    assert sum(is_record(record.raw) for record in journal.read()) == 2
    journal.close()


async def test_a_standby_listens_and_tells_what_the_active_one_did_not(office: Office, tmp_path: Path) -> None:
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


async def test_the_database_knows_how_far_each_journal_was_applied(office: Office, tmp_path: Path) -> None:
    """What the dead one heard and did not apply does not count as applied because another one has gone on."""
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.gate.clear()
    await office.call("1.1")
    await _journalled(office.folder / "journal", "1.1")
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
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ami.follower._NOBODY_TELLS", 0.5)
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.gate.clear()
    await office.call("1.1")
    await _journalled(office.folder / "journal", "1.1")
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


async def test_one_who_lost_the_lease_is_refused_and_stands_by(office: Office) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    office.sink.leases["main"] = (Lease("somebody else", 7), now() + timedelta(seconds=1))
    await office.call("1.1")
    await office.standing_by()
    assert ("1.1", "opened:#1") not in office.sink.facts
    await office.heard("1.1 ended:#1")  # it leads again once the other one is gone
    assert office.sink.leases["main"][0].epoch == 8


async def test_a_deaf_listener_leaves_the_lease_to_one_that_hears(office: Office, tmp_path: Path) -> None:
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


async def test_two_listeners_on_one_journal_are_told_apart(office: Office) -> None:
    other = Journal(office.folder / "journal")
    office.listen()
    await office.sink.until_state(PbxState.TROUBLE, "journal_in_use")
    other.close()
    await office.sink.until_state(PbxState.LISTENING)


async def test_a_journal_folder_that_cannot_be_made_is_told(office: Office, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    office.listen(folder=tmp_path / "file" / "journal")
    report = await office.sink.until_state(PbxState.TROUBLE, "journal_unusable")
    assert report.params["why"]


async def test_a_full_disk_is_told_and_calls_still_reach_the_database(office: Office, tmp_path: Path) -> None:
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
