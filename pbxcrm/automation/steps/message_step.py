"""``{"kind": "message", "template_id"}``."""

from pbxcrm.automation.models import StepStatus
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.automation.triggers import LATE_DAY, OF_ITS_DAY
from pbxcrm.messages.actions import Origin, compose, queue_message
from pbxcrm.messages.guards import is_put_off
from pbxcrm.messages.models import Delivery, DeliveryState, MessageTemplate
from pbxcrm.messages.queries import access_message_template
from pbxcrm.messages.values import load_message_facts
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.reasons import N_, Reason, reason

HELD = StepStatus.HELD
LONGEST_TOLD = 80  # letters of a message that the log repeats


class _MessageStep(Step):
    """A message to the client. The step writes it down; it is sent after the commit, once: repeating it is not safe."""

    kind = "message"
    title = N_("Send a message to the client")
    repeats = (
        Repeats.UNSAFE
    )  # e-mail never, SMS only if the gateway knows a message by its id (``may_repeat`` of the carriers)
    params = (Param("template_id", N_("Template"), ParamKind.TEMPLATE, required=True),)
    needs_deal = False
    changes = frozenset()

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        if context.heard.get(LATE_DAY):
            return StepTaken(_too_late(context), HELD)
        return message_taken(await self._queue(context, settings, watches=False))

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        template = await _template(context, settings)
        facts = await load_message_facts(context.session, context.deal, context.contact_id)
        said = compose(template, facts, context.now)
        if said.fault is not None or not said.address:
            return reason("automation.no_message", said.fault or reason(f"message.no_{template.channel}"))
        return _said_to(said.address, said.subject, said.body)

    async def watch(self, context: StepContext, settings: Settings) -> Reason:
        if context.heard.get(LATE_DAY):
            return _too_late(context)
        return message_taken(await self._queue(context, settings, watches=True)).said

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        return reason("automation.kept_sent")

    async def _queue(self, context: StepContext, settings: Settings, *, watches: bool) -> Delivery:
        facts = await load_message_facts(context.session, context.deal, context.contact_id)
        origin = Origin(context.key, context.why, rule_id=context.rule.id, event_id=context.event_id)
        template = await _template(context, settings)
        return await queue_message(context.session, template, facts, origin, context.now, watches=watches)


def _too_late(context: StepContext) -> Reason:
    return reason("automation.no_message", reason("automation.late_greeting", day=context.heard[OF_ITS_DAY]))


async def _template(context: StepContext, settings: Settings) -> MessageTemplate:
    template = await access_message_template(context.session, settings["template_id"])
    if template.archived_at is not None:
        raise Conflict("messages.archived", "This template is not used any more.")
    return template


def message_taken(delivery: Delivery) -> StepTaken:
    """What the step has done, as its message stands now."""
    why, told = Reason.load(delivery.said), _told(delivery.subject, delivery.body)
    if not delivery.address:
        return StepTaken(reason("automation.no_message", why or reason(f"message.no_{delivery.channel}")), HELD)
    if delivery.state == DeliveryState.REFUSED and not told:
        return StepTaken(reason("automation.no_message", why), HELD)
    if delivery.state == DeliveryState.REFUSED:
        return StepTaken(reason("automation.held_back", why, address=delivery.address, text=told), HELD)
    if is_put_off(delivery):
        return StepTaken(reason("automation.put_off", why, address=delivery.address, text=told), HELD)
    if delivery.is_test and delivery.state == DeliveryState.QUEUED:
        return StepTaken(reason("automation.tested", address=delivery.address, text=told))
    return StepTaken(_said_to(delivery.address, delivery.subject, delivery.body))


def _said_to(address: str, subject: str, body: str) -> Reason:
    return reason("automation.messaged", address=address, text=_told(subject, body))


def _told(subject: str, body: str) -> str:
    text = subject or " ".join(body.split())
    return text if len(text) <= LONGEST_TOLD else f"{text[:LONGEST_TOLD]}…"


MESSAGE = _MessageStep()
