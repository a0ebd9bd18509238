"""Applying facts: the rows of calls and their legs say what the PBX says, and what follows from it is done."""

from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import insert
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.actions import consider
from pbxcrm.calls.facts import CallFact, CallState, Direction, FactKind
from pbxcrm.calls.models import Call, CallEvent, CallLeg
from pbxcrm.calls.rules import clean_name, line_of
from pbxcrm.calls.world import World
from pbxcrm.contacts.queries import load_numbers
from pbxcrm.events import emit
from pbxcrm.numbers import normalise
from pbxcrm.people.models import Role
from pbxcrm.phone.following import follow
from pbxcrm.rows import several
from pbxcrm.screenpop.actions import do_owe_wrap_up, say_dock_changed

Name = tuple[str, str]  # PBX and linkedid

# Built once: this is asked for each batch, and to build a question takes as long as to ask it.
_CALLS = select(Call).where(col(Call.linkedid).in_(several("named")), col(Call.pbx).in_(several("pbxs")))
_KNOWN = several("calls")
_KEYS = select(CallEvent.call_id, CallEvent.key).where(col(CallEvent.call_id).in_(_KNOWN))
_ADD_KEYS = insert(SQLModel.metadata.tables["call_events"])
_LEGS = select(CallLeg).where(col(CallLeg.call_id).in_(_KNOWN))


@dataclass(slots=True)
class _Rows:
    """The rows a batch is about, read once for all of it. Everything later goes through these, never through a second copy."""

    calls: dict[Name, Call]
    legs: dict[int, dict[str, CallLeg]]  # call id -> channel id -> leg
    keys: set[tuple[int, str]]  # of facts that are applied
    fresh: list[dict[str, Any]] = field(default_factory=list)  # new CallEvents, written at once in the end

    @classmethod
    async def load(cls, session: AsyncSession, facts: tuple[CallFact, ...]) -> "_Rows":
        named = {fact.call.linkedid for fact in facts} | {f.party for f in facts if f.kind is FactKind.ABSORBED}
        pbxs = {fact.call.pbx for fact in facts}
        found = await session.exec(_CALLS, params={"named": list(named), "pbxs": list(pbxs)})
        calls = {(call.pbx, call.linkedid): call for call in found.all()}
        known = [call.id for call in calls.values() if call.id is not None]
        rows = cls(calls, {call_id: {} for call_id in known}, set())
        if known:
            rows.keys.update((await session.exec(_KEYS, params={"calls": known})).all())
            for leg in (await session.exec(_LEGS, params={"calls": known})).all():
                rows.legs[leg.call_id][leg.channel_id] = leg
        await rows._add_new(session, facts)
        return rows

    async def _add_new(self, session: AsyncSession, facts: tuple[CallFact, ...]) -> None:
        fresh = []
        for state in (fact.call for fact in facts):
            if (state.pbx, state.linkedid) not in self.calls:
                call = Call(
                    pbx=state.pbx,
                    linkedid=state.linkedid,
                    direction=state.direction.value,
                    outcome=state.outcome.value,
                    started_at=state.started_at,
                )
                self.calls[state.pbx, state.linkedid] = call
                fresh.append(call)
        session.add_all(fresh)
        await session.flush()
        self.legs.update({call.id: {} for call in fresh if call.id is not None})


async def apply_facts(session: AsyncSession, world: World, facts: tuple[CallFact, ...]) -> None:
    """Apply ``facts`` in order; one that was applied before changes nothing.

    The session is flushed where the next step reads, not before every query: that halves the work of a batch.
    """
    with session.no_autoflush:
        rows = await _Rows.load(session, facts)
        numbers = {number for fact in facts if (number := _client_number(fact.call, world)) is not None}
        world = replace(world, numbers=await load_numbers(session, numbers))
        for fact in facts:
            await _apply(session, world, fact, rows)
        if rows.fresh:
            await (await session.connection()).execute(_ADD_KEYS, rows.fresh)


async def _apply(session: AsyncSession, world: World, fact: CallFact, rows: _Rows) -> None:
    state = fact.call
    call = rows.calls[state.pbx, state.linkedid]
    assert call.id is not None
    key = fact.key[:200]
    if (call.id, key) in rows.keys:
        return
    rows.keys.add((call.id, key))
    rows.fresh.append(
        {"call_id": call.id, "key": key, "kind": fact.kind.value, "party": fact.party[:150], "at": fact.at}
    )
    _refresh(call, state, world)
    legs, changed = _refresh_legs(session, call, state, world, rows.legs[call.id])
    if fact.kind is FactKind.ABSORBED:
        _absorb(call, rows.calls.get((call.pbx, fact.party)))
    else:
        await follow(session, call, state, fact.at)
        await consider(session, world, call, state, fact.at)
    await _show(session, call, fact, legs, changed)
    _say_call_changed(session, call, legs, fact, world)


def _refresh(call: Call, state: CallState, world: World) -> None:
    """The row says what the PBX says now. What we made of the call (deal, owner, reason) stays."""
    _write(
        call,
        client_number=_client_number(state, world),
        direction=state.direction.value,
        outcome=state.outcome.value,
        missed_reason=state.missed_reason.value if state.missed_reason else None,
        client_heard=_cut(state.client_heard, 255),
        client_name=clean_name(state.client_name),
        withheld=state.withheld,
        trunk=_cut(state.trunk, 100),
        did=_cut(state.did, 100),
        dialled=_cut(state.dialled, 100),
        queue=_cut(state.queue, 100),
        made_by=_cut(state.made_by, 32),
        answered_by=_cut(state.answered_by, 32),
        rang=list(state.rang),
        talked=list(state.talked),
        ringing=list(state.ringing),
        talking=list(state.talking),
        transfers=[{"from": t.source, "to": t.target, "kind": t.kind.value} for t in state.transfers],
        started_at=state.started_at,
        answered_at=state.answered_at,
        ended_at=state.ended_at,
        wait_seconds=state.wait_seconds,
        talk_seconds=state.talk_seconds,
        click_to_call=state.click_to_call,
        channel_ids=list(state.channel_ids),
        recording=_cut(clean_name(state.recording), 500) or call.recording,
    )


def _client_number(state: CallState, world: World) -> str | None:
    """The client's number in our one spelling; None where there is none to know."""
    if state.direction is Direction.INTERNAL or (state.withheld and state.direction is Direction.INBOUND):
        return None
    region = line_of(state, world.lines).region or world.settings.region_of(state.pbx)
    return (normalise(state.client_heard, region) or "")[:64] or None


def _refresh_legs(
    session: AsyncSession, call: Call, state: CallState, world: World, rows: dict[str, CallLeg]
) -> tuple[list[CallLeg], list[CallLeg]]:
    """All legs of the call, and those that are not as they were."""
    changed = []
    for leg in state.legs:
        row = rows.get(leg.channel_id)
        if row is None:
            user = world.people.user_of(leg.extension)
            row = CallLeg(
                call_id=call.id or 0,
                channel_id=leg.channel_id[:150],
                extension=leg.extension[:64],
                user_id=user.id if user else None,
                dialled_at=leg.dialled_at,
                result=leg.result.value,
            )
            session.add(row)
            rows[leg.channel_id] = row
        if _write(
            row,
            dialled_at=leg.dialled_at,
            ringing_at=leg.ringing_at,
            answered_at=leg.answered_at,
            ended_at=leg.ended_at,
            result=leg.result.value,
            cause=leg.cause,
        ):
            changed.append(row)
    return list(rows.values()), changed


async def _show(session: AsyncSession, call: Call, fact: CallFact, legs: list[CallLeg], changed: list[CallLeg]) -> None:
    """Draw anew the docks of those whose screens this fact concerns: whose phone does something else now, and who talked.

    Of a call that rang at ten phones nine have been told already that a colleague answered.
    """
    if call.direction == Direction.INTERNAL:
        return
    users = {leg.user_id for leg in legs if leg in changed or leg.extension == fact.party or leg.answered_at}
    if fact.kind is FactKind.JOINED:
        for user_id in {leg.user_id for leg in legs if leg.extension == fact.party and leg.user_id is not None}:
            await do_owe_wrap_up(session, call, user_id, fact.at)
    say_dock_changed(session, fact.at, *users, rings=fact.kind is FactKind.RINGING)


def _absorb(call: Call, survivor: Call | None) -> None:
    """``call`` turned out to be a part of another; it stays as a row, shown nowhere by itself."""
    if survivor is not None and survivor.id != call.id:
        call.merged_into_id = survivor.id
    call.ringing, call.talking = [], []


def _say_call_changed(session: AsyncSession, call: Call, legs: list[CallLeg], fact: CallFact, world: World) -> None:
    """Those whose phones take part, who is responsible, and their managers; nobody's call is for the managers."""
    users = world.people.audience(*(leg.user_id for leg in legs), call.responsible_id)
    nobodys = [Role.MANAGER.value] if call.responsible_id is None else []
    emit(session, "call", call.id, fact.at, users=users, roles=[Role.ADMIN.value, Role.QC.value, *nobodys])


def _write(row: Call | CallLeg, **values: object) -> bool:
    """Set what is different; whether anything was. Most facts change two or three columns, and a look costs a tenth."""
    different = [(name, value) for name, value in values.items() if getattr(row, name) != value]
    for name, value in different:
        setattr(row, name, value)
    return bool(different)


def _cut(value: str | None, length: int) -> str | None:
    return value[:length] if value is not None else None
