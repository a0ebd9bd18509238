"""Outgoing webhooks: made, changed and given new secrets by administrators; what they sent is sent again."""

from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.messages.models import Delivery, DeliveryState, Webhook
from pbxcrm.messages.webhook_queries import access_webhook, access_webhook_delivery
from pbxcrm.messages.webhook_rules import new_secret
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line, longest
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.outgoing import fault_of_address

MOST_WEBHOOKS = 100
#: States of messages that no worker is sending or will send.
AGAIN = frozenset({DeliveryState.SENT, DeliveryState.FAILED, DeliveryState.UNKNOWN, DeliveryState.LEFT})


async def create_webhook(
    session: AsyncSession, viewer: Viewer, *, name: str, address: str, now: datetime
) -> tuple[Webhook, str]:
    """A new one, and its secret, which cannot be read again. Raises Invalid at ``name address``, Conflict, NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    checked = await _checked(session, name, address, None)
    live = select(func.count()).select_from(Webhook).where(col(Webhook.deleted_at).is_(None))
    if (await session.exec(live)).one() >= MOST_WEBHOOKS:
        raise Conflict("webhooks.many", "There are {most} webhooks already. Change one of them.", most=MOST_WEBHOOKS)
    webhook = Webhook(name=checked[0], address=checked[1], secret=new_secret(), created_at=now)
    session.add(webhook)
    await session.flush()
    record(session, now, "webhook.created", "webhook", webhook.id, actor=viewer, name=webhook.name)
    return webhook, webhook.secret


async def change_webhook(
    session: AsyncSession, viewer: Viewer, webhook_id: int, *, name: str, address: str, is_on: bool, now: datetime
) -> Webhook:
    """What waits goes to the new address; of one that is switched off it has failed. Raises NotFound, Invalid at ``name address``,
    NotAllowed, Conflict for a deleted one.
    """
    webhook = await _access_live(session, viewer, webhook_id)
    checked = await _checked(session, name, address, webhook_id)
    if (webhook.name, webhook.address, webhook.is_on) != (*checked, is_on):
        webhook.name, webhook.address, webhook.is_on = *checked, is_on
        webhook.version += 1
        record(session, now, "webhook.changed", "webhook", webhook_id, actor=viewer, name=webhook.name, on=is_on)
    return webhook


async def renew_secret(session: AsyncSession, viewer: Viewer, webhook_id: int, now: datetime) -> tuple[Webhook, str]:
    """A new secret, from the next try on; the old one signs nothing any more. Raises NotFound, NotAllowed, Conflict
    for a deleted one.
    """
    webhook = await _access_live(session, viewer, webhook_id)
    webhook.secret = new_secret()
    webhook.version += 1
    record(session, now, "webhook.secret_renewed", "webhook", webhook_id, actor=viewer, name=webhook.name)
    return webhook, webhook.secret


async def delete_webhook(session: AsyncSession, viewer: Viewer, webhook_id: int, now: datetime) -> Webhook:
    """Nothing is sent to it any more: what waits fails, and so do rules that call it. What was sent stays.

    Raises NotFound, NotAllowed, Conflict for one that is deleted already.
    """
    webhook = await _access_live(session, viewer, webhook_id)
    record(session, now, "webhook.deleted", "webhook", webhook_id, actor=viewer, name=webhook.name)
    freed = f" (#{webhook_id})"
    webhook.name = f"{webhook.name[: longest(Webhook.name) - len(freed)]}{freed}"
    webhook.is_on, webhook.secret, webhook.deleted_at = False, "", now
    webhook.version += 1
    return webhook


async def _access_live(session: AsyncSession, viewer: Viewer, webhook_id: int) -> Webhook:
    await access_webhook(session, viewer, webhook_id)
    webhook = await lock_row(session, Webhook, webhook_id)
    if webhook.deleted_at is not None:
        raise Conflict("webhooks.deleted", "This webhook is deleted.")
    return webhook


async def send_again(
    session: AsyncSession, viewer: Viewer, webhook_id: int, delivery_id: int, now: datetime
) -> Delivery:
    """Send a message once more, with the same key. Raises NotFound, NotAllowed, Conflict while it waits or is being sent, and of a
    deleted webhook.
    """
    await _access_live(session, viewer, webhook_id)
    delivery = await access_webhook_delivery(session, viewer, webhook_id, delivery_id, lock=True)
    if delivery.state not in AGAIN:
        raise Conflict("webhooks.waits", "This message is on its way already.")
    delivery.state, delivery.due_at, delivery.tries, delivery.said = DeliveryState.QUEUED.value, now, 0, {}
    delivery.version += 1
    record(session, now, "webhook.sent_again", "webhook", webhook_id, actor=viewer, delivery_id=delivery_id)
    return delivery


async def _checked(session: AsyncSession, name: str, address: str, own_id: int | None) -> tuple[str, str]:
    name = check_line(name, Webhook.name, "name", "webhooks.name", "Write a name of up to {most} characters.")
    with session.no_autoflush:
        same = (await session.exec(select(Webhook.id).where(Webhook.name == name))).first()
    if same is not None and same != own_id:
        raise Invalid("name", "webhooks.name_taken", "There is a webhook of this name already.")
    address = address.strip()
    fault = fault_of_address(address)
    if fault:
        raise Invalid("address", "webhooks.address", fault)
    return name, address
