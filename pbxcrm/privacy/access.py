"""Who may take out all that is kept about a client, and who may erase it."""

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.contacts.actions import check_editable
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import access_contact


async def access_to_export(session: AsyncSession, viewer: Viewer, contact_id: int) -> Contact:
    """The client, for managers and administrators who may change them. Raises NotAllowed, NotFound."""
    return await _access(session, viewer, contact_id, Permission.PERSONAL_DATA_EXPORT)


async def access_to_erase(session: AsyncSession, viewer: Viewer, contact_id: int) -> Contact:
    """The client, for administrators. Raises NotAllowed, NotFound."""
    return await _access(session, viewer, contact_id, Permission.PERSONAL_DATA_ERASE)


async def _access(session: AsyncSession, viewer: Viewer, contact_id: int, permission: Permission) -> Contact:
    check(viewer, permission)
    contact = await access_contact(session, viewer, contact_id)
    await check_editable(session, viewer, contact)
    return contact
