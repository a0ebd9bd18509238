"""The hooks of calls for the contexts above; ``pbxcrm.composition`` registers their handlers."""

from collections.abc import Sequence

from pbxcrm.calls.models import Call
from pbxcrm.shared.hooks import Hook

#: These calls have just ended, and what follows from them for deals and callbacks is done; in the transaction of that. A call whose
#: ending becomes better known than *unknown* is told once more.
calls_over: Hook[Sequence[Call]] = Hook("calls.calls_over")
