"""Sending an e-mail to the configured mail server: ``smtp://user:password@host:587`` or ``smtps://host:465``."""

import asyncio
from dataclasses import dataclass
from email.message import EmailMessage

import aiosmtplib

from pbxcrm.shared.mail_urls import server_of

SECONDS = 30.0  # the timeout for sending one e-mail
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})


class MailRefused(Exception):
    """The mail server refused the e-mail or could not be reached. The text is its answer or the error."""


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. ``is_tls``: TLS from the start (smtps). A password is sent only with TLS or to the local machine."""

    host: str
    port: int
    user: str
    password: str
    is_tls: bool

    @classmethod
    def of(cls, url: str) -> "MailServer":
        """From the URL in the settings, which check it."""
        return cls(*server_of(url, tls="smtps", ports=(587, 465)))

    async def deliver(self, message: EmailMessage) -> None:
        """Send the message. Raises MailRefused."""
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
