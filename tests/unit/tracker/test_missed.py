"""What became of a call nobody answered, and why."""

import pytest

from pbxcrm.calls.facts import MissedReason, Outcome
from tests.unit.tracker.story import CLIENT_RINGS_101, TALKS_WITH_101, MessageStory


def test_rule_5_the_verdict_waits_for_the_caller() -> None:
    story = MessageStory(CLIENT_RINGS_101 + "9.0 dialend client p101 NOANSWER\n9.0 hangup p101 0").wait(60)
    assert story.said == "opened ringing:101 silenced:101"


def test_a_missed_verdict_is_held_for_two_seconds() -> None:
    story = MessageStory(
        CLIENT_RINGS_101 + "9.0 dialend client p101 CANCEL\n9.0 hangup p101 127\n9.0 hangup client 127"
    ).wait(10.9)
    assert "ended" not in story.said
    story.wait(11.0)
    assert (story.call.outcome, story.call.missed_reason) == (Outcome.MISSED, MissedReason.ABANDONED_RINGING)
    assert story.call.wait_seconds == 9.0


def test_a_pbx_that_stops_interrupts_and_nobody_missed_anything() -> None:
    story = MessageStory(
        CLIENT_RINGS_101 + "9.0 hangup p101 16\n9.0 hangup client 16\n9.5 event Shutdown Shutdown=Cleanly"
    )
    assert story.call.outcome is Outcome.OPEN  # the PBX's own record may say that somebody hung up
    assert story.wait(60).call.outcome is Outcome.INTERRUPTED
    assert not story.tracker.open_calls()


def test_who_was_hung_up_by_the_dialplan_right_before_a_stop_was_not_interrupted() -> None:
    """AMI does not say who hung up; Asterisk's own record (CEL), read after the restart, does."""
    story = MessageStory(
        CLIENT_RINGS_101 + "9.0 hangup p101 16\n9.0 hangup client 16\n9.5 event Shutdown Shutdown=Cleanly\n"
        "11 event PbxcrmHungUpBy Channel=@client HangupSource=dialplan/builtin"
    )
    assert story.wait(60).call.outcome is Outcome.MISSED


def test_a_pbx_that_stops_in_a_talk_ends_an_answered_call() -> None:
    story = MessageStory(TALKS_WITH_101 + "20.0 event Shutdown Shutdown=Uncleanly")
    assert (story.call.outcome, story.call.talk_seconds) == (Outcome.ANSWERED, 16.0)


@pytest.mark.parametrize(
    ("what_happens", "reason"),
    [
        ("1 dialend client p101 BUSY\n1 hangup p101 17\n2 hangup client 17", MissedReason.BUSY),
        ("1 hangup p101 21\n2 hangup client 21", MissedReason.BUSY),
        ("1 dialend client p101 NOANSWER\n1 hangup p101 21\n1 hangup client 21", MissedReason.BUSY),
        ("1 dialend client p101 CHANUNAVAIL\n1 hangup p101 20\n2 hangup client 20", MissedReason.UNREACHABLE),
        ("9 dialend client p101 NOANSWER\n9 hangup p101 0\n9 hangup client 19", MissedReason.TIMEOUT),
        ("9 dialend client p101 NOANSWER\n9 hangup p101 0\n9 up client\n19 hangup client 0", MissedReason.TIMEOUT),
        ("9 hangup p101 127\n9 hangup client 127", MissedReason.ABANDONED_RINGING),
        ("9 hangup client 127\n9 hangup p101 127", MissedReason.ABANDONED_RINGING),
        ("9 event UserEvent UserEvent=PbxcrmClosed Channel=@client\n10 hangup client 16", MissedReason.CLOSED_HOURS),
    ],
)
def test_why_a_phone_call_was_missed(what_happens: str, reason: MissedReason) -> None:
    assert MessageStory(CLIENT_RINGS_101 + what_happens).wait(60).call.missed_reason is reason


@pytest.mark.parametrize(
    ("what_happens", "reason"),
    [
        ("5 hangup client 3", MissedReason.UNREACHABLE),
        ("5 hangup client 20", MissedReason.UNREACHABLE),
        ("5 hangup client 16", MissedReason.NO_AGENTS),
        ("5 hangup client 127", MissedReason.ABANDONED_RINGING),
        ("1 up client\n5 hangup client 0", MissedReason.ABANDONED_IN_IVR),
        ("1 up client\n5 hangup client 16", MissedReason.ABANDONED_IN_IVR),
        (
            "1 up client\n1 event VarSet Channel=@client Variable=DIALSTATUS Value=CHANUNAVAIL\n5 hangup client 16",
            MissedReason.UNREACHABLE,
        ),
        (
            "1 up client\n1 event VarSet Channel=@client Variable=QUEUESTATUS Value=JOINEMPTY\n5 hangup client 16",
            MissedReason.NO_AGENTS,
        ),
        (
            "1 up client\n1 event QueueCallerJoin Channel=@client Queue=q\n5 hangup client 0",
            MissedReason.ABANDONED_IN_QUEUE,
        ),
        (
            "1 up client\n1 event QueueCallerJoin Channel=@client Queue=q\n5 event QueueCallerLeave Channel=@client Queue=q\n5 hangup client 16",
            MissedReason.NO_AGENTS,
        ),
        (
            "1 up client\n1 event QueueCallerJoin Channel=@client Queue=q\n5 event QueueCallerLeave Channel=@client Queue=q\n15 hangup client 0",
            MissedReason.TIMEOUT,
        ),
        ("5 hangup client 16 office-closed", MissedReason.CLOSED_HOURS),
    ],
)
def test_why_a_call_that_reached_no_phone_was_missed(what_happens: str, reason: MissedReason) -> None:
    story = MessageStory("0 new client SIP/trunk-00000001 Ring 0671112233 > 100\n" + what_happens).wait(60)
    assert story.call.missed_reason is reason
    assert story.call.rang == ()


def test_a_message_in_the_mailbox_belongs_to_who_wanted_its_owner() -> None:
    story = MessageStory(
        CLIENT_RINGS_101
        + """
0.5   new      other   SIP/trunk-00000009  Ring  0501112233 > 307
0.6   up       other
9.0   dialend  client  p101  NOANSWER
9.0   hangup   p101    0
9.1   up       client
20.0  event    MessageWaiting  Mailbox=101@default  Waiting=1  New=1  Old=0
20.0  hangup   client  0
20.1  hangup   other   0
"""
    ).wait(60)
    assert [call.outcome for call in story.calls] == [Outcome.VOICEMAIL, Outcome.MISSED]


def test_listening_to_messages_leaves_none() -> None:
    story = MessageStory(
        "0 event MessageWaiting Mailbox=101@default New=2\n0 new client SIP/trunk-00000001 Ring 0671112233 > 101\n1 up client"
    )
    story.tell("3 event MessageWaiting Mailbox=101@default New=1\n9 hangup client 0").wait(60)
    assert story.call.outcome is Outcome.MISSED


def test_a_caller_who_hears_a_greeting_after_the_queue_has_left_the_queue() -> None:
    story = MessageStory("""
0  new    client  SIP/trunk-00000001  Ring  0671112233 > 200
0  up     client
0  event  QueueCallerJoin   Queue=sales  Channel=@client
5  event  QueueCallerLeave  Queue=sales  Channel=@client
5.3  event  HangupRequest     Channel=@client
5.3  hangup client  0
""").wait(9)
    assert story.call.missed_reason is MissedReason.TIMEOUT
    assert story.call.queue == "sales"


@pytest.mark.parametrize(
    ("who_hangs_up", "reason"),
    [("", MissedReason.NO_AGENTS), ("5 event HangupRequest Channel=@client\n", MissedReason.ABANDONED_IN_IVR)],
)
def test_a_queue_that_nobody_serves_is_no_menu(who_hangs_up: str, reason: MissedReason) -> None:
    """Such a queue says nothing of itself. Where the PBX says who hangs up, and nobody did, the dialplan let the caller go."""
    story = MessageStory(f"""
0  new    other   SIP/trunk-00000001  Ring  0501112233 > 300
0  up     other
1  event  HangupRequest  Channel=@other
1  hangup other   16
2  new    client  SIP/trunk-00000002  Ring  0671112233 > 200
2  up     client
{who_hangs_up}5  hangup client  16
""").wait(9)
    assert story.calls[1].missed_reason is reason


def test_a_colleague_who_leaves_a_message_does_not_hide_a_missed_client() -> None:
    story = MessageStory("""
0  new    client     SIP/trunk-00000001  Ring  0671112233 > 307
0  up     client
1  new    colleague  SIP/101-00000002    Ring  101 > 105
1  up     colleague
9  event  MessageWaiting  Mailbox=105@default  Waiting=1  New=1
9  hangup colleague
20 hangup client     0
""").wait(60)
    assert [call.outcome for call in story.calls] == [Outcome.MISSED, Outcome.MISSED]


def test_a_caller_who_waits_in_a_queue_leaves_no_message() -> None:
    story = MessageStory("""
0  new    client  SIP/trunk-00000001  Ring  0671112233 > 200
0  up     client
0  event  QueueCallerJoin  Queue=sales  Channel=@client
9  event  MessageWaiting   Mailbox=100@default  Waiting=1  New=1
20 hangup client  0
""").wait(60)
    assert story.call.missed_reason is MissedReason.ABANDONED_IN_QUEUE
