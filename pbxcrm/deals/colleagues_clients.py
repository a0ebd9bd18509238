"""A deal with somebody else's client: it may be made, it lets one see the client, and nothing more. The client's owner is told."""

from datetime import datetime

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import edits_contact
from pbxcrm.deals.access import WITH_ANOTHERS_CLIENT, made_with_anothers_client
from pbxcrm.deals.hooks import WithAnothersClient, with_anothers_client
from pbxcrm.deals.models import Deal
from pbxcrm.people.directory import Directory
from pbxcrm.shared.reasons import Reason, reason


async def owner_of_client(session: AsyncSession, viewer: Viewer, contact: Contact) -> int | None:
    """The owner of the client, if the viewer may not change the client; None if they may, or if the client is nobody's.

    Asked before the viewer's own deal is with the client. A client without a responsible is whose the oldest open deal is.
    """
    if await edits_contact(session, viewer, contact.id or 0):
        return None
    if contact.responsible_id is not None:
        return contact.responsible_id
    found = await session.exec(
        select(Deal.responsible_id)
        .where(
            Deal.contact_id == contact.id,
            col(Deal.closed_at).is_(None),
            col(Deal.responsible_id).is_not(None),
            ~made_with_anothers_client(),
        )
        .order_by(col(Deal.id))
        .limit(1)
    )
    return found.first()


def why_with(viewer: Viewer, owner_id: int, people: Directory) -> Reason:
    """The reason of such a deal, by which it is recognised."""
    return reason(WITH_ANOTHERS_CLIENT, by=viewer.name, who=people.name(owner_id) or "—")


async def do_say_with(
    session: AsyncSession,
    viewer: Viewer,
    deal: Deal,
    contact: Contact,
    owner_id: int | None,
    now: datetime,
    people: Directory,
) -> None:
    """``deal`` now has ``contact`` as its client: notify the owner (``owner_of_client``, called before)."""
    if owner_id is not None and owner_id != deal.responsible_id:
        deal.reason = why_with(viewer, owner_id, people).stored()
        await with_anothers_client(session, WithAnothersClient(deal, contact.name, owner_id, viewer, now, people))
    elif deal.reason.get("code") == WITH_ANOTHERS_CLIENT:  # it was with another's client before
        deal.reason = reason("owner.by_hand", by=viewer.name, who=people.name(deal.responsible_id)).stored()
