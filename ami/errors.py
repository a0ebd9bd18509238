"""What can go wrong between us and a PBX.

AmiError
├── BadAmiUrl        the address of the PBX cannot be understood
├── LinkDown         there is no connection, or it broke before the answer came
├── LoginRefused     the PBX refuses our name or secret
├── ActionTimeout    the PBX did not answer an action in time
├── ActionRefused    the PBX answered with an error
├── UnsafeValue      a value must not be sent to a PBX (line breaks, NUL, separators, not a number)
├── CommandExpired   a command was ordered too long ago to be sent now
├── NumberUnknown    the dialplan has no extension for the transfer target
├── JournalFull      no disk space for the journal
└── JournalInUse     another process writes this journal

``code`` names the message in ``pbxcrm.pbx.report_sentences``; ``params`` fill it in. No error carries the secret.
"""

# Names say what happened in the field's terms, without the suffix "Error".


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
    """There is no connection to the PBX, or it was lost; ``AmiConnection`` connects again."""

    code = "link_lost"


class LoginRefused(AmiError):
    """The PBX refuses the user or the secret; we do not log in again until the settings change."""

    code = "login_refused"


class ActionTimeout(AmiError, TimeoutError):
    """The PBX did not answer an action in time; it may or may not have done it."""

    code = "silent"


class ActionRefused(AmiError):
    """The PBX answered an action with an error."""

    code = "action_refused"


class UnsafeValue(AmiError, ValueError):
    """A value would change the meaning of an AMI message; it is not sent."""

    code = "unsafe_value"


class CommandExpired(AmiError):
    """A command was not sent in time; the person who ordered it no longer waits for it."""

    code = "command_expired"


class NumberUnknown(AmiError):
    """The dialplan has no extension for the number, so a transfer would drop the call."""

    code = "number_unknown"


class JournalFull(AmiError, OSError):
    """The journal's disk is full; events wait in memory meanwhile."""

    code = "journal_full"


class JournalInUse(AmiError):
    """Another process writes to this journal folder."""

    code = "journal_in_use"
