"""What can go wrong between us and a PBX.

AmiError
├── BadAmiUrl        the address of the PBX cannot be understood
├── LinkDown         there is no link, or it broke before the answer came
├── LoginRefused     the PBX refuses our name or secret
├── ActionTimeout    the PBX did not answer an action in time
├── ActionRefused    the PBX answered with an error
├── UnsafeValue      a value must not be sent to a PBX (line breaks, NUL, separators, not a number)
├── CommandExpired   a command was asked for too long ago to be done now
├── NumberUnknown    the dialplan has nothing for the number a call is to be transferred to
├── JournalFull      no space to write down what the PBX says
└── JournalInUse     another process writes this journal

``code`` names the message in ``pbxcrm.pbx.reports``; ``params`` fill it in. No error carries the secret.
"""

# Names say what happened, in the field's words, without a suffix.


class AmiError(Exception):
    """Something went wrong between us and a PBX."""

    code = "ami_error"

    def __init__(self, message: str, **params: str) -> None:
        super().__init__(message)
        self.params = params


class BadAmiUrl(AmiError, ValueError):
    """The address of a PBX in the settings cannot be read."""

    code = "bad_url"


class LinkDown(AmiError, ConnectionError):
    """The connection to the PBX is lost or was never there; it is tried again."""

    code = "link_lost"


class LoginRefused(AmiError):
    """The PBX refuses name or secret; not tried again until the settings change."""

    code = "login_refused"


class ActionTimeout(AmiError, TimeoutError):
    """The PBX did not answer an action in time; whether it was done is not known."""

    code = "silent"


class ActionRefused(AmiError):
    """The PBX answered that it will not do the action."""

    code = "action_refused"


class UnsafeValue(AmiError, ValueError):
    """A value would change the meaning of an AMI message; it is not sent."""

    code = "unsafe_value"


class CommandExpired(AmiError):
    """An order was not sent in time; nobody expects the call any more."""

    code = "command_expired"


class NumberUnknown(AmiError):
    """There is no number to call."""

    code = "number_unknown"


class JournalFull(AmiError, OSError):
    """The disk takes no more records; events wait in memory meanwhile."""

    code = "journal_full"


class JournalInUse(AmiError):
    """Another process writes to this folder of the journal."""

    code = "journal_in_use"
