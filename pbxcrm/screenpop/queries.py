"""The cards of one person's dock: everything a card shows, in a fixed number of queries however many cards there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import or_
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
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.screenpop.rules import CardState, card_state

CARDS = 8  # more than anybody has calls at once; older unfinished ones come up as these are finished
PAST = 3
RING_AT_MOST = timedelta(hours=4)  # a call that "rings" longer is a call whose end nobody heard


@dataclass(frozen=True, slots=True)
class PastCall:
    call: Call
    responsible: User | None


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
    past: list[PastCall]
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
    """Cards of the viewer, newest call on top."""
    legs = await _legs(session, viewer, now)
    owed = await _owed(session, viewer)
    calls = await _calls(session, {*legs, *owed})
    states = {
        call.id: state
        for call in calls
        if (state := card_state(
            direction=call.direction,
            outcome=call.outcome,
            leg_results=[leg.result for leg in legs.get(call.id or 0, [])],
            unfinished=call.id in owed,
            popup=viewer.popup,
        )) is not None
    }  # fmt: skip
    shown = [call for call in calls if call.id in states][:CARDS]
    if not shown:
        return []
    known = await _Known.load(session, viewer, shown, now)
    return [known.card(call, states[call.id], legs.get(call.id or 0, [])) for call in shown]


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


async def _legs(session: AsyncSession, viewer: Viewer, now: datetime) -> dict[int, list[CallLeg]]:
    live = (LegResult.DIALLED.value, LegResult.RINGING.value, LegResult.TALKING.value)
    found = await session.exec(
        select(CallLeg).where(
            CallLeg.user_id == viewer.user_id, col(CallLeg.result).in_(live), CallLeg.dialled_at > now - RING_AT_MOST
        )
    )
    by_call: dict[int, list[CallLeg]] = {}
    for leg in found.all():
        by_call.setdefault(leg.call_id, []).append(leg)
    return by_call


async def _owed(session: AsyncSession, viewer: Viewer) -> set[int]:
    found = await session.exec(
        select(WrapUp.call_id)
        .where(WrapUp.user_id == viewer.user_id, col(WrapUp.done_at).is_(None))
        .order_by(col(WrapUp.talked_at).desc())
        .limit(CARDS)
    )
    return set(found.all())


async def _calls(session: AsyncSession, ids: set[int]) -> list[Call]:
    if not ids:
        return []
    found = await session.exec(
        select(Call)
        .where(col(Call.id).in_(ids), col(Call.merged_into_id).is_(None))
        .order_by(col(Call.started_at).desc(), col(Call.id).desc())
    )
    return list(found.all())


@dataclass(slots=True)
class _Known:
    """What is known of the clients of the calls on screen."""

    viewer: Viewer
    now: datetime
    contacts: dict[str, list[Contact]]  # number -> who has it
    by_id: dict[int | None, Contact]
    companies: dict[int | None, Company]
    deals: list[DealRow]
    history: list[Call]
    users: dict[int | None, User]
    lines: dict[int | None, Line]
    episodes: list[Episode]
    notes: dict[int | None, str]

    @classmethod
    async def load(cls, session: AsyncSession, viewer: Viewer, calls: Sequence[Call], now: datetime) -> "_Known":
        numbers = {call.client_number for call in calls if call.client_number}
        call_ids = [call.id for call in calls]
        pairs = (
            await session.exec(
                select(Phone.number, Contact)
                .join(Contact, col(Contact.id) == col(Phone.contact_id))
                .where(col(Phone.number).in_(numbers))
            )
        ).all()
        contacts: dict[str, list[Contact]] = {}
        for number, contact in pairs:
            contacts.setdefault(number, []).append(contact)
        chosen = {call.contact_id for call in calls if call.contact_id is not None}
        missing = chosen - {contact.id for _, contact in pairs}
        extra = (await session.exec(select(Contact).where(col(Contact.id).in_(missing)))).all() if missing else []
        by_id: dict[int | None, Contact] = {contact.id: contact for contact in [*(c for _, c in pairs), *extra]}
        contact_ids = set(by_id)
        is_client = or_(
            col(Deal.client_number).in_(numbers),
            col(Deal.contact_id).in_(contact_ids),
            col(Deal.id).in_({c.deal_id for c in calls}),
        )
        deals = (
            await session.exec(
                select(Deal)
                .where(is_client, col(Deal.closed_at).is_(None))
                .order_by(col(Deal.stage_since).desc())
                .limit(50)
            )
        ).all()
        same_client = or_(col(Call.client_number).in_(numbers), col(Call.contact_id).in_(contact_ids))
        history = (
            await session.exec(
                select(Call)
                .where(same_client, col(Call.merged_into_id).is_(None), col(Call.id).not_in(call_ids))
                .order_by(col(Call.started_at).desc())
                .limit(60)
            )
        ).all()
        rows = await deal_rows(session, list(deals))
        user_ids = {call.responsible_id for call in [*calls, *history]} | {
            contact.responsible_id for contact in by_id.values()
        }
        users = (await session.exec(select(User).where(col(User.id).in_(user_ids)))).all()
        companies = (
            await session.exec(select(Company).where(col(Company.id).in_({c.company_id for c in by_id.values()})))
        ).all()
        lines = (await session.exec(select(Line).where(col(Line.id).in_({c.line_id for c in calls})))).all()
        episodes = (
            await session.exec(
                select(Episode).where(
                    or_(col(Episode.client_number).in_(numbers), col(Episode.contact_id).in_(contact_ids)),
                    Episode.status == EpisodeStatus.OPEN.value,
                )
            )
        ).all()
        notes = (
            await session.exec(
                select(Note)
                .where(col(Note.call_id).in_(call_ids), Note.author_id == viewer.user_id)
                .order_by(col(Note.id))
            )
        ).all()
        return cls(
            viewer,
            now,
            contacts,
            by_id,
            {company.id: company for company in companies},
            rows,
            list(history),
            {user.id: user for user in users},
            {line.id: line for line in lines},
            list(episodes),
            {note.call_id: note.text for note in notes},
        )

    def card(self, call: Call, state: CardState, legs: Sequence[CallLeg]) -> Card:
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
        deals.sort(key=lambda row: (row.deal.id != call.deal_id, row.deal.responsible_id != self.viewer.user_id))
        history = [
            c
            for c in self.history
            if (call.client_number and c.client_number == call.client_number)
            or (contact and c.contact_id == contact.id)
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
            past=[PastCall(c, self.users.get(c.responsible_id)) for c in history[:PAST]],
            calls_this_week=sum(1 for c in history if c.started_at > week) + 1,
            missed_today=sum(
                1 for c in history if c.outcome in {Outcome.MISSED, Outcome.VOICEMAIL} and c.started_at > day
            ),
            note=self.notes.get(call.id, ""),
        )
