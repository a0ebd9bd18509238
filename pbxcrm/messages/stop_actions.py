"""The client said no: to somebody of ours, who presses a button on the card, or by the link in an e-mail."""

from datetime import datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.contacts.actions import access_contact_for_change
from pbxcrm.contacts.hints import say_contact_changed
from pbxcrm.contacts.models import Contact
from pbxcrm.messages.models import Delivery, MessageStop
from pbxcrm.messages.option_actions import STOPS
from pbxcrm.messages.queries import addresses_of, delivery_by_secret, stops_among
from pbxcrm.messages.rules import address_key
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict
from pbxcrm.shared.reasons import reason


async def stop_client(session: AsyncSession, viewer: Viewer, contact_id: int, now: datetime) -> None:
    """The client told the viewer that they want no messages: nothing is sent to any of their addresses and numbers.

    Raises NotFound, NotAllowed, and Conflict for a client who has neither.
    """
    contact = await access_contact_for_change(session, viewer, contact_id, None)
    await lock(session, STOPS)
    addresses = dict.fromkeys(await addresses_of(session, contact_id))
    if not addresses:
        raise Conflict("messages.no_address", "The client has neither an e-mail address nor a number.")
    known = {each.address for each in await stops_among(session, addresses)}
    new = [MessageStop(address=each, by_id=viewer.user_id, at=now) for each in addresses if each not in known]
    if not new:
        return
    session.add_all(new)
    record(session, now, "contact.no_messages", "contact", contact_id, actor=viewer)
    await say_contact_changed(session, contact, now)


async def welcome_client(session: AsyncSession, viewer: Viewer, contact_id: int, now: datetime) -> None:
    """The client wants messages again: all that is theirs leaves the stop list. Raises NotFound, NotAllowed."""
    contact = await access_contact_for_change(session, viewer, contact_id, None)
    stops = await stops_among(session, await addresses_of(session, contact_id))
    for stop in stops:
        await session.delete(stop)
    if stops:
        record(session, now, "contact.messages_again", "contact", contact_id, actor=viewer)
        await say_contact_changed(session, contact, now)


async def unsubscribe(session: AsyncSession, secret: str, now: datetime) -> Delivery:
    """Whoever got the e-mail with this secret wants no more: its address is on the stop list. Of tests nothing is kept. Raises NotFound."""
    await lock(session, STOPS)
    delivery = await delivery_by_secret(session, secret)
    if delivery.is_test or await stops_among(session, [delivery.address]):
        return delivery
    why = reason("message.unsubscribed", subject=delivery.subject)
    stop = MessageStop(address=address_key(delivery.address), by_id=None, why=why.stored(), at=now)
    session.add(stop)
    await session.flush()
    record(session, now, "message_stop.added", "message_stop", stop.id, actor=None, reason=why)
    contact = await session.get(Contact, delivery.contact_id) if delivery.contact_id is not None else None
    if contact is not None:
        record(session, now, "contact.no_messages", "contact", contact.id, actor=None, reason=why)
        await say_contact_changed(session, contact, now)
    return delivery
