"""What a person says as the reason for letting a client go."""

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.texts import one_line

LONGEST_WHY = 200  # letters; columns that keep such a reason take their length from here
SAY_WHY = N_("Say why.")


def check_why(text: str, field: str = "why") -> str:
    """What somebody says as the reason for letting a client go; raises Invalid."""
    text = one_line(text)
    if not text or len(text) > LONGEST_WHY:
        raise Invalid(field, "callbacks.why", "Say why, in up to {most} characters.", most=LONGEST_WHY)
    return text
