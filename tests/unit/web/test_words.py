"""What the business stores, as people read it."""

import pytest

from web.words import numbers_together


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+380 97 825 16 64", "+380~97~825~16~64"),
        ("Call +380 97 825 16 64 back by 12 00", "Call +380~97~825~16~64 back by 12 00"),
        ("Ask (044) 123 45 67", "Ask (044) 123 45 67".replace("044) 123 45 67", "044)~123~45~67")),
        ("Order 12 of 40 chairs", "Order 12 of 40 chairs"),
    ],
)
def test_a_number_within_a_text_is_never_broken(text: str, shown: str) -> None:
    assert numbers_together(text) == shown.replace("~", "\N{NO-BREAK SPACE}")
