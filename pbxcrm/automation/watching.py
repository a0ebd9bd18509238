"""What the steps of a rule would do; nothing is changed."""

from dataclasses import replace

from pbxcrm.automation.steps.kinds import STEPS, STOP, WAIT
from pbxcrm.automation.steps.step import StepContext
from pbxcrm.automation.waits import wait_said
from pbxcrm.shared.errors import PbxcrmError
from pbxcrm.shared.reasons import Reason, reason

#: What a step says that could not be taken.
REFUSALS = frozenset(
    {
        "automation.refused",
        "automation.not_moved",
        "automation.nobody",
        "automation.made_there",
        "automation.no_message",
    }
)


async def would(context: StepContext, key: str = "") -> list[Reason]:
    """What each step would do, up to the one that stops the rule. ``key``: of the firing of a rule that watches, whose steps may reach
    recipients for tests; empty in a dry run, which cannot write.
    """
    said: list[Reason] = []
    for position, step in enumerate(context.rule.steps):
        if step["kind"] == STOP:
            break
        if step["kind"] == WAIT:
            said.append(wait_said(step))
            continue
        try:
            kind = STEPS[step["kind"]]
            told = kind.watch(replace(context, key=f"{key}:{position}"), step) if key else kind.would(context, step)
            said.append(await told)
        except PbxcrmError as error:
            said.append(reason("automation.refused", why=error))
    return said
