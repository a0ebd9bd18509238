"""A real HTTP server for tests on a free port: it keeps what it takes, and answers as it is told."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class TakenCall:
    """A request."""

    line: str
    headers: dict[str, str]
    body: bytes


@dataclass
class HttpPeer:
    """``answer`` is written as it is, with ``pace`` one byte in so many seconds. While ``holds`` is set it does not answer. ``url``: with
    the name ``localhost``.
    """

    calls: list[TakenCall] = field(default_factory=list)
    answer: bytes = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
    holds: asyncio.Event | None = None
    pace: float = 0.0
    url: str = ""

    def says(self, status: str, *headers: str, body: bytes = b"") -> None:
        head = "\r\n".join((f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers))
        self.answer = head.encode() + b"\r\n\r\n" + body

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.calls.append(TakenCall(head[0], headers, body))
            if self.holds is not None:
                await self.holds.wait()
            for piece in (
                [self.answer] if not self.pace else [self.answer[at : at + 1] for at in range(len(self.answer))]
            ):
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(self.pace)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def running_http(peer: HttpPeer, tls: ssl.SSLContext | None = None) -> AsyncIterator[HttpPeer]:
    server = await asyncio.start_server(peer.serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        port = server.sockets[0].getsockname()[1]
        peer.url = f"{'https' if tls else 'http'}://localhost:{port}"
        yield peer
        if peer.holds is not None:
            peer.holds.set()
