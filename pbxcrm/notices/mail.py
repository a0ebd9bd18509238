"""Sending an e-mail to the configured mail server: ``smtp://user:password@host:587`` or ``smtps://host:465``."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import getaddresses
from pathlib import Path

import aiosmtplib

from pbxcrm.shared.mail_urls import fault_of_tls, server_of, trust_of
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.refusals import NotSent

SECONDS = 30.0  # the timeout for sending one e-mail
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
NO_STARTTLS = N_("The mail server offers no STARTTLS, and a password is sent only with TLS.")
PERMANENT = 500  # answers from here on will be the same next time


class _WholeLinks(EmailPolicy):
    """A long link in a header would be encoded like foreign letters, and mail programs would not find it."""

    def fold_binary(self, name: str, value: str) -> bytes:
        if name.lower() == "list-unsubscribe":
            return f"{name}: {value}{self.linesep}".encode("ascii")
        return super().fold_binary(name, value)


POLICY = _WholeLinks(linesep="\r\n")


@dataclass(frozen=True, slots=True)
class MailServer:
    """A mail server. ``is_tls``: TLS from the start (smtps). A password is sent only with TLS or to the local machine.

    ``ca``: a file of authorities that are trusted besides those of the system.
    """

    host: str
    port: int
    user: str
    password: str
    is_tls: bool
    ca: Path | None = None

    @classmethod
    def of(cls, url: str, ca: Path | None = None) -> "MailServer":
        """From the URL in the settings, which check it."""
        return cls(*server_of(url, tls="smtps", ports=(587, 465)), ca)

    async def deliver(self, message: EmailMessage, begin: Callable[[], Awaitable[None]] | None = None) -> str:
        """Send the message. ``begin`` is awaited right before the server gets it: until then nothing was sent. Returns the answer of the server. Raises NotSent."""
        must = bool(self.user) and self.host not in LOCAL and not self.is_tls
        client = aiosmtplib.SMTP(
            hostname=self.host,
            port=self.port,
            username=self.user or None,
            password=self.password or None,
            use_tls=self.is_tls,
            start_tls=True if must else (False if self.is_tls else None),
            tls_context=trust_of(self.ca),
            timeout=SECONDS / 2,
        )
        is_handed_over = False
        try:
            async with asyncio.timeout(SECONDS):
                async with client:
                    await client.mail(_address(message, "From"))
                    await client.rcpt(_address(message, "To"))
                    if begin is not None:
                        await begin()
                    is_handed_over = True
                    answer = (await client.data(message.as_bytes(policy=POLICY))).message
                return " ".join(answer.split())
        except aiosmtplib.SMTPResponseException as error:
            # A wrong password is repaired by people: later it may be right.
            is_final = error.code >= PERMANENT and not isinstance(error, aiosmtplib.SMTPAuthenticationError)
            raise NotSent(f"{error.code} {_words(error.message)}".strip(), is_final=is_final) from error
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            words = fault_of_tls(error) or _words(str(error)) or type(error).__name__
            if "STARTTLS extension not supported" in words:
                words = NO_STARTTLS
            raise NotSent(words, is_unsure=is_handed_over) from error


def _address(message: EmailMessage, header: str) -> str:
    return getaddresses([str(message[header])])[0][1]


def _words(text: str) -> str:
    return " ".join(text.split())
