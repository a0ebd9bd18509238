"""What is asked before any message to a client, at one place: address, stop list, consent, quiet hours, one message a day."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from sqlalchemy import and_, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.consent_queries import consent_now
from pbxcrm.messages.models import TO_CLIENTS, Delivery, DeliveryState
from pbxcrm.messages.queries import addresses_of, stops_among
from pbxcrm.messages.rules import day_of, quiet_until
from pbxcrm.shared.reasons import Reason, reason
from pbxcrm.shared.runtime_options import Options

_WAITS = DeliveryState.QUEUED.value
_COUNTED = (DeliveryState.SENDING.value, DeliveryState.SENT.value, DeliveryState.UNKNOWN.value)


@dataclass(frozen=True, slots=True)
class Objection:
    """What speaks against a message. ``until``: then it may be sent; None: it is refused."""

    why: Reason
    until: datetime | None = None


async def objection(
    session: AsyncSession, delivery: Delivery, options: Options, timezone: ZoneInfo, now: datetime
) -> Objection | None:
    """What speaks against sending this message now; None if nothing does."""
    if delivery.channel not in TO_CLIENTS or delivery.is_test:
        return None
    if not delivery.address:
        return Objection(reason(f"message.no_{delivery.channel}"))
    # Whoever said no at one address gets nothing at another either.
    theirs = await addresses_of(session, delivery.contact_id) if delivery.contact_id is not None else []
    if stops := await stops_among(session, [delivery.address, *theirs]):
        return Objection(reason("message.stopped", address=stops[0].address))
    consents = await consent_now(session, [delivery.contact_id]) if delivery.contact_id is not None else {}
    agrees = consents.get(delivery.contact_id or 0)
    if agrees is False:
        return Objection(reason("message.no_consent"))
    if agrees is None and options.message_needs_consent:
        return Objection(reason("message.consent_missing"))
    # What a person writes is not limited, but counts for what rules write.
    if delivery.by_id is None and options.message_most_a_day:
        sent = await _sent_today(session, delivery, day_of(now, timezone))
        if sent >= options.message_most_a_day:
            return Objection(reason("message.often", most=options.message_most_a_day))
    until = quiet_until(options.message_quiet, now, timezone)
    return Objection(reason("message.quiet", hours=options.message_quiet), until) if until is not None else None


def is_put_off(delivery: Delivery) -> bool:
    """Whether the message waits because of a guard, not because of the server that takes it."""
    return delivery.state == DeliveryState.QUEUED and delivery.said.get("code") == "message.quiet"


async def _sent_today(session: AsyncSession, delivery: Delivery, since: datetime) -> int:
    theirs = col(Delivery.address) == delivery.address
    if delivery.contact_id is not None:
        theirs = or_(theirs, col(Delivery.contact_id) == delivery.contact_id)
    counted = (
        theirs,
        # Of those that wait one with a time is in a sender's hands.
        or_(col(Delivery.state).in_(_COUNTED), and_(col(Delivery.state) == _WAITS, col(Delivery.sent_at).is_not(None))),
        col(Delivery.is_test).is_(False),
        col(Delivery.channel).in_(TO_CLIENTS),
        func.coalesce(col(Delivery.sent_at), col(Delivery.created_at)) >= since,
        col(Delivery.id) != delivery.id,
    )
    return (await session.exec(select(func.count()).select_from(Delivery).where(*counted))).one()
