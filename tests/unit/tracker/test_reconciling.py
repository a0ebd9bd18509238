"""After a gap: what was known, what the PBX shows now, what is said of the calls in between (rule 7)."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from ami.snapshot import BridgeSeen, Snapshot
from ami.tracker import Tracker
from pbxcrm.calls.facts import CallFact, Direction, FactKind, Outcome
from tests.unit.tracker.story import BEGIN, CLIENT_RINGS_101, TALKS_WITH_101, MessageStory

NOW = BEGIN + timedelta(minutes=5)
BOOT = datetime(2026, 11, 1, 8, 0, tzinfo=UTC)
NOBODY = Snapshot(channels=(), booted_at=BOOT)

CLIENT = {
    "Channel": "SIP/trunk-00000001",
    "Uniqueid": f"{int(BEGIN.timestamp())}.1",
    "Linkedid": f"{int(BEGIN.timestamp())}.1",
    "ChannelStateDesc": "Up",
    "CallerIDNum": "0671112233",
    "CallerIDName": "Olena",
    "Exten": "100",
    "Context": "from-trunk",
    "Application": "Dial",
    "Duration": "00:01:05",
    "BridgeId": "b1",
}
PHONE = CLIENT | {
    "Channel": "SIP/101-00000002",
    "Uniqueid": f"{int(BEGIN.timestamp())}.2",
    "CallerIDNum": "101",
    "Application": "AppDial",
}
TALK = Snapshot(
    channels=(CLIENT, PHONE),
    bridges=(BridgeSeen("b1", "basic", "simple_bridge", (CLIENT["Uniqueid"], PHONE["Uniqueid"])),),
)


def reconcile(story: MessageStory, snapshot: Snapshot, now: datetime = NOW) -> list[CallFact]:
    facts = story.tracker.reconcile(snapshot, now)
    story.facts += facts
    return facts


def test_a_ringing_call_that_is_gone_is_unknown_and_never_missed() -> None:
    story = MessageStory(CLIENT_RINGS_101)
    reconcile(story, NOBODY)
    assert story.call.outcome is Outcome.UNKNOWN
    assert story.call.missed_reason is None
    assert story.tracker.horizon() is None


def test_a_talk_that_is_gone_was_a_talk() -> None:
    story = MessageStory(TALKS_WITH_101)
    reconcile(story, NOBODY)
    assert (story.call.outcome, story.call.ended_at) == (Outcome.ANSWERED, NOW)


def test_a_pbx_started_anew_has_interrupted_what_was_going_on() -> None:
    story = MessageStory()
    reconcile(story, NOBODY, BEGIN - timedelta(minutes=1))
    story.tell(CLIENT_RINGS_101)
    reconcile(story, replace(NOBODY, booted_at=BOOT + timedelta(hours=1)))
    assert story.call.outcome is Outcome.INTERRUPTED


def test_the_same_boot_interrupts_nothing() -> None:
    story = MessageStory()
    reconcile(story, NOBODY, BEGIN - timedelta(minutes=1))
    story.tell(CLIENT_RINGS_101)
    assert reconcile(story, replace(TALK, booted_at=BOOT))[-1].kind is FactKind.JOINED
    assert len(story.tracker.open_calls()) == 1


def test_a_held_verdict_stays_what_it_was() -> None:
    story = MessageStory(CLIENT_RINGS_101 + "9 hangup p101 127\n9 hangup client 127")
    reconcile(story, NOBODY)
    assert story.call.outcome is Outcome.MISSED


def test_a_talk_begun_unheard_is_adopted_and_followed_to_its_end() -> None:
    story = MessageStory()
    reconcile(story, TALK)
    call = story.call
    assert story.said == "opened joined:101"
    assert (call.direction, call.client_heard, call.did, call.talking) == (
        Direction.INBOUND,
        "0671112233",
        None,  # the extension is where the dialplan is now, not what the client dialled
        ("101",),
    )
    assert call.started_at == NOW - timedelta(seconds=65)
    for message in (PHONE, CLIENT):
        story.facts += story.tracker.feed({"Event": "Hangup", "Cause": "16"} | message, NOW + timedelta(seconds=9))
    assert story.call.outcome is Outcome.ANSWERED


def test_a_call_answered_unheard_goes_on() -> None:
    story = MessageStory(CLIENT_RINGS_101)
    reconcile(story, TALK)
    assert story.said == "opened ringing:101 joined:101"


def test_a_colleague_who_left_unheard_has_left() -> None:
    story = MessageStory(TALKS_WITH_101)
    alone = Snapshot(channels=({**CLIENT, "BridgeId": ""},))
    reconcile(story, alone)
    story.facts += story.tracker.tick(NOW + timedelta(seconds=1))
    assert story.said.endswith("left:101")
    assert len(story.tracker.open_calls()) == 1


def test_a_parked_client_is_not_talking() -> None:
    story = MessageStory()
    lot = BridgeSeen("b1", "parking", "holding_bridge", (CLIENT["Uniqueid"], PHONE["Uniqueid"]))
    reconcile(story, replace(TALK, bridges=(lot,)))
    assert story.said == "opened"


def test_a_caller_who_waits_in_a_queue_waits_on() -> None:
    story = MessageStory()
    waiting = ({"Queue": "sales", "Uniqueid": CLIENT["Uniqueid"]},)
    reconcile(story, Snapshot(channels=(CLIENT | {"BridgeId": ""},), waiting=waiting))
    assert story.said == "opened queued:sales"


def test_the_horizon_of_an_adopted_call_is_the_snapshot() -> None:
    tracker = Tracker()
    tracker.reconcile(replace(TALK, position=4711), NOW)
    assert tracker.horizon() == 4711


def test_a_call_nothing_is_heard_of_for_a_day_is_not_open_for_ever() -> None:
    story = MessageStory(CLIENT_RINGS_101).wait(23 * 3600)
    assert len(story.tracker.open_calls()) == 1
    story.wait(25 * 3600)
    assert not story.tracker.open_calls()
    assert story.call.outcome is Outcome.UNKNOWN


def test_a_call_that_began_between_login_and_snapshot_keeps_the_number_that_was_dialled() -> None:
    """The snapshot shows the dialplan's present step; the first event of the channel, which comes after it, the number."""
    tracker, began = Tracker(), NOW - timedelta(milliseconds=40)
    client = CLIENT | {"ChannelStateDesc": "Ring", "Exten": "s", "BridgeId": "", "Duration": "00:00:00"}
    (opened,) = tracker.reconcile(Snapshot(channels=(client,)), NOW)
    assert opened.call.did is None
    message = client | {"Event": "Newchannel", "Exten": "308", "Timestamp": f"{began.timestamp():.6f}"}
    (updated,) = tracker.feed(message, NOW)
    assert (updated.call.did, updated.call.client_heard, updated.call.started_at) == ("308", "0671112233", began)
    assert tracker.feed(message | {"Exten": "1"}, NOW) == []
