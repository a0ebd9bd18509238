"""Recorded streams as lists of messages, for tests that tear, drop, double and swap them."""

from functools import lru_cache
from pathlib import Path

from ami.messages import Framer, Message, is_wanted, parse

RECORDED = Path(__file__).parents[2] / "scenarios"


@lru_cache(maxsize=1)
def all_streams() -> dict[str, tuple[Message, ...]]:
    """Name → wanted messages of every recorded stream."""
    streams = {}
    for path in sorted(RECORDED.glob("**/*.ami")):
        raw = Framer().feed(path.read_bytes())
        streams[str(path.relative_to(RECORDED))] = tuple(parse(one) for one in raw if is_wanted(one))
    return streams
