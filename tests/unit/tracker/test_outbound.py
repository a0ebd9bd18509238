"""Calls we make: by a phone, by one click, by the PBX itself."""

import pytest

from pbxcrm.calls.facts import Direction, Outcome
from tests.unit.tracker.story import MessageStory


def test_outbound_by_a_phone() -> None:
    story = MessageStory("""
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
    assert MessageStory(dialling + end + "\n6 hangup p101 16").wait(60).call.outcome is outcome


def test_a_line_that_was_busy_was_busy_though_the_pbx_stops_a_moment_later() -> None:
    dialling = "0 new p101 SIP/101-00000001 Ring 101 > 0501112233\n0 new line SIP/trunk-00000002 Down of p101\n0 dial p101 line\n"
    ends = (
        "5 dialend p101 line {status}\n5 hangup line {cause}\n5.1 hangup p101 17\n5.5 event Shutdown Shutdown=Uncleanly"
    )
    assert MessageStory(dialling + ends.format(status="BUSY", cause=17)).call.outcome is Outcome.BUSY
    assert MessageStory(dialling + ends.format(status="CANCEL", cause=16)).wait(60).call.outcome is Outcome.INTERRUPTED


def test_a_second_line_is_tried_when_the_first_is_out_of_order() -> None:
    story = MessageStory("""
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
    story = MessageStory(
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
    call = MessageStory(CLICK_TO_CALL + f"9.0 hangup p101 {cause}").wait(60).call
    assert (call.outcome, call.client_heard, call.made_by) == (Outcome.NOT_DIALLED, "+380509998877", "101")


def test_click_to_call_to_a_colleague_is_internal() -> None:
    story = MessageStory("""
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
    story = MessageStory("""
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


def test_the_pbx_calls_the_client_first() -> None:
    story = MessageStory("""
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
    story = MessageStory("0 new p101 SIP/101-00000001 Ring 101 > 0501112233")
    story.tell(f"0 event Newexten Channel=@p101 Application=Dial AppData={data}\n1 hangup p101 20").wait(9)
    assert (story.call.direction, story.call.outcome, story.call.client_heard) == (
        Direction.OUTBOUND,
        Outcome.FAILED,
        "0501112233",
    )


def test_dialling_a_phone_by_its_address_is_internal() -> None:
    story = MessageStory("0 new p101 SIP/101-00000001 Ring 101 > 102")
    story.tell(
        "0 event Newexten Channel=@p101 Application=Dial AppData=PJSIP/102/sip:102@10.0.0.5:5060,30\n1 hangup p101 20"
    ).wait(9)
    assert story.call.direction is Direction.INTERNAL
