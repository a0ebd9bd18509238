"""The cards of one person's dock: everything a card shows, in a fixed number of queries however many cards there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, bindparam, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.callbacks.models import Episode, EpisodeStatus
from pbxcrm.calls.facts import LegResult, Outcome
from pbxcrm.calls.models import Call, CallLeg, Line
from pbxcrm.calls.rules import named_as
from pbxcrm.contacts.models import Company, Contact, Phone
from pbxcrm.deals.models import Deal, Note
from pbxcrm.deals.queries import DealRow
from pbxcrm.deals.queries import as_rows as deal_rows
from pbxcrm.errors import NotFound
from pbxcrm.people.models import User
from pbxcrm.rows import load_by_id
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.screenpop.rules import CardState, card_state

CARDS = 8  # unfinished ones; older come up as these are finished
PAST = 3
DEALS, HISTORY = 20, 60  # at most so many are looked at for a call
RING_AT_MOST = timedelta(hours=4)  # a call that "rings" longer is a call whose end nobody heard


@dataclass(frozen=True, slots=True)
class PastCall:
    """As much of an earlier call as a card tells."""

    id: int
    client_number: str | None
    contact_id: int | None
    responsible_id: int | None
    direction: str
    outcome: str
    started_at: datetime
    wait_seconds: int | None
    talk_seconds: int | None


@dataclass(frozen=True, slots=True)
class Card:
    """One call on one person's screen. ``since`` is when the state began, ``waiting_since`` when the client began to wait."""

    call: Call
    state: CardState
    since: datetime
    contact: Contact | None
    company: Company | None
    candidates: list[Contact]
    deals: list[DealRow]  # the client's open deals, own first
    deal: DealRow | None  # the one the call belongs to
    responsible: User | None
    episode: Episode | None
    line: Line | None
    past: list[tuple[PastCall, User | None]]  # the latest, with who was responsible
    calls_this_week: int
    missed_today: int
    note: str

    @property
    def heard_name(self) -> str | None:
        """What the caller's phone calls itself; None where that is only the number again."""
        return named_as(self.call.client_name)

    @property
    def is_unknown(self) -> bool:
        return self.contact is None and not self.candidates


async def load_dock(session: AsyncSession, viewer: Viewer, now: datetime) -> list[Card]:
    """Cards of the viewer: calls that go on, then those whose outcome is owed, newest on top in each."""
    return (await load_docks(session, [viewer], now))[viewer.user_id]


async def load_docks(session: AsyncSession, viewers: Sequence[Viewer], now: datetime) -> dict[int, list[Card]]:
    """The same for several people at once, by user id; it asks the database no more often than for one."""
    people = {viewer.user_id: viewer for viewer in viewers}
    legs = await _legs(session, people, now)
    owed = await _owed(session, people)
    calls = await _calls(session, {call_id for found in (*legs.values(), *owed.values()) for call_id in found})
    shown: dict[int, list[tuple[Call, CardState]]] = {}
    for user_id, viewer in people.items():
        states = (
            (call, card_state(
                direction=call.direction,
                outcome=call.outcome,
                leg_results=[leg.result for leg in legs[user_id].get(call.id or 0, [])],
                unfinished=call.id in owed[user_id],
                popup=viewer.popup,
            ))
            for call in calls
            if call.id in legs[user_id] or call.id in owed[user_id]
        )  # fmt: skip
        cards = [(call, state) for call, state in states if state is not None]
        owing = [card for card in cards if card[1] is CardState.AFTER]
        shown[user_id] = [card for card in cards if card[1] is not CardState.AFTER] + owing[:CARDS]
    on_screen = {call.id: call for cards in shown.values() for call, _ in cards}
    if not on_screen:
        return {user_id: [] for user_id in people}
    known = await _Known.load(session, list(people), list(on_screen.values()), now)
    return {
        user_id: [known.card(user_id, call, state, legs[user_id].get(call.id or 0, [])) for call, state in cards]
        for user_id, cards in shown.items()
    }


async def access_own_call(session: AsyncSession, viewer: Viewer, call_id: int) -> Call:
    """A call in which one's own phone takes or took part; for the acts of its card."""
    found = await session.exec(
        select(Call)
        .join(CallLeg, col(CallLeg.call_id) == col(Call.id))
        .where(Call.id == call_id, CallLeg.user_id == viewer.user_id)
        .limit(1)
    )
    call = found.first()
    if call is None:
        raise NotFound("calls.not_yours", "This call is not on your screen any more.")
    return call


def _several(name: str) -> Any:  # a parameter that is a list
    return bindparam(name, expanding=True)


_PEOPLE, _IDS, _NUMBERS, _CLIENTS = _several("people"), _several("ids"), _several("numbers"), _several("clients")
_LIVE = (LegResult.DIALLED.value, LegResult.RINGING.value, LegResult.TALKING.value)
_PLACE: Any = func.row_number()
# The questions are built once: for each card it takes as long to build them as to ask.
_LEGS = select(CallLeg).where(
    col(CallLeg.user_id).in_(_PEOPLE), col(CallLeg.result).in_(_LIVE), CallLeg.dialled_at > bindparam("since")
)


async def _legs(session: AsyncSession, user_ids: Collection[int], now: datetime) -> dict[int, dict[int, list[CallLeg]]]:
    """Of each person: the legs of theirs that are alive, by call."""
    found = await session.exec(_LEGS, params={"people": list(user_ids), "since": now - RING_AT_MOST})
    of_each: dict[int, dict[int, list[CallLeg]]] = {user_id: {} for user_id in user_ids}
    for leg in found.all():
        of_each[leg.user_id or 0].setdefault(leg.call_id, []).append(leg)
    return of_each


_owing = (
    select(
        WrapUp.user_id,
        WrapUp.call_id,
        _PLACE.over(partition_by=col(WrapUp.user_id), order_by=col(WrapUp.talked_at).desc()).label("place"),
    )
    .where(col(WrapUp.user_id).in_(_PEOPLE), col(WrapUp.done_at).is_(None))
    .subquery()
)
_OWED = select(_owing.c.user_id, _owing.c.call_id).where(_owing.c.place <= CARDS)


async def _owed(session: AsyncSession, user_ids: Collection[int]) -> dict[int, set[int]]:
    """Of each person: the latest calls whose outcome they owe."""
    of_each: dict[int, set[int]] = {user_id: set() for user_id in user_ids}
    for user_id, call_id in (await session.exec(_OWED, params={"people": list(user_ids)})).all():
        of_each[user_id].add(call_id)
    return of_each


_CALLS = (
    select(Call)
    .where(col(Call.id).in_(_IDS), col(Call.merged_into_id).is_(None))
    .order_by(col(Call.started_at).desc(), col(Call.id).desc())
)


async def _calls(session: AsyncSession, ids: set[int]) -> list[Call]:
    return list((await session.exec(_CALLS, params={"ids": list(ids)})).all()) if ids else []


_EPISODES = select(Episode).where(
    or_(col(Episode.client_number).in_(_NUMBERS), col(Episode.contact_id).in_(_CLIENTS)),
    Episode.status == EpisodeStatus.OPEN.value,
)
_NOTES = select(Note).where(col(Note.call_id).in_(_IDS), col(Note.author_id).in_(_PEOPLE)).order_by(col(Note.id))


@dataclass(slots=True)
class _Known:
    """What is known of the clients of the calls on screen."""

    now: datetime
    contacts: dict[str, list[Contact]]  # number -> who has it
    by_id: dict[int | None, Contact]
    companies: dict[int | None, Company]
    deals: list[DealRow]
    history: list[PastCall]
    users: dict[int | None, User]
    lines: dict[int | None, Line]
    episodes: list[Episode]
    notes: dict[tuple[int | None, int | None], str]  # of a call and its author

    @classmethod
    async def load(
        cls, session: AsyncSession, user_ids: Collection[int], calls: Sequence[Call], now: datetime
    ) -> "_Known":
        numbers = {call.client_number for call in calls if call.client_number}
        call_ids = {call.id for call in calls}
        contacts, by_id = await _contacts(session, numbers, {call.contact_id for call in calls})
        deals = await deal_rows(session, await _open_deals(session, calls, numbers, set(by_id)))
        history = await _history(session, numbers, set(by_id))
        responsible = {past.responsible_id for past in history} | {c.responsible_id for c in by_id.values()}
        clients = {"numbers": list(numbers), "clients": list(by_id)}
        episodes = await session.exec(_EPISODES, params=clients)
        notes = await session.exec(_NOTES, params={"ids": list(call_ids), "people": list(user_ids)})
        return cls(
            now,
            contacts,
            by_id,
            await load_by_id(session, Company, {contact.company_id for contact in by_id.values()}),
            deals,
            history,
            await load_by_id(session, User, responsible),
            await load_by_id(session, Line, {call.line_id for call in calls}),
            list(episodes.all()),
            {(note.call_id, note.author_id): note.text for note in notes.all()},
        )

    def card(self, user_id: int, call: Call, state: CardState, legs: Sequence[CallLeg]) -> Card:
        named = self.contacts.get(call.client_number or "", [])
        contact = self.by_id.get(call.contact_id) or (named[0] if len(named) == 1 else None)
        ids = {contact.id} if contact else {c.id for c in named}
        deals = [
            row
            for row in self.deals
            if row.deal.id == call.deal_id
            or row.deal.contact_id in ids
            or (call.client_number and row.deal.client_number == call.client_number)
        ]
        deals.sort(key=lambda row: (row.deal.id != call.deal_id, row.deal.responsible_id != user_id))
        history = [
            past
            for past in self.history
            if past.id != call.id
            and (
                (call.client_number and past.client_number == call.client_number)
                or (contact and past.contact_id == contact.id)
            )
        ]
        deal = next((row for row in deals if row.deal.id == call.deal_id), None)
        responsible = deals[0].responsible if deals else (self.users.get(contact.responsible_id) if contact else None)
        talked = [leg.answered_at for leg in legs if leg.result == LegResult.TALKING and leg.answered_at]
        since = (
            min(talked)
            if state is CardState.TALKING and talked
            else (call.ended_at or call.started_at)
            if state is CardState.AFTER
            else call.started_at
        )
        day, week = self.now - timedelta(hours=24), self.now - timedelta(days=7)
        return Card(
            call=call,
            state=state,
            since=since,
            contact=contact,
            company=self.companies.get(contact.company_id) if contact else None,
            candidates=[] if contact else named,
            deals=deals,
            deal=deal,
            responsible=responsible,
            episode=next(
                (
                    e
                    for e in self.episodes
                    if e.client_number == call.client_number or (contact and e.contact_id == contact.id)
                ),
                None,
            ),
            line=self.lines.get(call.line_id),
            past=[(past, self.users.get(past.responsible_id)) for past in history[:PAST]],
            calls_this_week=sum(1 for past in history if past.started_at > week) + 1,
            missed_today=sum(
                1 for past in history if past.outcome in {Outcome.MISSED, Outcome.VOICEMAIL} and past.started_at > day
            ),
            note=self.notes.get((call.id, user_id), ""),
        )


_CONTACTS = (
    select(Phone.number, Contact)
    .join(Contact, col(Contact.id) == col(Phone.contact_id))
    .where(col(Phone.number).in_(_NUMBERS))
)


async def _contacts(
    session: AsyncSession, numbers: set[str], chosen: set[int | None]
) -> tuple[dict[str, list[Contact]], dict[int | None, Contact]]:
    """Who has each number, and by id all those and whoever was chosen for a call."""
    having: dict[str, list[Contact]] = {}
    by_id: dict[int | None, Contact] = {}
    if numbers:
        for number, contact in (await session.exec(_CONTACTS, params={"numbers": list(numbers)})).all():
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
    """Earlier calls of these clients, latest first; of each number so many that none crowds out another's."""
    rows = await session.exec(_HISTORY, params={"numbers": list(numbers), "clients": list(contact_ids)})
    return [PastCall(*row) for row in rows.all()]
