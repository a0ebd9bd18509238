"""What an e-mail says: who wrote it, what, and whether a person did. Pure; whatever the message holds, nothing here raises but MailError."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.header import decode_header, make_header
from email.message import Message
from email.parser import BytesParser
from email.policy import compat32
from email.utils import getaddresses
from html.parser import HTMLParser
from typing import IO

from pbxcrm.contacts.rules import EMAIL
from pbxcrm.forms.models import FormRequest
from pbxcrm.shared.lengths import LONGEST_REPEATED, cut
from pbxcrm.shared.texts import one_line

LONGEST_TEXT = 10_000  # characters of the body that are kept
MOST_FILES = 20
_BLOCKS = frozenset({"p", "div", "br", "tr", "li", "h1", "h2", "h3", "h4", "blockquote"})
_UNSEEN = frozenset({"script", "style", "head", "title", "template"})
_MESSAGE_ID = re.compile(r"<([^<>@\s]{1,200})@[^<>\s]+>")
_LONGEST_THREAD = 20_000  # characters of a header that are read
_MOST_ANSWERED = 50
_BULK = frozenset({"bulk", "junk", "list", "auto_reply"})


class MailError(Exception):
    """The message cannot be understood. The text says why."""


@dataclass(frozen=True, slots=True)
class ReadMail:
    """An e-mail as it is needed. ``key`` is the same for the same message; ``robot``: the sign by which a program wrote it, else empty."""

    key: str
    message_id: str
    name: str
    address: str
    subject: str
    text: str
    robot: str
    message: Message
    answers: tuple[str, ...] = ()  # of the Message-IDs that it answers, what stands before the @, the nearest first


def parse_mail(source: IO[bytes]) -> ReadMail:
    """Read a message. Raises MailError."""
    try:
        message = BytesParser(policy=compat32).parse(source)
        name, address = _sender(message)
        message_id = cut(one_line(str(message.get("Message-ID", ""))), FormRequest.message_id)
        subject = one_line(_decoded(message.get("Subject", "")))
        text = _text(message)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, IndexError) as error:
        raise MailError(type(error).__name__) from error
    known = message_id or "\n".join(str(message.get(each, "")) for each in ("Date", "From", "To", "Subject")) + text
    key = hashlib.sha256(known.encode("utf-8", "replace")).hexdigest()
    return ReadMail(
        key, message_id, name, address, subject, text, sign_of_robot(message), message, answered_ids(message)
    )


def answered_ids(message: Message) -> tuple[str, ...]:
    """What the e-mail answers, by In-Reply-To and References (RFC 5322), the nearest first."""
    named = [str(message.get(header, ""))[:_LONGEST_THREAD] for header in ("References", "In-Reply-To")]
    found = [name for text in named for name in _MESSAGE_ID.findall(text)]
    return tuple(dict.fromkeys(reversed(found)))[:_MOST_ANSWERED]


def sign_of_robot(message: Message) -> str:
    """The header by which a program, not a person, sent the message (RFC 3834, RFC 2076, RFC 2919, RFC 3464); empty for a person's."""
    submitted = str(message.get("Auto-Submitted", "no")).partition(";")[0].strip().lower()
    if submitted not in {"no", ""}:
        return f"Auto-Submitted: {one_line(submitted)[:LONGEST_REPEATED]}"
    precedence = str(message.get("Precedence", "")).strip().lower()
    if precedence in _BULK:
        return f"Precedence: {precedence}"
    for header in (
        "List-Id",
        "List-Unsubscribe",
        "X-Autoreply",
        "X-Autorespond",
        "X-Auto-Response-Suppress",
        "Feedback-ID",
    ):
        if header in message:
            return header
    if str(message.get("Return-Path", "?")).strip() == "<>":
        return "Return-Path: <>"
    if message.get_content_type() in {"multipart/report", "message/delivery-status"}:
        return "multipart/report"
    return ""


def attachments(message: Message) -> Iterator[tuple[str, bytes]]:
    """The names and bytes of attached files; pictures that only stand in the text are left out."""
    count = 0
    for part in message.walk():
        if part.is_multipart() or count >= MOST_FILES:
            continue
        name = _decoded(part.get_filename() or "")
        inline = "attachment" not in str(part.get("Content-Disposition", "")).lower()
        if not name or (inline and part.get_content_maintype() == "image" and "Content-ID" in part):
            continue
        try:
            content = part.get_payload(decode=True)
        except (ValueError, LookupError):
            continue
        if isinstance(content, bytes) and content:
            count += 1
            yield name, content


def _sender(message: Message) -> tuple[str, str]:
    """The name and address in ``Reply-To``, else in ``From``; an address that is none is left out."""
    name = ""
    for header in ("Reply-To", "From"):
        for written, address in getaddresses([_decoded(value) for value in message.get_all(header, [])]):
            name = cut(one_line(written), FormRequest.name) or name
            if EMAIL.fullmatch(address.strip()):
                return name, address.strip()
    return name, ""


def _decoded(value: object) -> str:
    text = str(value)
    try:
        return str(make_header(decode_header(text)))
    except (ValueError, LookupError, UnicodeError):
        return text.encode("utf-8", "replace").decode("utf-8")


def _text(message: Message) -> str:
    """The words of the message: the plain part, else the HTML one without its marks."""
    html = ""
    for part in message.walk():
        if part.is_multipart() or "attachment" in str(part.get("Content-Disposition", "")).lower():
            continue
        kind = part.get_content_type()
        if kind == "text/plain" and (text := _lines(_content(part))):
            return text
        if kind == "text/html" and not html:
            html = _content(part)
    return _lines(words_of_html(html)) if html else ""


def _content(part: Message) -> str:
    content = part.get_payload(decode=True)
    if not isinstance(content, bytes):
        return ""
    content = content[: 8 * LONGEST_TEXT]
    charset = str(part.get_content_charset() or "utf-8")
    try:
        return content.decode(charset, "replace")
    except (LookupError, ValueError):
        return content.decode("utf-8", "replace")


def _lines(text: str) -> str:
    lines = [one_line(line) for line in text.replace("\r\n", "\n").split("\n")]
    kept = re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()
    return kept[:LONGEST_TEXT]


class _MailWords(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []
        self.unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self.unseen += 1
        elif tag in _BLOCKS:
            self.parts.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self.unseen = max(0, self.unseen - 1)

    def handle_data(self, data: str) -> None:
        if not self.unseen:
            self.parts.append(data)


def words_of_html(html: str) -> str:
    """The words that a reader of the page would see, a line per block."""
    words = _MailWords()
    words.feed(html)
    words.close()
    return "".join(words.parts)
