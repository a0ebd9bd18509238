"""Under which names we answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.shared.settings import Settings
from web.hosts import host_name, rule_of

PLAIN = Settings()
LISTED = Settings(allowed_hosts="crm.firm.ua, *.office.firm.ua")
PROXIED = Settings(trusted_proxies=("127.0.0.1",))


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("127.0.0.1:8080", True),
        ("192.168.1.5", True),
        ("[::1]:8080", True),
        ("[fe80::1]", True),
        ("localhost:8080", True),
        ("crm", True),
        ("crm.lan", True),
        ("CRM.local.", True),
        ("crm.home.arpa:80", True),
        ("evil.example.org", False),
        ("127.0.0.1.evil.org", False),
        ("crm.lan.evil.org", False),
        ("", False),
        ("a b", False),
        ("[::1", False),
        ("[evil.org]", False),
        ("localhost:port", False),
        ("user@127.0.0.1", False),
        ("127.0.0.1/x", False),
        ("a" * 300, False),
    ],
)
def test_an_office_needs_no_setting_and_a_stranger_gets_no_answer(host: str, ours: bool) -> None:
    assert rule_of(PLAIN)(host) is ours


@pytest.mark.parametrize(
    ("host", "ours"),
    [
        ("crm.firm.ua", True),
        ("crm.firm.ua:443", True),
        ("a.office.firm.ua", True),
        ("office.firm.ua", False),
        ("firm.ua", False),
        ("127.0.0.1", True),
    ],
)
def test_names_of_ones_own_are_listed(host: str, ours: bool) -> None:
    assert rule_of(LISTED)(host) is ours


def test_behind_a_proxy_it_decides_until_a_list_does() -> None:
    assert rule_of(PROXIED)("anything.firm.ua")
    assert not rule_of(PROXIED)("a b")
    assert not rule_of(PROXIED.model_copy(update={"allowed_hosts": "crm.firm.ua"}))("anything.firm.ua")
    assert rule_of(PLAIN.model_copy(update={"allowed_hosts": "*"}))("anything.firm.ua")


@given(st.text(max_size=60))
def test_any_text_is_a_name_or_not(text: str) -> None:
    assert host_name(text) is None or host_name(text) == host_name(text.upper()) or not text.isascii()
