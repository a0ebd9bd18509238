"""Which cards are on whose dock and what they show, in a fixed number of queries for any number of people and cards."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Integer, String, bindparam, cast, func, null, union_all
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.facts import LegResult, Outcome
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.screenpop.card_contents import Card, CardCall, Known, LiveLeg
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.screenpop.rules import CardState, PhoneState, card_state, phone_state
from pbxcrm.shared.config_cache import VERSION_BESIDE, note_version
from pbxcrm.shared.core_sql import fetch, list_param
from pbxcrm.shared.db import UtcDateTime
from pbxcrm.shared.errors import NotFound

CARDS = 8  # finished calls without an outcome; older ones appear as these are done
RING_AT_MOST = timedelta(hours=4)  # a call that "rings" for longer has lost its end


@dataclass(frozen=True, slots=True)
class CardSlot:
    """The call and state of a card, without its content."""

    call_id: int
    state: CardState


@dataclass(frozen=True, slots=True)
class Dock:
    """The cards of one person: calls in progress, then calls that need an outcome; each group newest first."""

    living: list[CardSlot]
    finished: list[CardSlot]
    older: int  # how many more calls need an outcome but have no card yet
    legs: dict[int, list[LiveLeg]]  # the person's live legs, by call
    calls: Mapping[int, CardCall]  # the calls of all cards, and maybe others
    phone: PhoneState = PhoneState.FREE

    @property
    def places(self) -> list[CardSlot]:
        """All cards, those of calls in progress first."""
        return [*self.living, *self.finished]


async def load_docks(session: AsyncSession, viewers: Sequence[Viewer], now: datetime) -> dict[int, Dock]:
    """The docks of several people by user id, in two queries for any number of them."""
    people = {viewer.user_id: viewer for viewer in viewers}
    legs, owed, older = await _calls_of(session, people, now)
    calls = await _calls(session, {call_id for found in (*legs.values(), *owed.values()) for call_id in found})
    docks = {}
    for user_id, viewer in people.items():
        mine = [calls[call_id] for call_id in {*legs[user_id], *owed[user_id]} if call_id in calls]
        mine.sort(key=lambda call: (call.started_at, call.id), reverse=True)
        places = [
            CardSlot(call.id, state)
            for call in mine
            if (state := card_state(
                direction=call.direction,
                outcome=call.outcome,
                leg_results=[leg.result for leg in legs[user_id].get(call.id, [])],
                unfinished=call.id in owed[user_id],
                popup=viewer.popup,
            )) is not None
        ]  # fmt: skip
        docks[user_id] = Dock(
            [place for place in places if place.state is not CardState.AFTER],
            [place for place in places if place.state is CardState.AFTER][:CARDS],
            older.get(user_id, 0),
            legs[user_id],
            calls,
            phone_state(
                [
                    (calls[call_id].direction, leg.result)
                    for call_id, own in legs[user_id].items()
                    if call_id in calls and calls[call_id].outcome == Outcome.OPEN
                    for leg in own
                ]
            ),
        )
    return docks


Wanted = tuple[int, CardSlot]  # user id and card


async def load_cards(
    session: AsyncSession,
    viewers: Sequence[Viewer],
    docks: Mapping[int, Dock],
    wanted: Collection[Wanted],
    now: datetime,
    today: datetime,
) -> dict[Wanted, Card]:
    """The content of the ``wanted`` cards, which are on the ``docks`` of the ``viewers``; many need as many queries as one.

    ``today`` is the beginning of the day in our time zone.
    """
    calls = {place.call_id: docks[user_id].calls[place.call_id] for user_id, place in wanted}
    if not calls:
        return {}
    # Nobody has written a note about a call that only rings.
    authors = {user_id for user_id, place in wanted if place.state is not CardState.RINGING}
    known = await Known.load(session, authors, list(calls.values()), now, today)
    people = {viewer.user_id: viewer for viewer in viewers}
    return {
        (user_id, place): known.card(
            people[user_id], calls[place.call_id], place.state, docks[user_id].legs.get(place.call_id, [])
        )
        for user_id, place in wanted
    }


async def access_own_call(session: AsyncSession, viewer: Viewer, call_id: int) -> Call:
    """A call in which the viewer's own phone takes or took part; for actions on its card. Raises NotFound."""
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


async def is_on_call(session: AsyncSession, user_id: int, call_id: int) -> bool:
    """Whether a phone of this person rings or talks in the call now."""
    found = await session.exec(
        select(CallLeg.id)
        .join(Call, col(Call.id) == col(CallLeg.call_id))
        .where(
            CallLeg.call_id == call_id,
            CallLeg.user_id == user_id,
            col(CallLeg.result).in_(_LIVE),
            Call.outcome == Outcome.OPEN.value,
        )
        .limit(1)
    )
    return found.first() is not None


_LIVE = (LegResult.DIALLED.value, LegResult.RINGING.value, LegResult.TALKING.value)
_PLACE: Any = func.row_number()
_PEOPLE, _IDS = list_param("people"), list_param("ids")
# The queries are built once, because building one takes as long as executing it.
_LEG = SQLModel.metadata.tables["call_legs"].c
_owing = (
    select(
        WrapUp.user_id,
        WrapUp.call_id,
        _PLACE.over(partition_by=col(WrapUp.user_id), order_by=col(WrapUp.talked_at).desc()).label("place"),
        func.count().over(partition_by=col(WrapUp.user_id)).label("of_all"),
    )
    .where(col(WrapUp.user_id).in_(_PEOPLE), col(WrapUp.done_at).is_(None))
    .subquery()
)
# Live legs have a result; the latest calls that need an outcome have the number of all of them.
_LEGS: tuple[Any, ...] = (_LEG.user_id, _LEG.call_id, _LEG.result, _LEG.answered_at, cast(null(), Integer))
_OWED: tuple[Any, ...] = (_owing.c.user_id, _owing.c.call_id, cast(null(), String), cast(null(), UtcDateTime), _owing.c.of_all)  # fmt: skip
_CALLS_OF: Any = union_all(
    select(VERSION_BESIDE, *_LEGS).where(
        _LEG.user_id.in_(_PEOPLE), _LEG.result.in_(_LIVE), _LEG.dialled_at > bindparam("since", type_=UtcDateTime)
    ),
    select(VERSION_BESIDE, *_OWED).where(_owing.c.place <= CARDS),
)


async def _calls_of(
    session: AsyncSession, user_ids: Collection[int], now: datetime
) -> tuple[dict[int, dict[int, list[LiveLeg]]], dict[int, set[int]], dict[int, int]]:
    """For each person: their live legs by call, the latest calls that need an outcome from them, and how many more there are."""
    legs: dict[int, dict[int, list[LiveLeg]]] = {user_id: {} for user_id in user_ids}
    owed: dict[int, set[int]] = {user_id: set() for user_id in user_ids}
    older: dict[int, int] = {}
    rows = await fetch(session, _CALLS_OF, {"people": list(user_ids), "since": now - RING_AT_MOST})
    if rows:
        note_version(session, rows[0][0])
    for _, user_id, call_id, result, answered_at, of_all in rows:
        if result is not None:
            legs[user_id].setdefault(call_id, []).append(LiveLeg(result, answered_at))
        else:
            owed[user_id].add(call_id)
            older[user_id] = of_all - len(owed[user_id])
    return legs, owed, older


_CALL = SQLModel.metadata.tables["calls"].c
_CALLS: Any = select(*(_CALL[name] for name in CardCall._fields)).where(
    _CALL.id.in_(_IDS), _CALL.merged_into_id.is_(None)
)


async def _calls(session: AsyncSession, ids: set[int]) -> dict[int, CardCall]:
    return {row.id: CardCall._make(row) for row in await fetch(session, _CALLS, {"ids": list(ids)})} if ids else {}
