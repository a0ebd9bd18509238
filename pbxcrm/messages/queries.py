"""Queries on templates, deliveries and the stop list."""

from collections.abc import Collection, Mapping, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.contacts.models import Email, Phone
from pbxcrm.contacts.queries import ContactRow, access_contact
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.forms.answers import AnsweredMessage
from pbxcrm.messages.access import visible_messages
from pbxcrm.messages.models import TO_CLIENTS, Delivery, DeliveryState, MessageChannel, MessageStop, MessageTemplate
from pbxcrm.messages.rules import address_key, message_id_of
from pbxcrm.shared.errors import Invalid, NotFound

MOST_SHOWN = 100


async def access_message_template(session: AsyncSession, template_id: int, *, field: str = "") -> MessageTemplate:
    """A template, also an archived one; whoever sees deals may read it. Raises NotFound, or Invalid at ``field``."""
    template = await session.get(MessageTemplate, template_id)
    if template is not None:
        return template
    if field:
        raise Invalid(field, "messages.no_template", "There is no such template any more.")
    raise NotFound("messages.no_template", "There is no such template any more.")


async def list_message_templates(session: AsyncSession, *, archived: bool = False) -> Sequence[MessageTemplate]:
    """All templates by name."""
    query = select(MessageTemplate).order_by(col(MessageTemplate.name), col(MessageTemplate.id))
    return (await session.exec(query if archived else query.where(col(MessageTemplate.archived_at).is_(None)))).all()


async def names_of_templates(session: AsyncSession) -> Mapping[int, str]:
    """The names of the templates that are in use, by id."""
    return {template.id or 0: template.name for template in await list_message_templates(session)}


async def access_delivery(session: AsyncSession, viewer: Viewer, delivery_id: int) -> Delivery:
    """A message that the viewer may read. Raises NotFound."""
    found = (await session.exec(select(Delivery).where(Delivery.id == delivery_id, visible_messages(viewer)))).first()
    if found is None:
        raise NotFound("messages.no_delivery", "There is no such message.")
    return found


async def deliveries_of_deal(session: AsyncSession, viewer: Viewer, deal_id: int) -> Sequence[Delivery]:
    """The messages about a deal, the newest first. Raises NotFound."""
    deal = await access_deal(session, viewer, deal_id)
    query = (
        select(Delivery)
        .where(Delivery.deal_id == deal.id, col(Delivery.channel).in_(TO_CLIENTS))
        .order_by(col(Delivery.id).desc())
    )
    return (await session.exec(query.limit(MOST_SHOWN))).all()


async def mail_trouble(session: AsyncSession, viewer: Viewer) -> Delivery | None:
    """The last e-mail that was handed to the mail server, if that went wrong. Raises NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    tried = (Delivery.channel == MessageChannel.EMAIL.value, col(Delivery.tries) > 0)
    last = (await session.exec(select(Delivery).where(*tried).order_by(col(Delivery.id).desc()).limit(1))).first()
    return last if last is not None and last.state in {DeliveryState.QUEUED, DeliveryState.FAILED} else None


async def list_stops(session: AsyncSession, viewer: Viewer) -> Sequence[MessageStop]:
    """The stop list, the newest first. Raises NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    return (await session.exec(select(MessageStop).order_by(col(MessageStop.id).desc()))).all()


async def addresses_of(session: AsyncSession, contact_id: int) -> list[str]:
    """The e-mail addresses and numbers of a client, as the stop list compares them."""
    emails = await session.exec(select(Email.address).where(Email.contact_id == contact_id))
    numbers = await session.exec(select(Phone.number).where(Phone.contact_id == contact_id))
    return [address_key(each) for each in (*emails.all(), *numbers.all())]


def reached_at(row: ContactRow) -> list[str]:
    """The addresses and numbers of a client that has been read already."""
    return [*(each.address for each in row.emails), *(each.number for each in row.phones)]


async def stops_among(session: AsyncSession, addresses: Collection[str]) -> Sequence[MessageStop]:
    """Those of these addresses and numbers that are on the stop list. The caller has checked access to whom they belong."""
    keys = {address_key(address) for address in addresses}
    if not keys:
        return []
    query = select(MessageStop).where(col(MessageStop.address).in_(keys)).order_by(col(MessageStop.id))
    return (await session.exec(query)).all()


async def stops_of_client(session: AsyncSession, viewer: Viewer, contact_id: int) -> Sequence[MessageStop]:
    """What of a client is on the stop list: while there is anything, they get no message. Raises NotFound."""
    contact = await access_contact(session, viewer, contact_id)
    return await stops_among(session, await addresses_of(session, contact.id or 0))


async def delivery_by_secret(session: AsyncSession, secret: str) -> Delivery:
    """The e-mail whose link has this secret; whoever knows it got the e-mail. Raises NotFound."""
    found = (await session.exec(select(Delivery).where(Delivery.message_id == message_id_of(secret)))).first()
    if found is None:
        raise NotFound("messages.no_link", "This link is not valid any more. Answer the e-mail instead.")
    return found


async def find_answered(session: AsyncSession, message_ids: Sequence[str]) -> AnsweredMessage | None:
    """The message about a deal that an e-mail answers; ``message_ids``: those that it names, the nearest first."""
    query = select(Delivery).where(col(Delivery.message_id).in_(message_ids), col(Delivery.is_test).is_(False))
    found = {row.message_id: row for row in (await session.exec(query)).all()}
    for message_id in message_ids:
        row = found.get(message_id)
        if row is None or row.deal_id is None:
            continue
        deal = await session.get(Deal, row.deal_id)  # a merge has given it to the survivor
        if deal is not None:
            return AnsweredMessage(deal, row.id or 0, row.subject)
    return None
