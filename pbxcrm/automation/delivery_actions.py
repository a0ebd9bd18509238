"""What became of a message of a rule stands on its firing, and the owner of the rule is told where a person must look."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.firing import task_for_owner
from pbxcrm.automation.held_back import held_back, why_held
from pbxcrm.automation.models import AutomationRule, RuleRun, RunStatus, RunStep, StepStatus
from pbxcrm.automation.queries import load_around
from pbxcrm.automation.steps.message_step import MESSAGE, message_taken
from pbxcrm.deals.models import Deal
from pbxcrm.messages.models import TO_CLIENTS, Delivery, DeliveryState
from pbxcrm.shared.reasons import Reason, reason

_STATUS = {DeliveryState.UNKNOWN.value: RunStatus.UNKNOWN, DeliveryState.FAILED.value: RunStatus.FAILED}
_TAKEN = frozenset({RunStatus.DONE.value, RunStatus.HELD.value})


async def follow_delivery(session: AsyncSession, delivery: Delivery, now: datetime) -> None:
    """Handler of ``delivery_told``."""
    if delivery.rule_id is None or delivery.event_id is None or delivery.is_test:
        return
    query = select(RuleRun).where(RuleRun.rule_id == delivery.rule_id, RuleRun.event_id == delivery.event_id)
    run = (await session.exec(query.with_for_update())).first()
    rule = await session.get(AutomationRule, delivery.rule_id)
    if run is None or rule is None:
        return
    held = await _follow_in_step(session, run, delivery) if delivery.channel in TO_CLIENTS else ()
    status = _STATUS.get(delivery.state)
    if status is not None:
        why = Reason.load(delivery.said) or reason("message.unknown")
        deal = await session.get(Deal, delivery.deal_id) if delivery.deal_id is not None else None
        around = await load_around(session, "")
        await task_for_owner(session, around, rule, deal, delivery.contact_id, why, now)
        if run.status in _TAKEN:  # one that waits goes on
            _set(run, status, why)
    elif run.status in _TAKEN or (delivery.state == DeliveryState.SENT and _ended_by_message(run)):
        # It was held back; or quiet hours are over, or a person let it be sent again.
        if held:
            _set(run, RunStatus.HELD, why_held(held))
        elif run.status != RunStatus.DONE:
            _set(run, RunStatus.DONE, reason("automation.done"))


def _ended_by_message(run: RuleRun) -> bool:
    """Whether a message made the firing *failed* or *unknown*, not one of its steps."""
    is_so = run.status in {RunStatus.FAILED, RunStatus.UNKNOWN}
    return is_so and str(run.reason.get("code")).startswith("message.")


async def _follow_in_step(session: AsyncSession, run: RuleRun, delivery: Delivery) -> Sequence[Mapping[str, Any]]:
    """The step that wrote the message says what a guard did to it, until it is sent. Returns what all held back steps of the run say."""
    position = delivery.key.rpartition(":")[2]
    query = select(RunStep).where(RunStep.run_id == run.id, RunStep.kind == MESSAGE.kind)
    step = (await session.exec(query.where(RunStep.position == int(position)))).first()
    taken = message_taken(delivery)
    if step is not None and step.status in {StepStatus.DONE, StepStatus.HELD}:
        step.status, step.result = taken.status.value, taken.said.stored()
        await session.flush()
    return await held_back(session, run.id)


def _set(run: RuleRun, status: RunStatus, why: Reason) -> None:
    run.status, run.reason = status.value, why.stored()
    run.version += 1
