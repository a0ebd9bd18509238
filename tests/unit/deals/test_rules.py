"""What may stand in a deal's title and amount, and which stages owe a next task."""

from decimal import Decimal

import pytest

from pbxcrm.access import Role, Viewer
from pbxcrm.deals.models import Stage, StageKind
from pbxcrm.deals.rules import (
    MAX_AMOUNT,
    check_amount,
    check_may_take_back_responsible,
    check_title,
    is_closing,
    owes_next_task,
)
from pbxcrm.shared.errors import Conflict, Invalid


@pytest.mark.parametrize(
    ("typed", "amount"),
    [
        ("12 400,50", "12400.50"),
        ("12\u00a0400.5", "12400.50"),
        ("0", "0.00"),
        ("10000000000000", "10000000000000.00"),
        ("0.005", "0.00"),
        (Decimal(7), "7.00"),
    ],
)
def test_amounts_as_people_type_them(typed: str | Decimal, amount: str) -> None:
    assert str(check_amount(typed)) == amount


@pytest.mark.parametrize("typed", [None, "", "  ", "\u00a0"])
def test_no_amount(typed: str | None) -> None:
    assert check_amount(typed) is None


@pytest.mark.parametrize(
    "typed", ["-1", "NaN", "Infinity", "1e400", "12.4.5", "ten", str(MAX_AMOUNT + 1), Decimal("-0.01"), Decimal("NaN")]
)
def test_what_is_no_amount_is_said_at_the_field(typed: str | Decimal) -> None:
    with pytest.raises(Invalid) as caught:
        check_amount(typed)
    assert caught.value.field == "amount"


def test_a_title_is_one_line_of_up_to_200_letters() -> None:
    assert check_title("  Oak\n desk ") == "Oak desk"
    assert check_title("д" * 200) == "д" * 200
    for wrong in ("", " \n", "д" * 201):
        with pytest.raises(Invalid) as caught:
            check_title(wrong)
        assert caught.value.field == "title"


@pytest.mark.parametrize(
    ("kind", "closes", "owes"),
    [
        (StageKind.UNSORTED, False, False),
        (StageKind.DIDNT_REACH, False, False),
        (StageKind.OPEN, False, True),
        (StageKind.WON, True, False),
        (StageKind.LOST, True, False),
    ],
)
def test_stages(kind: StageKind, closes: bool, owes: bool) -> None:
    stage = Stage(pipeline_id=1, name="x", kind=kind.value, position=0)
    assert (is_closing(stage), owes_next_task(stage)) == (closes, owes)


def test_a_deal_is_taken_back_by_its_giver_and_never_from_all() -> None:
    giver = Viewer(1, "olena", "Olena", Role.SELLER, None)
    check_may_take_back_responsible(giver, 1, 2, is_still_so=True)
    for given_by, given_from, is_still_so in ((1, None, True), (2, 2, True), (None, 2, True), (1, 2, False)):
        with pytest.raises(Conflict):
            check_may_take_back_responsible(giver, given_by, given_from, is_still_so=is_still_so)
