"""Pure: what an incoming webhook says. Its body is JSON of a stranger; only declared values are taken from it, as texts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from enum import StrEnum
from hashlib import sha256
from typing import Any

from pbxcrm.fields.rules import MILLION, read_decimal
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_

MOST_BODY = 64 * 1024  # bytes
MOST_FIELDS = 30
LONGEST_KEY, LONGEST_PATH, LONGEST_VALUE = 40, 200, 500
LARGEST = Decimal(10) ** 12
#: A call with the same key, or without one the same body, is heard once within this time.
SAME_WITHIN = timedelta(hours=24)
#: By the values with these names the deal or the client is found, in this order.
DEAL_ID, CLIENT_ID, NUMBER, EMAIL = "deal_id", "client_id", "number", "email"
_KEY = re.compile(r"[a-z][a-z0-9_]*")


class HookValue(StrEnum):
    """What a declared value is."""

    TEXT = "text"
    NUMBER = "number"


VALUE_WORDS: Mapping[str, str] = {HookValue.TEXT: N_("a text"), HookValue.NUMBER: N_("a number")}


@dataclass(frozen=True, slots=True)
class HookField:
    """A value that rules may ask: its name in them, where it stands in the body (``order.total``, ``items.0.name``), what it is."""

    key: str
    path: str
    kind: str = HookValue.TEXT.value

    def stored(self) -> dict[str, str]:
        """As JSON."""
        return {"key": self.key, "path": self.path, "kind": self.kind}


def no_hook(at: str) -> Invalid:
    """What a rule names at this place is gone."""
    return Invalid(at, "automation.no_hook", "There is no such webhook, or it is revoked.")


def check_fields(fields: Sequence[HookField]) -> list[HookField]:
    """The declared values as they are stored. Raises Invalid at ``fields``, with the name in its words."""
    if not fields or len(fields) > MOST_FIELDS:
        raise Invalid("fields", "hooks.fields", "Declare from 1 to {most} values.", most=MOST_FIELDS)
    found: dict[str, HookField] = {}
    for each in fields:
        key, path = each.key.strip(), each.path.strip() or each.key.strip()
        if not _KEY.fullmatch(key) or len(key) > LONGEST_KEY or key in found:
            raise Invalid(
                "fields",
                "hooks.key",
                "“{key}” is no name for a value: small Latin letters, digits and _, each name once.",
                key=key[:LONGEST_KEY],
            )
        if len(path) > LONGEST_PATH or "\0" in path or each.kind not in set(HookValue):
            raise Invalid("fields", "hooks.path", "Write where “{key}” stands in the body: order.total.", key=key)
        found[key] = HookField(key, path, each.kind)
    return list(found.values())


def read_body(body: bytes) -> Mapping[str, Any]:
    """The JSON object that was sent. Raises Invalid."""
    try:
        found = json.loads(body, parse_float=str, parse_int=str, parse_constant=_no_number)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise Invalid("", "hooks.json", "Send a JSON object.")
    return found


def _no_number(_said: str) -> Any:
    raise ValueError


def values_of(fields: Sequence[HookField], body: Mapping[str, Any]) -> dict[str, str]:
    """The declared values by name, as texts; one that is missing, empty, or not what was declared, is left out."""
    found: dict[str, str] = {}
    for each in fields:
        value = _at(body, each.path.split("."))
        text = "" if value is None or isinstance(value, Mapping | list) else _clean(value)
        if each.kind == HookValue.NUMBER and _number(text) is None:
            text = ""
        if text:
            found[each.key] = text
    return found


def _at(node: Any, way: Sequence[str]) -> Any:
    for step in way:
        if isinstance(node, Mapping):
            node = node.get(step)
        elif isinstance(node, list) and step.isascii() and step.isdigit() and len(step) < 5 and int(step) < len(node):
            node = node[int(step)]
        else:
            return None
    return node


def _clean(value: Any) -> str:
    """Without NUL and halves of letters, which no database stores."""
    text = {True: "1", False: "0"}[value] if isinstance(value, bool) else str(value)
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8").strip()[:LONGEST_VALUE]


def _number(text: str) -> Decimal | None:
    found = read_decimal(text) if len(text) <= LONGEST_KEY else None
    return found if found is not None and abs(found) < LARGEST else None


def millionths(text: str | None) -> int | None:
    """A declared number as conditions compare it."""
    found = _number(text) if text else None
    return int((found * MILLION).to_integral_value()) if found is not None else None


def key_of(given: str, body: bytes) -> str:
    """What makes two calls the same: the sender's key, else the body."""
    return sha256(b"key:" + given.encode("utf-8", "replace") if given else b"body:" + body).hexdigest()
