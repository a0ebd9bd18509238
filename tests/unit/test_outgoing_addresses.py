"""Where requests may go, and how webhooks are signed."""

from datetime import UTC, datetime

import pytest

from pbxcrm.messages.webhook_rules import headers_of, is_for_good, is_taken, new_secret, signature
from pbxcrm.shared.networks import parse_networks
from pbxcrm.shared.outgoing import fault_of_address, is_permitted


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1",
        "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fe80::1%lo",
        "fc00::1", "fd12:3456::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:101::", "2001:db8::1", "no address",
    ],
)  # fmt: skip
def test_addresses_inside_are_refused(address: str) -> None:
    assert not is_permitted(address, ())


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"])
def test_public_addresses_are_permitted(address: str) -> None:
    assert is_permitted(address, ())


def test_the_settings_allow_networks_inside() -> None:
    allowed = parse_networks("10.0.0.0/8, ::1")
    assert is_permitted("10.1.2.3", allowed)
    assert is_permitted("::ffff:10.1.2.3", allowed)
    assert is_permitted("::1", allowed)
    assert not is_permitted("192.168.1.1", allowed)


@pytest.mark.parametrize(
    "address",
    ["", "shop.example", "ftp://shop.example", "file:///etc/passwd", "http://", "https://a:b@shop.example", "http://a b",
     "https://shop.example/#x", "https://магазин.example", "https://shop.example:99999", "https://shop.example:0",
     "https://" + "a" * 500, "http://[::1", "https://shop.example/\n"],
)  # fmt: skip
def test_an_address_that_cannot_be_called_is_refused_where_it_is_typed(address: str) -> None:
    assert fault_of_address(address)


def test_addresses_of_programs_may_be_typed() -> None:
    assert not fault_of_address("https://shop.example:8443/in?key=1")


def test_the_signature_is_that_of_standard_webhooks() -> None:
    # The example of the specification.
    made = signature(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", b'{"test": 2432232314}'
    )
    assert made == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_each_secret_signs_by_itself() -> None:
    now = datetime(2026, 11, 29, 10, tzinfo=UTC)
    first, second = (headers_of(new_secret(), "m.1", b"{}", now) for _ in range(2))
    assert first["webhook-signature"] != second["webhook-signature"]
    assert first["webhook-timestamp"] == str(int(now.timestamp()))
    assert first["webhook-id"] == first["Idempotency-Key"] == "m.1"


def test_which_answers_are_tried_again() -> None:
    assert [status for status in (200, 204, 299, 300, 404, 500) if is_taken(status)] == [200, 204, 299]
    assert [status for status in (400, 404, 408, 409, 410, 425, 429, 500, 503) if is_for_good(status)] == [
        400,
        404,
        410,
    ]
