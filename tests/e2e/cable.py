"""The network between a browser and the product: it can be pulled out and put back in."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


class Cable:
    """Forwards TCP to ``port`` on this machine. ``address`` is what the browser opens."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.address = ""
        self.pulled = False
        self._writers: set[asyncio.StreamWriter] = set()

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.pulled:
            writer.transport.abort()
            return
        try:
            there = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:  # nobody listens there just now
            writer.transport.abort()
            return
        self._writers |= {writer, there[1]}
        try:
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        finally:
            self._writers -= {writer, there[1]}
            writer.transport.abort()
            there[1].transport.abort()

    def pull(self) -> None:
        """Every connection breaks, and no new one is made."""
        self.pulled = True
        for writer in self._writers:
            writer.transport.abort()

    def put_back(self) -> None:
        self.pulled = False


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.transport.abort()  # either side's end is the end of both


@asynccontextmanager
async def cable(port: int) -> AsyncIterator[Cable]:
    between = Cable(port)
    server = await asyncio.start_server(between.carry, "127.0.0.1", 0)
    between.address = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield between
    finally:
        server.close()
        between.pull()
