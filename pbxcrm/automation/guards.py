"""What speaks against running a rule whose conditions hold: a circle, a chain that is too deep, a rate, a run that waits already."""

from sqlmodel import col, select

from pbxcrm.automation.firing import Firing, end, tell_owner
from pbxcrm.automation.models import AutomationRule, Mode, RuleState, RunStatus
from pbxcrm.automation.rules import DEEPEST, Guard, guard
from pbxcrm.deals.models import Deal
from pbxcrm.shared.reasons import Reason, reason


async def guarded(firing: Firing, rule: AutomationRule, deal: Deal | None) -> Reason | None:
    """Why the rule must not run now; None if nothing speaks against it. What waits is ended where the mode says so."""
    title = deal.title if deal is not None else ""
    found = guard(rule.id or 0, firing.subject, firing.chain)
    if found is not None:
        why = reason("automation.deep", most=DEEPEST, title=title)
        if found is Guard.LOOP:
            why = reason("automation.loop", chain=await _circle(firing, rule), title=title)
        await tell_owner(firing, rule, deal, why)
        return why
    if await firing.batch.ran(rule.id or 0, firing.subject) >= rule.most_per_hour:
        why = reason("automation.rate", most=rule.most_per_hour)
        await tell_owner(firing, rule, deal, why)
        return why
    waits = [run for run in firing.waiting if run.rule_id == rule.id]
    if waits and rule.mode == Mode.ONCE:
        return reason("automation.waits_already")
    if rule.mode == Mode.RESTART and rule.state == RuleState.ON:
        for run in waits:
            end(firing, run, RunStatus.SKIPPED, reason("automation.restarted"))
    return None


def must_queue(firing: Firing, rule: AutomationRule) -> bool:
    """Whether a new run waits until the one before it has ended."""
    return rule.mode == Mode.QUEUE and any(run.rule_id == rule.id for run in firing.waiting)


async def _circle(firing: Firing, rule: AutomationRule) -> str:
    """``A → B → A``: the rules from the first time of this one."""
    ids = [link[0] for link in firing.chain]
    ids = [*ids[ids.index(rule.id) :], rule.id]
    known = {
        each.id: each.name
        for each in (await firing.session.exec(select(AutomationRule).where(col(AutomationRule.id).in_(ids)))).all()
    }
    return " → ".join(known.get(each, f"#{each}") for each in ids)
