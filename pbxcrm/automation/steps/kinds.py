"""The kinds of steps by name. ``wait`` and ``stop`` are the runner's own; what comes with a later version is refused by name."""

from collections.abc import Mapping

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.assign_step import ASSIGN
from pbxcrm.automation.steps.deal_step import DEAL
from pbxcrm.automation.steps.discount_step import DISCOUNT
from pbxcrm.automation.steps.field_step import FIELD
from pbxcrm.automation.steps.lines_step import LINES
from pbxcrm.automation.steps.message_step import MESSAGE
from pbxcrm.automation.steps.move_step import MOVE
from pbxcrm.automation.steps.note_step import NOTE
from pbxcrm.automation.steps.step import Step
from pbxcrm.automation.steps.tag_step import TAG
from pbxcrm.automation.steps.task_step import TASK
from pbxcrm.automation.steps.webhook_step import WEBHOOK
from pbxcrm.automation.waits import LENGTHS
from pbxcrm.shared.reasons import N_

STEPS: Mapping[str, Step] = {
    each.kind: each for each in (TASK, MOVE, ASSIGN, FIELD, NOTE, TAG, DEAL, LINES, DISCOUNT, MESSAGE, WEBHOOK)
}
WAIT, STOP = "wait", "stop"
WAITS = (
    *LENGTHS,
    Param(
        "per_day",
        N_("At most so many a day"),
        ParamKind.NUMBER,
        least=1,
        most=1000,
        hint=N_("The others go on on the next working days. Empty: all of them."),
    ),
)
LATER = frozenset({"document"})
