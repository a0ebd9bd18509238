"""Takes a client who is erased out of orders to the PBX: that somebody ordered a call, and what became of it, stays."""

from sqlalchemy import and_, or_
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.hooks import Erasing
from pbxcrm.phone.actions import say_command_changed
from pbxcrm.phone.models import PhoneCommand
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows


async def erase_from_orders(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``: the orders to call the client, and those about a call of theirs."""
    held, order = erasing.held, PhoneCommand
    through = (
        one_of(session, col(order.client_number), held.numbers),
        one_of(session, col(order.call_id), held.calls),
        one_of(session, col(order.deal_id), held.deals),
        one_of(session, col(order.episode_id), held.callbacks),
    )
    of_nobody = and_(col(order.contact_id).is_(None), or_(*through))
    theirs = or_(one_of(session, col(order.contact_id), held.contacts), of_nobody)
    for each in await lock_rows(session, PhoneCommand, theirs):
        each.client_number = each.contact_id = None
        each.target = each.channel_id = ""
        each.error_params = {}
        say_command_changed(session, each, erasing.at)
