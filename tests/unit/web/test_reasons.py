"""What the product says of itself, with numbers bent as each language bends them."""

import pytest

from pbxcrm.shared import reasons
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.models import Task
from tests.unit.web.conftest import NOON, place
from web import words
from web.i18n import Language, speaking

ESCALATED = {
    Language.EN: {
        1: ", 1 more working minute after",
        2: ", 2 more working minutes after",
        21: ", 21 more working minutes",
    },
    Language.UK: {
        1: "минула ще 1 робоча хвилина.",
        2: "минуло ще 2 робочі хвилини.",
        5: "минуло ще 5 робочих хвилин.",
        11: "ще 11 робочих хвилин.",
        21: "минула ще 21 робоча хвилина.",
    },
    Language.RU: {
        1: "прошла ещё 1 рабочая минута.",
        4: "прошло ещё 4 рабочие минуты.",
        12: "прошло ещё 12 рабочих минут.",
        121: "прошла ещё 121 рабочая минута.",
    },
}


@pytest.mark.parametrize(
    ("language", "minutes", "said"),
    [(language, minutes, said) for language, all_said in ESCALATED.items() for minutes, said in all_said.items()],
)
def test_minutes_have_their_plural(language: Language, minutes: int, said: str) -> None:
    stored = reason(
        "escalation.nobody", reason("escalation.callback", minutes=minutes, who="Olena"), minutes=minutes
    ).stored()
    with speaking(place(language)):
        assert [said in sentence for sentence in words.because(stored)] == [True, True]


def test_titles_have_their_plural() -> None:
    title = reason("task.callback_count", client="Acme", count=3).stored()
    task = Task(kind="callback", title="", title_code=title, due_at=NOON, created_at=NOON)
    with speaking(place(Language.UK)):
        assert words.task_title(task) == "Передзвонити: Acme, пропущено 3 рази"
    assert reasons.text(title) == "Call back Acme, missed 3 times"


def test_why_a_message_was_not_sent_is_said_in_the_language_of_the_reader() -> None:
    """A sentence of ours is translated, what another program answered is not; none is no sentence at all."""
    told = {
        each: reason("message.failed", why=each).stored()
        for each in ("The server cannot be reached.", "200 No money", "")
    }
    with speaking(place(Language.UK)):
        said = [words.because(stored)[0] for stored in told.values()]
    assert said == [
        "Не вдалося надіслати: Сервер недосяжний.",
        "Не вдалося надіслати: 200 No money",
        "Не вдалося надіслати: ",
    ]


def test_an_error_with_parameters_is_said_in_the_language_of_the_reader() -> None:
    """What stands in its parameters is data: braces and names of messages in it are nothing."""
    error = Invalid("then.0.text", "formulas.empty_field", "“{name}” is empty.", name="{why} <b>")
    stored = reason("automation.refused", why=error).stored()
    assert reasons.text(stored) == "A step could not be taken: “{why} <b>” is empty."
    with speaking(place(Language.UK)):
        (said,) = words.because(stored)
    assert "is empty" not in said
    assert "{why} <b>" in said


def test_a_number_that_is_none_is_left_as_it_is() -> None:
    assert reasons.text({"code": "lamp.planned", "params": {}}).endswith("within  working minutes.")


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ("2027-02-01T08:00:00+00:00", "пн 1 лют. 2027 10:00"),
        ("2027-02-01", "пн 1 лют. 2027"),  # stored before
        ("2027-02-30", "2027-02-30"),
        ("Monday", "Monday"),
    ],
)
def test_the_end_of_a_pause_is_said_as_the_reader_says_dates(stored: str, said: str) -> None:
    why = reason("pause.waits", who="Olena", until=stored, why="They build in spring")
    with speaking(place(Language.UK)):
        assert said in words.because(why.stored())[0].replace("\xa0", " ")


@pytest.mark.parametrize(
    ("language", "said"),
    [
        (Language.EN, "Kind of stage is Unsorted, asked: In work."),
        (Language.UK, "Вид етапу: Нерозібране, а потрібно У роботі."),
        (Language.RU, "Вид этапа: Неразобранное, а нужно В работе."),
    ],
)
def test_codes_that_a_condition_saw_are_said_as_words(language: Language, said: str) -> None:
    seen = reason("automation.test_has", field="Kind of stage", op="has", value="open", saw="unsorted")
    with speaking(place(language)):
        assert words.because(seen.stored()) == [said]
        typed = reason("automation.test_is", field="Title", op="=", value="open", saw="won")
        assert "open" in words.because(typed.stored())[0], "what somebody typed is no code"
