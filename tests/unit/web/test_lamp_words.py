"""The arithmetic of a lamp in words: the stretches of working time that were counted, in the reader's zone and language."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from pbxcrm.checkpoints.models import Lamp
from pbxcrm.deals.models import Stage
from web.i18n import Here, Language, speaking
from web.lamp_words import arithmetic

ENTERED, LIT = datetime(2026, 11, 2, 15, 40, tzinfo=UTC), datetime(2026, 11, 3, 15, 40, tzinfo=UTC)  # Kyiv: 17:40
WORKED = [
    ["2026-11-02T15:40:00+00:00", "2026-11-02T16:00:00+00:00"],
    ["2026-11-03T07:00:00+00:00", "2026-11-03T11:00:00+00:00"],
    ["2026-11-03T12:00:00+00:00", "2026-11-03T15:40:00+00:00"],
]


def lamp(step: int = 0, worked: list[list[str]] = WORKED) -> Lamp:
    return Lamp(
        checkpoint_id=1, step=step, subject="deal", entry="m1:", entered_at=ENTERED, minutes=480, due_at=LIT, lit_at=LIT, worked=worked,
        reason={"code": "lamp.stage"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (
            Language.EN,
            (
                "Since Mon 2 Nov 17:40 in “Proposal sent” without work; norm 8 h of working time; "
                "Mon 2 Nov 17:40–18:00, Tue 3 Nov 09:00–13:00, 14:00–17:40; lit Tue 3 Nov 17:40."
            ),
        ),
        (
            Language.UK,
            (
                "З пн 2 лист. 17:40 на етапі «Пропозицію надіслано» без роботи; норма 8 год робочого часу: "
                "пн 2 лист. 17:40–18:00, вт 3 лист. 09:00–13:00, 14:00–17:40; загорілася вт 3 лист. 17:40."
            ),
        ),
    ],
)
def test_entered_norm_pieces_lit(language: Language, said: str) -> None:
    stage = Stage(pipeline_id=1, name="Proposal sent", kind="open", position=1)
    with speaking(Here(language, ZoneInfo("Europe/Kyiv"), LIT)):
        assert [each.replace("\u00a0", " ") for each in arithmetic(lamp(), stage)] == [said]


def test_a_later_step_and_a_gap() -> None:
    with speaking(Here(Language.EN, ZoneInfo("Europe/Kyiv"), LIT)):
        (said,) = arithmetic(lamp(1, [WORKED[0], [], WORKED[2]]), None)
    assert said.replace("\u00a0", " ") == (
        "The previous lamp lit Mon 2 Nov 17:40; 8 h of working time after it; "
        "Mon 2 Nov 17:40–18:00, …, Tue 3 Nov 14:00–17:40; lit Tue 3 Nov 17:40."
    )


def test_one_that_lit_before_its_arithmetic_was_kept_says_nothing() -> None:
    assert arithmetic(lamp(worked=[]), None) == []
