"""Whatever text comes from outside is a value or nothing, never a traceback."""

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.csrf import is_ours
from web.untrusted import LARGEST, ascii_address, known_charset, local_path, query_of, split_address, whole_number

#: Text with what breaks parsers sprinkled in.
odd = st.lists(st.one_of(st.text(max_size=8), st.sampled_from(["http://", "[", "]", "//", "\\", "/", "?", "#", "@", ":", "％", "℀", "=", "&", "\x00", "\ud800"])), max_size=8).map("".join)  # fmt: skip


@given(odd)
def test_addresses(text: str) -> None:
    split_address(text)
    query_of(text)
    path = local_path(text)
    assert path.isascii()
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert not urlsplit(path).netloc
    assert ascii_address(text).isascii()
    assert is_ours("POST", {"origin": text, "host": "crm", "cookie": "x"}) in {True, False}


@given(st.one_of(odd, st.integers().map(str), st.text("0123456789", min_size=4000, max_size=6000)))
def test_numbers(text: str) -> None:
    found = whole_number(text)
    assert found is None or 0 <= found <= LARGEST


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0", 0),
        ("007", 7),
        (str(LARGEST), LARGEST),
        (str(LARGEST + 1), None),
        ("9" * 5000, None),
        ("²", None),
        ("١٢", None),
        ("-1", None),
        ("", None),
        ("1 ", None),
        ("1_000", None),
    ],
)
def test_what_is_a_number(text: str, number: int | None) -> None:
    assert whole_number(text) == number


@given(
    st.one_of(odd, st.sampled_from(["unicode_escape", "raw_unicode_escape", "punycode", "undefined", "idna", "hex"]))
)
def test_charsets(name: str) -> None:
    if known_charset(name):
        "Привіт".encode(name, "replace").decode(name)


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("utf-8", True),
        ("UTF8", True),
        ("windows-1251", True),
        ("koi8-u", True),
        ("unicode_escape", False),
        ("raw_unicode_escape", False),
        ("punycode", False),
        ("undefined", False),
        ("utf-7", False),
        ("x\x00y", False),
        ("привіт", False),
    ],
)
def test_which_charsets_people_write_in(name: str, known: bool) -> None:
    assert known_charset(name) is known


def test_a_path_beyond_ascii_keeps_its_meaning() -> None:
    assert local_path("/привіт?q=ї") == "/%D0%BF%D1%80%D0%B8%D0%B2%D1%96%D1%82?q=%D1%97"
    assert local_path("/people?x=1&y=%D1%97") == "/people?x=1&y=%D1%97"
