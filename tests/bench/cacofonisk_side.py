"""Runs the same streams through cacofonisk on panoramisk, with the Python of its own virtual environment.

    python cacofonisk_side.py ROUNDS FILE…            prints the seconds
    python cacofonisk_side.py --kinds ROUNDS FILE…    prints as JSON the number and the seconds of each kind of message

The bytes are passed to ``data_received``, as a socket would do; the facts arrive at its reporter, as in its AmiRunner.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from cacofonisk.handlers import EventHandler
from cacofonisk.reporters import BaseReporter
from panoramisk import Manager
from panoramisk.ami_protocol import AMIProtocol

CHUNK = 16 * 1024


def play(loop: asyncio.AbstractEventLoop, stream: bytes) -> None:
    protocol = connected(loop)
    for start in range(0, len(stream), CHUNK):
        protocol.data_received(stream[start : start + CHUNK])


def connected(loop: asyncio.AbstractEventLoop) -> AMIProtocol:
    manager = Manager(loop=loop, encoding="utf8")
    handler = EventHandler(reporter=BaseReporter(), hostname="pbx", logger=logging.getLogger("quiet"))
    for name in handler.event_handlers():
        manager.register_event(name, lambda _manager, event: handler.on_event(event))
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = manager
    protocol.encoding = "utf8"
    return protocol


def play_by_kind(loop: asyncio.AbstractEventLoop, stream: bytes, kinds: dict[str, list[float]]) -> None:
    """Feed one message after the other, and add the time to its kind."""
    protocol = connected(loop)
    for raw in stream.split(b"\r\n\r\n"):
        head, _, _ = raw.partition(b"\r\n")
        found = kinds.setdefault(head.removeprefix(b"Event: ").decode("ascii", "replace"), [0, 0.0])
        began = time.perf_counter()
        protocol.data_received(raw + b"\r\n\r\n")
        found[1] += time.perf_counter() - began
        found[0] += 1


def main() -> None:
    logging.disable(logging.CRITICAL)
    by_kind = sys.argv[1] == "--kinds"
    rounds, *names = sys.argv[2:] if by_kind else sys.argv[1:]
    streams = [Path(name).read_bytes() for name in names]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    for stream in streams:
        play(loop, stream)
    if by_kind:
        kinds: dict[str, list[float]] = {}
        for _ in range(int(rounds)):
            for stream in streams:
                play_by_kind(loop, stream, kinds)
        print(json.dumps(kinds))
        return
    started = time.perf_counter()
    for _ in range(int(rounds)):
        for stream in streams:
            play(loop, stream)
    print(time.perf_counter() - started)


main()
