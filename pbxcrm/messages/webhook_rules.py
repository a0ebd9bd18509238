"""Pure: how an outgoing webhook is signed, by the scheme of Standard Webhooks, so that ready libraries check it."""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime
from http import HTTPStatus

PREFIX = "whsec_"
_SECRET_BYTES = 32
#: Answers after which it is tried again, besides those of 500 and above.
_LATER = frozenset(
    {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.CONFLICT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}
)


def new_secret() -> str:
    """The secret by which the receiver checks the signature."""
    return PREFIX + base64.b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def headers_of(secret: str, key: str, body: bytes, now: datetime) -> Mapping[str, str]:
    """The headers of a call. ``key`` is the same in each try of the same message."""
    at = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "User-Agent": "pbxcrm",
        "Idempotency-Key": key,
        "webhook-id": key,
        "webhook-timestamp": at,
        "webhook-signature": signature(secret, key, at, body),
    }


def signature(secret: str, key: str, at: str, body: bytes) -> str:
    """HMAC-SHA256 over id, timestamp and body, with points between them."""
    known = base64.b64decode(secret.removeprefix(PREFIX))
    made = hmac.new(known, b".".join((key.encode(), at.encode(), body)), hashlib.sha256).digest()
    return f"v1,{base64.b64encode(made).decode()}"


def is_taken(status: int) -> bool:
    """Whether this answer says that the other side has it."""
    return HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES


def is_for_good(status: int) -> bool:
    """Whether trying again is of no use after this answer."""
    return status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _LATER
