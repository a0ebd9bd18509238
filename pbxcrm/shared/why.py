"""What a person says as the reason for letting a client go."""

from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.texts import one_line

SAYS_MAX = 200
SAY_WHY = N_("Say why, in up to 200 letters.")


def check_why(text: str, field: str = "why") -> str:
    """What somebody says as the reason for letting a client go; raises Invalid."""
    text = one_line(text)
    if not text or len(text) > SAYS_MAX:
        raise Invalid(field, "callbacks.why", SAY_WHY)
    return text
