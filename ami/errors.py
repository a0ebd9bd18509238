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
    code = "bad_url"


class LinkDown(AmiError, ConnectionError):
    code = "link_lost"


class LoginRefused(AmiError):
    code = "login_refused"


class ActionTimeout(AmiError, TimeoutError):
    code = "silent"


class ActionRefused(AmiError):
    code = "action_refused"


class UnsafeValue(AmiError, ValueError):
    code = "unsafe_value"


class CommandExpired(AmiError):
    code = "command_expired"


class NumberUnknown(AmiError):
    code = "number_unknown"


class JournalFull(AmiError, OSError):
    code = "journal_full"


class JournalInUse(AmiError):
    code = "journal_in_use"
