"""What the technology of a channel says: a phone, a line, or a program that only speaks."""

import re

import pytest

from ami.tracker import TrackerSettings
from pbxcrm.calls.facts import Direction, Outcome
from tests.unit.tracker.story import MessageStory


@pytest.mark.parametrize(
    "line",
    [
        "DAHDI/33-1",
        "DAHDI/i1/0671112233-1",
        "Dongle/101-0100000001",
        "Khomp/102-0.0",
        "Quectel/1001-01",
        "Zap/12-1",
        "mISDN/101-u5",
    ],
)
def test_lines_may_be_called_by_digits(line: str) -> None:
    call = MessageStory(f"0 new client {line} Ring 0671112233 > 0441234567\n1 hangup client 16").wait(9).call
    assert (call.direction, call.client_heard, call.made_by) == (Direction.INBOUND, "0671112233", None)


@pytest.mark.parametrize(
    "phone", ["PJSIP/101-00000001", "SIP/101-1", "IAX2/101-77", "SCCP/101-00000001", "Skinny/101-1"]
)
def test_endpoints_called_by_digits_are_phones(phone: str) -> None:
    assert MessageStory(f"0 new p101 {phone} Ring 101 > 102").call.direction is Direction.INTERNAL


def test_a_port_with_a_telephone_is_an_extension_where_the_pattern_says_so() -> None:
    config = TrackerSettings(extension_pattern=r"DAHDI/(33)|(\d{2,5})")
    call = MessageStory("0 new p33 DAHDI/33-1 Ring 33 > 102", config).call
    assert (call.direction, call.made_by) == (Direction.INTERNAL, "33")


@pytest.mark.parametrize(
    "bot",
    [
        "AudioSocket/127.0.0.1:9092-5b0c7c1e-3f61-4d0a-9d55-0a8b6c1d2e3f",
        "WebSocket/bot1/0x7f0001-00000001",
        "UnicastRTP/127.0.0.1:40000-0x7f00",
        "ExternalMedia/127.0.0.1:4000-01",
    ],
)
def test_a_program_is_neither_person_nor_line(bot: str) -> None:
    story = f"""
0.0  new      client  PJSIP/trunk-00000001  Ring  0671112233 > 100
0.1  up       client
0.2  new      bot     {bot}                 Down  of client
0.2  dial     client  bot
0.3  up       bot
0.3  dialend  client  bot  ANSWER
0.3  enter    b1  bot
0.3  enter    b1  client
"""
    only = MessageStory(f"{story}5.0 leave b1 bot\n5.0 hangup bot\n5.1 hangup client 16").wait(9).call
    assert (only.outcome, only.answered_by, only.talked, only.rang) == (Outcome.MISSED, None, (), ())
    assert only.wait_seconds == pytest.approx(5.1)
    then = f"""{story}
5.0  leave    b1  bot
5.0  hangup   bot
5.0  leave    b1  client
5.1  new      p101    PJSIP/101-00000003    Down  101 of client
5.1  dial     client  p101
8.0  up       p101
8.0  dialend  client  p101  ANSWER
8.0  enter    b2  p101
8.0  enter    b2  client
9.0  hangup   client
9.0  hangup   p101
"""
    person = MessageStory(then).wait(20).call
    assert (person.outcome, person.talked, person.rang, person.wait_seconds) == (
        Outcome.ANSWERED,
        ("101",),
        ("101",),
        8.0,
    )


@pytest.mark.parametrize(
    ("line", "dial_string", "name"),
    [
        ("PJSIP/101-WS-00000002", "101-WS", "101-WS"),
        ("PJSIP/101-WS-00000002", "PJSIP/101-WS", "101-WS"),  # a queue
        ("PJSIP/101-WS-00000002", "101-WS/sip:k3j9tq@q5r8.invalid;transport=ws", "101-WS"),
        ("PJSIP/101-WS-00000002", "101-WS/sip:101@10.0.0.5:5060", "101-WS"),
        ("SIP/olena-00000002", "olena", "olena"),
        ("DAHDI/33-1", "33", "DAHDI/33"),
        ("PJSIP/mobiles-00000002", "0501234567@mobiles", ""),
        ("PJSIP/mobiles-00000002", "mobiles/sip:+380501234567@10.0.0.9", ""),
        ("SIP/mobiles-00000002", "mobiles/0501234567", ""),
        ("DAHDI/i1/0501234567-1", "g1/0501234567", ""),
    ],
)
def test_a_line_that_is_called_by_its_name_alone_may_be_a_telephone(line: str, dial_string: str, name: str) -> None:
    """101 is called beside it, so that the call is not the other's alone."""
    story = f"""
0.0  new      client  PJSIP/trunk-00000001   Ring  0671112233 > 313
0.1  new      p101    PJSIP/101-00000003     Down  of client
0.1  dial     client  p101
0.1  new      other   {line}                 Down  of client
0.1  event    DialBegin  Channel=@client  Dest=@other  DestCallerIDNum=313  DialString={dial_string}
0.2  ringing  other
9.0  hangup   other 0
9.0  hangup   p101 0
9.0  hangup   client 0
"""
    call = MessageStory(story).wait(15).call
    assert [leg.dialled_name for leg in call.outside] == [name]
    assert [leg.extension for leg in call.legs] == ["101"]
    if name:
        setting = TrackerSettings(extension_pattern=re.escape(name) + r"|\d{2,5}")
        phone = MessageStory(story, setting).wait(15).call
        assert (phone.outside, phone.rang) == ((), (name,))
