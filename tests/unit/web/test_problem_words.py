"""What pydantic finds wrong, in words of ours."""

from typing import Annotated

import pytest
from pydantic import BaseModel, Field, ValidationError

from web.api.problems import wrong_body


class Measured(BaseModel):
    text: Annotated[str, Field(min_length=1, max_length=4)] = "x"
    code: Annotated[str, Field(min_length=2)] = "xx"
    attempts: Annotated[list[int], Field(min_length=1)] = [1]
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
    ],
)
def test_what_is_too_short_or_too_long_is_said_without_the_library_s_words(body: dict[str, object], said: str) -> None:
    with pytest.raises(ValidationError) as refused:
        Measured.model_validate(body)
    assert wrong_body(refused.value, []).detail == said
