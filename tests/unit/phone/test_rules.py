"""Whom not to call, from which phone, and whether the PBX is there."""

from datetime import UTC, datetime, timedelta

import pytest

from pbxcrm.pbx.models import PbxStatus
from pbxcrm.phone.rules import check_number, check_pbx, choose_extension, choose_pbx
from pbxcrm.shared.errors import Invalid, Unavailable

NOW = datetime(2026, 11, 18, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "dialled"),
    [
        ("067 111 22 33", "+380671112233"),
        ("+380671112233", "+380671112233"),
        ("101", "101"),
        ("0 800 300 130", "+380800300130"),
    ],
)
def test_numbers_are_dialled_in_one_spelling(typed: str, dialled: str) -> None:
    assert check_number(typed, "UA") == dialled


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        "anonymous",
        "sip:root@evil",
        "1\r\nAction: Command",
        "101,s,1",
        "${SHELL(id)}",
        "1 & 2",
        "٠٦٧;1",
        "x" * 500,
        "1" * 40,
    ],
)
def test_what_no_telephone_can_dial_is_refused(hostile: str) -> None:
    with pytest.raises(Invalid) as error:
        check_number(hostile, "UA")
    assert error.value.field == "number"


@pytest.mark.parametrize(
    "typed",
    ["0671112233 0501234567", "0671112233/0501234567", "0671112233; 0501234567", "0671112233 або 0501234567",
     "+380671112233 +380501234567", "0671112233 101", "101/102"],
)  # fmt: skip
def test_two_numbers_are_not_dialled_as_one(typed: str) -> None:
    with pytest.raises(Invalid, match="more than one number"):
        check_number(typed, "UA")


@pytest.mark.parametrize(
    "typed", ["067111223305012345670", "06711122330501234567", "+1234567890123456", "*31*" + "1" * 20]
)
def test_more_digits_than_a_number_has_are_not_dialled(typed: str) -> None:
    with pytest.raises(Invalid, match="at most 15 digits"):
        check_number(typed, "UA")


@pytest.mark.parametrize("typed", ["9810123456789012345", "*31*0671112233", "1234567890#0671112233"])
def test_a_prefix_may_stand_before_a_number(typed: str) -> None:
    assert check_number(typed, "UA") in {typed, "+380671112233"}


@pytest.mark.parametrize(
    ("typed", "dialled"),
    [("044/555 12 34", "+380445551234"), ("0671112233 доб. 12", "+380671112233"), ("*21#", "*21#")],
)
def test_one_number_with_more_around_it_is_dialled(typed: str, dialled: str) -> None:
    assert check_number(typed, "UA") == dialled


def test_which_phone_rings_first() -> None:
    assert choose_extension(("101", "105"), "", None) == "101"
    assert choose_extension(("101", "105"), "", "105") == "105"
    assert choose_extension(("101", "105"), "105", "101") == "105"
    assert choose_extension(("101", "105"), "", "199") == "101"  # it was taken away meanwhile
    with pytest.raises(Invalid, match="not an extension of yours"):
        choose_extension(("101",), "102", None)
    with pytest.raises(Invalid, match="no extension"):
        choose_extension((), "", None)


def test_which_pbx() -> None:
    assert choose_pbx(["a", "b"], None) == "a"
    assert choose_pbx(["a", "b"], "b") == "b"
    assert choose_pbx(["a", "b"], "gone") == "a"
    with pytest.raises(Unavailable):
        choose_pbx([], None)


@pytest.mark.parametrize("state", ["starting", "connecting", "syncing", "refused", "unreachable", "silent", "standby"])
def test_a_pbx_that_is_away_is_said_at_once(state: str) -> None:
    with pytest.raises(Unavailable, match="nothing was dialled"):
        check_pbx(PbxStatus(pbx="a", state=state, lease_until=NOW + timedelta(seconds=9)), NOW)


def test_a_listener_that_died_is_noticed_by_its_lease() -> None:
    check_pbx(PbxStatus(pbx="a", state="listening", lease_until=NOW + timedelta(seconds=1)), NOW)
    long_ago = NOW - timedelta(seconds=11)
    for status in (
        None,
        PbxStatus(pbx="a", state="listening"),
        PbxStatus(pbx="a", state="listening", lease_until=long_ago),
    ):
        with pytest.raises(Unavailable, match="Nobody is listening"):
            check_pbx(status, NOW)
