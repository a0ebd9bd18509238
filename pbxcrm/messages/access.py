"""Who sees a message: whoever sees its deal; one without a deal, whoever sees its client."""

from sqlalchemy import ColumnElement, and_, or_
from sqlmodel import col, select

from pbxcrm.access import Viewer
from pbxcrm.access.kept import kept
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal
from pbxcrm.messages.models import TO_CLIENTS, Delivery


@kept
def visible_messages(viewer: Viewer) -> ColumnElement[bool]:
    """Messages that the viewer may read."""
    clients = select(Contact.id).where(visible_contacts(viewer))
    return col(Delivery.channel).in_(TO_CLIENTS) & or_(
        col(Delivery.deal_id).in_(select(Deal.id).where(visible_deals(viewer))),
        and_(col(Delivery.deal_id).is_(None), col(Delivery.contact_id).in_(clients)),
    )
