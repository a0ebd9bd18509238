"""Sets the kinds of a client's numbers and addresses, and which of them is the main one."""

from collections.abc import Mapping, Sequence

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.contacts.kind_rules import ChosenKinds, WayChoice, check_kind
from pbxcrm.contacts.models import Email, Phone


async def do_set_kinds(session: AsyncSession, contact_id: int, chosen: ChosenKinds) -> None:
    """Set what was chosen for numbers and addresses that the client has. The caller has checked access. Raises Invalid."""
    if not chosen.phones and not chosen.emails:
        return
    await session.flush()
    phones = (await session.exec(select(Phone).where(Phone.contact_id == contact_id).order_by(col(Phone.id)))).all()
    emails = (await session.exec(select(Email).where(Email.contact_id == contact_id).order_by(col(Email.id)))).all()
    _set(phones, {phone.number: phone for phone in phones}, chosen.phones, "phones")
    _set(emails, {email.address: email for email in emails}, chosen.emails, "emails")


def _set(
    rows: Sequence[Phone] | Sequence[Email],
    by_key: Mapping[str, Phone | Email],
    chosen: Mapping[str, WayChoice],
    field: str,
) -> None:
    for key, what in chosen.items():
        row = by_key.get(key)
        if row is None:
            continue
        if what.kind is not None:
            row.kind = check_kind(what.kind, field, of_email=field == "emails")
        if what.is_main:
            for other in rows:
                other.is_main = other is row
