"""Why an armed lamp will light, in words: the date that is watched, the silence, and the year where it is another one."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from pbxcrm.checkpoints.models import Checkpoint, Lamp
from pbxcrm.checkpoints.rules import entry_of_date
from pbxcrm.deals.models import Stage
from web.formats import NBSP, day_time
from web.i18n import Here, Language, speaking
from web.lamp_words import explained

NOW = datetime(2026, 11, 28, 8, 47, tzinfo=UTC)
DATE = datetime(2026, 11, 30, 9, 47, tzinfo=UTC)
HERE = Here(Language.EN, ZoneInfo("UTC"), NOW)


def said(
    trigger: str, *, offset: int = 0, minutes: int = 0, step: int = 0, entry: str = "", since: datetime = NOW
) -> str:
    checkpoint = Checkpoint(name="Before the event", trigger=trigger, field="event_at", offset_minutes=offset)
    lamp = Lamp(
        checkpoint_id=1, step=step, subject="deal", entry=entry or entry_of_date(7, DATE), entered_at=since, minutes=minutes,
        due_at=since + timedelta(hours=1),
    )  # fmt: skip
    with speaking(HERE):
        return " ".join(explained(lamp, checkpoint, Stage(name="cl", pipeline_id=1, position=1, kind="open"))).replace(
            NBSP, " "
        )


@pytest.mark.parametrize(
    ("trigger", "offset", "minutes", "text"),
    [
        ("date", -60, 0, "Before the event: 1 h of working time before Mon 30 Nov 09:47 (Event). Lights Sat 28 Nov 09:47 unless there is work."),
        ("date", 30, 0, "Before the event: 30 min of working time after Mon 30 Nov 09:47 (Event). Lights Sat 28 Nov 09:47 unless there is work."),
        ("date", 0, 15, "Before the event: Mon 30 Nov 09:47 (Event). Lights Sat 28 Nov 09:47, after 15 min of working time, unless there is work."),
        ("silence", 0, 60, "The silence is counted from Sat 28 Nov 08:47; norm 1 h of working time; lights Sat 28 Nov 09:47 unless there is work."),
        ("stage", 0, 60, "Since Sat 28 Nov 08:47 in “cl”; norm 1 h of working time; lights Sat 28 Nov 09:47 unless there is work."),
    ],
)  # fmt: skip
def test_why_an_armed_lamp_will_light(trigger: str, offset: int, minutes: int, text: str) -> None:
    assert said(trigger, offset=offset, minutes=minutes) == text


def test_a_later_step_and_an_accepted_delay_of_a_date_say_what_they_are_counted_from() -> None:
    assert said("date", step=1, minutes=60).startswith("Asked Sat 28 Nov 08:47; 1 h of working time after it;")
    accepted = f"{entry_of_date(7, DATE)}:accepted:3"
    assert said("date", entry=accepted) == "Accepted Sat 28 Nov 08:47; lights Sat 28 Nov 09:47 unless there is work."


def test_a_moment_of_another_year_says_the_year() -> None:
    later = said("stage", minutes=60, since=datetime(2046, 11, 30, 10, 0, tzinfo=UTC))
    assert "Since Fri 30 Nov 2046 10:00 in “cl”" in later
    assert "lights Fri 30 Nov 2046 11:00" in later
    with speaking(HERE):
        assert day_time(datetime(2027, 2, 3, 14, 5, tzinfo=UTC)).replace(NBSP, " ") == "3 Feb 2027 14:05"
        assert day_time(datetime(2025, 2, 3, 14, 5, tzinfo=UTC)).replace(NBSP, " ") == "3 Feb 2025"
