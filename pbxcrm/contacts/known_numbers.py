"""Finds who has a number, before a second client is made with it."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, answers_for
from pbxcrm.contacts.access import visible_contacts
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.number_owners import owners_of_work
from pbxcrm.contacts.queries import load_numbers
from pbxcrm.people.access import sees_user
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.numbers import read_numbers

KNOWN = "contacts.known_number"


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """A number and its contact. ``contact`` None: a client, deal or callback that the viewer may not open; ``responsible`` has it."""

    number: str
    contact: Contact | None
    responsible: str


async def check_unknown(
    session: AsyncSession, viewer: Viewer, typed: Iterable[str], region: str, field: str, *, without: int | None = None
) -> None:
    """Raises Invalid at ``field``, with whose it is, where a number is somebody's already; ``without`` as in ``whose_numbers``."""
    known = await known_when_stored(session, viewer, typed, region, without=without)
    if not known:
        return
    first = known[0]
    if first.contact is None:
        raise Invalid(
            field,
            KNOWN,
            "{number} is the number of a client of {responsible}.",
            number=first.number,
            responsible=first.responsible,
        )
    raise Invalid(
        field,
        KNOWN,
        "{number} is the number of {name} already (client {id}).",
        number=first.number,
        name=first.contact.name,
        id=first.contact.id or 0,
    )


async def known_when_stored(
    session: AsyncSession, viewer: Viewer, typed: Iterable[str], region: str, *, without: int | None = None
) -> list[KnownNumber]:
    """Who has the typed numbers, asked in the transaction that is going to store them: of two at once the second waits for the
    first, and is told of it. ``without`` as in ``whose_numbers``.
    """
    numbers = [one.number for text in typed for one in read_numbers(text, region)]
    await lock_all(session, [f"typed:{number}" for number in numbers])
    return await whose_numbers(session, viewer, numbers, without=without) if numbers else []


async def whose_numbers(
    session: AsyncSession, viewer: Viewer, numbers: Collection[str], *, without: int | None = None
) -> list[KnownNumber]:
    """Who has these numbers (in normal form), except numbers that the client with the id ``without`` also has.

    Visible clients are returned. For a client that is not visible but belongs to a colleague the viewer sees, only the
    colleague's name is returned; other clients are left out entirely. A number without a client that such a colleague has in an
    open deal or callback is told in the same way, unless the viewer may open one of them.
    """
    having = (await load_numbers(session, numbers, all_of_them=True)).contacts
    named = {
        number: contacts
        for number, contacts in having.items()
        if without is None or without not in {contact.id for contact in contacts}
    }
    people = await load_directory(session)
    ids = {contact.id for contacts in named.values() for contact in contacts}
    opened: set[int | None] = set()
    if ids:
        seen = await session.exec(select(Contact.id).where(col(Contact.id).in_(ids), visible_contacts(viewer)))
        opened = set(seen.all())
    found: list[KnownNumber] = []
    for number in dict.fromkeys(numbers):
        for contact in named.get(number, []):
            owner = contact.responsible_id
            if contact.id in opened:
                found.append(KnownNumber(number, contact, people.name(owner) if owner is not None else ""))
            elif owner is not None and sees_user(viewer, owner, people):
                found.append(KnownNumber(number, None, people.name(owner)))
    told = {known.number for known in found} | (having.keys() - named.keys())
    return found + await _worked_on(session, viewer, [number for number in numbers if number not in told], people)


async def _worked_on(
    session: AsyncSession, viewer: Viewer, numbers: Collection[str], people: Directory
) -> list[KnownNumber]:
    """Colleagues who work on these numbers in deals or callbacks that the viewer may not open; for each number the first of them."""
    found = []
    for number, owners in (await owners_of_work(session, numbers) if numbers else {}).items():
        colleague = next((owner for owner in owners if sees_user(viewer, owner, people)), None)
        if colleague is not None and not any(answers_for(viewer, owner, people) for owner in owners):
            found.append(KnownNumber(number, None, people.name(colleague)))
    return found
