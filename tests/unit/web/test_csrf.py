import pytest

from pbxcrm.shared.errors import NotAllowed
from web.csrf import check, is_ours

HOST = {"host": "crm.example:8080", "cookie": "pbxcrm_session=x"}


@pytest.mark.parametrize(
    ("headers", "ours"),
    [
        ({"sec-fetch-site": "same-origin"}, True),
        ({"sec-fetch-site": "none"}, True),
        ({"sec-fetch-site": "same-site"}, False),
        ({"sec-fetch-site": "cross-site", "origin": "http://crm.example:8080"}, False),
        ({"origin": "http://crm.example:8080"}, True),
        ({"origin": "http://CRM.example:8080"}, True),
        ({"origin": "http://crm.example"}, False),
        ({"origin": "http://crm.example:8080.evil.example"}, False),
        ({"origin": "null"}, False),
        ({"origin": "garbage"}, False),
        ({}, False),
    ],
)
def test_a_change_must_come_from_our_own_pages(headers: dict[str, str], ours: bool) -> None:
    assert is_ours("POST", {**HOST, **headers}) is ours


def test_reading_is_free() -> None:
    assert is_ours("GET", {**HOST, "sec-fetch-site": "cross-site"})


def test_a_program_without_a_cookie_passes_because_it_has_no_power() -> None:
    assert is_ours("POST", {"host": "crm.example"})


def test_no_host_is_nobodys_own() -> None:
    assert not is_ours("POST", {"origin": "null", "host": "", "cookie": "x=y"})


def test_check_says_why() -> None:
    with pytest.raises(NotAllowed, match="another site"):
        check("DELETE", {**HOST, "sec-fetch-site": "cross-site"})
