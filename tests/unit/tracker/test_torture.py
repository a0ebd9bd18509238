"""Streams as a bad network and a busy PBX deliver them: with holes, doubled, swapped, begun in the middle, broken off."""

import random
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ami.messages import Message
from ami.snapshot import Snapshot
from ami.tracker import Tracker
from pbxcrm.calls.facts import CallFact, FactKind, Outcome
from tests.unit.tracker.streams import all_streams

NAMES = sorted(all_streams())
START = datetime(2026, 11, 21, tzinfo=UTC)
LATER = datetime(2100, 1, 1, tzinfo=UTC)


def all_hang_up(name: str) -> bool:
    """Whether the PBX lived to say of every channel that it hung up."""
    born, gone = (
        {m["Uniqueid"] for m in all_streams()[name] if m["Event"] == event} for event in ("Newchannel", "Hangup")
    )
    return born <= gone


any_stream = st.sampled_from([name for name in NAMES if all_hang_up(name)]).map(lambda name: list(all_streams()[name]))
chance = st.randoms(use_true_random=False)


def feed(tracker: Tracker, messages: list[Message], position: int = 0) -> list[CallFact]:
    """Messages ten milliseconds apart, numbered from ``position``."""
    facts = []
    for n, message in enumerate(messages, position):
        facts += tracker.feed(message, START + timedelta(milliseconds=10 * n), position=n)
    return facts


def check_sane(facts: list[CallFact]) -> None:
    """What must be true of any facts whatever was heard."""
    keys = [(fact.call.linkedid, fact.key) for fact in facts]
    assert len(keys) == len(set(keys))
    final: set[str] = set()
    for fact in facts:
        call = fact.call
        assert call.linkedid not in final, "a fact after the end"
        if fact.kind in {FactKind.ENDED, FactKind.ABSORBED}:
            final.add(call.linkedid)
        assert (fact.kind is FactKind.ENDED) == (call.outcome is not Outcome.OPEN)
        assert set(call.talking) <= set(call.talked)
        assert (call.outcome is Outcome.MISSED) == (call.missed_reason is not None)
        assert len(call.rang) == len(set(call.rang))


@pytest.mark.parametrize("gap", [10, 400])
@pytest.mark.parametrize("name", NAMES)
def test_a_phone_that_talked_and_hung_up_is_told_as_gone_however_late_its_hangup_comes(name: str, gap: int) -> None:
    """With ``gap`` milliseconds between messages a Hangup comes after its phone's leaving was told, as from a busy Asterisk 16."""
    tracker, told = Tracker(), {}
    for n, message in enumerate(all_streams()[name]):
        for fact in tracker.feed(message, START + timedelta(milliseconds=gap * n), position=n):
            told[fact.call.linkedid] = fact.call
        for call in tracker.open_calls():
            if call.linkedid in told and call.ended_at is None:  # else its end will tell
                gone = {leg.channel_id for leg in call.legs if leg.ended_at and leg.extension not in call.talking}
                there = {leg.channel_id for leg in told[call.linkedid].legs if leg.answered_at and not leg.ended_at}
                assert not gone & there


def nothing_stays(tracker: Tracker) -> bool:
    desk = tracker._desk
    board = desk.board
    return not (board.calls or board.channels or board.bridges or board._by_linkedid or board._halves or board.touched)


@pytest.mark.parametrize("name", NAMES)
def test_after_a_whole_stream_nothing_is_left_in_memory(name: str) -> None:
    tracker = Tracker()
    facts = feed(tracker, list(all_streams()[name]))
    facts += tracker.tick(LATER)
    check_sane(facts)
    assert nothing_stays(tracker)
    assert tracker.horizon() is None


@pytest.mark.parametrize("name", [name for name in NAMES if all_hang_up(name)])
def test_a_stream_begun_in_the_middle_leaves_no_call_open(name: str) -> None:
    messages = list(all_streams()[name])
    for k in range(1, len(messages), max(1, len(messages) // 8)):
        tracker = Tracker()
        facts = feed(tracker, messages[k:])
        facts += tracker.tick(START + timedelta(hours=1))
        check_sane(facts)
        assert not tracker.open_calls(), f"first {k} events dropped"
        assert nothing_stays(tracker)


@given(any_stream, st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_begun_anywhere(messages: list[Message], part: float) -> None:
    tracker = Tracker()
    facts = feed(tracker, messages[int(part * len(messages)) :]) + tracker.tick(START + timedelta(hours=1))
    check_sane(facts)
    assert nothing_stays(tracker)


@given(any_stream, chance, st.floats(0, 0.6))
@settings(max_examples=150, deadline=None)
def test_holes_never_raise_and_every_heard_hangup_counts(
    messages: list[Message], rng: random.Random, loss: float
) -> None:
    kept = [m for m in messages if m["Event"] == "Hangup" or rng.random() > loss]
    tracker = Tracker()
    facts = feed(tracker, kept) + tracker.tick(START + timedelta(hours=1))
    check_sane(facts)
    assert nothing_stays(tracker)


@given(any_stream, chance, st.floats(0, 0.6))
@settings(max_examples=150, deadline=None)
def test_lost_hangups_are_found_out_by_the_next_snapshot(
    messages: list[Message], rng: random.Random, loss: float
) -> None:
    kept = [m for m in messages if rng.random() > loss]
    tracker = Tracker()
    facts = feed(tracker, kept) + tracker.reconcile(Snapshot(channels=()), START + timedelta(minutes=1))
    facts += tracker.tick(START + timedelta(minutes=2))
    check_sane(facts)
    assert nothing_stays(tracker)


@given(any_stream, chance)
@settings(max_examples=150, deadline=None)
def test_doubled_events_tell_nothing_twice(messages: list[Message], rng: random.Random) -> None:
    doubled = [m for message in messages for m in [message] * rng.choice([1, 1, 1, 2, 3])]
    tracker = Tracker()
    facts = feed(tracker, doubled) + tracker.tick(LATER)
    check_sane(facts)
    assert nothing_stays(tracker)
    once = Tracker()
    expected = feed(once, messages) + once.tick(LATER)
    ends = {f.call.linkedid: f.call.outcome for f in facts if f.kind is FactKind.ENDED}
    assert ends == {f.call.linkedid: f.call.outcome for f in expected if f.kind is FactKind.ENDED}


@given(any_stream, chance)
@settings(max_examples=150, deadline=None)
def test_events_swapped_within_a_millisecond_never_raise(messages: list[Message], rng: random.Random) -> None:
    for i in range(len(messages) - 1):
        one, other = (float(m.get("Timestamp", i)) for m in messages[i : i + 2])
        if abs(one - other) < 0.001 and rng.random() < 0.5:
            messages[i], messages[i + 1] = messages[i + 1], messages[i]
    tracker = Tracker()
    facts = feed(tracker, messages) + tracker.tick(LATER)
    check_sane(facts)
    assert nothing_stays(tracker)


@given(any_stream, any_stream, st.floats(0, 1))
@settings(max_examples=200, deadline=None)
def test_from_its_horizon_a_journal_tells_the_same_again(one: list[Message], two: list[Message], part: float) -> None:
    """Facts after a crash at any moment: those of the undisturbed run, with the same keys."""
    assume(
        not {m.get("Uniqueid") for m in one} & {m.get("Uniqueid") for m in two if "Uniqueid" in m}
    )  # never given twice
    messages = one + two
    tracker = Tracker()
    crash = int(part * len(messages))
    feed(tracker, messages[:crash])
    horizon = tracker.horizon()
    undisturbed = feed(tracker, messages[crash:], crash) + tracker.tick(LATER)
    again = Tracker()
    replay_from = crash if horizon is None else horizon
    # As the follower does: what was learned of the PBX before the horizon is looked up in the journal.
    again.remember(
        booted_at=None,
        hears_hangup_requests=any(m.get("Event") == "HangupRequest" for m in messages[:replay_from]),
    )
    feed(again, messages[replay_from:crash], replay_from)
    assert feed(again, messages[crash:], crash) + again.tick(LATER) == undisturbed


@given(
    st.dictionaries(
        st.sampled_from(sorted({k for s in all_streams().values() for m in s for k in m})), st.text(max_size=40)
    )
)
@settings(max_examples=300, deadline=None)
def test_any_rubbish_is_survived(headers: dict[str, str]) -> None:
    tracker = Tracker()
    events = sorted({m["Event"] for stream in all_streams().values() for m in stream})
    for event in events:
        check_sane(tracker.feed(headers | {"Event": event}))
    tracker.tick(LATER)
    assert not tracker.open_calls()


def test_memory_does_not_grow_with_calls_done() -> None:
    """The same story again and again under new names; only what hung up lately is remembered, and not without end."""
    story = all_streams()["shared-22/queue_local_members_answered.ami"]
    tracker = Tracker()
    for n in range(300):
        renamed = [{k: v.replace("1795279", f"{n:07}") if "id" in k else v for k, v in m.items()} for m in story]
        feed(tracker, renamed)
    tracker.tick(LATER)
    assert nothing_stays(tracker)
    assert len(tracker._desk.board._gone) <= 5_000
    assert len(tracker._desk._due) <= 2
