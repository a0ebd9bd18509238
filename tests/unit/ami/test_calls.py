"""One idea of telephony a test. How a story is written: ``story.py``."""

import pytest

from ami.tracker import TrackerConfig
from pbxcrm.calls.facts import Direction, LegResult, MissedReason, Outcome, TransferKind
from tests.unit.ami.story import Story

CLIENT_RINGS_101 = """
0.0  new      client  SIP/trunk-00000001  Ring  0671112233 > 380441234567
0.1  new      p101    SIP/101-00000002    Down  101 of client
0.1  dial     client  p101
0.2  ringing  p101
"""
TALKS_WITH_101 = (
    CLIENT_RINGS_101
    + """
4.0  up       p101
4.0  dialend  client  p101  ANSWER
4.0  up       client
4.0  enter    b1  p101
4.0  enter    b1  client
"""
)


def test_simple_inbound() -> None:
    story = Story(TALKS_WITH_101 + "34.0 leave b1 client\n34.0 leave b1 p101\n34.0 hangup client\n34.0 hangup p101")
    assert story.said == "opened ringing:101 joined:101 ended"
    call = story.call
    assert (call.direction, call.outcome, call.answered_by) == (Direction.INBOUND, Outcome.ANSWERED, "101")
    assert (call.client_heard, call.did, call.trunk) == ("0671112233", "380441234567", "trunk")
    assert (call.wait_seconds, call.talk_seconds) == (4.0, 30.0)
    (leg,) = call.legs
    assert (leg.extension, leg.result, leg.cause) == ("101", LegResult.TALKED, 16)


def test_rule_1_neither_dialend_nor_up_nor_one_bridgeenter_is_a_talk() -> None:
    story = Story(CLIENT_RINGS_101 + "4.0 up p101\n4.0 dialend client p101 ANSWER\n4.0 enter b1 p101")
    assert story.said == "opened ringing:101"
    story.tell("5.0 leave b1 p101\n5.0 hangup p101\n9.0 hangup client 16").wait(12)
    assert story.said == "opened ringing:101 silenced:101 ended"
    assert story.call.outcome is Outcome.MISSED


def test_rule_1_talk_goes_through_local_pairs_and_not_before_both_ends_are_bridged() -> None:
    story = Story("""
0.0  new      client  SIP/trunk-00000001     Ring  0671112233 > 200
0.1  new      one     Local/101@agents-01;1  Down  of client
0.1  new      two     Local/101@agents-01;2  Ring  of client
0.1  dial     client  one
0.1  new      p101    SIP/101-00000002       Down  of client
0.1  dial     two     p101
0.2  ringing  p101
4.0  up       p101
4.0  enter    inner   p101
4.0  enter    inner   two
""")
    assert story.said == "opened ringing:101"
    story.tell("4.1 enter outer one\n4.1 enter outer client")
    assert story.said == "opened ringing:101 joined:101"


def test_rule_1_an_optimised_local_pair_does_not_interrupt_the_talk() -> None:
    story = Story("""
0.0  new      client  SIP/trunk-00000001     Ring  0671112233 > 200
0.1  new      one     Local/101@agents-01;1  Down  of client
0.1  new      two     Local/101@agents-01;2  Ring  of client
0.1  new      p101    SIP/101-00000002       Down  of client
4.0  enter    inner   p101
4.0  enter    inner   two
4.0  enter    outer   one
4.0  enter    outer   client
4.1  leave    inner   p101
4.1  event    BridgeEnter  BridgeUniqueid=outer  BridgeTechnology=simple_bridge  Channel=@p101  Swap=@one
4.1  leave    outer   one
4.1  hangup   one
4.1  leave    inner   two
4.1  hangup   two
""").wait(10)
    assert story.said == "opened joined:101"
    assert story.tracker.open_calls()[0].talking == ("101",)


def test_rule_1_a_parking_lot_is_no_talk() -> None:
    story = Story(CLIENT_RINGS_101 + "1.0 hold lot client\n1.0 hold lot p101")
    assert story.said == "opened ringing:101"


def test_rule_2_a_hangup_ends_the_ringing_without_any_dialend() -> None:
    story = Story(CLIENT_RINGS_101 + "5.0 hangup p101 19")
    assert story.said == "opened ringing:101 silenced:101"
    assert story.tracker.open_calls()[0].legs[0].result is LegResult.NO_ANSWER


def test_rule_2_the_first_dialend_counts() -> None:
    story = Story(
        CLIENT_RINGS_101 + "5.0 dialend client p101 NOANSWER\n5.0 dialend client p101 CANCEL\n5.0 hangup p101 0"
    )
    assert story.tracker.open_calls()[0].legs[0].result is LegResult.NO_ANSWER


def test_rule_3_a_linkedid_that_changed_unheard_makes_two_calls_one() -> None:
    story = Story(TALKS_WITH_101 + "5.0 new second SIP/101-00000003 Ring 101 > 103")
    story._channels["second"]["Linkedid"] = story._channels["client"]["Linkedid"]
    story.tell("6.0 up second")
    assert story.said.endswith("opened absorbed:" + story._channels["client"]["Linkedid"])
    assert story.facts[-1].call.direction is Direction.INTERNAL


def test_rule_4_one_pop_up_for_an_extension_with_two_phones() -> None:
    story = Story(
        CLIENT_RINGS_101
        + """
0.2  new      desk    SIP/101-00000003    Down  101 of client
0.2  dial     client  desk
0.3  ringing  desk
2.0  hangup   p101    17
3.0  up       desk
3.0  enter    b1  desk
3.0  enter    b1  client
"""
    )
    assert story.said == "opened ringing:101 joined:101"
    assert story.call.rang == ("101",)


def test_rule_4_a_queue_that_rings_again_pops_up_again() -> None:
    story = Story(
        CLIENT_RINGS_101
        + """
9.0   dialend  client  p101  NOANSWER
9.0   hangup   p101    0
14.0  new      again   SIP/101-00000003    Down  101 of client
14.0  dial     client  again
14.1  ringing  again
"""
    )
    assert story.said == "opened ringing:101 silenced:101 ringing:101"
    assert [fact.key for fact in story.facts[-3:]] == ["ringing:101#1", "silenced:101#1", "ringing:101#2"]
    assert len(story.call.legs) == 2


def test_rule_5_the_verdict_waits_for_the_caller() -> None:
    story = Story(CLIENT_RINGS_101 + "9.0 dialend client p101 NOANSWER\n9.0 hangup p101 0").wait(60)
    assert story.said == "opened ringing:101 silenced:101"


def test_a_missed_verdict_is_held_for_two_seconds() -> None:
    story = Story(CLIENT_RINGS_101 + "9.0 dialend client p101 CANCEL\n9.0 hangup p101 127\n9.0 hangup client 127").wait(
        10.9
    )
    assert "ended" not in story.said
    story.wait(11.0)
    assert (story.call.outcome, story.call.missed_reason) == (Outcome.MISSED, MissedReason.ABANDONED_RINGING)
    assert story.call.wait_seconds == 9.0


def test_a_pbx_that_stops_interrupts_and_nobody_missed_anything() -> None:
    story = Story(CLIENT_RINGS_101 + "9.0 hangup p101 16\n9.0 hangup client 16\n9.5 event Shutdown Shutdown=Cleanly")
    assert story.call.outcome is Outcome.INTERRUPTED
    assert not story.tracker.open_calls()


def test_a_pbx_that_stops_in_a_talk_ends_an_answered_call() -> None:
    story = Story(TALKS_WITH_101 + "20.0 event Shutdown Shutdown=Uncleanly")
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
    assert Story(CLIENT_RINGS_101 + what_happens).wait(60).call.missed_reason is reason


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
    story = Story("0 new client SIP/trunk-00000001 Ring 0671112233 > 100\n" + what_happens).wait(60)
    assert story.call.missed_reason is reason
    assert story.call.rang == ()


def test_a_pickup_is_an_answer_by_the_picker_and_no_transfer() -> None:
    story = Story(
        CLIENT_RINGS_101
        + """
3.0  new      p103    SIP/103-00000003    Ring  103 > *8101
3.0  up       p103
3.0  event    Pickup  Channel=@p103  Target=@p101
3.0  hangup   p101    16
3.0  dialend  client  p103  ANSWER
3.0  enter    b1  p103
3.0  enter    b1  client
9.0  hangup   client
9.0  hangup   p103
"""
    )
    call = story.call
    assert (call.answered_by, call.talked, call.rang, call.transfers) == ("103", ("103",), ("101",), ())
    assert [leg.result for leg in call.legs] == [LegResult.ELSEWHERE, LegResult.TALKED]


def test_rule_6_a_redirect_by_the_manager_is_a_transfer_seen_from_the_bridges() -> None:
    story = Story(
        TALKS_WITH_101
        + """
9.0   leave    b1  client
9.0   leave    b1  p101
9.0   hangup   p101
9.0   new      p103    SIP/103-00000003    Down  103 of client
9.0   dial     client  p103
10.0  ringing  p103
12.0  up       p103
12.0  enter    b2  p103
12.0  enter    b2  client
20.0  hangup   client
20.0  hangup   p103
"""
    )
    assert story.said == "opened ringing:101 joined:101 left:101 ringing:103 joined:103 transferred:101>103 ended"
    assert [(t.source, t.target, t.kind) for t in story.call.transfers] == [("101", "103", TransferKind.BLIND)]


def test_a_transfer_nobody_takes_is_none() -> None:
    story = Story(
        TALKS_WITH_101
        + """
9.0   event    BlindTransfer  Result=Success  Transferer=@p101  Transferee=@client  Extension=103
9.0   leave    b1  client
9.0   hangup   p101
9.0   new      p103    SIP/103-00000003    Down  103 of client
9.1   ringing  p103
19.0  hangup   p103    0
19.0  hangup   client
"""
    ).wait(60)
    assert (story.call.outcome, story.call.talked, story.call.transfers) == (Outcome.ANSWERED, ("101",), ())
    assert story.call.rang == ("101", "103")


def test_a_parked_client_who_comes_back_to_the_same_phone_was_not_transferred() -> None:
    story = Story(
        TALKS_WITH_101
        + """
9.0   leave    b1  client
9.0   leave    b1  p101
9.0   hangup   p101
9.0   hold     lot client
30.0  leave    lot client
30.0  new      again   SIP/101-00000003    Down  101 of client
30.1  ringing  again
33.0  enter    b2  again
33.0  enter    b2  client
40.0  hangup   client
40.0  hangup   again
"""
    )
    assert story.call.transfers == ()
    assert story.call.talked == ("101",)


def test_a_consultation_that_fails_leaves_the_client_with_the_first() -> None:
    story = Story(
        TALKS_WITH_101
        + """
9.0   new      second  SIP/101-00000003    Ring  101 > 103
9.0   new      p103    SIP/103-00000004    Down  103 of second
9.1   ringing  p103
15.0  hangup   second  127
15.0  hangup   p103    127
20.0  hangup   client
20.0  hangup   p101
"""
    ).wait(60)
    client, consultation = story.calls
    assert (client.answered_by, client.talked, client.transfers) == ("101", ("101",), ())
    assert (consultation.direction, consultation.outcome, consultation.made_by) == (
        Direction.INTERNAL,
        Outcome.MISSED,
        "101",
    )


def test_two_clients_in_one_conference_stay_two_calls() -> None:
    story = Story("""
0.0  new    a     SIP/trunk-00000001  Ring  0671112233 > 305
0.0  new    b     SIP/trunk-00000002  Ring  0501112233 > 305
1.0  enter  conf  a     softmix
1.0  enter  conf  b     softmix
2.0  new    p101  SIP/101-00000003    Ring  101 > 8000
2.0  enter  conf  p101  softmix
9.0  hangup a
9.5  hangup b
9.9  hangup p101
""")
    assert [call.client_heard for call in story.calls] == ["0671112233", "0501112233"]
    assert [call.talked for call in story.calls] == [("101",), ("101",)]


def test_outbound_by_a_phone() -> None:
    story = Story("""
0.0  new      p101   IAX2/101-77           Ring  101 > 90501112233
0.1  new      line   DAHDI/i1/0501112233-1 Down  of p101
0.1  dial     p101   line  g1/0501112233
0.5  ringing  line
5.0  enter    b1  line
5.0  enter    b1  p101
9.0  hangup   line
9.0  hangup   p101
""")
    call = story.call
    assert (call.direction, call.made_by, call.talked, call.answered_by) == (Direction.OUTBOUND, "101", ("101",), None)
    assert (call.client_heard, call.dialled, call.trunk) == ("0501112233", "90501112233", "i1")
    assert call.rang == ()


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("5 dialend p101 line BUSY\n5 hangup line 17", Outcome.BUSY),
        ("5 hangup line 1", Outcome.FAILED),
        ("5 dialend p101 line NOANSWER\n5 hangup line 1", Outcome.FAILED),
        ("5 dialend p101 line NOANSWER\n5 hangup line 21", Outcome.FAILED),
        ("4 ringing line\n5 dialend p101 line NOANSWER\n5 hangup line 21", Outcome.BUSY),
        ("5 dialend p101 line CONGESTION\n5 hangup line 34", Outcome.FAILED),
        ("5 hangup line 21", Outcome.FAILED),
        ("4 ringing line\n5 hangup line 21", Outcome.BUSY),
        ("4 ringing line\n5 dialend p101 line CANCEL\n5 hangup line 127", Outcome.NO_ANSWER),
        ("4 ringing line\n5 dialend p101 line NOANSWER\n5 hangup line 0", Outcome.NO_ANSWER),
    ],
)
def test_how_an_outbound_call_failed(end: str, outcome: Outcome) -> None:
    dialling = "0 new p101 SIP/101-00000001 Ring 101 > 0501112233\n0 new line SIP/trunk-00000002 Down of p101\n0 dial p101 line\n"
    assert Story(dialling + end + "\n6 hangup p101 16").wait(60).call.outcome is outcome


def test_a_second_line_is_tried_when_the_first_is_out_of_order() -> None:
    story = Story("""
0.0  new      p101   SIP/101-00000001     Ring  101 > 0501112233
0.1  new      one    SIP/trunk-00000002   Down  of p101
0.1  dial     p101   one  trunk/0501112233
0.2  hangup   one    34
0.3  new      two    SIP/backup-00000003  Down  of p101
0.3  dial     p101   two  backup/0501112233
3.0  enter    b1  two
3.0  enter    b1  p101
9.0  hangup   two
9.0  hangup   p101
""")
    assert (story.call.outcome, story.call.trunk) == (Outcome.ANSWERED, "backup")


CLICK_TO_CALL = """
0.0  new       p101  PJSIP/101-00000001  Down  101 > s
0.0  originate p101  +380509998877
0.1  ringing   p101
"""


def test_click_to_call_our_phone_rings_first() -> None:
    story = Story(
        CLICK_TO_CALL
        + """
2.0  up        p101
2.1  new       line  PJSIP/trunk-00000002  Down  of p101
2.1  dial      p101  line  0509998877@trunk
5.0  enter     b1  line
5.0  enter     b1  p101
9.0  hangup    line
9.0  hangup    p101
"""
    )
    call = story.call
    assert (call.direction, call.click_to_call, call.made_by, call.client_heard) == (
        Direction.OUTBOUND,
        True,
        "101",
        "+380509998877",
    )
    assert (call.outcome, call.talked, call.dialled) == (Outcome.ANSWERED, ("101",), "+380509998877")


@pytest.mark.parametrize("cause", ["16", "17", "19", "21", "0"])
def test_click_to_call_our_phone_is_not_taken(cause: str) -> None:
    call = Story(CLICK_TO_CALL + f"9.0 hangup p101 {cause}").wait(60).call
    assert (call.outcome, call.client_heard, call.made_by) == (Outcome.NOT_DIALLED, "+380509998877", "101")


def test_click_to_call_to_a_colleague_is_internal() -> None:
    story = Story("""
0.0  new       p101  PJSIP/101-00000001  Down  101 > s
0.0  originate p101  102
0.1  ringing   p101
2.0  up        p101
2.1  new       p102  PJSIP/102-00000002  Down  102 of p101
2.1  dial      p101  p102
2.2  ringing   p102
5.0  enter     b1  p102
5.0  enter     b1  p101
9.0  hangup    p102
9.0  hangup    p101
""")
    call = story.call
    assert (call.direction, call.made_by, call.answered_by, call.talked) == (
        Direction.INTERNAL,
        "101",
        "102",
        ("101", "102"),
    )
    assert not call.click_to_call


def test_click_to_call_through_a_local_channel() -> None:
    story = Story("""
0.0  new       one   Local/101@crm-01;1    Down  > s
0.0  new       two   Local/101@crm-01;2    Ring  of one > 101
0.0  originate one   +380509998877
0.1  new       p101  PJSIP/101-00000001    Down  101 of one
0.1  dial      two   p101
0.2  ringing   p101
2.0  up        p101
2.0  enter     b1  p101
2.0  enter     b1  two
2.1  new       line  PJSIP/trunk-00000002  Down  of one
2.1  dial      one   line  +380509998877@trunk
5.0  enter     b2  line
5.0  enter     b2  one
9.0  hangup    line
9.0  hangup    one
9.0  hangup    two
9.0  hangup    p101
""")
    call = story.call
    assert (call.direction, call.click_to_call, call.made_by, call.outcome) == (
        Direction.OUTBOUND,
        True,
        "101",
        Outcome.ANSWERED,
    )
    assert (call.client_heard, call.talked) == ("+380509998877", ("101",))


def test_forwarded_outside_and_answered_there_is_answered_by_who_forwarded() -> None:
    story = Story(
        CLIENT_RINGS_101
        + """
1.0  dialend  client  p101  CANCEL  Local/0509998877@office
1.0  new      one   Local/0509998877@office-01;1  Down  of client
1.0  new      two   Local/0509998877@office-01;2  Ring  of client
1.0  dial     client  one
1.0  hangup   p101    16
1.1  new      line  SIP/trunk-00000003    Down  of client
1.1  dial     two   line  trunk/0509998877
6.0  enter    b1  line
6.0  enter    b1  two
6.0  enter    b2  one
6.0  enter    b2  client
9.0  hangup   client
9.0  hangup   one
9.0  hangup   two
9.0  hangup   line
"""
    )
    call = story.call
    assert (call.outcome, call.answered_by, call.client_heard) == (Outcome.ANSWERED, "101", "0671112233")
    assert (call.legs[0].result, call.direction) == (LegResult.FORWARDED, Direction.INBOUND)


def test_a_client_who_dials_straight_through_to_another_line_was_answered_by_nobody_we_know() -> None:
    story = Story("""
0.0  new      client  SIP/trunk-00000001  Ring  0671112233 > 100
0.1  new      mobile  SIP/trunk-00000002  Down  of client
0.1  dial     client  mobile
6.0  enter    b1  mobile
6.0  enter    b1  client
9.0  hangup   client
9.0  hangup   mobile
""")
    assert (story.call.outcome, story.call.answered_by, story.call.talked) == (Outcome.ANSWERED, None, ())


def test_a_message_in_the_mailbox_belongs_to_who_wanted_its_owner() -> None:
    story = Story(
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
    story = Story(
        "0 event MessageWaiting Mailbox=101@default New=2\n0 new client SIP/trunk-00000001 Ring 0671112233 > 101\n1 up client"
    )
    story.tell("3 event MessageWaiting Mailbox=101@default New=1\n9 hangup client 0").wait(60)
    assert story.call.outcome is Outcome.MISSED


def test_an_agent_who_stays_on_the_line_serves_one_client_after_another() -> None:
    """An agent pool: the agent's phone waits in a holding bridge for hours and is connected with each client in turn."""
    story = Story("""
0.0   new    agent  SIP/101-00000001    Ring  101 > *45
0.1   up     agent
0.2   hold   pool   agent
10.0  new    one    SIP/trunk-00000002  Ring  0671112233 > 200
10.5  leave  pool   agent
10.5  enter  b1  agent
10.5  enter  b1  one
20.0  leave  b1  one
20.0  hangup one
20.0  leave  b1  agent
20.0  hold   pool   agent
30.0  new    two    SIP/trunk-00000003  Ring  0501112233 > 200
30.5  leave  pool   agent
30.5  enter  b2  agent
30.5  enter  b2  two
40.0  leave  b2  two
40.0  hangup two
40.0  leave  b2  agent
40.0  hold   pool   agent
""").wait(50)
    assert [(c.client_heard, c.outcome, c.talked, c.talk_seconds) for c in story.calls] == [
        ("0671112233", Outcome.ANSWERED, ("101",), 9.5),
        ("0501112233", Outcome.ANSWERED, ("101",), 9.5),
    ]
    story.tell("60 hangup agent")
    assert story.tracker.horizon() is None


def test_the_number_of_an_analogue_line_comes_later_and_may_be_withheld() -> None:
    story = Story("0 new client DAHDI/4-1 Ring > s")
    assert not story.call.client_heard
    story._channels["client"]["CallerIDNum"] = "0671112233"
    story.tell("1 event NewCallerid Channel=@client CID-CallingPres=0\n2 new p101 SIP/101-00000002 Down of client")
    assert (story.call.client_heard, story.call.did) == ("0671112233", None)
    story.tell("3 event NewCallerid Channel=@client CID-CallingPres=32")
    assert (story.call.client_heard, story.call.withheld) == (None, True)


def test_what_the_dialplan_says_of_the_recording() -> None:
    story = Story(
        TALKS_WITH_101
        + "5 event UserEvent UserEvent=PbxcrmRecording Channel=@client File=2026/a.wav\n9 hangup client\n9 hangup p101"
    )
    assert story.call.recording == "2026/a.wav"
    assert "updated" in story.said


@pytest.mark.parametrize(
    ("channel", "config", "direction"),
    [
        ("PJSIP/101-0000004c", TrackerConfig(), Direction.INTERNAL),
        ("PJSIP/my-provider-0000004c", TrackerConfig(), Direction.INBOUND),
        ("PJSIP/380441234567-0000004c", TrackerConfig(), Direction.INBOUND),
        ("SIP/10.0.0.7-0000004c", TrackerConfig(), Direction.INBOUND),
        ("IAX2/prov-123", TrackerConfig(), Direction.INBOUND),
        ("DAHDI/i1/0671112233-1", TrackerConfig(), Direction.INBOUND),
        ("PJSIP/999-0000004c", TrackerConfig(trunks=("999",)), Direction.INBOUND),
        ("PJSIP/999-0000004c", TrackerConfig(trunks=("PJSIP/9*",)), Direction.INBOUND),
        ("PJSIP/anna-0000004c", TrackerConfig(extension_pattern="[a-z]{3,5}"), Direction.INTERNAL),
        ("PJSIP/trunk-0000004c", TrackerConfig(trunks=("trunk",), extension_pattern="[a-z]+"), Direction.INBOUND),
        ("PJSIP/phone-101-0000004c", TrackerConfig(extension_pattern=r"phone-(\d+)"), Direction.INTERNAL),
    ],
)
def test_direction_is_where_the_first_channel_came_from(
    channel: str, config: TrackerConfig, direction: Direction
) -> None:
    call = Story(f"0 new first {channel} Ring 101 > 102", config).call
    assert call.direction is direction
    if "phone" in channel:
        assert call.made_by == "101"


def test_machines_are_nobody() -> None:
    story = Story("0 new a CBAnn/8000-00000001;1 Up\n0 new b Surrogate/PJSIP/101-0000001 Up\n0 enter b1 a softmix")
    assert story.said == ""


def test_an_outbound_call_is_handed_on() -> None:
    story = Story("""
0.0   new      p101   SIP/101-00000001     Ring  101 > 0501112233
0.1   new      line   SIP/trunk-00000002   Down  of p101
0.1   dial     p101   line  trunk/0501112233
3.0   enter    b1  line
3.0   enter    b1  p101
9.0   event    BlindTransfer  Result=Success  Transferer=@p101  TransfererChannel=SIP/101-00000001  Transferee=@line
9.0   leave    b1  line
9.0   leave    b1  p101
9.0   hangup   p101
9.1   new      p103   SIP/103-00000003     Down  103 of line
9.1   dial     line   p103
9.2   ringing  p103
12.0  enter    b2  p103
12.0  enter    b2  line
20.0  hangup   line
20.0  hangup   p103
""")
    call = story.call
    assert (call.outcome, call.talked, call.answered_by) == (Outcome.ANSWERED, ("101", "103"), None)
    assert [(t.source, t.target, t.kind) for t in call.transfers] == [("101", "103", TransferKind.BLIND)]
    assert call.client_heard == "0501112233"


def test_a_conference_of_three_is_a_transfer_once_its_maker_leaves() -> None:
    story = Story(
        TALKS_WITH_101
        + """
9.0   new      p103   SIP/103-00000003     Down  103 of client
9.1   ringing  p103
12.0  enter    b1  p103
12.0  event    AttendedTransfer  Result=Success  DestType=Threeway  OrigTransferer=@p101  OrigTransfererChannel=SIP/101-00000002
"""
    ).wait(15)
    assert not story.call.transfers
    story.tell("20.0 leave b1 p101\n20.0 hangup p101").wait(21)
    assert [(t.source, t.target, t.kind) for t in story.call.transfers] == [("101", "103", TransferKind.ATTENDED)]


def test_the_pbx_calls_the_client_first() -> None:
    story = Story("""
0.0   new       line   SIP/trunk-00000001   Down  > s
0.0   originate line   0501112233
0.5   ringing   line
4.0   up        line
4.1   new       p101   SIP/101-00000002     Down  101 of line
4.1   dial      line   p101
4.2   ringing   p101
6.0   enter     b1  p101
6.0   enter     b1  line
9.0   hangup    line
9.0   hangup    p101
""")
    call = story.call
    assert (call.direction, call.outcome, call.made_by, call.client_heard) == (
        Direction.OUTBOUND,
        Outcome.ANSWERED,
        "101",
        "0501112233",
    )


@pytest.mark.parametrize(
    "data", ["SIP/trunk/0501112233,60,t", "PJSIP/0501112233@trunk", "SIP/102&PJSIP/trunk/sip:0501112233@10.0.0.1,30"]
)
def test_a_trunk_that_is_down_leaves_only_the_hint_of_the_dialplan(data: str) -> None:
    story = Story("0 new p101 SIP/101-00000001 Ring 101 > 0501112233")
    story.tell(f"0 event Newexten Channel=@p101 Application=Dial AppData={data}\n1 hangup p101 20").wait(9)
    assert (story.call.direction, story.call.outcome, story.call.client_heard) == (
        Direction.OUTBOUND,
        Outcome.FAILED,
        "0501112233",
    )


def test_dialling_a_phone_by_its_address_is_internal() -> None:
    story = Story("0 new p101 SIP/101-00000001 Ring 101 > 102")
    story.tell(
        "0 event Newexten Channel=@p101 Application=Dial AppData=PJSIP/102/sip:102@10.0.0.5:5060,30\n1 hangup p101 20"
    ).wait(9)
    assert story.call.direction is Direction.INTERNAL


def test_a_caller_who_hears_a_greeting_after_the_queue_has_left_the_queue() -> None:
    story = Story("""
0  new    client  SIP/trunk-00000001  Ring  0671112233 > 200
0  up     client
0  event  QueueCallerJoin   Queue=sales  Channel=@client
5  event  QueueCallerLeave  Queue=sales  Channel=@client
5  event  HangupRequest     Channel=@client
5  hangup client  0
""").wait(9)
    assert story.call.missed_reason is MissedReason.TIMEOUT
    assert story.call.queue == "sales"
