"""The gateway of SMS: described by an administrator, and tried with a test."""

import json
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlsplit

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.audit.rules import differences
from pbxcrm.contacts.rules import check_number
from pbxcrm.messages.actions import queue_delivery
from pbxcrm.messages.gateway_queries import load_gateway
from pbxcrm.messages.gateway_rules import (
    CONTENT_TYPES,
    IN_HEADERS,
    IN_TEXT,
    METHODS,
    BodyFormat,
    SmsValues,
    headers_in,
    places_in,
    request_of,
)
from pbxcrm.messages.models import Delivery, DeliveryState, MessageChannel, SmsGateway
from pbxcrm.messages.sms_rules import takes_sms
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line, check_optional_text, longest
from pbxcrm.shared.outgoing import fault_of_address
from pbxcrm.shared.texts import one_line

LOCK = "messages.gateway"
LONGEST_TEST = 160  # characters
_TRIED = SmsValues("+380671112233", "Вітаємо «вас»!", 1, "m.0")


@dataclass(frozen=True, slots=True)
class GatewayDraft:
    """The gateway as it was entered. ``secret``: None: the known one stays."""

    address: str
    method: str = "POST"
    headers: str = ""
    body_format: str = BodyFormat.JSON.value
    body: str = ""
    sender: str = ""
    secret: str | None = None
    taken_path: str = ""
    error_path: str = ""
    taken_words: str = ""
    knows_repeats: bool = False
    is_on: bool = True


#: What the log shows of it: all but the secret.
_SHOWN = (
    "is_on", "address", "method", "headers", "body_format", "body", "sender", "taken_path", "error_path", "taken_words",
    "knows_repeats",
)  # fmt: skip


async def save_gateway(
    session: AsyncSession, viewer: Viewer, draft: GatewayDraft, now: datetime, *, version: int | None = None
) -> SmsGateway:
    """Describe the gateway; what waits is sent by it. ``version``: the one that was seen, 0 for none.

    Raises Invalid at the field, Conflict, NotAllowed.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    await lock(session, LOCK)
    known = await load_gateway(session)
    if version is not None and version != (known.version if known is not None else 0):
        raise Conflict("messages.stale_gateway", "Somebody else has changed the gateway meanwhile. Look at it again.")
    gateway = known or SmsGateway(address="", method="", body_format="", changed_at=now)
    before = {name: getattr(gateway, name) for name in _SHOWN} if known is not None else {}
    new = _checked(draft, gateway.secret)
    is_new_secret = new.secret != gateway.secret
    for name in _SHOWN:
        setattr(gateway, name, getattr(new, name))
    gateway.secret = new.secret
    after = {name: getattr(gateway, name) for name in _SHOWN}
    changed = differences(before, after) if known is not None else {}
    if known is not None and not changed and not is_new_secret:
        return gateway
    gateway.changed_at = now
    if known is None:
        session.add(gateway)
    else:
        gateway.version += 1
    await session.flush()
    said = "sms_gateway.changed" if known is not None else "sms_gateway.created"
    record(session, now, said, "sms_gateway", gateway.id, actor=viewer, changed=changed, new_secret=is_new_secret)
    return gateway


async def try_gateway(
    session: AsyncSession, viewer: Viewer, number: str, words: str, region: str, now: datetime
) -> Delivery:
    """Send a test, which no guard holds back. Raises Invalid at ``number``, Conflict without a gateway, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    gateway = await load_gateway(session)
    if gateway is None:
        raise Conflict("messages.no_gateway", "Describe the gateway first.")
    checked = check_number(one_line(number), region, "number")
    if not takes_sms(checked):
        raise Invalid("number", "messages.no_sms_number", "Write a whole number: +380671112233.")
    record(session, now, "sms_gateway.tried", "sms_gateway", gateway.id, actor=viewer)
    return await queue_delivery(
        session,
        Delivery(
            key=f"try:{secrets.token_hex(16)}",
            channel=MessageChannel.SMS.value,
            state=DeliveryState.QUEUED.value,
            by_id=viewer.user_id,
            is_test=True,
            address=checked,
            body=words,
            created_at=now,
            due_at=now,
        ),
    )


def _checked(draft: GatewayDraft, secret: str) -> SmsGateway:
    if draft.method not in METHODS:
        raise Invalid("method", "messages.method", "Choose the method.").among(METHODS)
    if draft.body_format not in CONTENT_TYPES:
        raise Invalid("body_format", "messages.body_format", "Choose how the body is written.").among(
            tuple(CONTENT_TYPES)
        )
    gateway = SmsGateway(
        is_on=draft.is_on,
        address=draft.address.strip(),
        method=draft.method,
        headers=_headers(draft.headers),
        body_format=draft.body_format,
        body=check_optional_text(draft.body, SmsGateway.body, "body"),
        sender=_ascii(draft.sender, SmsGateway.sender, "sender"),
        secret=secret if draft.secret is None else _ascii(draft.secret, SmsGateway.secret, "secret"),
        taken_path=_path(draft.taken_path, SmsGateway.taken_path, "taken_path"),
        error_path=_path(draft.error_path, SmsGateway.error_path, "error_path"),
        taken_words=check_optional_text(draft.taken_words, SmsGateway.taken_words, "taken_words"),
        knows_repeats=draft.knows_repeats,
    )
    _check_address(gateway)
    _check_places(gateway.body, IN_TEXT, "body")
    if gateway.method == "GET" and gateway.body:
        raise Invalid("body", "messages.no_body", "A request with GET has no body.")
    if "text" not in {*places_in(gateway.address), *places_in(gateway.body)}:
        raise Invalid(
            "body" if gateway.method != "GET" else "address",
            "messages.no_text",
            "Say where the text of the message stands: {{text}}.",
        )
    used = {*places_in(gateway.address), *places_in(gateway.body), *places_in(gateway.headers)}
    if not used & {"number", "digits"}:
        raise Invalid(
            "body" if gateway.method != "GET" else "address",
            "messages.no_number_place",
            "Say where the number stands: {{number}}, or {{digits}} without the plus.",
        )
    if used & {"secret", "signature"} and not gateway.secret:
        raise Invalid("secret", "messages.no_secret", "The request names a secret: write it here.")
    if gateway.body_format == BodyFormat.JSON and gateway.body:
        try:
            json.loads(request_of(gateway, _TRIED).body)
        except ValueError as error:
            raise Invalid("body", "messages.no_json", "This is no JSON: {why}", why=str(error)) from error
    return gateway


def _check_address(gateway: SmsGateway) -> None:
    _check_places(gateway.address, IN_TEXT, "address")
    fault = fault_of_address(request_of(gateway, _TRIED).address)
    if fault:
        raise Invalid("address", "webhooks.address", fault)
    if "{" in urlsplit(gateway.address).netloc:
        raise Invalid("address", "messages.host", "The name of the server is always the same: write it without braces.")


def _check_places(text: str, known: Collection[str], field: str) -> None:
    unknown = next((each for each in places_in(text) if each not in known), None)
    if unknown is not None:
        name, names = unknown[:LONGEST_REPEATED], ", ".join(sorted(known))
        raise Invalid(
            field, "messages.no_place", "There is no “{name}” here. Possible are: {names}.", name=name, names=names
        )


def _headers(text: str) -> str:
    kept = check_optional_text(text, SmsGateway.headers, "headers")
    for name, value in headers_in(kept):
        is_name = name.replace("-", "").isalnum() and name.isascii()
        if not is_name or not value or not value.isascii() or not value.isprintable():
            raise Invalid("headers", "messages.header", "Write one header a line, in Latin letters: Name: value.")
    _check_places(kept, IN_HEADERS, "headers")
    return kept


def _ascii(text: str, column: str | None, field: str) -> str:
    kept = text.strip()
    if not kept.isascii() or not kept.isprintable() or len(kept) > longest(column):
        raise Invalid(
            field, "messages.latin", "Write up to {most} Latin letters, digits and signs.", most=longest(column)
        )
    return kept


def _path(text: str, column: str | None, field: str) -> str:
    kept = one_line(text)
    return check_line(kept, column, field, "messages.path", "Write up to {most} characters.") if kept else ""
