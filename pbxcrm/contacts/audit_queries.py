"""What the audit log tells of a change of a client: each field that differs, before and after."""

from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.birthday_rules import iso_birthday
from pbxcrm.contacts.models import Contact, Email, Phone


async def fields_of(session: AsyncSession, contact: Contact) -> dict[str, Any]:
    """The client's own fields, numbers and addresses as they are now, for ``differences``."""
    await session.flush()
    phones = await session.exec(select(Phone).where(Phone.contact_id == contact.id).order_by(col(Phone.id)))
    emails = await session.exec(select(Email).where(Email.contact_id == contact.id).order_by(col(Email.id)))
    return {
        "name": contact.name,
        "birthday": iso_birthday(contact.birth_year, contact.birth_day),
        "company_id": contact.company_id,
        "responsible_id": contact.responsible_id,
        "note": contact.note,
        "phones": [_as_told(each.written, each) for each in phones.all()],
        "emails": [_as_told(each.address, each) for each in emails.all()],
    }


def differences(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """``{field: {before, after}}`` of what differs."""
    return {name: {"before": before[name], "after": value} for name, value in after.items() if value != before[name]}


def _as_told(written: str, way: Phone | Email) -> str:
    """``+380501234567 (mobile, main)``; kinds are stored words (``WayKind``)."""
    said = [each for each in (way.kind, "main" if way.is_main else "") if each]
    return f"{written} ({', '.join(said)})" if said else written
