"""What call cards show: clients, their deals and earlier calls. It is read for all cards of all people at once."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Generic, NamedTuple, TypeVar

from sqlalchemy import Integer, bindparam, func, or_
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer, answers_for
from pbxcrm.calls.facts import LegResult, Outcome
from pbxcrm.calls.lines import load_lines
from pbxcrm.calls.models import Call, Line
from pbxcrm.calls.rules import named_as
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.contacts.number_owners import counts, phone_since
from pbxcrm.deals.access import is_made_by_call, is_with_anothers_client, sees_deal
from pbxcrm.deals.lamp_queries import LEVELS, LampLevel, lamp_rank
from pbxcrm.deals.models import Deal, Stage
from pbxcrm.deals.queries import load_funnel, number_counts
from pbxcrm.people.access import sees_user
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.screenpop.rules import CardState
from pbxcrm.shared.core_sql import fetch, list_param, load_by_id

PAST = 3
DEALS, HISTORY = 20, 60  # the most deals and earlier calls read per call
_NOT_REACHED_US = frozenset((Outcome.MISSED.value, Outcome.VOICEMAIL.value))
Thing = TypeVar("Thing")


# Four cards are rendered per call, so rows are read without the ORM and with few columns. A named tuple is made in a tenth of the
# time of a frozen dataclass.


class CardCall(NamedTuple):
    """The columns of a call that its cards need."""

    id: int
    direction: str
    outcome: str
    started_at: datetime
    ended_at: datetime | None
    client_number: str | None
    client_name: str | None
    contact_id: int | None
    deal_id: int | None
    line_id: int | None
    did: str | None
    queue: str | None
    wait_seconds: float | None
    talk_seconds: float


class CardContact(NamedTuple):
    """The columns of a client that a card needs."""

    id: int
    name: str
    company_id: int | None
    responsible_id: int | None


@dataclass(frozen=True, slots=True)
class CardDeal:
    """An open deal of the client."""

    deal: Deal
    stage: Stage
    responsible: User | None
    lamp: LampLevel
    counts: bool  # whether calls of its number belong to it where no client has the number


class PastCall(NamedTuple):
    """The part of an earlier call that a card shows."""

    id: int
    client_number: str | None
    contact_id: int | None
    responsible_id: int | None
    direction: str
    outcome: str
    started_at: datetime
    wait_seconds: int | None
    talk_seconds: int | None
    client_name: str | None


class LiveLeg(NamedTuple):
    """A leg of the user's own phone that rings or talks."""

    result: str  # a LegResult
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Card:
    """One call on one person's screen. ``since`` is when the state began, ``waiting_since`` when the client began to wait."""

    call: CardCall
    state: CardState
    since: datetime
    contact: CardContact | None
    company: Company | None
    candidates: list[CardContact]  # contacts with the number, while none has been chosen
    others: list[CardContact]  # other contacts with the number
    deals: list[CardDeal]  # the client's open deals of which the viewer may know: the call's own, then the viewer's
    deal: CardDeal | None  # the one the call belongs to
    client_of: User | None  # who is responsible for the client
    responsible: User | None  # whose the caller is, by the deal or by the client
    line: Line | None
    past: list[tuple[PastCall, User | None]]  # the latest calls, each with the responsible user
    calls_this_week: int
    missed_today: int
    note: str
    heard_name: str | None  # caller name of this or an earlier call; None if it is only a number

    @property
    def is_unknown(self) -> bool:
        """Whether no contact has the number."""
        return self.contact is None and not self.candidates


Key = tuple[str, int | str | None]  # ("number", "+380…"), ("contact", 5) or ("deal", 7)


class Filed(Generic[Thing]):
    """An index of things by their keys, so that many cards need not search through all things."""

    def __init__(self, things: Iterable[Thing], keys: Callable[[Thing], Iterable[Key]]) -> None:
        self._by_key: dict[Key, list[tuple[int, Thing]]] = {}
        for place, thing in enumerate(things):
            for key in keys(thing):
                self._by_key.setdefault(key, []).append((place, thing))

    def find(self, keys: Iterable[Key]) -> list[Thing]:
        """The things with any of ``keys``, each once, in the original order."""
        found = {place: thing for key in keys if key[1] is not None for place, thing in self._by_key.get(key, ())}
        return [thing for _, thing in sorted(found.items())]


# The queries are built once, because building one takes as long as executing it.
_PEOPLE, _IDS, _NUMBERS, _CLIENTS = (
    list_param("people"),
    list_param("ids"),
    list_param("numbers"),
    list_param("clients"),
)
_PLACE: Any = func.row_number()
_NOTE = SQLModel.metadata.tables["notes"].c
_NOTES: Any = (
    select(_NOTE.call_id, _NOTE.author_id, _NOTE.text)
    .where(_NOTE.call_id.in_(_IDS), _NOTE.author_id.in_(_PEOPLE))
    .order_by(_NOTE.id)
)


@dataclass(slots=True)
class Known:
    """The data for the cards of a set of calls."""

    now: datetime
    today: datetime  # the beginning of the day in our time zone
    contacts: dict[str, list[CardContact]]  # number -> contacts that have it
    by_id: dict[int | None, CardContact]
    companies: dict[int | None, Company]
    deals: Filed[CardDeal]
    history: Filed[PastCall]
    people: Directory
    lines: dict[int | None, Line]
    notes: dict[tuple[int | None, int | None], str]  # (call id, author id) -> note

    @classmethod
    async def load(
        cls,
        session: AsyncSession,
        authors: Collection[int],
        calls: Sequence[CardCall],
        now: datetime,
        today: datetime,
    ) -> "Known":
        """Read everything the cards of these calls show, with about one query per table. ``authors``: whose notes are read."""
        numbers = {call.client_number for call in calls if call.client_number}
        contacts, by_id = await _contacts(session, numbers, {call.contact_id for call in calls})
        deals = await _open_deals(session, calls, numbers, set(by_id))
        history = await _history(session, numbers, set(by_id))
        asked = {"ids": [call.id for call in calls], "people": list(authors)}
        notes = await fetch(session, _NOTES, asked) if authors else ()
        return cls(
            now,
            today,
            contacts,
            by_id,
            await load_by_id(session, Company, {contact.company_id for contact in by_id.values()}),
            Filed(deals, lambda row: _keys(row.deal.client_number, row.deal.contact_id, row.deal.id)),
            Filed(history, lambda past: _keys(past.client_number, past.contact_id)),
            await load_directory(session),
            {line.id: line for line in await load_lines(session)},
            {(note.call_id, note.author_id): note.text for note in notes},
        )

    def card(self, viewer: Viewer, call: CardCall, state: CardState, legs: Sequence[LiveLeg]) -> Card:
        """The card of one call, from rows in memory."""
        user_id = viewer.user_id
        # As ``reactions.client_of_call.identify`` chooses: clients of the first owner; a later one only when somebody chose it.
        having = self.contacts.get(call.client_number or "", [])
        first = [each for each in having if each.responsible_id == having[0].responsible_id]
        contact = (
            self.by_id.get(call.contact_id) or self._known_as(call, having) or (first[0] if len(first) == 1 else None)
        )
        named = [each for each in having if each in first or answers_for(viewer, each.responsible_id, self.people)]
        same = _keys(call.client_number, contact.id if contact else None)
        others = [("contact", c.id) for c in first] if contact is None else []
        found = self.deals.find([*same, *others, ("deal", call.deal_id)])
        clients = {each.id for each in (contact, *first) if each is not None}
        whose = [row for row in found if row.deal.id == call.deal_id or self._is_first(row, clients)]
        ids = {row.deal.id for row in whose}
        deals = [row for row in found if row.deal.id in ids or self._told(viewer, row.deal)]
        deals.sort(key=lambda row: (row.deal.id != call.deal_id, row.deal.responsible_id != user_id))
        history = [past for past in self.history.find(same) if past.id != call.id and past.outcome != Outcome.OPEN]
        deal = next((row for row in deals if row.deal.id == call.deal_id), None)
        owner = deal or next(iter(whose if clients else sorted(whose, key=_number_since)), None)
        responsible = (
            owner.responsible if owner else self.people.users.get((contact.responsible_id if contact else 0) or 0)
        )
        client = contact or next(iter(first), None)
        client_of = self.people.users.get((client.responsible_id if client else 0) or 0)
        if responsible is None and deals:
            responsible = deals[0].responsible
        talked = [leg.answered_at for leg in legs if leg.result == LegResult.TALKING and leg.answered_at]
        since = (
            min(talked)
            if state is CardState.TALKING and talked
            else (call.ended_at or call.started_at)
            if state is CardState.AFTER
            else call.started_at
        )
        week = self.now - timedelta(days=7)
        return Card(
            call=call,
            state=state,
            since=since,
            contact=contact,
            company=self.companies.get(contact.company_id) if contact else None,
            candidates=[] if contact else first,
            others=[other for other in named if contact and other.id != contact.id],
            deals=deals,
            deal=deal,
            client_of=client_of,
            responsible=responsible,
            line=self.lines.get(call.line_id),
            past=[(past, self.people.users.get(past.responsible_id or 0)) for past in history[:PAST]],
            calls_this_week=sum(1 for past in history if past.started_at > week) + 1,
            missed_today=sum(past.outcome in _NOT_REACHED_US and past.started_at >= self.today for past in history),
            note=self.notes.get((call.id, user_id), ""),
            heard_name=named_as(call.client_name)
            or next(filter(None, (named_as(p.client_name) for p in history)), None),
        )

    def _is_first(self, row: CardDeal, clients: Collection[int | None]) -> bool:
        """Whether calls of the number belong to this deal (``deals.queries.open_deal_of_client``). ``clients``: who has the number."""
        if not clients:
            return row.counts
        if row.deal.contact_id is None:
            return is_made_by_call(row.deal)
        return row.deal.contact_id in clients and not is_with_anothers_client(row.deal)

    def _told(self, viewer: Viewer, deal: Deal) -> bool:
        """Whether the viewer may know that there is this deal beside those to which the call belongs. One of a colleague whom they
        may not see is as if there were none (``contacts.known_numbers`` tells the same where a number is typed).
        """
        owner_id = deal.responsible_id
        return sees_deal(viewer, deal, self.people) or (
            owner_id is not None and sees_user(viewer, owner_id, self.people)
        )

    def _known_as(self, call: CardCall, named: Sequence[CardContact]) -> CardContact | None:
        """Of several contacts with the number, the one of the latest call; ``identify`` chooses the same."""
        if len(named) < 2:
            return None
        ids = {contact.id: contact for contact in named}
        latest = self.history.find([("number", call.client_number)])
        return next((ids[past.contact_id] for past in latest if past.contact_id in ids), None)


def _number_since(row: CardDeal) -> datetime:
    return row.deal.number_since or row.deal.created_at


def _keys(number: str | None, contact_id: int | None, deal_id: int | None = None) -> list[Key]:
    return [("number", number), ("contact", contact_id), ("deal", deal_id)]


_CONTACT: tuple[Any, ...] = tuple(getattr(Contact, name) for name in CardContact._fields)
_CONTACTS: Any = select(*_CONTACT).where(col(Contact.id).in_(_IDS))


@cache
def _contacts_of_numbers() -> Any:  # a Select, built once
    """Only clients by which calls of the number go: the name of a stranger's later client is not for whoever had the number first."""
    return (
        select(Phone.number, *_CONTACT)
        .join(Contact, col(Contact.id) == col(Phone.contact_id))
        .where(col(Phone.number).in_(_NUMBERS), counts())
        .order_by(phone_since(), col(Phone.id))
    )


async def _contacts(
    session: AsyncSession, numbers: set[str], chosen: set[int | None]
) -> tuple[dict[str, list[CardContact]], dict[int | None, CardContact]]:
    """Contacts by number, and by id these contacts and those chosen for a call."""
    having: dict[str, list[CardContact]] = {}
    by_id: dict[int | None, CardContact] = {}
    if numbers:
        for number, *found in await fetch(session, _contacts_of_numbers(), {"numbers": list(numbers)}):
            contact = CardContact._make(found)
            having.setdefault(number, []).append(contact)
            by_id[contact.id] = contact
    if others := chosen - {None} - by_id.keys():
        by_id |= {row.id: CardContact._make(row) for row in await fetch(session, _CONTACTS, {"ids": list(others)})}
    return having, by_id


@cache
def _deals() -> Any:  # Select[(Deal, rank of its lamp, whether it counts)], built once
    return (
        select(Deal, lamp_rank(), number_counts())
        .where(
            or_(
                col(Deal.client_number).in_(_NUMBERS),
                col(Deal.contact_id).in_(_CLIENTS),
                col(Deal.id).in_(_IDS),
            ),
            col(Deal.closed_at).is_(None),
        )
        .order_by(col(Deal.stage_since).desc())
        .limit(bindparam("at_most", type_=Integer))
    )


async def _open_deals(
    session: AsyncSession, calls: Sequence[CardCall], numbers: set[str], contact_ids: set[int | None]
) -> list[CardDeal]:
    asked = {
        "numbers": list(numbers),
        "clients": list(contact_ids),
        "ids": list({call.deal_id for call in calls} - {None}),
        "at_most": DEALS * len(calls),
    }
    found = (await session.exec(_deals(), params=asked)).all()
    if not found:
        return []
    stages, people = (await load_funnel(session)).stages, (await load_directory(session)).users
    return [
        CardDeal(deal, stages[deal.stage_id], people.get(deal.responsible_id or 0), LEVELS[rank], bool(has_number))
        for deal, rank, has_number in found
    ]


_columns: tuple[Any, ...] = tuple(getattr(Call, name) for name in PastCall._fields)
_by_number = _PLACE.over(partition_by=col(Call.client_number), order_by=col(Call.started_at).desc())
_numbered: tuple[Any, ...] = (*_columns, _by_number.label("place"))
_past: Any = (
    select(*_numbered)
    .where(
        or_(col(Call.client_number).in_(_NUMBERS), col(Call.contact_id).in_(_CLIENTS)),
        col(Call.merged_into_id).is_(None),
    )
    .subquery()
)
_HISTORY = (
    select(*(_past.c[column.key] for column in _columns))
    .where(_past.c.place <= HISTORY)
    .order_by(_past.c.started_at.desc())
)


async def _history(session: AsyncSession, numbers: set[str], contact_ids: set[int | None]) -> list[PastCall]:
    """Earlier calls of these clients, latest first; limited per number, so that no number crowds out another."""
    rows = await fetch(session, _HISTORY, {"numbers": list(numbers), "clients": list(contact_ids)})
    return [PastCall._make(row) for row in rows]
