"""Talks that are handed on, picked up, parked, conferred about."""

from pbxcrm.calls.facts import Direction, LegResult, Outcome, TransferKind
from tests.unit.tracker.story import CLIENT_RINGS_101, TALKS_WITH_101, TRANSFERRED_TO_103, MessageStory


def test_a_pickup_is_an_answer_by_the_picker_and_no_transfer() -> None:
    story = MessageStory(
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
    story = MessageStory(
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


def test_a_phone_that_hangs_up_only_after_its_client_talks_to_the_next_is_told_as_gone() -> None:
    """A busy Asterisk 16 sent the Hangup of the phone that transferred 0.6 s after it had left the bridge."""
    story = MessageStory(TRANSFERRED_TO_103)
    told = "opened ringing:101 joined:101 ringing:103 left:101 joined:103 transferred:101>103"
    assert story.said == told
    assert story.facts[-1].call.legs[0].ended_at is None
    story.tell("9.6 hangup p101").wait(12)
    assert story.said == told + " updated:101"
    assert [(leg.extension, leg.result) for leg in story.facts[-1].call.legs if leg.ended_at] == [
        ("101", LegResult.TALKED)
    ]
    story.tell("20.0 hangup client\n20.9 hangup p103").wait(30)  # of the last phone the end of the call tells
    assert story.said == told + " updated:101 ended"


def test_a_transfer_nobody_takes_is_none() -> None:
    story = MessageStory(
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
    story = MessageStory(
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
    story = MessageStory(
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


def test_an_outbound_call_is_handed_on() -> None:
    story = MessageStory("""
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
    story = MessageStory(
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


LATE = """
9.0   leave    b1  client
9.0   new      p103   SIP/103-00000003     Down  103 of client
9.0   dial     client  p103
9.1   ringing  p103
9.4   enter    b2  p103
9.4   enter    b2  client
"""


def test_a_phone_heard_to_hang_up_after_its_successor_joined_has_handed_on_all_the_same() -> None:
    story = MessageStory(
        TALKS_WITH_101 + LATE + "9.45 leave b1 p101\n9.5 hangup p101\n20.0 hangup client\n20.0 hangup p103"
    )
    assert story.said.endswith("joined:103 transferred:101>103 ended")
    assert [(t.source, t.target, t.kind) for t in story.call.transfers] == [("101", "103", TransferKind.BLIND)]


def test_a_phone_that_comes_back_to_the_client_has_handed_on_nothing() -> None:
    three = MessageStory(
        TALKS_WITH_101 + LATE + "9.45 leave b1 p101\n9.5 enter b2 p101\n9.6 leave b2 p101\n9.6 hangup p101"
    )
    assert three.call.transfers == ()


def test_a_client_is_sent_on_by_redirect_while_the_phone_stays() -> None:
    """Redirect with ExtraChannel, or a phone whose own dialplan goes on."""
    end = "20.0 hangup client\n20.0 hangup p103"
    for rest in (f"15.0 leave b1 p101\n15.0 hangup p101\n{end}", f"{end}\n25.0 leave b1 p101\n25.0 hangup p101"):
        story = MessageStory(TALKS_WITH_101 + LATE + rest)
        assert [(t.source, t.target, t.kind) for t in story.call.transfers] == [("101", "103", TransferKind.BLIND)]
