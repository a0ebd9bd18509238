"""Deletes the messages to a client who is erased, and their addresses from the stop list: nobody writes to them any more."""

from sqlalchemy import and_, delete, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.contacts.models import Email, Phone
from pbxcrm.messages.models import Delivery, MessageStop
from pbxcrm.messages.rules import address_key
from pbxcrm.shared.core_sql import one_of


async def erase_messages(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``. Pages show messages with the deals, which the handler of deals tells of."""
    held = erasing.held
    emails = await session.exec(select(Email.address).where(one_of(session, col(Email.contact_id), held.contacts)))
    numbers = await session.exec(select(Phone.number).where(one_of(session, col(Phone.contact_id), held.contacts)))
    stopped = [address_key(each) for each in (*emails.all(), *numbers.all())]
    if stopped:
        await session.exec(delete(MessageStop).where(one_of(session, col(MessageStop.address), stopped)))
    theirs = or_(
        one_of(session, col(Delivery.deal_id), held.deals), one_of(session, col(Delivery.contact_id), held.contacts)
    )
    if stopped:  # a test of the gateway of SMS is about nobody
        tried = and_(col(Delivery.deal_id).is_(None), col(Delivery.contact_id).is_(None))
        theirs = or_(theirs, and_(tried, one_of(session, col(Delivery.address), stopped)))
    await session.exec(delete(Delivery).where(theirs))
