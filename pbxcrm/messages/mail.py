"""Carries e-mail: a delivery as a message to the mail server of the installation (DKIM is left to that server)."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.messages.models import Delivery, MessageChannel
from pbxcrm.messages.template_rules import linked
from pbxcrm.notices.mail import MailServer
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.refusals import NotSent

UNSUBSCRIBE = "/unsubscribe"  # the page of the link that ends messages


@dataclass(frozen=True, slots=True)
class MailCarrier:
    """``server``: None if none is set. ``sender``: the address that messages come from. ``home``: how strangers reach our pages
    (``https://crm.example``); without it no message has a link that ends messages.
    """

    server: MailServer | None
    sender: str
    home: str = ""
    channel: str = MessageChannel.EMAIL.value
    most_at_once: int = 10

    async def may_repeat(self, session: AsyncSession) -> bool:
        """A mail server takes the same message twice."""
        return False

    async def carry(self, delivery: Delivery, begin: Callable[[], Awaitable[None]]) -> str:
        """Send it. Its Message-ID is the same each time, so that a repeat is seen. Raises NotSent."""
        if self.server is None:
            raise NotSent(N_("No mail server is set (PBXCRM_SMTP_URL)."), is_final=True)
        try:
            return await self.server.deliver(written(delivery, self.sender, self.home), begin)
        except ValueError as error:  # an address that no header can have
            raise NotSent(str(error), is_final=True) from error


def written(delivery: Delivery, sender: str, home: str = "") -> EmailMessage:
    """The delivery as an e-mail in plain text. Raises ValueError for an address that cannot be written."""
    if not delivery.address.isascii():
        raise ValueError(f"{delivery.address}: only Latin letters are possible in an address")
    message = EmailMessage()
    message["From"] = Address(delivery.data.get("from", ""), addr_spec=sender)
    message["To"] = Address(addr_spec=delivery.address)
    message["Subject"] = delivery.subject
    message["Date"] = format_datetime(delivery.created_at)
    message["Message-ID"] = f"<{delivery.message_id}@{sender.partition('@')[2]}>"
    if delivery.by_id is None:
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: automatic replies do not answer it
    secret = delivery.data.get("secret", "")
    link = f"{home}{UNSUBSCRIBE}/{secret}" if home and secret else ""
    if link and delivery.by_id is None:
        message["List-Unsubscribe"] = f"<{link}>"
        if link.startswith("https:"):  # RFC 8058: mail programs offer one press, which posts without asking
            message["List-Unsubscribe-Post"] = "List-Unsubscribe=One-Click"
    message.set_content(linked(delivery.body, link))
    return message
