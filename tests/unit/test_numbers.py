"""Numbers as PBXs say them, seen from Ukraine unless said otherwise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.shared.numbers import (
    dialable,
    format_for_people,
    format_line,
    is_beginning,
    national,
    normalise,
    number_called,
    read_numbers,
)


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
        ("+380671112", "UA", "+380671112"),  # cut short, and not the number 0380671112 of Khmelnytskyi
        ("+4860123456", "PL", "+4860123456"),
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


@pytest.mark.parametrize(
    ("number", "region", "is_one"),
    [
        ("+38067", "UA", True),
        ("+380", "UA", True),
        ("38067", "UA", True),
        ("380", "UA", False),  # an extension
        ("101", "UA", False),
        ("0800", "UA", False),
        ("15555", "US", False),  # a service number of five digits
        ("+380671112233", "UA", False),
        ("+380671112", "UA", False),
    ],
)
def test_the_beginning_of_a_number_is_told_from_a_short_number(number: str, region: str, is_one: bool) -> None:
    assert is_beginning(number, region) is is_one


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


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("0671112233", [("+380671112233", "", "")]),
        ("0671112233, 0501112233", [("+380671112233", "", ""), ("+380501112233", "", "")]),
        ("0671112233; 0501112233", [("+380671112233", "", ""), ("+380501112233", "", "")]),
        ("0671112233/0501112233", [("+380671112233", "", ""), ("+380501112233", "", "")]),
        ("0671112233 0501112233", [("+380671112233", "", ""), ("+380501112233", "", "")]),
        ("067 111 22 33 050 111 22 33", [("+380671112233", "", ""), ("+380501112233", "", "")]),
        ("0671112233 або 0501112233", [("+380671112233", "", ""), ("+380501112233", "", "")]),
        ("044 200 10 20, 101", [("+380442001020", "", ""), ("101", "", "")]),
        ("0671112233*12", [("+380671112233", "12", "")]),
        ("0671112233#12", [("+380671112233", "12", "")]),
        ("0671112233,12", [("+380671112233", "12", "")]),
        ("+380 67 111 22 33,,12", [("+380671112233", "12", "")]),
        ("0671112233x12", [("+380671112233", "12", "")]),
        ("0671112233 доб. 12", [("+380671112233", "12", "")]),
        ("0671112233 (доб.12)", [("+380671112233", "12", "")]),
        ("067-111-22-33 вн.5", [("+380671112233", "5", "")]),
        ("0671112233 дод. 12", [("+380671112233", "12", "")]),
        ("tel:+380-67-111-22-33;ext=12", [("+380671112233", "12", "")]),
        ("tel:%2B380671112233", [("+380671112233", "", "")]),
        ('"Олена" <0671112233>', [("+380671112233", "", "Олена")]),
        ("Олена Петренко 067 111-22-33", [("+380671112233", "", "Олена Петренко")]),
        ("0671112233 Олена", [("+380671112233", "", "Олена")]),
        ("Іван +380671112233, Петро 0501112233", [("+380671112233", "", "Іван"), ("+380501112233", "", "Петро")]),
        ("*31*0671112233", [("+380671112233", "", "")]),
        ("1234#380671112233", [("+380671112233", "", "")]),
        ("101", [("101", "", "")]),
        ("101*12", [("101*12", "", "")]),
        ("#211#", [("#211#", "", "")]),
        ("+", []),
        ("call me", []),
        ("user380671112233", []),
        ("", []),
    ],
)
def test_numbers_are_read_as_people_write_them(typed: str, read: list[tuple[str, str, str]]) -> None:
    assert [(one.number, one.extension, one.name) for one in read_numbers(typed, "UA")] == read


@pytest.mark.parametrize(
    "heard",
    [
        "0671112233*12",
        "0671112233#12",
        "0671112233 доб. 12",
        "+380671112233;ext=12",
        "1234#380671112233",
        "Олена 0671112233",
    ],
)
def test_a_caller_is_recognised_behind_extensions_accounts_and_names(heard: str) -> None:
    assert normalise(heard, "UA") == "+380671112233"


@pytest.mark.parametrize("heard", ["+", "++", "000000", "0000000000", "+000", "-", "()"])
def test_what_holds_no_digit_that_tells_is_no_number(heard: str) -> None:
    assert normalise(heard, "UA") is None


@pytest.mark.parametrize(
    ("heard", "region", "number"),
    [
        ("8 (916) 123-45-67", "RU", "+79161234567"),
        ("8 701 123 45 67", "KZ", "+77011234567"),
        ("8 029 123 45 67", "BY", "+375291234567"),
        ("80291234567", "BY", "+375291234567"),
        ("88880673330077", "UA", "88880673330077"),  # a carrier's prefix is no country +888
    ],
)
def test_national_prefixes(heard: str, region: str, number: str) -> None:
    assert normalise(heard, region) == number


@pytest.mark.parametrize(
    ("dialled", "sent", "called"),
    [
        (["0503330077"], "8888380503330077", "+380503330077"),
        (["0673330077"], "88880673330077", "+380673330077"),
        (["0503330077"], "1234#380503330077", "+380503330077"),
        (["0503330077"], "*31*0503330077", "+380503330077"),
        (["*31*0503330077"], "*31*0503330077", "+380503330077"),
        (["#31#0503330077"], "0503330077", "+380503330077"),
        (["+493012345670"], "010*493012345670", "+493012345670"),
        (["+380503330077"], "99380503330077", "+380503330077"),
        (["0503330077"], "0103800503330077", "+380503330077"),
        (["90503330077"], "0503330077", "+380503330077"),
        (["90503330077"], "380503330077", "+380503330077"),
        (["90503330077"], "8888380503330077", "+380503330077"),
        (["900493012345670"], "00493012345670", "+493012345670"),
        (["2345678"], "0442345678", "+380442345678"),  # the dialplan knows the town
        (["103"], "0503330103", "+380503330103"),  # a speed dial
        (["103"], "103", "103"),
        (["103"], "8888103", "103"),
        (["0503330077"], "0671112233", "+380671112233"),  # sent elsewhere
        ([], "8888380503330077", "+380503330077"),
        ([], "88880673330077", "+380673330077"),
        ([], "1234#380503330077", "+380503330077"),
        ([], "9w0503330077", "+380503330077"),
        (["0503330077"], None, "+380503330077"),
        ([], None, None),
        (["alice"], "alice", "alice"),
    ],
)
def test_the_number_that_was_called(dialled: list[str], sent: str | None, called: str | None) -> None:
    assert normalise(number_called(dialled, sent, "UA"), "UA") == called


def test_the_number_that_was_called_in_russia() -> None:
    for dialled, sent in (
        ("84951234567", "74951234567"),
        ("984951234567", "99874951234567"),
        ("84951234567", "88884951234567"),
    ):
        assert normalise(number_called([dialled], sent, "RU"), "RU") == "+74951234567"


MOBILE = st.builds(
    "{}{:07d}".format,
    st.sampled_from(["50", "63", "66", "67", "68", "93", "95", "97", "99"]),
    st.integers(0, 9_999_999),
)
PREFIX = st.from_regex(r"[1-9][0-9]{1,6}|[0-9]{2,4}[*#]|\*[0-9]{2}\*|#[0-9]{2}#", fullmatch=True)


@given(
    mobile=MOBILE,
    prefix=PREFIX,
    written=st.sampled_from(["0", "380", "+380", "90"]),
    sent=st.sampled_from(["0", "380", ""]),
)
def test_whatever_a_carrier_puts_before_it_the_dialled_number_is_the_client(
    mobile: str, prefix: str, written: str, sent: str
) -> None:
    assert normalise(number_called([written + mobile], prefix + sent + mobile, "UA"), "UA") == f"+380{mobile}"


@given(
    mobiles=st.lists(MOBILE, min_size=1, max_size=3, unique=True),
    between=st.sampled_from([", ", ";", "\n", " / ", "/", " ", " або "]),
    start=st.sampled_from(["0", "+380", "380"]),
)
def test_several_numbers_in_one_field_are_several(mobiles: list[str], between: str, start: str) -> None:
    typed = between.join(start + mobile for mobile in mobiles)
    assert [one.number for one in read_numbers(typed, "UA")] == [f"+380{mobile}" for mobile in mobiles]


@given(
    mobile=MOBILE,
    extension=st.from_regex(r"[0-9]{1,6}", fullmatch=True),
    word=st.sampled_from(["*", "#", " доб. ", " ext ", ",,", " вн.", ";ext=", "x"]),
)
def test_an_extension_is_kept_apart(mobile: str, extension: str, word: str) -> None:
    written = f"+380{mobile}{word}{extension}"
    assert [(one.number, one.extension) for one in read_numbers(written, "UA")] == [(f"+380{mobile}", extension)]
    assert normalise(written, "UA") == f"+380{mobile}"


@given(st.text(max_size=300), st.sampled_from(["UA", "RU", "KZ", "BY", "US", ""]))
def test_reading_foreign_text_never_fails(text: str, region: str) -> None:
    for one in read_numbers(text, region):
        assert one.number
    number_called([text, text[::-1]], text, region)
    normalise(text, region)
