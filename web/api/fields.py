"""Types of values in requests and answers. Each has its limits, so OpenAPI states them and the database need not check."""

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

from pbxcrm.calls.call_json import rfc3339
from pbxcrm.people.models import User
from pbxcrm.shared.columns import LARGEST_ID
from pbxcrm.shared.lengths import LONGEST_SEARCH, longest
from pbxcrm.shared.numbers import LONGEST_NUMBER
from pbxcrm.shared.typed_reasons import LONGEST_WHY
from web.cursors import EARLIEST, LATEST, LONGEST_CURSOR

# RFC 3339, 5.6, without its options (a blank for the T, leap seconds).
_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)", re.ASCII)


class ApiRequest(BaseModel):
    """A request. Unknown fields are refused and types are strict (neither ``"1"`` nor ``true`` is a number)."""

    model_config = ConfigDict(extra="forbid", strict=True)


class ApiAnswer(BaseModel):
    """An answer. Every field is always present."""

    model_config = ConfigDict(serialize_by_alias=True)


def _from_digits(value: Any) -> Any:
    if not isinstance(value, str) or re.fullmatch(r"\d{1,19}", value, re.ASCII) is None:
        raise ValueError("write a whole number")
    return int(value)


def _from_rfc3339(value: Any) -> Any:
    if not isinstance(value, str) or _RFC3339.fullmatch(value) is None:
        raise ValueError("write a time as RFC 3339 says, for example 2026-11-21T09:00:00Z")
    try:
        return datetime.fromisoformat(value)
    except ValueError:  # Python's words would be told
        raise ValueError("there is no such day or time") from None


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

NO_NUL = r"^[^\u0000]*$"  # PostgreSQL cannot store NUL in a text
SOMETHING = r"^[^\u0000]*[^\s\u0000][^\u0000]*$"  # not only blanks
ONE_LINE = r"^[^\u0000\n]+$"
MONEY = r"^[0-9]{1,13}(\.[0-9]{1,2})?$"
PRICE = r"^[0-9]{1,11}(\.[0-9]{1,2})?$"
PERCENT = r"^[0-9]{1,3}(\.[0-9]{1,2})?$"
QUANTITY = r"^[0-9]{1,9}(\.[0-9]{1,6})?$"
CURRENCY = r"^[A-Z]{3}$"
COUNTRY = r"^[A-Z]{2}$"
KEY = r"^([a-z][a-z0-9_]*)?$"
#: What a text must be like, in words, by its pattern.
PATTERNS = {
    NO_NUL: "it may not have the character NUL",
    SOMETHING: "write something, not only blanks",
    ONE_LINE: "write one line",
    MONEY: "write an amount in digits as a text, for example “12400.50”",
    PRICE: "write a price in digits as a text, for example “245.50”",
    PERCENT: "write a percentage in digits as a text, for example “20”",
    QUANTITY: "write a quantity in digits as a text, for example “2.5”",
    CURRENCY: "write a currency as three capital letters, for example UAH",
    COUNTRY: "write a country as two capital letters, for example UA",
    KEY: "write small Latin letters, digits and _, a letter first",
}


def needed_text(column: str | None) -> Any:  # as ``Field`` of pydantic does
    """Limits for a text that must be given and goes into ``column``; pydantic adds them by ``Annotated``."""
    return Field(min_length=1, max_length=longest(column), pattern=SOMETHING)


def optional_text(column: str | None) -> Any:
    """Limits for a text that may be empty and goes into ``column``."""
    return Field(max_length=longest(column), pattern=NO_NUL)


Word = Annotated[str, Field(min_length=1, max_length=LONGEST_SEARCH, pattern=NO_NUL)]
"""Something to look for."""
Login = Annotated[str, Field(min_length=1, max_length=longest(User.login), pattern=NO_NUL)]
Number = Annotated[str, Field(min_length=1, max_length=LONGEST_NUMBER, pattern=NO_NUL)]
Why = Annotated[str, Field(min_length=1, max_length=LONGEST_WHY, pattern=SOMETHING)]
"""The reason that somebody writes."""
OptionalWhy = Annotated[str, Field(max_length=LONGEST_WHY, pattern=NO_NUL)]
AmountText = Annotated[str, Field(pattern=MONEY, examples=["12400.50"])]
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


class ShortListQuery(ApiRequest):
    """The parameters of a list that is short enough to be answered whole."""

    limit: Limit | None = Field(None, description="The maximum number of items; without it all.")
    cursor: str | None = Field(None, max_length=LONGEST_CURSOR, description="`next` of the previous page.")


class ListQuery(ApiRequest):
    """The parameters of every list."""

    limit: Limit = Field(50, description="The maximum number of items.")
    cursor: str | None = Field(None, max_length=LONGEST_CURSOR, description="`next` of the previous page.")
