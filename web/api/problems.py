"""Errors for programs: ``application/problem+json`` (RFC 9457), in English, with a stable ``code``."""

import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from pydantic import ConfigDict, Field, ValidationError
from starlette.responses import JSONResponse, Response

from pbxcrm.shared.errors import Incomplete, Missing, PbxcrmError, TooManyAttempts
from web.api.fields import PATTERNS, SOMETHING, ApiAnswer

MEDIA_TYPE = "application/problem+json"
_NUMBER, _WHOLE, _DATE = "write a number", "write a whole number", "write a date, for example 2026-11-21"
#: What is wrong, by pydantic's kind of error. Kinds that say more are in ``_said``.
_WORDS = {
    "missing": "it must be given",
    "string_type": "write a text",
    "string_too_long": "at most {max_length} characters",
    "bool_type": "write true or false",
    "bool_parsing": "write true or false",
    "int_type": _WHOLE,
    "int_from_float": _WHOLE,
    "int_parsing": _WHOLE,
    "int_parsing_size": _WHOLE,
    "float_type": _NUMBER,
    "float_parsing": _NUMBER,
    "decimal_type": _NUMBER,
    "decimal_parsing": _NUMBER,
    "finite_number": _NUMBER,
    "greater_than_equal": "at least {ge}",
    "less_than_equal": "at most {le}",
    "less_than": "less than {lt}",
    "date_type": _DATE,
    "date_from_datetime_parsing": _DATE,
    "date_from_datetime_inexact": _DATE,
    "list_type": "write a list",
    "dict_type": "write an object",
    "model_type": "write an object",
}
_ALTERNATIVE = re.compile(r"(function-\w+|list|union)\[.*|constrained-\w+|\[key\]|[A-Z]\w*In")


class MissingThing(ApiAnswer):
    """A value that the action needs and that is missing."""

    kind: str = Field(description="`field`, `file`, `lost_reason`, `next_task` or `call`.")
    key: str = Field(description="Which one of its kind, for example the key of the field.")
    message: str


class Problem(ApiAnswer):
    """An error as defined by RFC 9457, with our stable ``code`` and the ``field`` that is wrong."""

    model_config = ConfigDict(json_schema_extra={"description": "What went wrong (RFC 9457)."})

    type: str
    title: str
    status: int
    detail: str
    code: str = Field(description="Stable; programs may rely on it.")
    field: str | None = Field(description="The parameter or field that is wrong, if it is a single one.")
    missing: list[MissingThing] = Field(
        default_factory=list, description="Everything that is missing and can be sent; empty for other errors."
    )


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    field: str | None = None,
    headers: Mapping[str, str] | None = None,
    missing: Sequence[Missing] = (),
) -> Response:
    """The answer ``application/problem+json`` for an error."""
    body: dict[str, object] = {
        "type": "about:blank",  # then the title is the phrase of the status (RFC 9457, 4.2.1)
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "field": field,
    }
    if missing:
        body["missing"] = [{"kind": each.kind, "key": each.key, "message": each.message} for each in missing]
    return JSONResponse(body, status, dict(headers or {}), media_type=MEDIA_TYPE)


def problem_of(error: PbxcrmError, fields: frozenset[str] = frozenset()) -> Response:
    """The answer for an error of the business. ``fields``: names in the request; ``company_id`` becomes ``company`` if that is one."""
    field: str | None = getattr(error, "field", None)  # of an Invalid, and of a conflict about one field
    if field is not None and field not in fields and field.removesuffix("_id") in fields:
        field = field.removesuffix("_id")
    headers = {}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = 'Bearer realm="pbxcrm"'
    if isinstance(error, TooManyAttempts):
        headers["Retry-After"] = str(error.retry_after)
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = "5"
    missing = error.missing if isinstance(error, Incomplete) else ()
    detail = " ".join(each.message for each in missing) or str(error)
    if known := getattr(error, "known", ()):  # of an Invalid
        detail += f" There is: {', '.join(known)}."
    return problem(error.status, error.code, detail, field=field, headers=headers, missing=missing)


class Wrong(PbxcrmError):
    """A malformed request; ``field`` names the wrong part."""

    status = 422

    def __init__(self, code: str, detail: str, field: str | None = None) -> None:
        super().__init__(code, detail.replace("{", "{{").replace("}", "}}"))
        self.detail = detail
        self.field = field


def wrong_query(error: ValidationError, known: list[str]) -> Wrong:
    """The wrong parameter of the query string, from the first error of pydantic."""
    first = error.errors(include_url=False)[0]
    name = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "extra_forbidden":
        return Wrong("api.unknown_filter", f"There is no “{name[:60]}” here. There is: {', '.join(known)}.", name[:60])
    return Wrong("api.value", f"{name}: {_said(first)}.", name)


def wrong_body(error: ValidationError, known: list[str]) -> Wrong:
    """The wrong field of the body, from the first error of pydantic."""
    first = error.errors(include_url=False)[0]
    name = _name(first["loc"])
    if first["type"] == "json_invalid":
        return Wrong("api.json", f"The body is not JSON: {first['ctx']['error']}.")
    if first["type"] == "extra_forbidden":
        return Wrong("api.unknown_field", f"There is no “{name[:60]}” here. There is: {', '.join(known)}.", name[:60])
    return Wrong("api.value", f"{name or 'The body'}: {_said(first)}.", name or None)


def _name(loc: Sequence[int | str]) -> str:
    """Where it is wrong, without the names that pydantic gives to the alternatives of a value."""
    return ".".join(str(part) for part in loc if isinstance(part, int) or not _ALTERNATIVE.fullmatch(part))


def _said(first: Mapping[str, Any]) -> str:
    """What is wrong, in our words: without regular expressions, and without pydantic's own words around ours."""
    kind, about = first["type"], first.get("ctx", {})
    match kind:
        case "string_pattern_mismatch":
            return PATTERNS.get(about["pattern"], "it has letters or signs that may not stand here")
        case "string_too_short":
            return PATTERNS[SOMETHING] if about["min_length"] == 1 else f"at least {about['min_length']} characters"
        case "too_short":
            if about["min_length"] == 1:
                return "at least one item"
            return f"at least {about['min_length']} items, not {about['actual_length']}"
        case "too_long":
            more = (
                f", not {about['actual_length']}" if about["actual_length"] is not None else ""
            )  # of an object nobody counts
            return f"at most {about['max_length']} items{more}"
        case "enum" | "literal_error":
            return f"write one of: {about['expected'].replace(' or ', ', ').replace(chr(39), '')}"
        case "value_error":
            return str(first["msg"]).removeprefix("Value error, ")
    return _WORDS[kind].format(**about) if kind in _WORDS else str(first["msg"])
