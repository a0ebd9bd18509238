"""What the audit log tells of a change of a client or a company: each field that differs, before and after."""

from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.birthday_rules import iso_birthday
from pbxcrm.contacts.models import Company, Contact, Email, Phone


async def fields_of(session: AsyncSession, contact: Contact) -> dict[str, Any]:
    """The client's own fields, numbers and addresses as they are now, for ``differences``."""
    await session.flush()
    phones = await session.exec(select(Phone).where(Phone.contact_id == contact.id).order_by(col(Phone.id)))
    emails = await session.exec(select(Email).where(Email.contact_id == contact.id).order_by(col(Email.id)))
    return {
        "name": contact.name,
        "birthday": iso_birthday(contact.birth_year, contact.birth_day),
        "language": contact.language,
        "company_id": contact.company_id,
        "responsible_id": contact.responsible_id,
        "note": contact.note,
        "phones": [_as_told(each.written, each) for each in phones.all()],
        "emails": [_as_told(each.address, each) for each in emails.all()],
    }


def fields_of_company(company: Company) -> dict[str, Any]:
    """The company's own fields as they are now, for ``differences``."""
    return {"name": company.name, "responsible_id": company.responsible_id, "note": company.note}


def _as_told(written: str, way: Phone | Email) -> str:
    """``+380501234567 (mobile, main)``; kinds are stored words (``WayKind``)."""
    said = [each for each in (way.kind, "main" if way.is_main else "") if each]
    return f"{written} ({', '.join(said)})" if said else written
