"""What Asterisk's own files prove of calls that nobody heard; the records in ``records`` are a real Asterisk 22's."""

import csv
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from ami.backfill import Backfill
from ami.messages import Framer, Message, parse
from ami.tracker import Tracker
from pbxcrm.calls.facts import CallFact, Direction, FactKind, Leg, LegResult, MissedReason, Outcome
from tests.fakes.plain_tracker import make_state

RECORDS = Path(__file__).parent / "records"
SCENARIOS = Path(__file__).parents[2] / "scenarios"
BEFORE = datetime(2026, 11, 21, 17, 0, tzinfo=UTC)
AFTER = datetime(2026, 11, 21, 18, 0, tzinfo=UTC)
EVER = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC))


def recovered(
    facts: Sequence[CallFact] = (), since: datetime = BEFORE, until: datetime = AFTER, **files: Path
) -> list[CallFact]:
    return Backfill(Tracker, **files)(facts, since, until)


def unknown(linkedid: str) -> CallFact:
    state = make_state(linkedid, BEFORE, Outcome.UNKNOWN, ended_at=AFTER)
    return CallFact(FactKind.ENDED, "", 1, AFTER, state)


@pytest.mark.parametrize("kind", ["cel", "cdr"])
def test_an_hour_nobody_listened(kind: str) -> None:
    files = {f"{kind}_csv": RECORDS / f"{kind}.csv"}
    group, given_up, queue, menu = (fact.call for fact in Backfill(Tracker, **files)([], BEFORE, AFTER))
    assert (group.outcome, group.answered_by, group.did) == (Outcome.ANSWERED, "102", "0441230001")
    assert (given_up.outcome, given_up.missed_reason) == (Outcome.MISSED, MissedReason.ABANDONED_RINGING)
    assert (queue.outcome, queue.answered_by, queue.queue) == (Outcome.ANSWERED, "103", "sales")
    assert (menu.outcome, menu.missed_reason) == (Outcome.MISSED, MissedReason.ABANDONED_IN_IVR)
    assert menu.client_heard == "+380671112266"
    assert {call.direction for call in (group, given_up, queue, menu)} == {Direction.INBOUND}
    assert group.rang == given_up.rang == ("101", "102", "103")
    assert int(group.started_at.timestamp()) == 1795283530


def test_only_what_ended_in_the_gap_counts() -> None:
    since = datetime(2026, 11, 21, 17, 53, tzinfo=UTC)
    assert recovered(since=since, until=AFTER, cel_csv=RECORDS / "cel.csv") == []


def test_the_same_gap_twice_gives_the_same_keys() -> None:
    first, second = recovered(cel_csv=RECORDS / "cel.csv"), recovered(cel_csv=RECORDS / "cel.csv")
    assert first == second
    assert {fact.key for fact in first} == {"ended:#1"}


def test_an_unknown_ending_is_bettered_and_keeps_what_we_had_heard() -> None:
    known = unknown("1795283530.0")
    (better, *others) = recovered([known], cel_csv=RECORDS / "cel.csv")
    assert better.key == known.key
    assert better.call.outcome is Outcome.ANSWERED
    assert better.call.started_at == BEFORE
    assert "1795283530.0" not in {fact.call.linkedid for fact in others}
    assert len(others) == 3


@pytest.mark.parametrize("kind", ["cel", "cdr"])
def test_legs_we_had_heard_of_end_as_the_file_says(kind: str) -> None:
    """CDR calls their channels by no name: a second row of each phone, and the first ringing for ever, would be wrong."""
    known = unknown("1795283530.0")
    heard = {f"1795283530.{n}": f"10{n}" for n in (1, 2, 3)} | {"1795283530.9": "109"}
    legs = tuple(
        Leg(channel, phone, BEFORE, BEFORE, None, AFTER, LegResult.CANCELLED) for channel, phone in heard.items()
    )
    known = replace(known, call=replace(known.call, legs=legs))
    files = {f"{kind}_csv": RECORDS / f"{kind}.csv"}
    better = Backfill(Tracker, **files)([known], BEFORE, AFTER)[0].call
    assert {leg.channel_id: leg.extension for leg in better.legs} == heard
    assert len(better.legs) == len(heard)
    assert {leg.extension: leg.result for leg in better.legs if leg.answered_at} == {"102": LegResult.TALKED}
    assert all(leg.ended_at for leg in better.legs)


def test_what_no_file_knows_stays_unknown(tmp_path: Path) -> None:
    fact = unknown("1.1")
    assert recovered([fact], cel_csv=tmp_path / "missing.csv") == [fact]
    assert recovered([fact]) == [fact]
    (tmp_path / "rubbish.csv").write_bytes(b'\xff\x00"",,,\n"CHAN_START","yesterday"\n' + b"x," * 50)
    assert recovered([fact], cel_csv=tmp_path / "rubbish.csv") == [fact]


def test_a_file_written_in_local_time_is_understood(tmp_path: Path) -> None:
    """Kyiv is two hours ahead in November; the Uniqueid tells."""
    local = tmp_path / "cel.csv"
    local.write_text((RECORDS / "cel.csv").read_text().replace('"2026-11-21 17:', '"2026-11-21 19:'))
    assert [fact.at for fact in recovered(cel_csv=local)] == [
        fact.at for fact in recovered(cel_csv=RECORDS / "cel.csv")
    ]


def line_of(kind: str, fields: dict[int, str]) -> str:
    return ",".join(f'"{fields.get(column, "")}"' for column in range({"cel": 20, "cdr": 18}[kind])) + "\n"


def call_in(kind: str, began: datetime, ended: datetime) -> list[tuple[datetime, str]]:
    """What Asterisk in Kyiv writes of a caller who talked to nobody, and when."""
    start, end = (f"{at.astimezone(ZoneInfo('Europe/Kyiv')):%F %T}" for at in (began, ended))
    name, channel = f"{int(began.timestamp())}.1", "PJSIP/trunk-00000001"
    if kind == "cdr":
        length = str(int((ended - began).total_seconds()))
        times = {9: start, 10: start, 11: end, 12: length, 13: "0"}
        who = {1: "0671112233", 2: "100", 3: "from-trunk", 5: channel, 7: "Queue", 8: "sales", 14: "NO ANSWER"}
        return [(ended, line_of(kind, {**times, **who, 16: name}))]
    said = {3: "0671112233", 7: "100", 8: "from-trunk", 9: channel, 14: name, 15: name}
    rows = ((began, start, "CHAN_START"), (ended, end, "HANGUP"), (ended, end, "CHAN_END"))
    return [(at, line_of(kind, {0: event, 1: local, **said})) for at, local, event in rows]


@pytest.mark.parametrize("kind", ["cel", "cdr"])
@pytest.mark.parametrize("day", [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC)])
def test_calls_keep_their_times_when_the_clocks_are_changed(tmp_path: Path, kind: str, day: datetime) -> None:
    """At 01:00 UTC; one call goes on just then, and the file begins in the middle of another."""
    minutes = [(-1500, -1490), (-700, -698), (-5, 3), (-4, 70), (75, 80), (1400, 1402)]
    calls = [(day + timedelta(minutes=began), day + timedelta(minutes=ended)) for began, ended in minutes]
    lines = sorted((line for call in calls for line in call_in(kind, *call)), key=lambda line: line[0])
    (tmp_path / "records.csv").write_text("".join(text for _, text in lines[kind == "cel" :]))
    files = {f"{kind}_csv": tmp_path / "records.csv"}
    found = Backfill(Tracker, **files)([], *EVER)
    told = sorted((fact.call.started_at, fact.call.ended_at or fact.at) for fact in found)
    assert told == calls[kind == "cel" :]


def test_a_later_record_of_a_channel_does_not_tell_how_the_clock_stood(tmp_path: Path) -> None:
    """Forty minutes after its birth a client's channel begins its second record."""
    began, ended = BEFORE, BEFORE + timedelta(minutes=50)
    (first,) = call_in("cdr", began, began + timedelta(minutes=40))
    (whole,) = call_in("cdr", began, ended)
    local = f"{began + timedelta(hours=2, minutes=40):%F %T}"
    second = whole[1].replace(f"{began + timedelta(hours=2):%F %T}", local).replace('"3000"', '"600"')
    (tmp_path / "cdr.csv").write_text(first[1] + second)
    (call,) = recovered(since=EVER[0], until=EVER[1], cdr_csv=tmp_path / "cdr.csv")
    assert (call.call.started_at, call.call.ended_at) == (began, ended)


def test_epoch_times_are_understood(tmp_path: Path) -> None:
    rows = list(csv.reader((RECORDS / "cel.csv").read_text().splitlines()))
    for row in rows:
        row[1] = f"{datetime.fromisoformat(row[1]).replace(tzinfo=UTC).timestamp():.6f}"
    with (tmp_path / "cel.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    assert [f.at for f in recovered(cel_csv=tmp_path / "cel.csv")] == [
        f.at for f in recovered(cel_csv=RECORDS / "cel.csv")
    ]


def test_a_call_whose_record_is_not_whole_is_not_judged(tmp_path: Path) -> None:
    lines = (RECORDS / "cel.csv").read_text().splitlines(keepends=True)
    for cut in range(1, 24):  # the first call has 24 rows
        (tmp_path / "cel.csv").write_text("".join(lines[:cut]))
        facts = recovered(cel_csv=tmp_path / "cel.csv")
        assert len(facts) <= 1
        assert all(fact.call.outcome is Outcome.ANSWERED for fact in facts)
    for cut in range(1, 23):  # its beginning was before the part of the file that is read
        (tmp_path / "cel.csv").write_text("".join(lines[cut:24]))
        assert recovered(cel_csv=tmp_path / "cel.csv") == []


def test_cdr_answered_over_local_channels_proves_nothing(tmp_path: Path) -> None:
    """FollowMe whose confirmation was not given, and a queue over Local members, look the same."""
    line = (RECORDS / "cdr.csv").read_text().splitlines()[1]
    via = [
        line.replace("PJSIP/102-00000002", "Local/102@f-00000001;1"),
        line.replace("PJSIP/trunk-00000000", "Local/102@f-00000001;2"),
    ]
    (tmp_path / "cdr.csv").write_text("\n".join(via))
    assert recovered([unknown("1795283530.0")], cdr_csv=tmp_path / "cdr.csv")[0].call.outcome is Outcome.UNKNOWN


def cel_events(stream: bytes) -> Iterator[Message]:
    return (m for m in map(parse, Framer().feed(stream)) if m.get("Event") == "CEL")


def as_csv_row(m: Message) -> list[str]:
    """A CEL event of the manager interface as cel_custom writes it."""
    head = [m["EventName"], m["EventTime"], m["CallerIDname"], m["CallerIDnum"], m["CallerIDani"], m["CallerIDrdnis"]]
    middle = [m["CallerIDdnid"], m["Exten"], m["Context"], m["Channel"], m["Application"], m["AppData"], "3"]
    return [*head, *middle, m["AccountCode"], m["UniqueID"], m["LinkedID"], m["Peer"], m["Userfield"], "", m["Extra"]]


def recorded() -> list[Path]:
    """Recordings whose user also heard CEL, with one call each that is over."""
    found = []
    for path in sorted(SCENARIOS.glob("*/*.ami")):
        truth = json.loads(path.with_suffix(".json").read_text())
        if (
            len(truth) == 1
            and truth[0]["outcome"] not in {"open", "interrupted"}
            and any(cel_events(path.read_bytes()))
        ):
            found.append(path)
    return found


@pytest.mark.parametrize("path", recorded(), ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_cel_alone_tells_what_the_manager_interface_told(path: Path, tmp_path: Path) -> None:
    (truth,) = json.loads(path.with_suffix(".json").read_text())
    rows = [as_csv_row(m) for m in cel_events(path.read_bytes())]
    with (tmp_path / "cel.csv").open("w", newline="") as file:
        csv.writer(file, quoting=csv.QUOTE_ALL).writerows(rows)
    facts = recovered(since=EVER[0], until=EVER[1], cel_csv=tmp_path / "cel.csv")
    assert len(facts) == 1
    call = facts[0].call
    outcome = {"voicemail": "missed"}.get(truth["outcome"], truth["outcome"])  # CEL does not tell of a message left
    assert (call.direction, call.outcome) == (truth["direction"], outcome)
    assert list(call.talked) == truth.get("talked", list(call.talked))
    assert call.answered_by == truth.get("answered_by", call.answered_by)
    assert call.ended_at is not None
    assert call.ended_at - call.started_at < timedelta(minutes=5)
