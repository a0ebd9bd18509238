"""Putting people on a deal, with the role each has there, and taking them off."""

from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession
from sqlmodel.sql.expression import SelectOfScalar

from pbxcrm.access import Viewer
from pbxcrm.audit.actions import record
from pbxcrm.contacts.hints import say_contact_changed
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import access_contact
from pbxcrm.deals.actions import access_deal_for_change, say_deal_changed
from pbxcrm.deals.models import Deal, DealPerson
from pbxcrm.deals.people_queries import access_person
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import check_optional_text

MOST_PEOPLE = 30  # of one deal


async def add_person(
    session: AsyncSession, viewer: Viewer, deal_id: int, contact_id: int, role: str, now: datetime
) -> DealPerson:
    """Put a client that the viewer sees on a deal that the viewer may edit. From now on everybody who sees the deal sees them.

    Raises Invalid at ``contact_id``, ``contact`` or ``role``, NotFound, NotAllowed.
    """
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    contact = await access_contact(session, viewer, contact_id, field="contact_id")
    assert contact.id is not None
    role = _one_line(role)
    there = (await session.exec(_on(deal_id))).all()
    if any(each.contact_id == contact.id for each in there):
        raise Invalid("contact_id", "deals.person_twice", "This person is on the deal already.")
    if len(there) >= MOST_PEOPLE:
        raise Invalid("contact_id", "deals.too_many_people", "A deal can have at most {most} people.", most=MOST_PEOPLE)
    person = DealPerson(deal_id=deal_id, contact_id=contact.id, role=role)
    session.add(person)
    await session.flush()
    await _said(session, viewer, "deal.person_added", deal, contact, now, person_role=role)
    return person


async def set_role(
    session: AsyncSession, viewer: Viewer, deal_id: int, person_id: int, role: str, now: datetime
) -> DealPerson:
    """Change the role of a person. Raises Invalid at ``role``, NotFound, NotAllowed."""
    deal, person = await _access(session, viewer, deal_id, person_id)
    contact = await session.get_one(Contact, person.contact_id)
    role = _one_line(role)
    before = person.role
    if role != before:
        person.role = role
        person.version += 1
        await _said(
            session,
            viewer,
            "deal.person_role",
            deal,
            contact,
            now,
            changed={"person_role": {"before": before, "after": role}},
        )
    return person


async def remove_person(session: AsyncSession, viewer: Viewer, deal_id: int, person_id: int, now: datetime) -> Contact:
    """Take a person off; ``restore_person`` puts them back. Returns who it was. Raises NotFound, NotAllowed."""
    deal, person = await _access(session, viewer, deal_id, person_id)
    contact = await session.get_one(Contact, person.contact_id)
    person.removed_at = now
    person.version += 1
    await _said(session, viewer, "deal.person_removed", deal, contact, now, person_role=person.role)
    return contact


async def restore_person(
    session: AsyncSession, viewer: Viewer, deal_id: int, person_id: int, now: datetime
) -> DealPerson:
    """Undo ``remove_person``, with the role they had. Does nothing for one who is on the deal. Raises as ``add_person`` does, and NotFound."""
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    person = await access_person(session, viewer, deal_id, person_id, or_removed=True)
    if person.removed_at is None:
        return person
    there = (await session.exec(_on(deal_id))).all()
    if any(each.contact_id == person.contact_id for each in there):
        raise Invalid("contact_id", "deals.person_twice", "This person is on the deal already.")
    person.removed_at = None
    person.version += 1
    contact = await session.get_one(Contact, person.contact_id)
    await _said(session, viewer, "deal.person_added", deal, contact, now, person_role=person.role)
    return person


def _one_line(role: str) -> str:
    return " ".join(check_optional_text(role, DealPerson.role, "role").split())


def _on(deal_id: int) -> SelectOfScalar[DealPerson]:
    return select(DealPerson).where(DealPerson.deal_id == deal_id, col(DealPerson.removed_at).is_(None))


async def _access(session: AsyncSession, viewer: Viewer, deal_id: int, person_id: int) -> tuple[Deal, DealPerson]:
    """The deal, locked, and one of its people."""
    deal = await access_deal_for_change(session, viewer, deal_id, None)
    return deal, await access_person(session, viewer, deal_id, person_id)


async def _said(
    session: AsyncSession, viewer: Viewer, action: str, deal: Deal, contact: Contact, now: datetime, **told: Any
) -> None:
    """Record it and notify those who see the deal, and those who see the person."""
    details: dict[str, Any] = {"person": contact.name, "contact_id": contact.id, **told}
    record(session, now, action, "deal", deal.id, actor=viewer, **details)
    say_deal_changed(session, deal, now, await load_directory(session))
    await session.flush()
    await say_contact_changed(session, contact, now)
