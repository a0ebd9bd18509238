"""The global search over clients, companies, deals and notes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import ColumnElement, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.access import sees_little, visible_companies, visible_contacts
from pbxcrm.contacts.known_numbers import KnownNumber, whose_numbers
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.contacts.queries import ContactRow, with_numbers
from pbxcrm.contacts.search import matching
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.queries import DealRow, as_rows
from pbxcrm.notes.access import visible_notes
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.numbers import normalise
from pbxcrm.shared.search_keys import search_key, words_of
from pbxcrm.shared.search_words import rows_with
from pbxcrm.shared.text_match import MANY, begins_word, digits_of, part_of

SHORTEST = 3  # letters or digits
RANKED = 100  # rows that are ranked; more than a screen shows
_AROUND = 40  # characters of a note shown before the word that was found
_SHOWN = 120  # characters of a note that are shown


@dataclass(frozen=True, slots=True)
class FoundNote:
    """A note with its deal, else its client. ``text`` is the excerpt around the word that was found."""

    text: str
    deal: Deal | None
    contact: Contact | None
    call_id: int | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """The best matches of each kind that the viewer may see."""

    contacts: list[ContactRow]
    companies: list[Company]
    deals: list[DealRow]
    notes: list[FoundNote]
    private: list[KnownNumber] = field(
        default_factory=list
    )  # whose a complete number is, if the viewer may not open the client

    @property
    def nothing(self) -> bool:
        """Whether all lists are empty."""
        return not (self.contacts or self.companies or self.deals or self.notes or self.private)


def company_matches(text: str) -> list[ColumnElement[bool]]:
    """The condition that the name of a company contains the words of ``text``; empty for an empty text."""
    return [part_of(col(Company.name_folded), text)] if text.strip() else []


async def search(
    session: AsyncSession, viewer: Viewer, text: str, *, limit: int = 6, region: str | None = None
) -> Found:
    """The best matches of each kind that the viewer may see; among equal ones the newest. Empty below ``SHORTEST`` characters.

    ``region``: for numbers in national format; None: complete numbers are not looked up.
    """
    text = text.strip()
    if len(text) < SHORTEST:
        return Found([], [], [], [])
    contacts = await _contacts(session, viewer, text, limit)
    companies = await _companies(session, viewer, text, limit)
    deals = await _deals(session, viewer, text, contacts, companies, limit)
    return Found(
        await with_numbers(session, contacts),
        companies,
        await as_rows(session, deals),
        await _notes(session, viewer, text, limit),
        await _private(session, viewer, text, region),
    )


async def find_clients(session: AsyncSession, viewer: Viewer, text: str, *, limit: int) -> list[ContactRow]:
    """The best matching clients that the viewer may see, for a form to choose one."""
    return await with_numbers(session, await _contacts(session, viewer, text.strip(), limit))


async def _contacts(session: AsyncSession, viewer: Viewer, text: str, limit: int) -> list[Contact]:
    visible = visible_contacts(viewer, little=await sees_little(session, viewer))
    digits = digits_of(text)
    best = begins_word(col(Contact.name_folded), text)
    if digits:
        ends = col(Phone.number).endswith(digits, autoescape=True)
        best = or_(best, col(Contact.id).in_(select(Phone.contact_id).where(ends).limit(MANY).correlate(None)))
    fits = await matching(session, text)
    return await _best_of(session, Contact, best, (visible, fits), text, lambda row: row.name, limit)


async def _companies(session: AsyncSession, viewer: Viewer, text: str, limit: int) -> list[Company]:
    conditions = (visible_companies(viewer), *company_matches(text))
    best = begins_word(col(Company.name_folded), text)
    return await _best_of(session, Company, best, conditions, text, lambda row: row.name, limit)


async def _deals(
    session: AsyncSession, viewer: Viewer, text: str, contacts: list[Contact], companies: list[Company], limit: int
) -> list[Deal]:
    """Deals that match by title or number, and deals of the clients and companies found; open ones first."""
    digits = digits_of(text)
    named = [
        part_of(col(Deal.title_folded), text),
        col(Deal.contact_id).in_([contact.id for contact in contacts]),
        col(Deal.company_id).in_([company.id for company in companies]),
    ]
    if digits:
        named.append(col(Deal.client_number).contains(digits, autoescape=True))
    query = (
        select(Deal)
        .where(visible_deals(viewer), or_(*named))
        .order_by(col(Deal.closed_at).is_not(None), col(Deal.id).desc())
        .limit(RANKED)
    )
    found = list((await session.exec(query)).all())
    return sorted(found, key=lambda deal: (deal.closed_at is not None, -_rank(deal.title, text)))[:limit]


async def _private(session: AsyncSession, viewer: Viewer, text: str, region: str | None) -> list[KnownNumber]:
    """Whose the number ``text`` is, if it is complete and the viewer may not open the client."""
    number = normalise(text, region) if region is not None and digits_of(text) else None
    if number is None:
        return []
    return [known for known in await whose_numbers(session, viewer, [number]) if known.contact is None]


async def _notes(session: AsyncSession, viewer: Viewer, text: str, limit: int) -> list[FoundNote]:
    """The newest notes, then note fields of clients, in which words begin with the words of ``text``."""
    found: list[FoundNote] = []
    with_words, at_clients = rows_with("notes", text), rows_with("contacts", text)
    if with_words is None or at_clients is None:
        return found
    latest = select(with_words.c.row_id).order_by(with_words.c.row_id.desc()).limit(MANY)
    query = select(Note).where(col(Note.id).in_(latest), visible_notes(viewer)).order_by(col(Note.id).desc())
    notes = (await session.exec(query.limit(limit))).all()
    deals = await load_by_id(session, Deal, (note.deal_id for note in notes))
    contacts = await load_by_id(session, Contact, (note.contact_id for note in notes))
    for note in notes:
        deal, contact = deals.get(note.deal_id), contacts.get(note.contact_id)
        found.append(FoundNote(_around(note.text, text), deal, None if deal else contact, note.call_id))
    latest = select(at_clients.c.row_id).order_by(at_clients.c.row_id.desc()).limit(MANY)
    clients = select(Contact).where(col(Contact.id).in_(latest), visible_contacts(viewer))
    noted = await session.exec(clients.order_by(col(Contact.id).desc()).limit(limit))
    found += [FoundNote(_around(contact.note, text), None, contact) for contact in noted.all()]
    return found[:limit]


async def _best_of(
    session: AsyncSession,
    table: Any,
    best: ColumnElement[bool],
    conditions: Sequence[ColumnElement[bool]],
    text: str,
    name_of: Any,
    limit: int,
) -> list[Any]:
    """The best ranked of the newest rows that match ``best``; if they are too few, also of the others.

    Each query is limited to the newest rows, so that the database need not sort all matches.
    """
    latest = select(table).where(*conditions).order_by(table.id.desc()).limit(RANKED)
    first = list((await session.exec(latest.where(best))).all())
    first.sort(key=lambda row: -_rank(name_of(row), text))
    if len(first) < limit:
        known = [row.id for row in first]
        others = list((await session.exec(latest.where(table.id.not_in(known)))).all())
        first += sorted(others, key=lambda row: -_rank(name_of(row), text))
    return first[:limit]


def _rank(name: str, text: str) -> int:
    """How well a name matches: 4 equal, 3 the name begins with it, 2 each word begins a word, 1 some word does, 0 a part."""
    key, asked = search_key(name), search_key(text)
    if key == asked:
        return 4
    if key.startswith(asked):
        return 3
    starts = [any(word.startswith(part) for word in key.split()) for part in asked.split()]
    return 2 if starts and all(starts) else int(any(starts))


def _around(text: str, asked: str) -> str:
    """The excerpt of a note around the first word that begins with one of the searched words."""
    wanted = sorted(words_of(asked))
    place = 0
    for word in text.split():
        if any(key.startswith(part) for key in words_of(word) for part in wanted):
            place = text.find(word)
            break
    start = max(0, place - _AROUND)
    part = " ".join(text[start : start + _SHOWN].split())
    return ("…" if start else "") + part + ("…" if start + _SHOWN < len(text) else "")
