"""Erases clients: their rows stay without anything in them, so that nobody else gets their ids."""

from typing import Any

from sqlalchemy import delete, update
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.audit.actions import do_forget_details
from pbxcrm.contacts.hints import say_contact_changed
from pbxcrm.contacts.hooks import GONE, Erasing
from pbxcrm.contacts.models import Consent, Contact, Email, Merge, NotSame, Phone, SpecialNumber
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.value_actions import do_forget_values
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.locking import lock_rows

_EMPTY: dict[str, Any] = {"name": "", "note": "", "birth_year": None, "birth_day": None, "language": ""}


async def say_clients_erased(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``, the first: who sees the clients is known only while their deals, calls and tasks name them."""
    for contact in await lock_rows(session, Contact, one_of(session, col(Contact.id), erasing.held.contacts)):
        await say_contact_changed(session, contact, erasing.at)


async def erase_contacts(session: AsyncSession, erasing: Erasing) -> None:
    """Handler of ``contact_erasing``, the last: the clients, and all from which the undo of a merge would bring something back."""
    held = erasing.held
    contacts = await lock_rows(session, Contact, one_of(session, col(Contact.id), held.contacts))
    for contact in contacts:
        for name, value in _EMPTY.items():
            setattr(contact, name, value)
        contact.name_key, contact.company_id, contact.responsible_id = "", None, None
        contact.erased_at = erasing.at
        contact.version += 1
    await do_forget_values(session, FieldEntity.CONTACT, contacts)
    await session.flush()
    theirs = (Phone.contact_id, Email.contact_id, Consent.contact_id, Merge.from_id, Merge.into_id)
    for column in (*theirs, NotSame.low_id, NotSame.high_id):
        of_them = one_of(session, col(column), held.contacts)
        await session.exec(delete(column.class_).where(of_them).execution_options(synchronize_session=False))  # type: ignore[attr-defined]
    listed = update(SpecialNumber).where(one_of(session, col(SpecialNumber.number), held.numbers))
    await session.exec(listed.values(note="").execution_options(synchronize_session=False))
    await do_forget_details(session, "contact", held.contacts)
    await do_forget_details(session, "number", held.numbers, entity_id=GONE)
