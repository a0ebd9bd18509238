"""Kinds of values in requests and answers, each with its limits, so that OpenAPI says them and the database never has to."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    WithJsonSchema,
)

from pbxcrm.calls.rendering import rfc3339
from pbxcrm.shared.columns import LARGEST_ID
from web.cursors import EARLIEST, LATEST

# RFC 3339, 5.6, without its freedoms (a blank for the T, leap seconds).
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class ApiRequest(BaseModel):
    """What somebody sends: nothing unknown, nothing guessed (``"1"`` is no number, ``true`` is no number)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ApiAnswer(BaseModel):
    """What we answer; every field is always there."""

    model_config = ConfigDict(serialize_by_alias=True)


def _from_digits(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch(r"\d{1,19}", value, re.ASCII) is None:
        raise ValueError("write a whole number")
    return int(value)


def _from_rfc3339(value: Any) -> Any:
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise ValueError("write a time as RFC 3339 says, for example 2026-11-21T09:00:00Z")
    return datetime.fromisoformat(value)


def _in_our_age(value: datetime) -> datetime:
    if not EARLIEST.timestamp() <= value.timestamp() < LATEST.timestamp():
        raise ValueError("the year must lie between 1970 and 2199")
    return value.astimezone(UTC)


Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
Version = Annotated[int, Field(ge=1, le=2**31 - 1)]
IdText = Annotated[Id, BeforeValidator(_from_digits)]
"""An id in a query string."""
CountText = Annotated[int, Field(ge=-(2**31), le=2**31 - 1), BeforeValidator(_from_digits)]
"""A whole number in a query string."""
Limit = Annotated[int, Field(ge=1, le=200), BeforeValidator(_from_digits)]
When = Annotated[AwareDatetime, BeforeValidator(_from_rfc3339), AfterValidator(_in_our_age)]
"""A time somebody sends."""

NO_NUL = r"^[^\u0000]*$"  # PostgreSQL keeps no NUL in a text
SOMETHING = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"  # not only blanks

Word = Annotated[str, Field(min_length=1, max_length=100, pattern=NO_NUL)]
"""Something to look for."""
Title = Annotated[str, Field(min_length=1, max_length=200, pattern=SOMETHING)]
Paragraph = Annotated[str, Field(max_length=4000, pattern=NO_NUL)]
Login = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
Number = Annotated[str, Field(min_length=1, max_length=64, pattern=NO_NUL)]
AmountText = Annotated[str, Field(pattern=r"^[0-9]{1,13}(\.[0-9]{1,2})?$", examples=["12400.50"])]
"""Money as a decimal string; the currency stands beside it."""

Moment = Annotated[
    datetime,
    PlainSerializer(rfc3339, return_type=str),
    WithJsonSchema({"type": "string", "format": "date-time"}, mode="serialization"),
]
"""A time we answer: RFC 3339, UTC."""
Amount = Annotated[
    Decimal,
    PlainSerializer(lambda amount: format(amount, ".2f"), return_type=str),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]+\.[0-9]{2}$"}, mode="serialization"),
]


class ListQuery(ApiRequest):
    """What every list understands."""

    limit: Limit = Field(50, description="How many at most.")
    cursor: str | None = Field(None, max_length=200, description="The `next` of the page before.")
