"""Handing an e-mail over to the mail server of the settings: ``smtp://user:password@host:587`` or ``smtps://host:465``."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage
from urllib.parse import unquote, urlsplit

import aiosmtplib

SECONDS = 30.0  # for all of it
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class MailRefused(Exception):
    """The mail server did not take it, or was not there; the text is what it said."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """``is_tls``: from the first byte. A password goes over a network by TLS only, or to this very machine."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool

    @classmethod
    def of(cls, url: str) -> "MailServer":
        """From the address in the settings, which has been checked there."""
        parts = urlsplit(url)
        is_tls = parts.scheme == "smtps"
        return cls(
            parts.hostname or "localhost",
            parts.port or (465 if is_tls else 587),
            unquote(parts.username or ""),
            unquote(parts.password or ""),
            is_tls,
        )

    async def deliver(self, message: EmailMessage) -> None:
        """Raises MailRefused."""
        must = bool(self.user) and self.host not in LOCAL and not self.is_tls
        try:
            async with asyncio.timeout(SECONDS):
                refused, _said = await aiosmtplib.send(
                    message,
                    hostname=self.host,
                    port=self.port,
                    username=self.user or None,
                    password=self.password or None,
                    use_tls=self.is_tls,
                    start_tls=True if must else (False if self.is_tls else None),
                    timeout=SECONDS / 2,
                )
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise MailRefused(" ".join(str(error).split()) or type(error).__name__) from error
        if refused:
            raise MailRefused("; ".join(str(answer) for answer in refused.values()))
