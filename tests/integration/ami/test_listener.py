"""The listener brings everything a PBX says into the database, once and in order."""

import asyncio
from datetime import UTC, datetime

import pytest

from ami.journal import Journal
from ami.tracker import Tracker
from pbxcrm.pbx.state import JournalPosition, PbxState
from tests.fakes.ami_server import error, listing, message, success
from tests.integration.ami.office import PbxOffice, now, office

__all__ = ["office"]


async def test_a_call_goes_from_the_socket_to_the_database(office: PbxOffice) -> None:
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


async def test_reports_tell_version_clock_lag_and_last_event(office: PbxOffice) -> None:
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
    assert last.last_contact_at is not None
    assert last.last_contact_at <= last.at  # by our clock
    assert last.lag_seconds is not None
    assert 0 <= last.lag_seconds < 60


async def test_what_happens_while_we_ask_comes_after_the_answer(office: PbxOffice) -> None:
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


async def test_a_pbx_whose_clock_is_an_hour_off_gives_calls_our_time(office: PbxOffice) -> None:
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


async def test_a_user_who_may_not_ask_still_listens_and_is_told(office: PbxOffice) -> None:
    for name in ("corestatus", "coresettings", "coreshowchannels", "status"):
        office.pbx.responders[name] = lambda action: error(action, "Permission denied")
    office.listen()
    report = await office.sink.until_state(PbxState.LISTENING, "snapshot_refused")
    assert report.params["why"] == "Permission denied"
    await office.call("1.1")
    await office.heard("1.1 ended:#1")


async def test_a_message_we_cannot_digest_silences_nothing(office: PbxOffice) -> None:
    office.listen()
    await office.sink.until_state(PbxState.LISTENING)
    await office.pbx.send(message(Event="Newchannel", Uniqueid="bomb") + message(Event="Newchannel", Nothing="here"))
    await office.call("1.1")
    await office.heard("1.1 ended:#1")


async def test_a_refused_login_is_told_and_not_repeated(office: PbxOffice) -> None:
    office.pbx.secret = "changed"
    office.listen(url=office.pbx.url.replace("changed", "old"))
    report = await office.sink.until_state(PbxState.REFUSED, "login_refused")
    assert report.params["user"] == "pbxcrm"
    await office.sink.until(lambda: "main" in office.sink.leases)
    await office.stop()
    assert office.pbx.names().count("Login") == 1


async def test_under_load_batches_grow_and_when_quiet_each_fact_goes_at_once(office: PbxOffice) -> None:
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


async def test_what_begins_goes_in_at_once_and_by_itself(office: PbxOffice) -> None:
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
    office: PbxOffice, monkeypatch: pytest.MonkeyPatch
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
