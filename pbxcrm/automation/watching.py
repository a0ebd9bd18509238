"""What the steps of a rule would do; nothing is changed."""

from pbxcrm.automation.steps.kinds import STEPS, STOP, WAIT
from pbxcrm.automation.steps.step import StepContext
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.reasons import Reason, reason

#: What a step says that could not be taken.
REFUSALS = frozenset({"automation.refused", "automation.not_moved", "automation.nobody", "automation.made_there"})


async def would(context: StepContext) -> list[Reason]:
    """What each step would do, up to the one that stops the rule."""
    said: list[Reason] = []
    for step in context.rule.steps:
        if step["kind"] == STOP:
            break
        if step["kind"] == WAIT:
            said.append(reason("automation.waited", minutes=step["minutes"]))
            continue
        try:
            said.append(await STEPS[step["kind"]].would(context, step))
        except PbxcrmError as error:
            said.append(reason("automation.refused", why=str(error)))
    return said
