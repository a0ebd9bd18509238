"""Switching a rule off, to watching or on, and pausing it. Neither makes a version: what the rule says stays the same."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.automation.arming import start_arming
from pbxcrm.automation.models import AutomationRule, RuleState
from pbxcrm.automation.rule_actions import open_rule, record_change
from pbxcrm.automation.rule_checks import check_draft, draft_of
from pbxcrm.shared.errors import Invalid


async def switch_rule(
    session: AsyncSession, viewer: Viewer, rule_id: int, state: str, *, region: str, now: datetime
) -> AutomationRule:
    """Switch a rule. Off is always possible; otherwise everything that it names must be there, and its timers are set.

    Raises Invalid at the wrong place, Conflict for an archived one, NotFound, NotAllowed.
    """
    if state not in set(RuleState):
        raise Invalid("state", "automation.state", "Choose how the rule works.")
    rule = await open_rule(session, viewer, rule_id)
    if rule.state == state:
        return rule
    if state != RuleState.OFF:
        await check_draft(session, draft_of(rule), region)
    rule.state = state
    await session.flush()
    record_change(session, viewer, rule, {"state"}, now)
    await start_arming(session, rule, now)
    return rule


async def pause_rule(
    session: AsyncSession, viewer: Viewer, rule_id: int, until: datetime | None, now: datetime
) -> AutomationRule:
    """Let a rule hear nothing until then; None: it hears again. Raises as ``switch_rule``."""
    if until is not None and until <= now:
        raise Invalid("paused_until", "automation.past", "Choose a time that is still to come.")
    rule = await open_rule(session, viewer, rule_id)
    if rule.paused_until != until:
        rule.paused_until = until
        await session.flush()
        record_change(session, viewer, rule, {"paused_until"}, now)
    return rule
