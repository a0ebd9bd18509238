"""A real SMTP server for tests (aiosmtpd) on a free port, which keeps what it takes."""

import asyncio
import email
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from email.policy import default
from typing import Any

from aiosmtpd.smtp import SMTP


class TakenMail:
    """What a mail server took; ``refuses`` is what it answers instead. While ``holds`` is set it does not answer."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.refuses = ""
        self.holds: asyncio.Event | None = None
        self.asked = 0

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        self.asked += 1
        if self.holds is not None:
            await self.holds.wait()
        if self.refuses:
            return self.refuses
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 taken"

    def of(self, address: str) -> list[EmailMessage]:
        return [mail for mail in self.mails if mail["To"] == address]


@asynccontextmanager
async def running_smtp(taken: TakenMail) -> AsyncIterator[str]:
    """The URL of the server, while it runs."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(taken), "127.0.0.1", 0)
    async with server:
        yield f"smtp://127.0.0.1:{server.sockets[0].getsockname()[1]}"
