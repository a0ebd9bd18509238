"""Queries on calls and lines."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import ColumnElement, Select, func, or_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.access.owners import SEES_EVERYTHING, there_is
from pbxcrm.calls.access import sees_little, visible_calls
from pbxcrm.calls.facts import CallState, Outcome
from pbxcrm.calls.models import GOING_ON, Call, CallEvent, CallLeg, Line
from pbxcrm.calls.search import Place, behind, call_matches, calls_of, whom_it_means
from pbxcrm.calls.stored_state import stored_state_of
from pbxcrm.contacts.models import Contact
from pbxcrm.contacts.queries import load_numbers
from pbxcrm.deals.models import Deal
from pbxcrm.people.filters import of_login
from pbxcrm.people.models import Extension, User
from pbxcrm.shared.conditions import equal, within
from pbxcrm.shared.core_sql import load_by_id, one_of
from pbxcrm.shared.errors import NotFound
from pbxcrm.shared.listed import Listed, newest_that_pass
from pbxcrm.shared.text_match import few

LOOKED_THROUGH = 20_000  # calls that one request tests one by one
LOOKED_UP = 10_000  # the same where the client of each is looked up
_LATEST_LEGS = 20_000


@dataclass(frozen=True, slots=True)
class CallRow:
    """A call with the rows that a list shows beside it."""

    call: Call
    contact: Contact | None
    deal: Deal | None
    responsible: User | None
    line: Line | None


@dataclass(frozen=True, slots=True)
class CallCard:
    """A call with all details: legs in order of dialling, events in order of time, and the users of the legs."""

    row: CallRow
    legs: list[CallLeg]
    events: list[CallEvent]
    users: dict[int, User]  # of the legs


@dataclass(frozen=True, slots=True)
class CallFilter:
    """Filter of a call list. ``mine``: id of a user who took part or is responsible; ``text``: part of a name or number."""

    direction: str = ""
    outcome: str = ""
    mine: int | None = None
    text: str = ""
    since: datetime | None = None
    until: datetime | None = None
    extension: str = ""
    deal_id: int | None = None
    contact_id: int | None = None
    client_number: str = ""
    linkedid: str = ""
    responsible: str = ""  # a login
    company_id: int | None = None  # of clients of this company
    anonymous: bool = False  # only calls to us without a number

    def conditions(self) -> list[ColumnElement[bool]]:
        """The conditions on columns of calls, for WHERE."""
        found = equal(
            (Call.direction, self.direction),
            (Call.outcome, self.outcome),
            (Call.deal_id, self.deal_id),
            (Call.contact_id, self.contact_id),
            (Call.client_number, self.client_number),
            (Call.linkedid, self.linkedid),
        )
        found += of_login(Call.responsible_id, self.responsible)
        if self.company_id is not None:
            found.append(col(Call.contact_id).in_(select(Contact.id).where(Contact.company_id == self.company_id)))
        if self.anonymous:
            found += [col(Call.client_number).is_(None), col(Call.direction) == "inbound"]
        return found + within(Call.started_at, self.since, self.until)

    async def of_people(self, session: AsyncSession) -> list[ColumnElement[bool]]:
        """The conditions on a person and a phone; each depends on how many calls match."""
        found: list[ColumnElement[bool]] = []
        if self.mine is not None:
            own = col(Call.responsible_id) == self.mine
            found.append(await _with_leg(session, col(CallLeg.user_id) == self.mine, own))
        if self.extension:
            found.append(_has_leg(col(CallLeg.extension) == self.extension))
        return found

    @property
    def is_narrow(self) -> bool:
        """Whether an index leads to the few calls that match."""
        return bool(self.deal_id or self.contact_id or self.company_id or self.client_number or self.linkedid)


async def list_calls(
    session: AsyncSession, viewer: Viewer, asked: CallFilter, *, before: Place | None = None, limit: int = 50
) -> Listed[CallRow, Place]:
    """The calls the viewer sees, newest first; ``before`` is (started_at, id) of the last call of the page before.

    A search stops after ``LOOKED_THROUGH`` (``LOOKED_UP``) calls that it had to test one by one; ``resume`` says where to go on.
    """
    little = await sees_little(session, viewer)
    visible = visible_calls(viewer, little=little)
    query = select(Call).where(
        visible, col(Call.merged_into_id).is_(None), *asked.conditions(), *await asked.of_people(session)
    )
    text = asked.text.strip()
    whom = await whom_it_means(session, text) if text and not little else None
    if whom is not None and not whom.many:
        places = await newest_that_pass(
            partial(calls_of, session, whom), partial(_calls_at, session, query), before=before, limit=limit
        )
        return Listed(await as_rows(session, places.rows), places.resume)
    if text:
        contacts = whom.contacts if whom is not None else None
        query = query.where(call_matches(session, text, contacts))
    if before is not None:
        query = query.where(behind(before))
    until = None
    if not (little or asked.is_narrow or (viewer.role in SEES_EVERYTHING and not (text or asked.extension))):
        looked_up = whom is not None and whom.contacts is None
        until = await _looked_to(session, asked, before, LOOKED_UP if looked_up else LOOKED_THROUGH)
    if until is not None:
        query = query.where(col(Call.started_at) >= until)
    calls = list((await session.exec(_newest_first(query).limit(limit))).all())
    resume = (until, 0) if until is not None and len(calls) < limit else None
    return Listed(await as_rows(session, calls), resume)


async def _calls_at(session: AsyncSession, query: Any, places: Sequence[Place]) -> list[Call]:
    ids = one_of(session, col(Call.id), [call_id for _, call_id in places])
    return list((await session.exec(_newest_first(query.where(ids)))).all())


def _newest_first(query: Any) -> Any:  # Select[Call]
    return query.order_by(col(Call.started_at).desc(), col(Call.id).desc())


async def _looked_to(session: AsyncSession, asked: CallFilter, before: Place | None, most: int) -> datetime | None:
    """When the last of ``most`` calls started that this request looks at; None if fewer are left."""
    query = select(Call.started_at).where(*equal((Call.outcome, asked.outcome)))
    query = query.where(*within(Call.started_at, asked.since, asked.until))
    if before is not None:
        query = query.where(behind(before))
    found = await session.exec(query.order_by(col(Call.started_at).desc()).offset(most).limit(1))
    return found.first()


async def access_call(session: AsyncSession, viewer: Viewer, call_id: int) -> Call:
    """The call if the viewer sees it; for an absorbed call, the one that absorbed it. Raises NotFound."""
    found = await session.exec(select(Call).where(Call.id == call_id, visible_calls(viewer)))
    call = found.first()
    if call is None:
        raise NotFound("calls.not_found", "There is no such call, or it is a colleague's.")
    return call if call.merged_into_id is None else await access_call(session, viewer, call.merged_into_id)


async def access_call_card(session: AsyncSession, viewer: Viewer, call_id: int) -> CallCard:
    """The call with all details for its page. Raises NotFound."""
    call = await access_call(session, viewer, call_id)
    legs = (
        await session.exec(
            select(CallLeg).where(CallLeg.call_id == call.id).order_by(col(CallLeg.dialled_at), col(CallLeg.id))
        )
    ).all()
    events = (
        await session.exec(
            select(CallEvent).where(CallEvent.call_id == call.id).order_by(col(CallEvent.at), col(CallEvent.id))
        )
    ).all()
    users = (await session.exec(select(User).where(col(User.id).in_({leg.user_id for leg in legs})))).all()
    row = (await as_rows(session, [call]))[0]
    return CallCard(row, list(legs), list(events), {user.id: user for user in users if user.id is not None})


async def as_rows(session: AsyncSession, calls: list[Call]) -> list[CallRow]:
    """The calls with their related rows, in a fixed number of queries."""
    contacts = await load_by_id(session, Contact, (call.contact_id for call in calls))
    # A call gets its client when somebody answers or it ends; while it rings, the only contact with the number is shown.
    unsaid = [c for c in calls if c.outcome == Outcome.OPEN.value and c.contact_id is None]
    known = await load_numbers(session, {c.client_number for c in unsaid if c.client_number})
    alone = {c.id: found[0] for c in unsaid if len(found := known.contacts.get(c.client_number or "", [])) == 1}
    deals = await load_by_id(session, Deal, (call.deal_id for call in calls))
    users = await load_by_id(session, User, (call.responsible_id for call in calls))
    lines = await load_by_id(session, Line, (call.line_id for call in calls))
    return [
        CallRow(
            call,
            contacts.get(call.contact_id) or alone.get(call.id),
            deals.get(call.deal_id),
            users.get(call.responsible_id),
            lines.get(call.line_id),
        )
        for call in calls
    ]


async def open_calls(session: AsyncSession, pbx: str) -> tuple[CallState, ...]:
    """The calls of a PBX that are in progress according to the database."""
    calls = (await session.exec(select(Call).where(Call.pbx == pbx, GOING_ON).order_by(col(Call.id)))).all()
    of_calls = select(CallLeg).where(col(CallLeg.call_id).in_([call.id for call in calls])).order_by(col(CallLeg.id))
    legs: dict[int | None, list[CallLeg]] = {}
    for leg in (await session.exec(of_calls)).all() if calls else ():
        legs.setdefault(leg.call_id, []).append(leg)
    return tuple(stored_state_of(call, legs.get(call.id, [])) for call in calls)


async def told_of_open_calls(session: AsyncSession, pbx: str) -> dict[tuple[str, str, str], int]:
    """Of calls in progress: (linkedid, kind, party) → number of facts in the database."""
    found = await session.exec(
        select(Call.linkedid, CallEvent.kind, CallEvent.party, func.count())
        .join(Call, col(Call.id) == col(CallEvent.call_id))
        .where(Call.pbx == pbx, GOING_ON)
        .group_by(Call.linkedid, CallEvent.kind, CallEvent.party)
    )
    return {(linkedid, kind, party): count for linkedid, kind, party, count in found.all()}


async def list_lines(session: AsyncSession) -> list[Line]:
    """All lines in the order in which they are matched."""
    return list((await session.exec(select(Line).order_by(col(Line.position), col(Line.id)))).all())


async def unmapped_extensions(session: AsyncSession) -> list[str]:
    """Extensions (at most 200) that took part in one of the latest calls and belong to no user now (A8)."""
    found = await session.exec(
        select(CallLeg.extension)
        .where(col(CallLeg.id) > await latest_legs(session), col(CallLeg.extension).not_in(select(Extension.number)))
        .distinct()
        .order_by(col(CallLeg.extension))
        .limit(200)
    )
    return list(found.all())


async def latest_legs(session: AsyncSession) -> int:
    """The id of a leg before the latest 20,000, for questions that have no index: an office has millions after some years."""
    return ((await session.exec(select(func.max(CallLeg.id)))).one() or 0) - _LATEST_LEGS


async def _with_leg(
    session: AsyncSession, of_whom: ColumnElement[bool], *others: ColumnElement[bool]
) -> ColumnElement[bool]:
    """Condition for calls with such a leg or matching ``others``: a list of ids if there are few, else EXISTS per call. So a
    year's calls are not collected and sorted to show fifty of them.
    """
    queries: dict[str, Select[Any]] = {"legs": select(col(CallLeg.call_id)).where(of_whom)}
    queries.update({f"other{n}": select(col(Call.id)).where(other) for n, other in enumerate(others)})
    found = await few(session, **queries)
    if all(ids is not None for ids in found.values()):
        return col(Call.id).in_(sorted({call_id for ids in found.values() for call_id in ids or ()}))
    return or_(_has_leg(of_whom), *others)


def _has_leg(of_whom: ColumnElement[bool]) -> ColumnElement[bool]:
    return there_is(Call, col(CallLeg.call_id) == col(Call.id), of_whom)
