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
        self._deaf: set[asyncio.StreamWriter] = set()  # what is for them vanishes

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
            await asyncio.gather(self._pump(reader, there[1]), self._pump(there[0], writer))
        finally:
            self._writers -= {writer, there[1]}
            self._deaf -= {writer, there[1]}
            writer.transport.abort()
            there[1].transport.abort()

    def pull(self) -> None:
        """Every connection breaks, and no new one is made."""
        self.pulled = True
        for writer in self._writers:
            writer.transport.abort()

    def put_back(self) -> None:
        self.pulled = False

    def forget(self) -> None:
        """Every connection is dead without a word, as after a router forgot it while the machine slept; a new one can be made."""
        self._deaf |= self._writers

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError):
            while data := await reader.read(65536):
                if writer not in self._deaf:
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
