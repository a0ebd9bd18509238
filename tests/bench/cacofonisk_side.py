"""The same streams through cacofonisk on panoramisk; run by the Python of an environment of its own.

    python cacofonisk_side.py ROUNDS FILE…    prints the seconds it took

Bytes go in where the socket would give them (``data_received``), facts come out at its reporter, as in its AmiRunner.
"""

import asyncio
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
    manager = Manager(loop=loop, encoding="utf8")
    handler = EventHandler(reporter=BaseReporter(), hostname="pbx", logger=logging.getLogger("quiet"))
    for name in handler.event_handlers():
        manager.register_event(name, lambda _manager, event: handler.on_event(event))
    protocol = AMIProtocol()
    protocol.connection_made(None)
    protocol.factory = manager
    protocol.encoding = "utf8"
    for start in range(0, len(stream), CHUNK):
        protocol.data_received(stream[start : start + CHUNK])


def main() -> None:
    logging.disable(logging.CRITICAL)
    rounds, streams = int(sys.argv[1]), [Path(name).read_bytes() for name in sys.argv[2:]]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    for stream in streams:
        play(loop, stream)
    started = time.perf_counter()
    for _ in range(rounds):
        for stream in streams:
            play(loop, stream)
    print(time.perf_counter() - started)


main()
