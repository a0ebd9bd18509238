"""Bytes to messages: whole whatever the tearing, harmless whatever the content."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ami.cel_translation import HUNG_UP_BY, STARTED
from ami.messages import END, HINTS, WANTED, Framer, is_wanted, parse
from ami.tracker.events import HANDLERS

BANNER = b"Asterisk Call Manager/11.0.0\r\n"
LOGIN = b"Response: Success\r\nMessage: Authentication accepted"
RINGING = "Event: Newstate\r\nChannel: PJSIP/101-00000001\r\nCallerIDName: Олена Шевченко\r\nExten: ".encode()
GONE = b"Event: Hangup\r\nChannel: PJSIP/101-00000001\r\nCause: 16"
STREAM = BANNER + LOGIN + END + RINGING + END + GONE + END


@given(st.lists(st.integers(min_value=0, max_value=len(STREAM)), max_size=30))
def test_a_stream_torn_anywhere_gives_the_same_messages(cuts: list[int]) -> None:
    framer, messages, start = Framer(), [], 0
    for cut in [*sorted(cuts), len(STREAM)]:
        messages += framer.feed(STREAM[start:cut])
        start = cut
    assert messages == [LOGIN, RINGING, GONE]


def test_byte_by_byte() -> None:
    framer = Framer()
    assert [m for i in range(len(STREAM)) for m in framer.feed(STREAM[i : i + 1])] == [LOGIN, RINGING, GONE]


@pytest.mark.parametrize("step", [1, 2, 3, 4, 5, 1000])
def test_an_empty_line_too_many_belongs_to_nobody(step: int) -> None:
    """Asterisk 16 to 22 end ConfbridgeJoin and ParkedCall so."""
    framer, stream = Framer(), GONE + END + b"\r\n" + GONE + END + END + b"\r\n" + RINGING + END
    assert [m for i in range(0, len(stream), step) for m in framer.feed(stream[i : i + step])] == [GONE, GONE, RINGING]


@pytest.mark.parametrize("step", [1, 7, 100, 5000])
def test_an_endless_message_is_dropped_and_the_next_one_is_heard(step: int) -> None:
    framer = Framer(limit=1000)
    stream = RINGING + END + b"Event: Endless\r\nX: " + b"x" * 3000 + END + GONE + END + b"y" * 2000 + END + GONE + END
    messages = [m for i in range(0, len(stream), step) for m in framer.feed(stream[i : i + step])]
    assert messages == [RINGING, GONE, GONE]
    assert framer.dropped == 2


def test_memory_is_bounded_while_no_message_ends() -> None:
    framer = Framer(limit=1000)
    for _ in range(1000):
        assert framer.feed(b"z" * 100) == []
    assert framer.dropped == 1
    assert len(framer._rest) <= 1000


@given(st.lists(st.binary(max_size=40)))
def test_garbage_is_survived(chunks: list[bytes]) -> None:
    framer = Framer(limit=50)
    for chunk in chunks:
        for raw in framer.feed(chunk):
            is_wanted(raw)
            parse(raw)


def test_values_keep_everything_but_one_leading_space() -> None:
    message = parse(
        b"Event: X\r\nA: \r\nB:  two spaces \r\nC:none\r\nD:\r\nE: 12:30: late\r\nno colon here\r\n: no name"
    )
    assert message == {"Event": "X", "A": "", "B": " two spaces ", "C": "none", "D": "", "E": "12:30: late"}


def test_a_repeated_header_keeps_its_first_value_and_numbers_the_rest() -> None:
    assert parse(b"Event: X\r\nVariable: a=1\r\nVariable: b=2\r\nVariable: c=3") == {
        "Event": "X",
        "Variable": "a=1",
        "Variable#2": "b=2",
        "Variable#3": "c=3",
    }


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Олена".encode(), "Олена"),
        (b"Ren\xe9", "René"),
        (b"\x93quoted\x94", "“quoted”"),
        (b"\xd0\x9e\xff", "Ðžÿ"),
        (b"nul\x00bell\x07", "nul bell "),
        (b"carriage\rreturn\nline", "carriage return line"),
        ("😀 \u202eabc".encode(), "😀 \u202eabc"),
        (b"<script>", "<script>"),
        (b"x" * 10_000, "x" * 10_000),
    ],
)
def test_hostile_names_are_text_without_control_characters(raw: bytes, name: str) -> None:
    message = parse(b"Event: Newchannel\r\nCallerIDName: " + raw + "\r\nOther: Київ".encode())
    assert message == {"Event": "Newchannel", "CallerIDName": name, "Other": "Київ"}


@given(st.binary(max_size=300))
def test_any_bytes_can_be_parsed(raw: bytes) -> None:
    for name, value in parse(raw).items():
        assert not any(ord(c) < 32 or ord(c) == 127 for c in name + value)


@given(
    st.dictionaries(
        st.from_regex(r"[A-Za-z-]{1,12}", fullmatch=True),
        st.text(st.characters(min_codepoint=160, exclude_categories=["Cs"])),
        min_size=1,
    )
)
def test_what_was_said_is_what_is_heard(headers: dict[str, str]) -> None:
    assert parse("\r\n".join(f"{name}: {value}" for name, value in headers.items()).encode()) == headers


@pytest.mark.parametrize(
    ("raw", "wanted"),
    [
        (b"Event: Hangup\r\nCause: 16", True),
        (b"Event: Shutdown", True),
        (b"Event: RTCPSent\r\nTo: x", False),
        (b"Response: Success", False),
        (b"Event: VarSet\r\nChannel: a\r\nVariable: QUEUESTATUS\r\nValue: JOINEMPTY", True),
        (b"Event: VarSet\r\nChannel: a", False),
        (b"Event: VarSet\r\nVariable: QUEUESTATUS", False),
        (b"Event: VarSet\r\nChannel: a\r\nVariable: BRIDGEPEER\r\nValue: b", False),
        (b"Event: Newexten\r\nApplication: Queue\r\nAppData: sales", True),
        (b"Event: Newexten\r\nApplication: Playback\r\nAppData: sales", False),
        (b"", False),
        (b"Event: ", False),
    ],
)
def test_the_name_decides_what_is_wanted(raw: bytes, wanted: bool) -> None:
    assert is_wanted(raw) is wanted


def test_what_is_wanted_is_what_the_tracker_understands() -> None:
    assert {name.decode() for name in [*WANTED, *HINTS]} == set(HANDLERS) - {STARTED["Event"], HUNG_UP_BY}
