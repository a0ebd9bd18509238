"""How names are folded and what of a text is looked for in numbers."""

import pytest

from pbxcrm.finding import FOLDED_MAX, digits_of, folded


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("Олена Григоренко", "ОЛЕНА  григоренко"),
        ("Виробництво «Об\u2019єднання»", "об'єднання"),
        ("Дар\u02bcя", "дар`я"),
        ("Королёв", "королев"),
        ("Straße 5", "STRASSE"),
        ("Cafe\u0301", "café"),
        ("\uff21\uff22\uff23 Ltd", "abc ltd"),
    ],
)
def test_what_people_type_is_a_part_of_what_is_written(written: str, asked: str) -> None:
    assert folded(asked) in folded(written)


def test_a_folded_name_fits_an_index_whatever_it_is() -> None:
    assert len(folded("\ufdfa" * 200)) <= FOLDED_MAX
    assert folded(" \t\n") == ""


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("+38 (067) 111-22-33", "380671112233"),
        ("067 111 22 33", "671112233"),
        ("0038067 111 22 33", "380671112233"),
        ("067", "067"),
        ("0777", "0777"),
        ("12", ""),
        ("000000000", ""),
        ("Taxi 777", ""),
        ("100%", ""),
        ("\u202a+380\u00a067 111\u201022\u201033\u202c", "380671112233"),
        ("٠٦٧١", "0671"),
        ("", ""),
    ],
)
def test_digits_of_a_number_as_it_is_kept(text: str, digits: str) -> None:
    assert digits_of(text) == digits
