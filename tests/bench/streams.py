"""Recorded streams for benchmarks, and many new calls generated from one of them."""

import re
from collections.abc import Iterator
from pathlib import Path

from ami.messages import Framer, is_wanted

SCENARIOS = Path(__file__).parent.parent / "scenarios"
RECORDED = SCENARIOS / "shared-22"
CHUNK = 16 * 1024  # bytes of one read from a socket

_STAMP = re.compile(rb"(\d{10})\.(\d+)")
_CHANNEL = re.compile(rb"-(0{4,}[0-9a-f]+)\b")


def recorded() -> list[bytes]:
    return [path.read_bytes() for path in sorted(RECORDED.glob("*.ami"))]


def fresh_calls(name: str, count: int, per_second: int = 50) -> Iterator[bytes]:
    """The call of a recording ``count`` times, each with its own ids, client number and time.

    Only messages that the tracker needs, as a PBX sends with the filters of ``dialplan_examples``.
    """
    stream = b"".join(
        raw + b"\r\n\r\n" for raw in Framer().feed((RECORDED / f"{name}.ami").read_bytes()) if is_wanted(raw)
    )
    for number in range(count):
        later = number // per_second

        def fresh(found: re.Match[bytes], number: int = number, later: int = later) -> bytes:
            second, rest = int(found[1]) + later, found[2]
            is_identity = len(rest) < 6  # otherwise it is the event's time in microseconds
            return b"%d.%d" % (second, number * 100 + int(rest) % 100) if is_identity else b"%d.%b" % (second, rest)

        call = _STAMP.sub(fresh, stream)
        call = _CHANNEL.sub(lambda found, number=number: b"-%08x" % (number * 16 + int(found[1], 16) % 16), call)  # type: ignore[misc]
        yield call.replace(b"+380671112233", b"+38067%07d" % number)


def chunks(stream: bytes) -> Iterator[bytes]:
    for start in range(0, len(stream), CHUNK):
        yield stream[start : start + CHUNK]
