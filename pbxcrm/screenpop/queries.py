"""Which cards stand on whose dock, in a fixed number of queries however many people and cards there are."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import bindparam, func
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.calls.facts import LegResult
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.db import UtcDateTime
from pbxcrm.errors import NotFound
from pbxcrm.rows import ask, several
from pbxcrm.screenpop.cards import Card, Known, LiveLeg
from pbxcrm.screenpop.models import WrapUp
from pbxcrm.screenpop.rules import CardState, card_state

CARDS = 8  # unfinished ones; older come up as these are finished
RING_AT_MOST = timedelta(hours=4)  # a call that "rings" longer is a call whose end nobody heard


async def load_dock(session: AsyncSession, viewer: Viewer, now: datetime) -> list[Card]:
    """Cards of the viewer: calls that go on, then those whose outcome is owed, newest on top in each."""
    return (await load_docks(session, [viewer], now))[viewer.user_id].cards


@dataclass(frozen=True, slots=True)
class Dock:
    cards: list[Card]
    older: int = 0  # calls whose outcome is owed too and that have no card yet


async def load_docks(session: AsyncSession, viewers: Sequence[Viewer], now: datetime) -> dict[int, Dock]:
    """The same for several people at once, by user id; it asks the database no more often than for one."""
    people = {viewer.user_id: viewer for viewer in viewers}
    legs = await _legs(session, people, now)
    owed, older = await _owed(session, people)
    calls = await _calls(session, {call_id for found in (*legs.values(), *owed.values()) for call_id in found})
    shown: dict[int, list[tuple[Call, CardState]]] = {}
    for user_id, viewer in people.items():
        mine = [calls[call_id] for call_id in {*legs[user_id], *owed[user_id]} if call_id in calls]
        mine.sort(key=lambda call: (call.started_at, call.id), reverse=True)
        cards = [
            (call, state)
            for call in mine
            if (state := card_state(
                direction=call.direction,
                outcome=call.outcome,
                leg_results=[leg.result for leg in legs[user_id].get(call.id or 0, [])],
                unfinished=call.id in owed[user_id],
                popup=viewer.popup,
            )) is not None
        ]  # fmt: skip
        owing = [card for card in cards if card[1] is CardState.AFTER]
        shown[user_id] = [card for card in cards if card[1] is not CardState.AFTER] + owing[:CARDS]
    on_screen = {call.id: call for cards in shown.values() for call, _ in cards}
    if not on_screen:
        return {user_id: Dock([]) for user_id in people}
    known = await Known.load(session, list(people), list(on_screen.values()), now)
    return {
        user_id: Dock(
            [known.card(user_id, call, state, legs[user_id].get(call.id or 0, [])) for call, state in cards],
            older.get(user_id, 0),
        )
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


_LIVE = (LegResult.DIALLED.value, LegResult.RINGING.value, LegResult.TALKING.value)
_PLACE: Any = func.row_number()
_PEOPLE, _IDS = several("people"), several("ids")
# The questions are built once: for each card it takes as long to build them as to ask.
_LEG = SQLModel.metadata.tables["call_legs"].c
_LEGS: Any = select(_LEG.user_id, _LEG.call_id, _LEG.result, _LEG.answered_at).where(
    _LEG.user_id.in_(_PEOPLE), _LEG.result.in_(_LIVE), _LEG.dialled_at > bindparam("since", type_=UtcDateTime)
)


async def _legs(session: AsyncSession, user_ids: Collection[int], now: datetime) -> dict[int, dict[int, list[LiveLeg]]]:
    """Of each person: the legs of theirs that are alive, by call."""
    of_each: dict[int, dict[int, list[LiveLeg]]] = {user_id: {} for user_id in user_ids}
    for user_id, call_id, *leg in await ask(session, _LEGS, {"people": list(user_ids), "since": now - RING_AT_MOST}):
        of_each[user_id].setdefault(call_id, []).append(LiveLeg(*leg))
    return of_each


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
_OWED: Any = select(_owing.c.user_id, _owing.c.call_id, _owing.c.of_all).where(_owing.c.place <= CARDS)


async def _owed(session: AsyncSession, user_ids: Collection[int]) -> tuple[dict[int, set[int]], dict[int, int]]:
    """Of each person: the latest calls whose outcome they owe, and how many more there are."""
    of_each: dict[int, set[int]] = {user_id: set() for user_id in user_ids}
    older: dict[int, int] = {}
    for user_id, call_id, of_all in await ask(session, _OWED, {"people": list(user_ids)}):
        of_each[user_id].add(call_id)
        older[user_id] = of_all - len(of_each[user_id])
    return of_each, older


_CALLS = select(Call).where(col(Call.id).in_(_IDS), col(Call.merged_into_id).is_(None))


async def _calls(session: AsyncSession, ids: set[int]) -> dict[int, Call]:
    found = (await session.exec(_CALLS, params={"ids": list(ids)})).all() if ids else []
    return {call.id: call for call in found if call.id is not None}
