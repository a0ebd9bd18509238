"""What the business stores, as people read it."""

import pytest

from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.shared.reasons import reason
from pbxcrm.tasks.models import Task
from tests.unit.web.conftest import place
from web.i18n import Language, speaking
from web.words import numbers_together, task_title


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("+380 97 825 16 64", "+380~97~825~16~64"),
        ("Call +380 97 825 16 64 back by 12 00", "Call +380~97~825~16~64 back by 12 00"),
        ("Ask (044) 123 45 67", "Ask (044) 123 45 67".replace("044) 123 45 67", "044)~123~45~67")),
        ("Order 12 of 40 chairs", "Order 12 of 40 chairs"),
    ],
)
def test_a_number_within_a_text_is_never_broken(text: str, shown: str) -> None:
    assert numbers_together(text) == shown.replace("~", "\N{NO-BREAK SPACE}")


def test_a_withheld_number_in_a_title_is_said_in_the_language_of_the_reader() -> None:
    escalated = reason("task.escalated", client=NO_NUMBER, who="Олена")
    with speaking(place(Language.UK)):
        assert task_title(Task(kind="control", title="", title_code=escalated.stored())).startswith("Прихований номер")
