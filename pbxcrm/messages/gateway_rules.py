"""Pure: a gateway of SMS as its form describes it: the request that is made of it, and what its answer says."""

import hashlib
import hmac
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.parse import quote, quote_plus
from xml.sax.saxutils import escape

from pbxcrm.messages.models import SmsGateway
from pbxcrm.messages.webhook_rules import is_for_good, is_taken
from pbxcrm.shared.refusals import NotSent
from pbxcrm.shared.texts import one_line


class BodyFormat(StrEnum):
    """How values are written into the body."""

    JSON = "json"
    FORM = "form"  # name=value&…
    XML = "xml"


CONTENT_TYPES: Mapping[str, str] = {
    BodyFormat.JSON.value: "application/json",
    BodyFormat.FORM.value: "application/x-www-form-urlencoded",
    BodyFormat.XML.value: "text/xml; charset=utf-8",
}
METHODS = ("POST", "GET")
#: What stands in braces, and where: ``text`` has no place in a header, which has Latin letters only; only a header is signed.
IN_HEADERS = frozenset({"number", "digits", "sender", "id", "key", "secret", "signature"})
IN_TEXT = (IN_HEADERS | {"text"}) - {"signature"}
LONGEST_WORDS = 300
HIDDEN = "•••"
_PLACE = re.compile(r"\{([a-z_]+)\}")


@dataclass(frozen=True, slots=True)
class SmsValues:
    """What a request says. ``number``: in E.164; ``row_id`` and ``key`` are the same in each try of the same message."""

    number: str
    text: str
    row_id: int
    key: str


@dataclass(frozen=True, slots=True)
class SmsRequest:
    """What is sent to the gateway."""

    method: str
    address: str
    headers: Mapping[str, str]
    body: bytes


def places_in(text: str) -> list[str]:
    """What stands in braces."""
    return _PLACE.findall(text)


def headers_in(text: str) -> list[tuple[str, str]]:
    """The headers of the form, one a line: ``Name: value``."""
    pairs = (line.partition(":") for line in text.splitlines() if line.strip())
    return [(name.strip(), value.strip()) for name, _, value in pairs]


def request_of(gateway: SmsGateway, sms: SmsValues) -> SmsRequest:
    """The request by which the gateway is asked to send one SMS."""
    said = {
        "number": sms.number,
        "digits": sms.number.removeprefix("+"),
        "text": sms.text,
        "sender": gateway.sender,
        "id": str(sms.row_id),
        "key": sms.key,
        "secret": gateway.secret,
    }
    body = b""
    headers = {"User-Agent": "pbxcrm", "Idempotency-Key": sms.key}
    if gateway.method != "GET":
        body = _filled(gateway.body, said, _WRITTEN[gateway.body_format]).encode()
        headers["Content-Type"] = CONTENT_TYPES[gateway.body_format]
    said["signature"] = hmac.new(gateway.secret.encode(), body, hashlib.sha256).hexdigest()
    for name, value in headers_in(gateway.headers):
        known = next((each for each in headers if each.lower() == name.lower()), name)
        headers[known] = _filled(value, said, str)
    return SmsRequest(gateway.method, _filled(gateway.address, said, _in_address), headers, body)


def _filled(text: str, said: Mapping[str, str], write: Callable[[str], str]) -> str:
    """In one pass: what a value itself has in braces stays."""
    return _PLACE.sub(lambda found: write(said[found[1]]) if found[1] in said else found[0], text)


def _in_address(value: str) -> str:
    return quote(value, safe="")


def _in_json(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)[1:-1]


def _in_xml(value: str) -> str:
    return escape(value, {'"': "&quot;", "'": "&apos;"})


_WRITTEN: Mapping[str, Callable[[str], str]] = {
    BodyFormat.JSON.value: _in_json,
    BodyFormat.FORM.value: quote_plus,
    BodyFormat.XML.value: _in_xml,
}


def read_answer(gateway: SmsGateway, status: int, text: str, location: str = "") -> str:
    """What the gateway says of a message that it took: its id. Raises NotSent: it did not take it, or does not say so."""
    found = _parsed(text)
    error = next((_said(at(found, path)) for path in paths_of(gateway.error_path) if _said(at(found, path))), "")
    words = one_line(f"{status} {error or text.replace(chr(0), '')}")[:LONGEST_WORDS].strip()
    if location:
        raise NotSent(f"{status}: redirects are not followed. Set the address itself: {location}", is_final=True)
    if not is_taken(status):
        # A server that broke, or stands before one that did, may have passed the message on.
        later = {HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS}
        is_unsure = status >= HTTPStatus.INTERNAL_SERVER_ERROR and status not in later
        raise NotSent(words, is_final=is_for_good(status), is_unsure=is_unsure)
    if gateway.taken_words and gateway.taken_words not in text:
        raise NotSent(words, is_final=bool(text.strip()), is_unsure=not text.strip())
    if not gateway.taken_path:
        return words
    taken = at(found, gateway.taken_path)
    if not taken:
        raise NotSent(words, is_final=bool(error), is_unsure=not error)
    return one_line(f"{status} {_said(taken)}")[:LONGEST_WORDS]


def paths_of(text: str) -> list[str]:
    """Places in an answer, with commas between them."""
    return [each.strip() for each in text.split(",") if each.strip()]


def at(found: Any, path: str) -> Any:
    """What stands at a place of a JSON answer: names and numbers with points between them. None: nothing."""
    for step in path.split("."):
        if isinstance(found, dict):
            found = found.get(step)
        elif isinstance(found, list) and step.isdecimal() and len(step) < 4 and int(step) < len(found):
            found = found[int(step)]
        else:
            return None
    return found


def hide_secret(words: str, secret: str) -> str:
    """The words without the secret, which a server may repeat."""
    for written in (secret, quote(secret, safe=""), quote_plus(secret)):
        words = words.replace(written, HIDDEN) if written else words
    return words


def _said(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value, ensure_ascii=False)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
