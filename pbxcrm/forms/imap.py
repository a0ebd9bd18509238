"""Reading a mailbox by IMAP (RFC 3501) with Python's own client: the only place that speaks it. Everything here blocks: call it in a thread.

The folder is only looked at (``EXAMINE``, ``BODY.PEEK``): no message becomes read, moved or deleted by us. A message is fetched in
pieces into a file, so that one of 50 MB does not stand in memory several times.
"""

import imaplib
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import IO
from urllib.parse import unquote, urlsplit

from pbxcrm.shared.mail_urls import fault_of_tls, server_of, trust_of

SECONDS = 30.0  # the longest wait for an answer
LOCAL = frozenset({"localhost", "127.0.0.1", "::1"})
PIECE = 1 << 20  # bytes fetched at once
_UID = re.compile(rb"UID (\d+)")
_SIZE = re.compile(rb"RFC822\.SIZE (\d+)")
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


class MailboxAway(Exception):
    """The mailbox cannot be reached or read. The text is the server's answer or the error; it never holds the password."""


@dataclass(frozen=True, slots=True)
class MailboxServer:
    """Where a mailbox is. ``is_tls``: TLS from the start (imaps); otherwise STARTTLS is required, except on this machine.

    ``ca``: a file of authorities that are trusted besides those of the system.
    """

    host: str
    port: int
    user: str
    password: str
    is_tls: bool
    folder: str
    ca: Path | None = None

    @classmethod
    def of(cls, url: str, ca: Path | None = None) -> "MailboxServer":
        """From the URL in the settings, which check it."""
        folder = unquote(urlsplit(url).path.strip("/")) or "INBOX"
        return cls(*server_of(url, tls="imaps", ports=(143, 993)), folder, ca)


@dataclass(frozen=True, slots=True)
class FolderState:
    """What a folder says of itself: while ``validity`` is the same, UIDs name the same messages; ``next_uid`` comes next."""

    validity: int
    next_uid: int


class OpenMailbox:
    """A folder that is open for reading; ``opened`` makes one. Its methods raise MailboxAway."""

    def __init__(self, client: imaplib.IMAP4, state: FolderState) -> None:
        self._client = client
        self.state = state

    def uids_after(self, uid: int) -> list[int]:
        """The UIDs of the messages after this one, in order. (A server answers ``9:*`` with the last message also where it is older.)"""
        return [found for found in self._search(f"UID {uid + 1}:*") if found > uid]

    def uids_since(self, day: datetime) -> list[int]:
        """The UIDs of the messages that came on this day or later, in order."""
        return self._search(f"SINCE {day.day}-{_MONTHS[day.month - 1]}-{day.year}")

    def size(self, uid: int) -> int | None:
        """The size of a message in bytes; None for one that was deleted meanwhile."""
        for line in self._fetch(uid, "(UID RFC822.SIZE)"):
            text = line[0] if isinstance(line, tuple) else line
            if isinstance(text, bytes) and (found := _SIZE.search(text)) and _is(uid, text):
                return int(found[1])
        return None

    def fetch_into(self, uid: int, target: IO[bytes], most: int) -> None:
        """Write the message into ``target``, at most so many bytes of it."""
        at = 0
        while at < most:
            wanted = min(PIECE, most - at)
            lines = self._fetch(uid, f"(UID BODY.PEEK[]<{at}.{wanted}>)")
            piece = next((line[1] for line in lines if isinstance(line, tuple) and isinstance(line[1], bytes)), b"")
            target.write(piece)
            at += len(piece)
            if len(piece) < wanted:
                return

    def _search(self, asked: str) -> list[int]:
        with _said():
            kind, data = self._client.uid("SEARCH", asked)
        found = data[0] if kind == "OK" and data and isinstance(data[0], bytes) else b""
        return sorted(int(uid) for uid in found.split())

    def _fetch(self, uid: int, what: str) -> list[object]:
        with _said():
            kind, data = self._client.uid("FETCH", str(uid), what)
        if kind != "OK":
            raise MailboxAway(f"the server answered {kind}")
        return list(data)


def _is(uid: int, text: bytes) -> bool:
    found = _UID.search(text)
    return found is not None and int(found[1]) == uid


@contextmanager
def opened(server: MailboxServer) -> Iterator[OpenMailbox]:
    """The folder, open for reading. Raises MailboxAway."""
    client: imaplib.IMAP4 | None = None
    try:
        with _said():
            context = trust_of(server.ca)
            if server.is_tls:
                client = imaplib.IMAP4_SSL(server.host, server.port, ssl_context=context, timeout=SECONDS)
            else:
                client = imaplib.IMAP4(server.host, server.port, timeout=SECONDS)
                if server.host not in LOCAL:
                    client.starttls(context)
            client.login(server.user, server.password)
            kind, data = client.select(f'"{server.folder}"', readonly=True)
            if kind != "OK":
                raise MailboxAway(_text(data) or f"there is no folder {server.folder}")
            state = FolderState(_number(client, "UIDVALIDITY"), _number(client, "UIDNEXT"))
        yield OpenMailbox(client, state)
    finally:
        if client is not None:
            try:
                client.logout()
            except (imaplib.IMAP4.error, OSError):
                with suppress(OSError):  # TLS that failed has closed it already
                    client.shutdown()


def _number(client: imaplib.IMAP4, name: str) -> int:
    _kind, data = client.response(name)
    found = data[-1] if data else None
    if not isinstance(found, bytes) or not found.isdigit():
        raise MailboxAway(f"the server does not say its {name}")
    return int(found)


def _text(data: object) -> str:
    first = data[0] if isinstance(data, list) and data else b""
    return first.decode("utf-8", "replace") if isinstance(first, bytes) else ""


@contextmanager
def _said() -> Iterator[None]:
    try:
        yield
    except (imaplib.IMAP4.error, OSError, ValueError) as error:
        text = error.args[0] if error.args and isinstance(error.args[0], bytes) else str(error)
        said = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
        raise MailboxAway(fault_of_tls(error) or " ".join(said.split()) or type(error).__name__) from None
