"""``{"kind": "webhook", "webhook_id", "fields"}``."""

import json
from datetime import datetime
from decimal import Decimal
from typing import Any

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.step import Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import with_numbers
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.rules import as_entered, stored_in
from pbxcrm.fields.terms import name_of_term
from pbxcrm.messages.actions import queue_delivery
from pbxcrm.messages.models import Delivery, DeliveryState, MessageChannel, Webhook
from pbxcrm.messages.rules import message_id_of
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.reasons import N_, Reason, reason


class _WebhookStep(Step):
    """Another program is called. The step writes the call down; it is sent after the commit, with a key by which a repeat is known."""

    kind = "webhook"
    title = N_("Call a webhook")
    repeats = Repeats.SAFE
    params = (
        Param("webhook_id", N_("Webhook"), ParamKind.WEBHOOK, required=True),
        Param("fields", N_("Fields of the deal to send"), ParamKind.FIELDS, hint=N_("Besides what is always sent.")),
    )
    needs_deal = False
    changes = frozenset()

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        webhook = await _webhook(context, settings)
        body = await body_of(context, settings.get("fields", ()))
        await queue_delivery(
            context.session,
            Delivery(
                key=context.key,
                channel=MessageChannel.WEBHOOK.value,
                state=DeliveryState.QUEUED.value,
                webhook_id=webhook.id,
                deal_id=context.deal.id if context.deal is not None else None,
                contact_id=context.contact_id,
                rule_id=context.rule.id,
                event_id=context.event_id,
                address=webhook.address,
                subject=context.rule.name,
                body=json.dumps(body, ensure_ascii=False),
                why=context.why.stored(),
                created_at=context.now,
                due_at=context.now,
            ),
        )
        return StepTaken(reason("automation.called", name=webhook.name))

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        return reason("automation.called", name=(await _webhook(context, settings)).name)

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        return reason("automation.kept_sent")


async def _webhook(context: StepContext, settings: Settings) -> Webhook:
    webhook = await context.session.get(Webhook, settings["webhook_id"])
    if webhook is None or not webhook.is_on:
        raise Conflict("automation.no_webhook", "There is no such webhook, or it is switched off.")
    return webhook


async def body_of(context: StepContext, fields: Any) -> dict[str, Any]:
    """What is sent. Amounts are texts, so that nothing is rounded."""
    deal, rule = context.deal, context.rule
    contact = await context.session.get(Contact, context.contact_id) if context.contact_id is not None else None
    rows = await with_numbers(context.session, [contact]) if contact is not None else []
    stage = context.around.funnel.stages.get(deal.stage_id) if deal is not None else None
    owner = context.around.people.active(deal.responsible_id) if deal is not None else None
    return {
        "id": message_id_of(context.key),
        "at": context.now.isoformat(),
        "event": {"id": context.event_id, "when": rule.when.get("kind", "")},
        "rule": {"id": rule.id, "name": rule.name},
        "deal": {
            "id": deal.id,
            "title": deal.title,
            "amount": _json(deal.amount),
            "currency": deal.currency,
            "stage_id": deal.stage_id,
            "stage": stage.name if stage is not None else "",
            "responsible_id": deal.responsible_id,
            "responsible": owner.login if owner is not None else "",
        }
        if deal is not None
        else None,
        "contact": {
            "id": contact.id,
            "name": contact.name,
            "numbers": [each.number for each in rows[0].phones],
            "emails": [each.address for each in rows[0].emails],
        }
        if contact is not None
        else None,
        "fields": _fields(context, fields),
    }


def _fields(context: StepContext, names: Any) -> dict[str, Any]:
    if context.deal is None:
        return {}
    custom = {name_of_term(each): each for each in context.around.fields.of(FieldEntity.DEAL)}
    found: dict[str, Any] = {}
    for name in names:
        if name in BY_KEY:
            found[name] = _json(getattr(context.deal, name))
        elif name in custom:
            found[name] = as_entered(custom[name], stored_in(context.deal.custom, custom[name]))
    return found


def _json(value: Any) -> Any:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return value.isoformat() if isinstance(value, datetime) else value


WEBHOOK = _WebhookStep()
