"""What a stranger sends to a web form: from where it may come, and what is in it.

A page of another site may send it only from an origin that the form lists; a program sends no ``Origin``. The body is JSON, or a form
as browsers send it. Nothing here needs a cookie or gives one.
"""

import json
from collections.abc import Mapping
from typing import Any

from starlette.datastructures import UploadFile
from starlette.requests import Request

from pbxcrm.forms.models import WebForm
from pbxcrm.forms.proof_rules import address_hash
from pbxcrm.forms.rules import Sent, origin_of
from pbxcrm.shared.errors import Invalid, NotAllowed
from web.forms import MAX_FIELD_BYTES, MAX_FIELDS, MAX_FILES, read_form
from web.untrusted import split_address

LONGEST_KEY = 200
PREFLIGHT_SECONDS = "600"
JSON_KIND = "application/json"


def cors_of(request: Request, form: WebForm) -> dict[str, str]:
    """The headers that let a page of another site read the answer; none for an origin that the form does not list.

    Raises NotAllowed for such an origin.
    """
    origin = request.headers.get("origin")
    if origin is None:
        return {"vary": "Origin"}
    known = origin_of(origin)
    if known is not None and known in form.origins:
        return {"vary": "Origin", "access-control-allow-origin": origin}
    split = split_address(origin)
    if split is not None and split.netloc.lower() == request.headers.get("host", "").lower() != "":
        return {"vary": "Origin"}
    raise NotAllowed(
        "forms.origin_refused",
        "This form does not take requests from this site. Its settings list the sites that it serves.",
    )


def preflight_headers(request: Request, form: WebForm) -> dict[str, str]:
    """The answer of a preflight (Fetch Standard, 3.2): what a listed site may send. Raises NotAllowed."""
    return cors_of(request, form) | {
        "access-control-allow-methods": "GET, POST",
        "access-control-allow-headers": "content-type, idempotency-key",
        "access-control-max-age": PREFLIGHT_SECONDS,
    }


def sender_of(request: Request, form: WebForm) -> str:
    """A hash of the address from which the request came; behind a proxy of ours, of whoever asked the proxy."""
    return address_hash(form.secret, request.client.host if request.client else "")


def wants_json(request: Request) -> bool:
    """Whether a script asks, not a browser that shows the answer as a page."""
    kinds = request.headers.get("accept", ""), request.headers.get("content-type", "")
    return any(JSON_KIND in kind for kind in kinds)


async def read_sent(request: Request) -> Sent:
    """What was sent, and the sender's key. Raises Invalid for a body that is no JSON object and no form."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == JSON_KIND:
        texts = _of_json(await request.body())
    else:
        texts = {
            _clean(name): [_clean(text) for text in values] for name, values in (await read_form(request)).lists.items()
        }
    for name, value in request.query_params.items():
        if name.startswith("utm_"):
            texts.setdefault(name, [_clean(value)])
    key = request.headers.get("idempotency-key", "") or (texts.get("key") or [""])[0]
    first = {name: values[0] for name, values in texts.items() if values}
    return Sent(
        texts,
        _clean(key).strip()[:LONGEST_KEY],
        page=first.get("page", ""),
        referrer=first.get("referrer", ""),
    )


async def sent_files(request: Request, names: frozenset[str]) -> dict[str, list[UploadFile]]:
    """The files of these fields. The parser has put large ones on the disk."""
    data = await request.form(max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_FIELD_BYTES)
    found: dict[str, list[UploadFile]] = {}
    for name in names:
        files = [value for value in data.getlist(name) if isinstance(value, UploadFile)]
        kept = [file for file in files if file.filename or file.size]
        if kept:
            found[name] = kept
    return found


def _of_json(body: bytes) -> dict[str, list[str]]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, Mapping):
        raise Invalid("", "forms.json", "Send a JSON object, or a form.")
    if len(found) > MAX_FIELDS:
        raise Invalid("", "forms.too_much", "Send at most {most} fields.", most=MAX_FIELDS)
    return {_clean(str(name)): _texts(value) for name, value in found.items()}


def _texts(value: Any) -> list[str]:
    values = value if isinstance(value, list) else [value]
    return [_text(one) for one in values[:MAX_FIELDS] if one is not None and one is not False]


def _text(value: Any) -> str:
    if value is True:
        return "1"
    return _clean(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def _clean(text: str) -> str:
    """Without NUL and halves of letters, which no database stores."""
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
