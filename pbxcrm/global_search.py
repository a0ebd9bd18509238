"""The global search over clients, companies, deals, their custom fields, tasks and notes.

Every kind is found through an index of its own, best first, and the viewer's access is tested row by row only until enough are found:
nothing is gathered or sorted that grows with the years.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, union_all
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.contacts.access import sees_little, visible_companies, visible_contacts
from pbxcrm.contacts.known_numbers import KnownNumber, whose_numbers
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.contacts.queries import ContactRow, with_numbers
from pbxcrm.deals.access import visible_deals
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.queries import DealRow, as_rows
from pbxcrm.fields.merged_links import same_rows
from pbxcrm.fields.models import FieldDefinition, FieldEntity, LinkTarget, ValueKind
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import Stored, stored_in
from pbxcrm.fields.search_queries import points_to, rows_by_field
from pbxcrm.fields.terms import has_words
from pbxcrm.notes.access import visible_notes
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import fetch, load_by_id, one_of
from pbxcrm.shared.frequent_texts import is_known_frequent, note_frequent
from pbxcrm.shared.listed import MORE, newest_that_pass
from pbxcrm.shared.numbers import normalise
from pbxcrm.shared.search_keys import search_key, words_of
from pbxcrm.shared.search_words import newest_with
from pbxcrm.shared.spellings import corrected
from pbxcrm.shared.text_match import MANY, digits_of, part_of
from pbxcrm.shared.trigrams import holds_digits, holds_words
from pbxcrm.tasks.access import visible_tasks
from pbxcrm.tasks.models import Task, is_open

Model = TypeVar("Model", bound=SQLModel)

SHORTEST = 3  # letters or digits
RANKED = 40  # rows that are ranked; more than a screen shows
_FEW = 3_000  # matches that are ranked as a whole; of more the newest are taken
_NEWEST = 200  # of these
_NEWEST_DEALS = 20_000  # of deals that match, so many are tested for access
_TESTED = 400  # rows whose access is tested for one list, until the part of them is through
_MAY_BE_TESTED = _TESTED + MORE  # so many at most
_SHORTEST_WHOLE = 7  # digits of a number that may be complete: shorter ones are the middle of many
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
class FoundByField:
    """A client, company or deal in one of whose custom fields the text stands. ``value``: as it is stored."""

    entity: FieldEntity
    row_id: int
    title: str
    definition: FieldDefinition
    value: Stored


@dataclass(frozen=True, slots=True)
class Found:
    """The best matches of each kind that the viewer may see."""

    contacts: list[ContactRow]
    companies: list[Company]
    deals: list[DealRow]
    notes: list[FoundNote]
    tasks: list[Task] = field(default_factory=list)
    by_field: list[FoundByField] = field(default_factory=list)
    private: list[KnownNumber] = field(
        default_factory=list
    )  # whose a complete number is, if the viewer may not open the client
    alike: bool = False  # nobody is named so; clients and companies are those whose names are one typing error away

    @property
    def nothing(self) -> bool:
        """Whether all lists are empty."""
        return not (
            self.contacts or self.companies or self.deals or self.notes or self.tasks or self.by_field or self.private
        )


def company_matches(text: str) -> list[ColumnElement[bool]]:
    """The condition that the name of a company contains the words of ``text``; empty for an empty text."""
    return [holds_words(Company.name_folded, text)] if text.strip() else []


async def search(
    session: AsyncSession, viewer: Viewer, text: str, *, limit: int = 6, region: str | None = None
) -> Found:
    """The best matches of each kind that the viewer may see; among equal ones the newest. Empty below ``SHORTEST`` characters.

    ``region``: for numbers in national format; None: complete numbers are not looked up.
    """
    text = text.strip()
    if len(text) < SHORTEST:
        return Found([], [], [], [])
    little = await sees_little(session, viewer)
    contacts = await _contacts(session, viewer, text, limit, little=little)
    companies = await _companies(session, viewer, text, limit, little=little)
    alike = False
    if not (contacts or companies):
        for other in await corrected(session, text):
            contacts += await _contacts(session, viewer, other, limit, little=little)
            companies += await _companies(session, viewer, other, limit, little=little)
            alike = bool(contacts or companies)
            if len(contacts) >= limit:
                break
        contacts, companies = _once(contacts)[:limit], _once(companies)[:limit]
    deals = await _deals(session, viewer, text, contacts, companies, limit)
    return Found(
        contacts=await with_numbers(session, contacts),
        companies=companies,
        deals=await as_rows(session, deals),
        notes=await _notes(session, viewer, text, limit),
        tasks=await _tasks(session, viewer, text, limit),
        by_field=await _by_field(
            session,
            viewer,
            text,
            region,
            limit,
            await _pointed_to(session, text, contacts, companies, deals),
            little=little,
        ),
        private=await _private(session, viewer, text, region),
        alike=alike,
    )


async def find_clients(session: AsyncSession, viewer: Viewer, text: str, *, limit: int) -> list[ContactRow]:
    """The best matching clients that the viewer may see, for a form to choose one."""
    little = await sees_little(session, viewer)
    return await with_numbers(session, await _contacts(session, viewer, text.strip(), limit, little=little))


async def _contacts(session: AsyncSession, viewer: Viewer, text: str, limit: int, *, little: bool) -> list[Contact]:
    visible = visible_contacts(viewer, little=little)
    found: list[Contact] = []
    if digits := digits_of(text):
        has_it = holds_digits(Phone.number, digits, newest=_FEW)
        some = select(Phone.contact_id, Phone.number).where(has_it).limit(_FEW).subquery().c
        # Numbers that end so come first: the end is what people remember.
        ends_so = some.number.endswith(digits, autoescape=True)
        ranked = select(some.contact_id).order_by(ends_so.desc(), some.contact_id.desc()).limit(_MAY_BE_TESTED)
        found = await _that_pass(session, Contact, (await session.exec(ranked)).all(), visible, limit)
    if len(found) < limit:
        own = col(Contact.responsible_id) == viewer.user_id
        found += await _named(session, Contact, Contact.name_folded, visible, text, limit, little=little, own=own)
    return _once(found)[:limit]


async def _companies(session: AsyncSession, viewer: Viewer, text: str, limit: int, *, little: bool) -> list[Company]:
    visible = visible_companies(viewer, little=little)
    own = col(Company.responsible_id) == viewer.user_id
    return await _named(session, Company, Company.name_folded, visible, text, limit, little=little, own=own)


async def _deals(
    session: AsyncSession, viewer: Viewer, text: str, contacts: list[Contact], companies: list[Company], limit: int
) -> list[Deal]:
    """Deals that match by title or number, and deals of the clients and companies found; open ones first."""
    ways = [] if _is_number(text) else [holds_words(Deal.title_folded, text, newest=_NEWEST_DEALS)]
    if contacts:
        ways.append(col(Deal.contact_id).in_([contact.id for contact in contacts]))
    if companies:
        ways.append(col(Deal.company_id).in_([company.id for company in companies]))
    if digits := digits_of(text):
        ways.append(holds_digits(Deal.client_number, digits, newest=_NEWEST_DEALS))
    if not ways:
        return []
    visible = visible_deals(viewer)
    # Each way begins at its own index.
    parts = [
        select(col(Deal.id)).where(visible, way).order_by(col(Deal.id).desc()).limit(RANKED).subquery().select()
        for way in ways
    ]
    deals = (await session.exec(select(Deal).where(col(Deal.id).in_(union_all(*parts))))).all()

    def place(deal: Deal) -> tuple[bool, int, int]:
        return deal.closed_at is not None, -_rank(deal.title, text), -(deal.id or 0)

    return sorted(deals, key=place)[:limit]


async def _tasks(session: AsyncSession, viewer: Viewer, text: str, limit: int) -> list[Task]:
    """Tasks that match by title: the newest open ones, then others if few match at all."""
    if _is_number(text):
        return []
    fits, visible = part_of(col(Task.title_folded), text), visible_tasks(viewer)
    open_ones = select(Task).where(is_open(), fits, visible).order_by(col(Task.id).desc()).limit(limit)
    found = list((await session.exec(open_ones)).all())
    if len(found) < limit:
        key: Any = Task.id
        among_all = holds_words(Task.title_folded, text, newest=_FEW + 1)
        newest = _best(select(key).where(among_all), None)
        found += await _that_pass(session, Task, await _if_few(session, Task, text, newest) or (), visible, limit)
    return _once(found)[:limit]


async def _by_field(
    session: AsyncSession,
    viewer: Viewer,
    text: str,
    region: str | None,
    limit: int,
    pointed_to: Mapping[str, Sequence[int]],
    *,
    little: bool,
) -> list[FoundByField]:
    """The newest visible rows of each entity that have the text in a custom field, each once."""
    found: list[FoundByField] = []
    for entity, rows in (await rows_by_field(session, text, region, pointed_to)).items():
        by_id = dict(reversed(rows))
        shown: Sequence[Contact | Company | Deal]
        if entity is FieldEntity.CONTACT:
            shown = await _that_pass(
                session, Contact, list(by_id)[::-1], visible_contacts(viewer, little=little), limit
            )
        elif entity is FieldEntity.COMPANY:
            visible = visible_companies(viewer, little=little)
            shown = await _that_pass(session, Company, list(by_id)[::-1], visible, limit)
        else:
            shown = await _that_pass(session, Deal, list(by_id)[::-1], visible_deals(viewer), limit)
        for row in shown:
            definition = by_id[row.id or 0]
            title = row.title if isinstance(row, Deal) else row.name
            found.append(FoundByField(entity, row.id or 0, title, definition, stored_in(row.custom, definition)))
    return found[:limit]


async def _pointed_to(
    session: AsyncSession, text: str, contacts: list[Contact], companies: list[Company], deals: list[Deal]
) -> dict[str, list[int]]:
    """What fields may point to that is named so: the rows that the search has found, which the viewer sees, and people."""
    asked = {points_to(each) for each in (await load_fields(session)).definitions if each.filterable} - {""}
    people = await load_directory(session) if ValueKind.PERSON.value in asked else None
    found: dict[str, list[int]] = {
        LinkTarget.CONTACT.value: [row.id or 0 for row in contacts],
        LinkTarget.COMPANY.value: [row.id or 0 for row in companies],
        LinkTarget.DEAL.value: [row.id or 0 for row in deals if has_words(row.title, text)],
        ValueKind.PERSON.value: [
            user_id for user_id, user in (people.users if people else {}).items() if has_words(user.name, text)
        ],
    }
    found = {target: ids for target, ids in found.items() if target in asked and ids}
    for target in found.keys() - {ValueKind.PERSON.value}:  # a field may point to what was merged into a row
        found[target] = [row_id for (row_id,) in await fetch(session, same_rows(target, found[target]))]
    return found


async def _private(session: AsyncSession, viewer: Viewer, text: str, region: str | None) -> list[KnownNumber]:
    """Whose the number ``text`` is, if it is complete and the viewer may not open the client."""
    number = normalise(text, region) if region is not None and digits_of(text) else None
    if number is None or len(number) < _SHORTEST_WHOLE:
        return []
    return [known for known in await whose_numbers(session, viewer, [number]) if known.contact is None]


async def _notes(session: AsyncSession, viewer: Viewer, text: str, limit: int) -> list[FoundNote]:
    """The newest notes, then note fields of clients, in which words begin with the words of ``text``."""
    newest = await _newest_with(session, text, "notes", "contacts")
    notes = await _that_pass(session, Note, newest["notes"], visible_notes(viewer), limit)
    deals = await load_by_id(session, Deal, (note.deal_id for note in notes))
    contacts = await load_by_id(session, Contact, (note.contact_id for note in notes))
    found: list[FoundNote] = []
    for note in notes:
        deal, contact = deals.get(note.deal_id), contacts.get(note.contact_id)
        found.append(FoundNote(_around(note.text, text), deal, None if deal else contact, note.call_id))
    if len(found) < limit:
        noted = await _that_pass(session, Contact, newest["contacts"], visible_contacts(viewer), limit)
        found += [FoundNote(_around(contact.note, text), None, contact) for contact in noted]
    return found[:limit]


async def _newest_with(session: AsyncSession, text: str, *kinds: str) -> dict[str, list[int]]:
    """The ids of the newest texts of each kind in which words begin with the words of ``text``, asked at once."""
    found: dict[str, list[int]] = {kind: [] for kind in kinds}
    words = {kind: newest_with(kind, text, most=MANY) for kind in kinds}
    parts = [select(literal(kind), query.subquery().c[0]) for kind, query in words.items() if query is not None]
    for kind, row_id in await fetch(session, union_all(*parts)) if parts else ():
        found[kind].append(row_id)
    return {kind: sorted(ids, reverse=True) for kind, ids in found.items()}


async def _named(
    session: AsyncSession,
    table: type[Model],
    folded: Any,
    visible: ColumnElement[bool],
    text: str,
    limit: int,
    *,
    little: bool = False,
    own: ColumnElement[bool] | None = None,
) -> list[Model]:
    """The best visible rows whose ``folded`` name contains the words of ``text``.

    Up to ``_FEW`` matches are ranked as a whole, of more the newest. ``little``: the viewer sees so few rows that the condition comes
    first; ``own``: rows that the viewer must not miss among many others' matches.
    """
    fits = part_of(col(folded), text)
    key: Any = table.id  # type: ignore[attr-defined]  # all have one
    among_all = holds_words(folded, text, newest=_FEW + 1)
    asked = search_key(text)
    few = select(key, folded).where(fits, visible) if little else select(key, folded).where(among_all)
    ranked = await _if_few(session, table, "" if little else text, _best(few, asked))
    if ranked is not None:
        return await _that_pass(session, table, ranked, visible, limit)
    found: list[Model] = []
    if own is not None:
        mine = select(table).where(own, fits, visible).order_by(col(key).desc()).limit(2 * RANKED)
        found += (await session.exec(mine)).all()
    latest = holds_words(folded, text, newest=_NEWEST)
    newest = select(key).where(latest).order_by(col(key).desc()).limit(_NEWEST)
    found += await _that_pass(session, table, (await session.exec(newest)).all(), visible, max(limit, RANKED))
    return sorted(_once(found), key=lambda row: -_rank_of(getattr(row, folded.key), asked))[:limit]


def _best(matching: Any, asked: str | None) -> Any:  # Select of two columns
    """Of up to ``_FEW`` + 1 matches (id, and key of the name) the ids of the best for ``asked`` and among equal ones the newest, each
    beside the number of matches. None: the newest.
    """
    some = matching.limit(_FEW + 1).subquery().c
    order = [] if asked is None else [_ranked(some[1], asked).desc()]
    return select(some[0], func.count().over()).order_by(*order, some[0].desc()).limit(_MAY_BE_TESTED)


async def _if_few(session: AsyncSession, table: type[Model], text: str, best: Any) -> list[int] | None:
    """The ids of ``best``; None where more than ``_FEW`` match ``text``, which is remembered. No ``text``: not of all rows."""
    name = str(table.__tablename__)
    if text and is_known_frequent(session, name, text, _FEW):
        return None
    rows = (await session.exec(best)).all()
    if rows and rows[0][1] > _FEW:
        if text:
            note_frequent(session, name, text, _FEW)
        return None
    return [row_id for row_id, _ in rows]


def _ranked(key: Any, asked: str) -> ColumnElement[int]:
    """``_rank_of`` as SQL."""
    begin = [
        or_(key.startswith(part, autoescape=True), key.contains(f" {part}", autoescape=True)) for part in asked.split()
    ]
    ways: list[tuple[ColumnElement[bool], int]] = [(key == asked, 4), (key.startswith(asked, autoescape=True), 3)]
    if begin:
        ways += [(and_(*begin), 2), (or_(*begin), 1)]
    return case(*ways, else_=0)


async def _that_pass(
    session: AsyncSession, table: type[Model], ids: Sequence[int], visible: ColumnElement[bool], limit: int
) -> list[Model]:
    """The first ``limit`` visible rows of ``ids``, in this order; at most ``_TESTED`` are tested."""
    key: Any = table.id  # type: ignore[attr-defined]
    ids = list(dict.fromkeys(ids))
    place = {row_id: n for n, row_id in enumerate(ids)}

    async def behind(last: int | None, most: int) -> Sequence[int]:
        begin = 0 if last is None else place[last] + 1
        return ids[begin : begin + most]

    async def passing(some: Sequence[int]) -> list[Model]:
        rows = (await session.exec(select(table).where(one_of(session, key, some), visible))).all()
        return sorted(rows, key=lambda row: place[row.id])  # type: ignore[attr-defined]

    found = await newest_that_pass(behind, passing, before=None, limit=limit, most_tested=_TESTED, first=4 * limit)
    return found.rows


def _is_number(text: str) -> bool:
    """Whether the text is a number in groups of digits, for which no title is searched."""
    return bool(digits_of(text)) and len(text.split()) > 1


def _once(rows: list[Model]) -> list[Model]:
    return list({row.id: row for row in rows}.values())  # type: ignore[attr-defined]


def _rank(name: str, text: str) -> int:
    """How well a name matches: 4 equal, 3 the name begins with it, 2 each word begins a word, 1 some word does, 0 a part."""
    return _rank_of(search_key(name), search_key(text))


def _rank_of(key: str, asked: str) -> int:
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
