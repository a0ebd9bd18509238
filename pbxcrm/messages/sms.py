"""Carries SMS: a delivery as a request to the gateway that the settings describe."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.messages.gateway_queries import load_gateway
from pbxcrm.messages.gateway_rules import SmsValues, hide_secret, read_answer, request_of
from pbxcrm.messages.models import Delivery, MessageChannel
from pbxcrm.messages.rules import message_id_of
from pbxcrm.messages.sms_rules import takes_sms
from pbxcrm.shared.db import Database
from pbxcrm.shared.outgoing import Outgoing
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.refusals import NotSent


@dataclass(frozen=True, slots=True)
class SmsCarrier:
    """The gateway is read when a message is sent: a mended description holds for what waits."""

    db: Database
    out: Outgoing
    channel: str = MessageChannel.SMS.value
    most_at_once: int = 10

    async def may_repeat(self, session: AsyncSession) -> bool:
        """If the gateway says that it takes a message with a known id once."""
        gateway = await load_gateway(session)
        return gateway is not None and gateway.knows_repeats

    async def carry(self, delivery: Delivery, begin: Callable[[], Awaitable[None]]) -> str:
        """Send it. Raises NotSent."""
        async with self.db.read() as session:
            gateway = await load_gateway(session)
        if gateway is None or not gateway.is_on:
            raise NotSent(N_("No gateway of SMS is set, or it is switched off (Settings, Messages)."), is_final=True)
        if not takes_sms(delivery.address):
            raise NotSent(N_("No SMS can be sent to this number."), is_final=True)
        asked = request_of(
            gateway, SmsValues(delivery.address, delivery.body, delivery.id or 0, message_id_of(delivery.key))
        )
        await begin()
        try:
            answer = await self.out.exchange(asked.method, asked.address, asked.headers, asked.body)
            said = read_answer(gateway, answer.status, answer.text, answer.location)
        except NotSent as error:
            words = hide_secret(str(error), gateway.secret)
            raise NotSent(words, is_final=error.is_final, is_unsure=error.is_unsure) from None
        return hide_secret(said, gateway.secret)
