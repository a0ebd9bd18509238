from datetime import UTC, datetime

import pytest

from pbxcrm.shared.errors import Invalid
from web.forms import Form, filled

pytestmark = pytest.mark.usefixtures("english")


def form(**values: str) -> Form:
    return Form(values=values)


@pytest.mark.parametrize(("typed", "value"), [("", None), (" 12 ", 12), ("-3", -3)])
def test_whole_numbers(typed: str, value: int | None) -> None:
    assert form(n=typed).number("n") == value


@pytest.mark.parametrize("typed", ["1.5", "abc", "²", "١٢", "9" * 30, "--1", "1e3"])
def test_what_is_no_whole_number_is_said_at_the_field(typed: str) -> None:
    with pytest.raises(Invalid) as error:
        form(n=typed).number("n")
    assert error.value.field == "n"


@pytest.mark.parametrize(("typed", "value"), [("", None), (" 7 ", 7), (str(2**63 - 1), 2**63 - 1)])
def test_ids(typed: str, value: int | None) -> None:
    assert form(deal=typed).id("deal") == value


@pytest.mark.parametrize("typed", ["0", "-1", str(2**63), "9" * 30, "x", "1.5", "²", "+1"])
def test_what_is_the_id_of_no_row(typed: str) -> None:
    with pytest.raises(Invalid):
        form(deal=typed).id("deal")


def test_a_moment_is_meant_in_the_readers_time_zone() -> None:
    assert form(at="2026-07-01T12:00").utc_time("at") == datetime(2026, 7, 1, 9, 0, tzinfo=UTC)
    assert form(at="").utc_time("at") is None
    with pytest.raises(Invalid):
        form(at="tomorrow").utc_time("at")


def test_an_error_stands_at_its_field_in_the_readers_words() -> None:
    wrong = form(login="x")
    wrong.refuse(Invalid("login", "people.login_taken", "The login “{login}” is taken.", login="x"))
    assert wrong.errors == {"login": "The login “x” is taken."}


def test_a_form_is_first_filled_with_what_is_stored() -> None:
    shown = filled({"name": "Olena", "team": None, "sound": True, "active": False, "extensions": [101, 102]})
    assert (shown["name"], shown["team"], shown.ticked("sound"), shown.ticked("active")) == ("Olena", "", True, False)
    assert shown.all("extensions") == ["101", "102"]
