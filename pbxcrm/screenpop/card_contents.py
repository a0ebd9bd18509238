"""What call cards show: clients, their deals and earlier calls. It is read for all cards of all people at once."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any, Generic, TypeVar

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
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import DealRow, number_counts
from pbxcrm.deals.queries import as_rows as deal_rows
from pbxcrm.people.access import sees_user
from pbxcrm.people.directory import Directory, load_directory
from pbxcrm.people.models import User
from pbxcrm.screenpop.rules import CardState
from pbxcrm.shared.core_sql import fetch, list_param, load_by_id

PAST = 3
DEALS, HISTORY = 20, 60  # the most deals and earlier calls read per call
Thing = TypeVar("Thing")


@dataclass(frozen=True, slots=True)
class PastCall:
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


@dataclass(frozen=True, slots=True)
class LiveLeg:
    """A leg of the user's own phone that rings or talks."""

    result: str  # a LegResult
    answered_at: datetime | None


@dataclass(frozen=True, slots=True)
class Card:
    """One call on one person's screen. ``since`` is when the state began, ``waiting_since`` when the client began to wait."""

    call: Call
    state: CardState
    since: datetime
    contact: Contact | None
    company: Company | None
    candidates: list[Contact]  # contacts with the number, while none has been chosen
    others: list[Contact]  # other contacts with the number
    deals: list[DealRow]  # the client's open deals of which the viewer may know: the call's own, then the viewer's
    deal: DealRow | None  # the one the call belongs to
    responsible: User | None  # whose the caller is
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
    contacts: dict[str, list[Contact]]  # number -> contacts that have it
    by_id: dict[int | None, Contact]
    companies: dict[int | None, Company]
    counting: frozenset[int]  # ids of deals to which calls of their number belong where no client has it
    deals: Filed[DealRow]
    history: Filed[PastCall]
    people: Directory
    lines: dict[int | None, Line]
    notes: dict[tuple[int | None, int | None], str]  # (call id, author id) -> note

    @classmethod
    async def load(
        cls,
        session: AsyncSession,
        user_ids: Collection[int],
        calls: Sequence[Call],
        now: datetime,
        today: datetime,
    ) -> "Known":
        """Read everything the cards of these calls show, with about one query per table."""
        numbers = {call.client_number for call in calls if call.client_number}
        call_ids = {call.id for call in calls}
        contacts, by_id = await _contacts(session, numbers, {call.contact_id for call in calls})
        deals = await deal_rows(session, await _open_deals(session, calls, numbers, set(by_id)))
        counting = await _counting(session, [row.deal.id or 0 for row in deals])
        history = await _history(session, numbers, set(by_id))
        notes = await fetch(session, _NOTES, {"ids": list(call_ids), "people": list(user_ids)})
        return cls(
            now,
            today,
            contacts,
            by_id,
            await load_by_id(session, Company, {contact.company_id for contact in by_id.values()}),
            counting,
            Filed(deals, lambda row: _keys(row.deal.client_number, row.deal.contact_id, row.deal.id)),
            Filed(history, lambda past: _keys(past.client_number, past.contact_id)),
            await load_directory(session),
            {line.id: line for line in await load_lines(session)},
            {(note.call_id, note.author_id): note.text for note in notes},
        )

    def card(self, viewer: Viewer, call: Call, state: CardState, legs: Sequence[LiveLeg]) -> Card:
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
        whose = [row for row in found if row.deal.id == call.deal_id or self._is_first(row.deal, clients)]
        deals = [row for row in found if row in whose or self._told(viewer, row.deal)]
        deals.sort(key=lambda row: (row.deal.id != call.deal_id, row.deal.responsible_id != user_id))
        history = [past for past in self.history.find(same) if past.id != call.id and past.outcome != Outcome.OPEN]
        deal = next((row for row in deals if row.deal.id == call.deal_id), None)
        owner = deal or next(iter(whose if clients else sorted(whose, key=_number_since)), None)
        responsible = (
            owner.responsible if owner else self.people.users.get((contact.responsible_id if contact else 0) or 0)
        )
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
            responsible=responsible,
            line=self.lines.get(call.line_id),
            past=[(past, self.people.users.get(past.responsible_id or 0)) for past in history[:PAST]],
            calls_this_week=sum(1 for past in history if past.started_at > week) + 1,
            missed_today=sum(
                past.outcome in {Outcome.MISSED, Outcome.VOICEMAIL} and past.started_at >= self.today
                for past in history
            ),
            note=self.notes.get((call.id, user_id), ""),
            heard_name=named_as(call.client_name)
            or next(filter(None, (named_as(p.client_name) for p in history)), None),
        )

    def _is_first(self, deal: Deal, clients: Collection[int | None]) -> bool:
        """Whether calls of the number belong to this deal (``deals.queries.open_deal_of_client``). ``clients``: who has the number."""
        if not clients:
            return deal.id in self.counting
        if deal.contact_id is None:
            return is_made_by_call(deal)
        return deal.contact_id in clients and not is_with_anothers_client(deal)

    def _told(self, viewer: Viewer, deal: Deal) -> bool:
        """Whether the viewer may know that there is this deal beside those to which the call belongs. One of a colleague whom they
        may not see is as if there were none (``contacts.known_numbers`` tells the same where a number is typed).
        """
        owner_id = deal.responsible_id
        return sees_deal(viewer, deal, self.people) or (
            owner_id is not None and sees_user(viewer, owner_id, self.people)
        )

    def _known_as(self, call: Call, named: Sequence[Contact]) -> Contact | None:
        """Of several contacts with the number, the one of the latest call; ``identify`` chooses the same."""
        if len(named) < 2:
            return None
        ids = {contact.id: contact for contact in named}
        latest = self.history.find([("number", call.client_number)])
        return next((ids[past.contact_id] for past in latest if past.contact_id in ids), None)


def _number_since(row: DealRow) -> datetime:
    return row.deal.number_since or row.deal.created_at


def _keys(number: str | None, contact_id: int | None, deal_id: int | None = None) -> list[Key]:
    return [("number", number), ("contact", contact_id), ("deal", deal_id)]


@cache
def _contacts_of_numbers() -> Any:  # a Select, built once
    """Only clients by which calls of the number go: the name of a stranger's later client is not for whoever had the number first."""
    return (
        select(Phone.number, Contact)
        .join(Contact, col(Contact.id) == col(Phone.contact_id))
        .where(col(Phone.number).in_(_NUMBERS), counts())
        .order_by(phone_since(), col(Phone.id))
    )


async def _contacts(
    session: AsyncSession, numbers: set[str], chosen: set[int | None]
) -> tuple[dict[str, list[Contact]], dict[int | None, Contact]]:
    """Contacts by number, and by id these contacts and those chosen for a call."""
    having: dict[str, list[Contact]] = {}
    by_id: dict[int | None, Contact] = {}
    if numbers:
        for number, contact in (await session.exec(_contacts_of_numbers(), params={"numbers": list(numbers)})).all():
            having.setdefault(number, []).append(contact)
            by_id[contact.id] = contact
    return having, by_id | await load_by_id(session, Contact, chosen - set(by_id))


_DEALS = (
    select(Deal)
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
    session: AsyncSession, calls: Sequence[Call], numbers: set[str], contact_ids: set[int | None]
) -> list[Deal]:
    asked = {
        "numbers": list(numbers),
        "clients": list(contact_ids),
        "ids": list({call.deal_id for call in calls} - {None}),
        "at_most": DEALS * len(calls),
    }
    return list((await session.exec(_DEALS, params=asked)).all())


@cache
def _counts() -> Any:  # a Select, built once
    return select(Deal.id).where(col(Deal.id).in_(_IDS), number_counts())


async def _counting(session: AsyncSession, ids: list[int]) -> frozenset[int]:
    return frozenset(row_id for (row_id,) in await fetch(session, _counts(), {"ids": ids})) if ids else frozenset()


_columns: tuple[Any, ...] = tuple(getattr(Call, name) for name in PastCall.__dataclass_fields__)
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
    return [PastCall(*row) for row in rows]
