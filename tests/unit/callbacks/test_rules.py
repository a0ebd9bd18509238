"""Pure decisions about callbacks: what is urgent, when to try again, who is at it."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.callbacks.rules import (
    is_claimed,
    next_attempt,
    queue_place,
    reason_of_miss,
    retry_title,
    urgency,
    wait_tone,
)
from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.typed_reasons import check_why

KYIV = ZoneInfo("Europe/Kyiv")
OFFICE = WorkingTime(KYIV, (((9 * 60, 18 * 60),),) * 5 + ((), ()))
RETRY = (10, 120)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=KYIV).astimezone(UTC)


NOW = at("2026-11-18 14:00")  # a Wednesday


def order(*callbacks: tuple[str, float, int, str | None, datetime | None]) -> list[str]:
    places = {
        name: queue_place(NOW, planned, urgency(waited, missed, Decimal(worth) if worth else None), number)
        for number, (name, waited, missed, worth, planned) in enumerate(callbacks)
    }
    return sorted(places, key=places.__getitem__)


@pytest.mark.parametrize(
    ("code", "rang", "said"),
    [
        ("abandoned_ringing", ["Ivan (101)"], "The caller hung up while Ivan (101) rang."),
        ("abandoned_ringing", [], "The caller hung up before a phone rang."),
        ("abandoned_in_queue", ["Ivan (101)"], "The caller hung up in queue sales; Ivan (101) rang."),
        ("abandoned_in_queue", [], "The caller hung up in queue sales; no phone rang."),
        ("timeout", ["Ivan (101)"], "Ivan (101) rang and nobody answered in time."),
        ("timeout", [], "No phone rang, and the call was not answered in time."),
        ("busy", [], "Every phone was busy."),
        (None, [], "Nobody answered."),
    ],
)
def test_a_missed_call_names_who_rang_only_where_somebody_did(code: str | None, rang: list[str], said: str) -> None:
    assert reasons.text(reason_of_miss(code, rang, "sales").stored()) == said


def test_who_waited_longest_comes_first() -> None:
    assert order(("short", 5, 1, None, None), ("long", 30, 1, None, None)) == ["long", "short"]


def test_a_repeat_and_a_worthy_deal_weigh_as_minutes_and_waiting_wins_in_the_end() -> None:
    assert order(("once", 14, 1, None, None), ("twice", 5, 2, None, None)) == ["twice", "once"]
    assert order(("once", 26, 1, None, None), ("twice", 5, 2, None, None)) == ["once", "twice"]
    assert order(("poor", 14, 1, "500", None), ("rich", 5, 1, "50000", None)) == ["rich", "poor"]
    assert order(("poor", 90, 1, None, None), ("rich", 5, 1, "50000", None)) == ["poor", "rich"]


def test_the_older_comes_first_among_equals() -> None:
    assert order(("first", 5, 1, None, None), ("second", 5, 1, None, None)) == ["first", "second"]


def test_planned_attempts_sink_below_the_soonest_first_and_come_up_in_time() -> None:
    later, soon = NOW + timedelta(hours=2), NOW + timedelta(minutes=10)
    assert order(("later", 99, 5, "9999", later), ("soon", 1, 1, None, soon), ("new", 0, 1, None, None)) == [
        "new",
        "soon",
        "later",
    ]
    assert order(("due", 60, 1, None, NOW), ("new", 0, 1, None, None)) == ["due", "new"]


@given(
    st.floats(0, 1e6), st.integers(1, 500), st.none() | st.decimals(0, Decimal("1e13"), places=2), st.floats(0.01, 1e4)
)
def test_waiting_longer_or_calling_again_is_never_less_urgent(
    waited: float, missed: int, worth: Decimal | None, more: float
) -> None:
    before = urgency(waited, missed, worth)
    assert urgency(waited + more, missed, worth) > before
    assert urgency(waited, missed + 1, worth) > before
    assert urgency(waited, missed, (worth or Decimal(0)) * 2) >= urgency(waited, missed, worth)


def test_next_attempts_in_ten_minutes_in_two_hours_and_then_each_working_morning() -> None:
    assert next_attempt(1, at("2026-11-18 14:00"), RETRY, OFFICE) == at("2026-11-18 14:10")
    assert next_attempt(2, at("2026-11-18 14:10"), RETRY, OFFICE) == at("2026-11-18 16:10")
    assert next_attempt(3, at("2026-11-18 16:10"), RETRY, OFFICE) == at("2026-11-19 09:00")
    assert next_attempt(9, at("2026-11-20 16:10"), RETRY, OFFICE) == at("2026-11-23 09:00")  # Friday to Monday


def test_the_schedule_keeps_to_working_time() -> None:
    assert next_attempt(1, at("2026-11-20 17:55"), RETRY, OFFICE) == at("2026-11-23 09:05")
    assert next_attempt(2, at("2026-11-18 17:00"), RETRY, OFFICE) == at("2026-11-19 10:00")
    assert next_attempt(1, at("2026-11-21 12:00"), RETRY, OFFICE) == at("2026-11-23 09:10")  # on a Saturday
    assert next_attempt(1, at("2026-11-18 14:00"), (), OFFICE) == at("2026-11-19 09:00")


@pytest.mark.parametrize(
    ("failed", "title"),
    [
        (1, "Call back in 10 min: Olena"),
        (2, "Call back in 2 hours: Olena"),
        (3, "Call back on the next working morning: Olena"),
    ],
)
def test_the_task_says_when(failed: int, title: str) -> None:
    assert reasons.text(retry_title(failed, RETRY, "Olena")) == title


def test_an_hour_is_said_as_one() -> None:
    assert reasons.text(retry_title(1, (60,), "Olena")) == "Call back in an hour: Olena"
    assert reasons.text(retry_title(1, (90,), "Olena")) == "Call back in 90 min: Olena"


def test_a_schedule_may_say_the_next_working_morning_between_other_attempts() -> None:
    assert next_attempt(2, at("2026-11-18 14:10"), (10, 0, 120), OFFICE) == at("2026-11-19 09:00")
    assert next_attempt(3, at("2026-11-19 09:00"), (10, 0, 120), OFFICE) == at("2026-11-19 11:00")
    assert reasons.text(retry_title(1, (0,), "Olena")) == "Call back on the next working morning: Olena"


def test_a_claim_ends_by_itself() -> None:
    assert is_claimed(7, NOW, NOW + timedelta(minutes=14, seconds=59), 15)
    assert not is_claimed(7, NOW, NOW + timedelta(minutes=15), 15)
    assert not is_claimed(None, None, NOW, 15)


def test_waiting_is_red_over_the_norm_amber_close_to_it_and_calm_when_planned() -> None:
    assert [wait_tone(minutes, 20, planned=False) for minutes in (14.9, 15, 20, 20.1)] == ["", "amber", "amber", "red"]
    assert wait_tone(500, 20, planned=True) == ""


def test_a_reason_is_required_and_short() -> None:
    assert check_why("  too  dear ") == "too dear"
    for text in ("", "   ", "x" * 201):
        with pytest.raises(Invalid):
            check_why(text)
