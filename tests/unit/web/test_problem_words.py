"""What pydantic finds wrong, in words of ours."""

import json
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, ValidationError

from web.api import problems, table
from web.api.fields import PATTERNS, ApiRequest
from web.api.problems import wrong_body


class Measured(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=4)] = "x"
    code: Annotated[str, Field(min_length=2)] = "xx"
    attempts: Annotated[list[int], Field(min_length=1)] = [1]
    named: Annotated[dict[str, int], Field(max_length=1)] = {}
    pair: Annotated[list[int], Field(min_length=2, max_length=2)] = [1, 2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"text": ""}, "text: write something, not only blanks."),
        ({"text": "too long"}, "text: at most 4 characters."),
        ({"code": "x"}, "code: at least 2 characters."),
        ({"attempts": []}, "attempts: at least one item."),
        ({"pair": [1]}, "pair: at least 2 items, not 1."),
        ({"pair": [1, 2, 3]}, "pair: at most 2 items, not 3."),
        ({"named": {"a": 1, "b": 2}}, "named: at most 1 items."),
    ],
)
def test_what_is_too_short_or_too_long_is_said_without_the_library_s_words(body: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Measured.model_validate(body)
    assert wrong_body(refused.value, []).detail == said


#: What somebody may send in the place of any value, as JSON.
SENT = (
    "null", "true", "[]", "[null]", "{}", "[{}]", '{"x": 1}', '{"": "\\u0000"}', "0", "-1", "1.5", "NaN", "1e308", str(10**12), str(10**30),
    '""', '"x"', '"  "', '"\\u0000"', '"-1"', '"12400.505"', '"2026-01-01"', '"2026-01-01T00:00:00"', '"2026-01-01T09:00:00Z"', '"2026-13-01T00:00:00Z"', '"nan"',
    json.dumps("x" * 5_000), '["a\\nb"]', json.dumps(["x"] * 40), json.dumps({str(n): "x" for n in range(40)}),
)  # fmt: skip


def requests(kind: type[ApiRequest] = ApiRequest) -> Iterator[type[ApiRequest]]:
    for each in kind.__subclasses__():
        yield each
        yield from requests(each)


def refused(check: Callable[[Any], object], given: object) -> list[Any]:
    try:
        check(given)
    except ValidationError as error:
        return error.errors(include_url=False)
    return []


def test_every_kind_of_error_that_a_request_may_meet_is_said_in_our_words() -> None:
    assert table.RESOURCES  # all models are there
    errors: list[Any] = []
    for model in requests():
        names = [field.alias or name for name, field in model.model_fields.items()]
        for sent in SENT:
            errors += refused(model.model_validate_json, "{" + ", ".join(f'"{name}": {sent}' for name in names) + "}")
            if sent.startswith('"'):
                errors += refused(model.model_validate_strings, dict.fromkeys(names, json.loads(sent)))
        errors += refused(model.model_validate_json, "{}") + refused(model.model_validate_json, "[]")
    errors = [each for each in errors if each["type"] not in {"extra_forbidden", "json_invalid"}]  # said elsewhere
    by_kind = {each["type"]: each for each in errors}
    assert {kind: each["msg"] for kind, each in by_kind.items() if problems._said(each) == each["msg"]} == {}
    assert not {problems._said(each) for each in errors if each["type"] == "value_error"} - {
        "write a time as RFC 3339 says, for example 2026-11-21T09:00:00Z",
        "there is no such day or time",
        "the year must lie between 1970 and 2199",
        "write a whole number",
    }
    assert problems._WORDS.keys() <= by_kind.keys()  # no words for what cannot happen
    assert {each["ctx"]["pattern"] for each in errors if "pattern" in each.get("ctx", {})} == PATTERNS.keys()
    places = {problems._name(each["loc"]) for each in errors}
    assert not [name for name in places if "[" in name or "-" in name or "In" in name]
    assert {"emails.0", "from"} <= places


def test_what_may_be_chosen_is_listed() -> None:
    chosen = next(model for model in requests() if model.__name__ == "CallbackResult")
    (error,) = [
        each for each in refused(chosen.model_validate_json, '{"result": "called"}') if each["type"] != "missing"
    ]
    assert problems._said(error) == "write one of: reached, didnt_reach, wrong_number, not_interested, spam, no_number"
