"""What became of a message of a rule stands on its firing, and the owner of the rule is told where a person must look."""

from datetime import datetime

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.firing import task_for_owner
from pbxcrm.automation.models import AutomationRule, RuleRun, RunStatus
from pbxcrm.automation.queries import load_around
from pbxcrm.deals.models import Deal
from pbxcrm.messages.models import Delivery, DeliveryState
from pbxcrm.shared.reasons import Reason, reason

_STATUS = {DeliveryState.UNKNOWN.value: RunStatus.UNKNOWN, DeliveryState.FAILED.value: RunStatus.FAILED}


async def follow_delivery(session: AsyncSession, delivery: Delivery, now: datetime) -> None:
    """Handler of ``delivery_ended``. That a guard refused it stands on the message itself: the rule did its part."""
    if delivery.rule_id is None or delivery.event_id is None or delivery.is_test:
        return
    query = select(RuleRun).where(RuleRun.rule_id == delivery.rule_id, RuleRun.event_id == delivery.event_id)
    run = (await session.exec(query.with_for_update())).first()
    rule = await session.get(AutomationRule, delivery.rule_id)
    if run is None or rule is None:
        return
    status = _STATUS.get(delivery.state)
    if status is not None:
        why = Reason.load(delivery.said) or reason("message.unknown")
        deal = await session.get(Deal, delivery.deal_id) if delivery.deal_id is not None else None
        around = await load_around(session, "")
        await task_for_owner(session, around, rule, deal, delivery.contact_id, why, now)
        if run.status == RunStatus.DONE:  # one that waits goes on
            run.status, run.reason = status.value, why.stored()
            run.version += 1
    elif delivery.state == DeliveryState.SENT and run.status in {RunStatus.UNKNOWN, RunStatus.FAILED}:
        # A person let it be sent again.
        run.status, run.reason = RunStatus.DONE.value, reason("automation.done").stored()
        run.version += 1
