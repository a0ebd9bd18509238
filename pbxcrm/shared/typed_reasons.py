"""The check of the reason that a person must give for closing something without a talk to the client."""

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.texts import one_line

LONGEST_WHY = 200  # characters; columns for such a reason take their length from here
SAY_WHY = N_("Say why.")


def check_why(text: str, field: str = "why") -> str:
    """The reason in one line. Raises Invalid at ``field`` when it is empty or longer than ``LONGEST_WHY``."""
    text = one_line(text)
    if not text or len(text) > LONGEST_WHY:
        raise Invalid(field, "callbacks.why", "Say why, in up to {most} characters.", most=LONGEST_WHY)
    return text
