"""Numbers as PBXs say them, seen from Ukraine unless said otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.shared.numbers import dialable, format_for_people, format_line, national, normalise


@pytest.mark.parametrize(
    "heard",
    [
        "+380671112233",
        "380671112233",
        "0671112233",
        "671112233",
        "80671112233",
        "00380671112233",
        "8-067-111-22-33",
        "+38 (067) 111-22-33",
        "067.111.22.33",
        "tel:+380671112233",
        "<sip:+380671112233@10.0.0.1;user=phone>",
        "\u202e+380671112233\u202c",
        "\u200f0671112233\n",
        "+0671112233",
        "٠٦٧١١١٢٢٣٣",
    ],
)
def test_one_client_has_one_spelling(heard: str) -> None:
    assert normalise(heard, "UA") == "+380671112233"
    assert normalise(heard, "ua") == "+380671112233"


@pytest.mark.parametrize("heard", ["101", "1001", "112", "15501", "*8", "*97", "#21#", "800123"])
def test_extensions_and_service_numbers_are_never_public_numbers(heard: str) -> None:
    assert normalise(heard, "UA") == heard


@pytest.mark.parametrize(
    "heard",
    [
        None,
        "",
        " ",
        "<unknown>",
        "unknown",
        "anonymous",
        "Anonymous",
        "UNAVAILABLE",
        "restricted",
        "Withheld",
        "private number",
        "anonymous@anonymous.invalid",
        "sip:anonymous@anonymous.invalid",
        "\x00",
        "\u202e",
    ],
)
def test_no_number_is_none(heard: str | None) -> None:
    assert normalise(heard, "UA") is None


@pytest.mark.parametrize(
    ("heard", "region", "number"),
    [
        ("48601234567", "UA", "+48601234567"),
        ("0048601234567", "UA", "+48601234567"),
        ("601234567", "PL", "+48601234567"),
        ("89161234567", "RU", "+79161234567"),
        ("810380671112233", "RU", "+380671112233"),
        ("2025550123", "US", "+12025550123"),
        ("011380671112233", "US", "+380671112233"),
        ("0800500500", "UA", "+380800500500"),
        ("2345678", "UA", "2345678"),
        ("99999999999999999999", "UA", "99999999999999999999"),
        ("office-sip", "UA", "office-sip"),
        ("ALICE", "UA", "ALICE"),
    ],
)
def test_numbers_of_elsewhere_and_no_numbers(heard: str, region: str, number: str) -> None:
    assert normalise(heard, region) == number


def test_people_read_numbers_in_groups() -> None:
    assert format_for_people("+380671112233") == "+380 67 111 22 33"
    assert format_for_people("+12025550123") == "+1 202-555-0123"
    assert format_for_people("101") == "101"
    assert national("+380671112233") == "067 111 22 33"
    assert national("anything <else>") == "anything <else>"


@pytest.mark.parametrize("number", ["101", "+380671112233", "*8101", "#31#0671112233", "0" * 32])
def test_what_may_be_dialled(number: str) -> None:
    assert dialable(number)


@pytest.mark.parametrize("number", ["", "0" * 33, "101\n", "101&PJSIP/trunk", "١٢٣", "a", "101,1", "10 1"])
def test_what_may_not_be_dialled(number: str) -> None:
    assert not dialable(number)


@given(st.text(), st.sampled_from(["UA", "US", "RU", "PL"]))
def test_hostile_text_is_harmless_and_settles_at_once(heard: str, region: str) -> None:
    first = normalise(heard, region)
    assert first is None or (0 < len(first) <= 64 and first.isprintable())
    assert normalise(first, region) == first


@pytest.mark.parametrize(
    ("dialled", "shown"),
    [
        ("380443330100", "+380 44 333 01 00"),
        ("+380443330100", "+380 44 333 01 00"),
        ("0443330100", "0443330100"),
        ("00000000000", "00000000000"),
        ("sales", "sales"),
        ("", ""),
    ],
)
def test_the_dialled_number_is_told_as_one_says_it(dialled: str, shown: str) -> None:
    assert format_line(dialled) == shown
