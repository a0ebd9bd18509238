"""Queries on outgoing webhooks and what they sent."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.messages.models import Delivery, DeliveryState, Webhook
from pbxcrm.shared.errors import NotFound

MOST_SHOWN = 100


async def access_webhook(session: AsyncSession, viewer: Viewer, webhook_id: int) -> Webhook:
    """A webhook, also a deleted one, for those who write rules. Raises NotFound, NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    webhook = await session.get(Webhook, webhook_id)
    if webhook is None:
        raise NotFound("webhooks.not_found", "There is no such webhook.")
    return webhook


async def list_webhooks(session: AsyncSession, viewer: Viewer) -> Sequence[Webhook]:
    """All of them by name, the deleted ones last. Raises NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    order = (col(Webhook.deleted_at).is_not(None), col(Webhook.name), col(Webhook.id))
    return (await session.exec(select(Webhook).order_by(*order))).all()


async def names_of_webhooks(session: AsyncSession) -> Mapping[int, str]:
    """The names of those that are on, by id."""
    query = select(Webhook).where(col(Webhook.is_on)).order_by(col(Webhook.name))
    return {each.id or 0: each.name for each in (await session.exec(query)).all()}


async def access_webhook_delivery(
    session: AsyncSession, viewer: Viewer, webhook_id: int, delivery_id: int, *, lock: bool = False
) -> Delivery:
    """One of its messages. Raises NotFound, NotAllowed."""
    await access_webhook(session, viewer, webhook_id)
    query = select(Delivery).where(Delivery.id == delivery_id, Delivery.webhook_id == webhook_id)
    found = (await session.exec(query.with_for_update() if lock else query)).first()
    if found is None:
        raise NotFound("messages.no_delivery", "There is no such message.")
    return found


async def deliveries_of_webhook(session: AsyncSession, viewer: Viewer, webhook_id: int) -> Sequence[Delivery]:
    """Its latest messages, the newest first. Raises NotFound, NotAllowed."""
    await access_webhook(session, viewer, webhook_id)
    query = select(Delivery).where(Delivery.webhook_id == webhook_id).order_by(col(Delivery.id).desc())
    return (await session.exec(query.limit(MOST_SHOWN))).all()


async def count_deliveries(session: AsyncSession, viewer: Viewer, since: datetime) -> Mapping[int, tuple[int, int]]:
    """By webhook, since then: how many messages, and how many of them have failed for good. Raises NotAllowed."""
    check(viewer, Permission.RULES_EDIT)
    failed = func.count().filter(col(Delivery.state) == DeliveryState.FAILED.value)
    query = (
        select(Delivery.webhook_id, func.count(), failed)
        .where(col(Delivery.webhook_id).is_not(None), Delivery.created_at > since)
        .group_by(col(Delivery.webhook_id))
    )
    return {webhook_id or 0: (count, bad) for webhook_id, count, bad in (await session.exec(query)).all()}
