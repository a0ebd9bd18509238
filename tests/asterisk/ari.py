"""A program that steers Asterisk over its REST interface (ARI), as supervisors' panels do."""

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from tests.asterisk.leg import PATIENCE

APP = "supervisors-panel"
USER = ("panel", "only-on-127.0.0.1")


def settings(port: int) -> dict[str, str]:
    """The configuration files that open the interface."""
    http = f"[general]\nenabled=yes\nbindaddr=127.0.0.1\nbindport={port}\n"
    return {"http.conf": http, "ari.conf": f"[general]\nenabled=yes\n[{USER[0]}]\ntype=user\npassword={USER[1]}\n"}


class Ari:
    """Orders as requests; ``started`` waits until a channel is in the hands of the program."""

    def __init__(self, client: httpx2.AsyncClient, events: asyncio.StreamReader) -> None:
        self._client = client
        self._events = events

    async def post(self, path: str, **parameters: str) -> dict[str, Any]:
        answer = await self._client.post(path, params=parameters)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json() if answer.content else {}
        return found

    async def started(self, channel_id: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                event = await self._event()
                if event.get("type") == "StasisStart" and event["channel"]["id"] == channel_id:
                    return

    async def _event(self) -> dict[str, Any]:
        """The next frame from the server (RFC 6455, 5.2): a server does not mask."""
        _, length = await self._events.readexactly(2)
        if length >= 126:
            length = int.from_bytes(await self._events.readexactly(2 if length == 126 else 8))
        event: dict[str, Any] = json.loads(await self._events.readexactly(length))
        return event


@asynccontextmanager
async def ari(port: int) -> AsyncIterator[Ari]:
    """A program that has announced itself; Asterisk gives it channels for as long as the block lasts."""
    base = f"http://127.0.0.1:{port}/ari/"
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        key = base64.b64encode(secrets.token_bytes(16)).decode()
        head = (
            f"GET /ari/events?app={APP}&api_key={':'.join(USER)} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
        )
        writer.write(
            f"{head}Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        answer = await reader.readuntil(b"\r\n\r\n")
        assert b" 101 " in answer.splitlines()[0], answer
        async with httpx2.AsyncClient(base_url=base, auth=USER, timeout=PATIENCE) as client:
            yield Ari(client, reader)
    finally:
        writer.close()
