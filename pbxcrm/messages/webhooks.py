"""Carries outgoing webhooks: a delivery as a signed POST. The receiver knows it by its key, so that it may be sent again."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.messages.models import Delivery, MessageChannel, Webhook
from pbxcrm.messages.rules import message_id_of
from pbxcrm.messages.webhook_rules import headers_of, is_for_good, is_taken
from pbxcrm.shared.db import Database
from pbxcrm.shared.outgoing import Outgoing
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.refusals import NotSent
from pbxcrm.shared.texts import one_line


@dataclass(frozen=True, slots=True)
class WebhookCarrier:
    """The address and the secret are read when it is sent: a mended one holds for what waits."""

    db: Database
    out: Outgoing
    channel: str = MessageChannel.WEBHOOK.value
    most_at_once: int = 20

    async def may_repeat(self, session: AsyncSession) -> bool:
        """The receiver knows the message by its id."""
        return True

    async def carry(self, delivery: Delivery, _begin: Callable[[], Awaitable[None]]) -> str:
        """Send it, unmarked: it may be repeated. Raises NotSent."""
        async with self.db.read() as session:
            webhook = await session.get(Webhook, delivery.webhook_id) if delivery.webhook_id is not None else None
        if webhook is None or not webhook.is_on:
            raise NotSent(N_("The webhook is switched off."), is_final=True)
        body = delivery.body.encode()
        headers = headers_of(webhook.secret, message_id_of(delivery.key), body, datetime.now(UTC))
        answer = await self.out.exchange("POST", webhook.address, headers, body)
        said = f"{answer.status} {one_line(answer.text.replace(chr(0), ''))}".strip()
        if is_taken(answer.status):
            return said
        if answer.location:
            raise NotSent(
                f"{answer.status}: redirects are not followed. Set the address itself: {answer.location}",
                is_final=True,
            )
        raise NotSent(said, is_final=is_for_good(answer.status))
