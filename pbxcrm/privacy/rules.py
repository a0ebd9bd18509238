"""Pure decisions about erasing: what must be typed to confirm it."""

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import format_for_people


def word_of_confirmation(name: str, numbers: list[str]) -> str:
    """What somebody must type who erases a client: the name, else the first number, else ``erase``."""
    return name or (format_for_people(numbers[0]) if numbers else "erase")


def check_confirmed(typed: str, wanted: str) -> None:
    """Raises Invalid at ``confirm`` unless ``typed`` is ``wanted``, whatever its spaces."""
    if "".join(typed.split()) != "".join(wanted.split()):
        raise Invalid("confirm", "privacy.confirm", "Write “{word}” to confirm: this cannot be undone.", word=wanted)
