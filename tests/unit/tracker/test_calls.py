"""Who talks, who rings, who calls whom: one idea of telephony a test. How a story is written: ``story.py``."""

import pytest

from ami.tracker import TrackerSettings
from pbxcrm.calls.facts import Direction, LegResult, Outcome
from tests.unit.tracker.story import CLIENT_RINGS_101, TALKS_WITH_101, MessageStory


def test_simple_inbound() -> None:
    story = MessageStory(
        TALKS_WITH_101 + "34.0 leave b1 client\n34.0 leave b1 p101\n34.0 hangup client\n34.0 hangup p101"
    )
    assert story.said == "opened ringing:101 joined:101 ended"
    call = story.call
    assert (call.direction, call.outcome, call.answered_by) == (Direction.INBOUND, Outcome.ANSWERED, "101")
    assert (call.client_heard, call.did, call.trunk) == ("0671112233", "380441234567", "trunk")
    assert (call.wait_seconds, call.talk_seconds) == (4.0, 30.0)
    (leg,) = call.legs
    assert (leg.extension, leg.result, leg.cause) == ("101", LegResult.TALKED, 16)


def test_rule_1_neither_dialend_nor_up_nor_one_bridgeenter_is_a_talk() -> None:
    story = MessageStory(CLIENT_RINGS_101 + "4.0 up p101\n4.0 dialend client p101 ANSWER\n4.0 enter b1 p101")
    assert story.said == "opened ringing:101"
    story.tell("5.0 leave b1 p101\n5.0 hangup p101\n9.0 hangup client 16").wait(12)
    assert story.said == "opened ringing:101 silenced:101 ended"
    assert story.call.outcome is Outcome.MISSED


def test_rule_1_talk_goes_through_local_pairs_and_not_before_both_ends_are_bridged() -> None:
    story = MessageStory("""
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
    story = MessageStory("""
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
    story = MessageStory(CLIENT_RINGS_101 + "1.0 hold lot client\n1.0 hold lot p101")
    assert story.said == "opened ringing:101"


def test_rule_2_a_hangup_ends_the_ringing_without_any_dialend() -> None:
    story = MessageStory(CLIENT_RINGS_101 + "5.0 hangup p101 19")
    assert story.said == "opened ringing:101 silenced:101"
    assert story.tracker.open_calls()[0].legs[0].result is LegResult.NO_ANSWER


def test_rule_2_the_first_dialend_counts() -> None:
    story = MessageStory(
        CLIENT_RINGS_101 + "5.0 dialend client p101 NOANSWER\n5.0 dialend client p101 CANCEL\n5.0 hangup p101 0"
    )
    assert story.tracker.open_calls()[0].legs[0].result is LegResult.NO_ANSWER


def test_rule_3_a_linkedid_that_changed_unheard_makes_two_calls_one() -> None:
    story = MessageStory(TALKS_WITH_101 + "5.0 new second SIP/101-00000003 Ring 101 > 103")
    story._channels["second"]["Linkedid"] = story._channels["client"]["Linkedid"]
    story.tell("6.0 up second")
    assert story.said.endswith("opened absorbed:" + story._channels["client"]["Linkedid"])
    assert story.facts[-1].call.direction is Direction.INTERNAL


def test_rule_4_one_pop_up_for_an_extension_with_two_phones() -> None:
    story = MessageStory(
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
    story = MessageStory(
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


def test_two_clients_in_one_conference_stay_two_calls() -> None:
    story = MessageStory("""
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


def test_forwarded_outside_and_answered_there_is_answered_by_who_forwarded() -> None:
    story = MessageStory(
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
    story = MessageStory("""
0.0  new      client  SIP/trunk-00000001  Ring  0671112233 > 100
0.1  new      mobile  SIP/trunk-00000002  Down  of client
0.1  dial     client  mobile
6.0  enter    b1  mobile
6.0  enter    b1  client
9.0  hangup   client
9.0  hangup   mobile
""")
    assert (story.call.outcome, story.call.answered_by, story.call.talked) == (Outcome.ANSWERED, None, ())


def test_an_agent_who_stays_on_the_line_serves_one_client_after_another() -> None:
    """An agent pool: the agent's phone waits in a holding bridge for hours and is connected with each client in turn."""
    story = MessageStory("""
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
    story = MessageStory("0 new client DAHDI/4-1 Ring > s")
    assert not story.call.client_heard
    story._channels["client"]["CallerIDNum"] = "0671112233"
    story.tell("1 event NewCallerid Channel=@client CID-CallingPres=0\n2 new p101 SIP/101-00000002 Down of client")
    assert (story.call.client_heard, story.call.did) == ("0671112233", None)
    story.tell("3 event NewCallerid Channel=@client CID-CallingPres=32")
    assert (story.call.client_heard, story.call.withheld) == (None, True)


def test_what_the_dialplan_says_of_the_recording() -> None:
    story = MessageStory(
        TALKS_WITH_101
        + "5 event UserEvent UserEvent=PbxcrmRecording Channel=@client File=2026/a.wav\n9 hangup client\n9 hangup p101"
    )
    assert story.call.recording == "2026/a.wav"
    assert "updated" in story.said


@pytest.mark.parametrize(
    ("channel", "config", "direction"),
    [
        ("PJSIP/101-0000004c", TrackerSettings(), Direction.INTERNAL),
        ("PJSIP/my-provider-0000004c", TrackerSettings(), Direction.INBOUND),
        ("PJSIP/380441234567-0000004c", TrackerSettings(), Direction.INBOUND),
        ("SIP/10.0.0.7-0000004c", TrackerSettings(), Direction.INBOUND),
        ("IAX2/prov-123", TrackerSettings(), Direction.INBOUND),
        ("DAHDI/i1/0671112233-1", TrackerSettings(), Direction.INBOUND),
        ("PJSIP/999-0000004c", TrackerSettings(trunks=("999",)), Direction.INBOUND),
        ("PJSIP/999-0000004c", TrackerSettings(trunks=("PJSIP/9*",)), Direction.INBOUND),
        ("PJSIP/anna-0000004c", TrackerSettings(extension_pattern="[a-z]{3,5}"), Direction.INTERNAL),
        ("PJSIP/trunk-0000004c", TrackerSettings(trunks=("trunk",), extension_pattern="[a-z]+"), Direction.INBOUND),
        ("PJSIP/phone-101-0000004c", TrackerSettings(extension_pattern=r"phone-(\d+)"), Direction.INTERNAL),
    ],
)
def test_direction_is_where_the_first_channel_came_from(
    channel: str, config: TrackerSettings, direction: Direction
) -> None:
    call = MessageStory(f"0 new first {channel} Ring 101 > 102", config).call
    assert call.direction is direction
    if "phone" in channel:
        assert call.made_by == "101"


def test_machines_are_nobody() -> None:
    story = MessageStory(
        "0 new a CBAnn/8000-00000001;1 Up\n0 new b Surrogate/PJSIP/101-0000001 Up\n0 enter b1 a softmix"
    )
    assert story.said == ""
