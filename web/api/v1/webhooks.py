"""Outgoing webhooks: programs that rules call."""

from typing import Annotated

from pydantic import Field

from pbxcrm.access import Permission
from pbxcrm.messages.models import Delivery, DeliveryState, Webhook
from pbxcrm.messages.webhook_actions import change_webhook, create_webhook, delete_webhook, renew_secret, send_again
from pbxcrm.messages.webhook_queries import access_webhook, deliveries_of_webhook, list_webhooks
from web.api.fields import ApiAnswer, ApiRequest, Moment, ShortListQuery, needed_text
from web.api.resource import Ask, Page, Resource

webhooks = Resource(
    "webhooks",
    "Outgoing webhooks, for administrators. The step `webhook` of a rule sends a JSON object by POST. The headers `webhook-id`, "
    "`webhook-timestamp` and `webhook-signature` are those of Standard Webhooks: `v1,` and the base64 of HMAC-SHA256 over "
    "`ID.TIMESTAMP.BODY`, by the bytes behind `whsec_`. `Idempotency-Key` is the id: the same in each try.",
)


class NewWebhook(ApiRequest):
    """A new webhook."""

    name: Annotated[str, needed_text(Webhook.name)]
    address: Annotated[str, needed_text(Webhook.address)]


class WebhookChange(ApiRequest):
    """What is not given stays."""

    name: Annotated[str, needed_text(Webhook.name)] | None = None
    address: Annotated[str, needed_text(Webhook.address)] | None = None
    on: bool | None = None


class WebhookOut(ApiAnswer):
    """A webhook."""

    id: int
    name: str
    address: str
    on: bool
    created_at: Moment
    deleted_at: Moment | None = Field(description="What was sent to a deleted one stays.")
    version: int
    secret: str | None = Field(description="Only in the answer that makes or renews it.")


class WebhookDeliveryOut(ApiAnswer):
    """A message to it."""

    id: int
    state: DeliveryState
    rule_id: int | None
    deal_id: int | None
    contact_id: int | None
    body: str
    answer: str
    tries: int
    created_at: Moment
    due_at: Moment
    sent_at: Moment | None


@webhooks.get("/webhooks", needs=Permission.RULES_EDIT, summary="All outgoing webhooks")
async def read_webhooks(ask: Ask, query: ShortListQuery) -> Page[WebhookOut]:
    """By name, the deleted ones last."""
    return Page[WebhookOut].part_of([_webhook(each) for each in await list_webhooks(ask.session, ask.viewer)], query)


@webhooks.get("/webhooks/{webhook_id}", needs=Permission.RULES_EDIT, summary="One outgoing webhook")
async def read_webhook(ask: Ask, webhook_id: int) -> WebhookOut:
    return _webhook(await access_webhook(ask.session, ask.viewer, webhook_id))


@webhooks.post(
    "/webhooks",
    needs=Permission.RULES_EDIT,
    summary="Make an outgoing webhook",
    location=lambda made: f"/webhooks/{made.id}",
)
async def post_webhook(ask: Ask, body: NewWebhook) -> WebhookOut:
    """Its secret is in this answer only."""
    made, secret = await create_webhook(ask.session, ask.viewer, name=body.name, address=body.address, now=ask.now)
    return _webhook(made, secret)


@webhooks.patch("/webhooks/{webhook_id}", needs=Permission.RULES_EDIT, summary="Change an outgoing webhook")
async def patch_webhook(ask: Ask, webhook_id: int, body: WebhookChange) -> WebhookOut:
    """What waits goes to the new address; of one that is off it fails. 409 for a deleted one."""
    known = await access_webhook(ask.session, ask.viewer, webhook_id)
    changed = await change_webhook(
        ask.session,
        ask.viewer,
        webhook_id,
        name=body.name if body.name is not None else known.name,
        address=body.address if body.address is not None else known.address,
        is_on=body.on if body.on is not None else known.is_on,
        now=ask.now,
    )
    return _webhook(changed)


@webhooks.post("/webhooks/{webhook_id}/secret", needs=Permission.RULES_EDIT, summary="Renew its secret", conflicts=True)
async def post_webhook_secret(ask: Ask, webhook_id: int) -> WebhookOut:
    """The old one signs nothing any more."""
    return _webhook(*await renew_secret(ask.session, ask.viewer, webhook_id, ask.now))


@webhooks.delete(
    "/webhooks/{webhook_id}", needs=Permission.RULES_EDIT, summary="Delete an outgoing webhook", conflicts=True
)
async def remove_webhook(ask: Ask, webhook_id: int) -> None:
    """What waits is not sent, rules that call it fail, and what was sent stays."""
    await delete_webhook(ask.session, ask.viewer, webhook_id, ask.now)


@webhooks.get("/webhooks/{webhook_id}/deliveries", needs=Permission.RULES_EDIT, summary="Its latest messages")
async def read_webhook_deliveries(ask: Ask, webhook_id: int, query: ShortListQuery) -> Page[WebhookDeliveryOut]:
    """Up to a hundred, the newest first."""
    found = await deliveries_of_webhook(ask.session, ask.viewer, webhook_id)
    return Page[WebhookDeliveryOut].part_of([_delivery(each) for each in found], query)


@webhooks.post(
    "/webhooks/{webhook_id}/deliveries/{webhook_delivery_id}/again",
    needs=Permission.RULES_EDIT,
    summary="Send a message again",
    conflicts=True,
)
async def post_webhook_again(ask: Ask, webhook_id: int, webhook_delivery_id: int) -> WebhookDeliveryOut:
    """With the same id; not while it waits or is being sent."""
    return _delivery(await send_again(ask.session, ask.viewer, webhook_id, webhook_delivery_id, ask.now))


def _webhook(webhook: Webhook, secret: str | None = None) -> WebhookOut:
    return WebhookOut(
        id=webhook.id or 0,
        name=webhook.name,
        address=webhook.address,
        on=webhook.is_on,
        created_at=webhook.created_at,
        deleted_at=webhook.deleted_at,
        version=webhook.version,
        secret=secret,
    )


def _delivery(each: Delivery) -> WebhookDeliveryOut:
    return WebhookDeliveryOut(
        id=each.id or 0,
        state=DeliveryState(each.state),
        rule_id=each.rule_id,
        deal_id=each.deal_id,
        contact_id=each.contact_id,
        body=each.body,
        answer=each.answer,
        tries=each.tries,
        created_at=each.created_at,
        due_at=each.due_at,
        sent_at=each.sent_at,
    )
