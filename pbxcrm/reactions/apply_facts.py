"""Applies facts: updates the rows of calls and legs, and does what follows from them."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace
from functools import cache, partial
from typing import Any

from sqlalchemy import Update, bindparam, insert, inspect, update
from sqlalchemy.orm.attributes import set_committed_value
from sqlmodel import SQLModel, col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.audience import audience_of_call
from pbxcrm.calls.callers import keep_callers
from pbxcrm.calls.facts import CallFact, CallState, Direction, FactKind, Leg, LegResult, Outcome
from pbxcrm.calls.hooks import calls_over
from pbxcrm.calls.models import Call, CallEvent, CallLeg
from pbxcrm.calls.rules import is_better_ending, line_of
from pbxcrm.calls.stored_state import columns_of, columns_of_leg
from pbxcrm.checkpoints.handlers import TalkOver, clients_talked
from pbxcrm.contacts.queries import load_numbers
from pbxcrm.deals.models import Deal
from pbxcrm.distribution.actions import LOCK as DISTRIBUTION_LOCK
from pbxcrm.people.directory import Directory
from pbxcrm.phone.match_orders import match_order
from pbxcrm.reactions.call_context import CallContext
from pbxcrm.reactions.client_of_call import read_clients
from pbxcrm.reactions.consequence_actions import consider, has_consequences
from pbxcrm.reactions.dialling import dials, take_callback
from pbxcrm.reactions.mobiles import with_colleagues
from pbxcrm.screenpop.audience import say_dock_changed
from pbxcrm.screenpop.card_actions import do_owe_wrap_up
from pbxcrm.shared.core_sql import add_and_keep, add_new, execute, fetch, list_param
from pbxcrm.shared.db import lock_all
from pbxcrm.shared.events import emit
from pbxcrm.shared.lengths import longest
from pbxcrm.shared.numbers import LONGEST_NUMBER, normalise
from pbxcrm.shared.text_match import folded_name

Name = tuple[str, str]  # PBX and linkedid

# Built once: every batch uses them, and building a query takes as long as executing it. Legs and facts go through Core, because
# the ORM would take half of the listener's time.
# The query also reads the owner of the call's deal, who must be notified of the call.
_CALLS = (
    select(Call, Deal.id, Deal.responsible_id)
    .join(Deal, col(Deal.id) == col(Call.deal_id), isouter=True)
    .where(col(Call.linkedid).in_(list_param("named")), col(Call.pbx).in_(list_param("pbxs")))
)
_KEY, _PARTY = longest(CallEvent.key), longest(CallEvent.party)
_CHANNEL_ID, _EXTENSION = longest(CallLeg.channel_id), longest(CallLeg.extension)
_DEAL_KEY = inspect(Deal).identity_key_from_primary_key
_LEG = SQLModel.metadata.tables["call_legs"]
_SAID_OF_LEG = ("dialled_at", "ringing_at", "answered_at", "ended_at", "result", "cause")  # a fact may change them
_LEGS = select(
    _LEG.c.call_id, _LEG.c.user_id, _LEG.c.channel_id, _LEG.c.extension, *(_LEG.c[name] for name in _SAID_OF_LEG)
).where(_LEG.c.call_id.in_(list_param("calls")))
_ADD_LEGS = insert(_LEG)
_CALL = SQLModel.metadata.tables["calls"]
_OF_CALL = tuple(column.name for column in _CALL.c if column.name not in {"id", "pbx", "linkedid"})
_OF_CALLER = {"client_number", "client_name_folded"}
_CHANGE_LEGS = (
    update(_LEG)
    .where(_LEG.c.call_id == bindparam("of_call"), _LEG.c.channel_id == bindparam("of_channel"))
    .values({name: bindparam(name) for name in _SAID_OF_LEG})
)


@dataclass(slots=True, eq=False)
class _KnownLeg:
    """A leg as its row holds it, or will hold it once written."""

    leg: Leg
    user_id: int | None  # who had the extension when it was dialled
    is_new: bool = False
    is_changed: bool = False


@dataclass(slots=True)
class _Rows:
    """The rows of a batch, read once. All later steps use these objects, never a second copy."""

    calls: dict[Name, Call]
    legs: dict[int, dict[str, _KnownLeg]] = field(default_factory=dict)  # call id -> channel id -> leg
    fresh: set[tuple[int, str]] = field(default_factory=set)  # call id and key of facts not applied before
    over: dict[int, Outcome] = field(default_factory=dict)  # call id -> final outcome; nothing reopens the call
    stored: dict[int, dict[str, Any]] = field(default_factory=dict)  # call id -> its columns as the database has them
    deal_owners: dict[int | None, int | None] = field(default_factory=dict)  # deal id -> owner when the batch began

    @classmethod
    async def load(cls, session: AsyncSession, facts: tuple[CallFact, ...], context: CallContext) -> "_Rows":
        rows = cls({})
        await rows._read_calls(session, *_names(facts))
        known = [call.id for call in rows.calls.values() if call.id is not None]
        rows.over = {
            call.id: Outcome(call.outcome)
            for call in rows.calls.values()
            if call.id is not None and (call.outcome != Outcome.OPEN or call.merged_into_id is not None)
        }
        await rows._add_calls(session, facts, context)
        rows.legs = {call.id: {} for call in rows.calls.values() if call.id is not None}
        for row in await fetch(session, _LEGS, {"calls": known}) if known else ():
            call_id, user_id, channel_id, extension, dialled, ringing, answered, ended, result, cause = row
            leg = Leg(channel_id, extension, dialled, ringing, answered, ended, LegResult(result), cause)
            rows.legs[call_id][channel_id] = _KnownLeg(leg, user_id)
        await rows._add_events(session, facts)
        return rows

    async def _read_calls(self, session: AsyncSession, named: set[str], pbxs: set[str]) -> None:
        found = await session.exec(_CALLS, params={"named": list(named), "pbxs": list(pbxs)})
        for call, deal_id, owner_id in found.all():
            self._keep(call)
            self.deal_owners[deal_id] = owner_id

    def _keep(self, call: Call) -> None:
        self.calls[call.pbx, call.linkedid] = call
        self.stored[call.id or 0] = {name: getattr(call, name) for name in _OF_CALL}

    async def deal_owner(self, session: AsyncSession, call: Call) -> tuple[int | None] | None:
        """The owner of the call's deal, in a tuple because a deal may have none; None if the call has no deal.

        A deal that this batch has loaded has the current owner.
        """
        if call.deal_id is None:
            return None
        deal: Deal | None = session.identity_map.get(_DEAL_KEY((call.deal_id,)))
        if deal is None and call.deal_id in self.deal_owners:
            return (self.deal_owners[call.deal_id],)
        deal = deal or await session.get(Deal, call.deal_id)
        return (deal.responsible_id,) if deal is not None else None

    async def _add_calls(self, session: AsyncSession, facts: tuple[CallFact, ...], context: CallContext) -> None:
        """Insert the rows of new calls, with the state of their first fact."""
        first: dict[Name, CallState] = {}
        for state in (fact.call for fact in facts):
            if (state.pbx, state.linkedid) not in self.calls:
                first.setdefault((state.pbx, state.linkedid), state)
        if first:
            rows = [_as_row(state, context) for state in first.values()]
            for call in await add_and_keep(session, Call, rows, "pbx", "linkedid"):
                self._keep(call)
            await keep_callers(session, rows)
            if first.keys() - self.calls.keys():  # somebody else has inserted them just now
                await self._read_calls(session, {linkedid for _, linkedid in first}, {pbx for pbx, _ in first})

    async def _add_events(self, session: AsyncSession, facts: tuple[CallFact, ...]) -> None:
        """Insert the call events. ``fresh`` gets the new ones; an event that existed was applied before."""
        events = [
            {
                "call_id": self.of(fact).id,
                "key": _key(fact),
                "kind": fact.kind.value,
                "party": fact.party[:_PARTY],
                "at": fact.at,
            }
            for fact in facts
        ]
        self.fresh.update((row.call_id, row.key) for row in await add_new(session, CallEvent, events, "call_id", "key"))

    def of(self, fact: CallFact) -> Call:
        return self.calls[fact.call.pbx, fact.call.linkedid]

    def is_news(self, fact: CallFact) -> bool:
        """Whether the fact must be applied. True at most once per fact.

        *Ended* is final, in whatever order journals, snapshots and files of the PBX report a call: later facts are known
        already. Only an *unknown* ending is replaced by a better one, and a call that is over may still be absorbed by
        another.
        """
        call_id = self.of(fact).id or 0
        name = (call_id, _key(fact))
        is_fresh = name in self.fresh
        self.fresh.discard(name)
        known = self.over.get(call_id)
        if fact.kind is FactKind.ENDED:
            if known is None or is_better_ending(fact.call.outcome, known):
                self.over[call_id] = fact.call.outcome
                return is_fresh or known is not None
            return False
        if fact.kind is FactKind.ABSORBED:
            return is_fresh
        is_of_before = len(fact.call.talked) < len(self.of(fact).talked)  # the list of who talked only grows
        return is_fresh and known is None and not is_of_before

    async def write_down(self, session: AsyncSession) -> None:
        """Write all pending changes, so that the next query sees them."""
        await self.write_legs(session)
        await self.write_calls(session)
        await session.flush()

    async def write_calls(self, session: AsyncSession) -> None:
        """Write the changed columns of calls; one statement per set of columns, where the ORM would use one per call.

        Values that were flushed meanwhile are written again.
        """
        changed: dict[tuple[str, ...], list[dict[str, Any]]] = {}
        renamed: list[dict[str, Any]] = []
        for call in self.calls.values():
            stored = self.stored[call.id or 0]
            new = {name: value for name, was in stored.items() if (value := getattr(call, name)) != was}
            if new:
                changed.setdefault(tuple(new), []).append({**new, "of_call": call.id})
                stored.update(new)
                if new.keys() & _OF_CALLER:
                    renamed.append(stored)
                for name, value in new.items():
                    set_committed_value(call, name, value)
        for names, rows in changed.items():
            await execute(session, _change_calls(names), rows)
        await keep_callers(session, renamed)

    async def write_legs(self, session: AsyncSession) -> None:
        new, changed = [], []
        for call_id, legs in self.legs.items():
            for channel_id, known in legs.items():
                if known.is_new:
                    more = {"extension": known.leg.extension[:_EXTENSION], "user_id": known.user_id}
                    new.append({"call_id": call_id, "channel_id": channel_id, **more, **columns_of_leg(known.leg)})
                elif known.is_changed:
                    changed.append({"of_call": call_id, "of_channel": channel_id, **columns_of_leg(known.leg)})
                known.is_new = known.is_changed = False
        await execute(session, _ADD_LEGS, new)
        await execute(session, _CHANGE_LEGS, changed)


@cache
def _change_calls(names: tuple[str, ...]) -> Update:
    return update(_CALL).where(_CALL.c.id == bindparam("of_call")).values({name: bindparam(name) for name in names})


def _names(facts: tuple[CallFact, ...]) -> tuple[set[str], set[str]]:
    """Linkedids of the calls in the facts, including absorbing calls, and their PBXs."""
    absorbed_by = {fact.party for fact in facts if fact.kind is FactKind.ABSORBED}
    return {fact.call.linkedid for fact in facts} | absorbed_by, {fact.call.pbx for fact in facts}


def _key(fact: CallFact) -> str:
    return fact.key[:_KEY]


async def apply_facts(session: AsyncSession, context: CallContext, facts: tuple[CallFact, ...]) -> None:
    """Apply ``facts`` in order; a fact that was applied before changes nothing.

    The session is flushed only where the next step reads, not before every query: that halves the work of a batch.
    """
    facts = tuple(with_colleagues(fact, context.people, _region(fact.call, context)) for fact in facts)
    with session.no_autoflush:
        rows = await _Rows.load(session, facts, context)
        deciding = [
            fact.call
            for fact in facts
            if dials(fact) or fact.kind is FactKind.ENDED or has_consequences(fact.call, rows.of(fact))
        ]
        numbers = {number for state in deciding if (number := _client_number(state, context)) is not None}
        keys = [f"client:{number}" for number in numbers]
        if context.distribution and any(_may_be_nobodys(state, context) for state in deciding):
            keys.append(DISTRIBUTION_LOCK)  # before any deal is locked, as everybody does who asks the rules
        await lock_all(session, keys)
        if numbers:
            known = await load_numbers(session, numbers)
            missed = {_client_number(state, context) or "" for state in deciding if _may_be_missed(state)}
            before = await read_clients(session, known, numbers, missed)
            context = replace(
                context,
                numbers=known,
                before=before.clients,
                attempts=before.attempts,
                tasks=before.tasks,
                write_down=partial(rows.write_down, session),
            )
        talks: list[TalkOver] = []
        over: list[Call] = []
        for fact in facts:
            if rows.is_news(fact):
                await _apply(session, context, fact, rows, talks)
                if fact.kind is FactKind.ENDED:
                    over.append(rows.of(fact))
        await rows.write_down(session)
        await clients_talked(session, talks)
        if over:
            await calls_over(session, over)


def _may_be_nobodys(state: CallState, context: CallContext) -> bool:
    """Whether the call may make a deal that the rules of distribution give to somebody: none of us answered it."""
    return _may_be_missed(state) or (state.was_answered and context.people.user_of(state.answered_by) is None)


def _may_be_missed(state: CallState) -> bool:
    return state.direction is Direction.INBOUND and state.outcome is not Outcome.OPEN and not state.was_answered


async def _apply(
    session: AsyncSession, context: CallContext, fact: CallFact, rows: _Rows, talks: list[TalkOver]
) -> None:
    state, call = fact.call, rows.of(fact)
    assert call.id is not None
    if fact.kind is FactKind.ABSORBED and call.id in rows.over:
        _absorb(call, rows.calls.get((call.pbx, fact.party)))
        return
    if fact.kind is FactKind.ENDED and call.outcome == Outcome.UNKNOWN:
        call.reason = {}  # nothing had followed from it
    _write(call, state, context)
    if state.was_answered and (number := call.client_number) in context.before:  # one more talk than was read
        context.before[number] = replace(context.before[number], talks=None)
    known = rows.legs[call.id]
    changed = _refresh_legs(known, state, context)
    if fact.kind is FactKind.ABSORBED:
        _absorb(call, rows.calls.get((call.pbx, fact.party)))
        rows.over[call.id] = state.outcome
    else:
        call.deal_id = await match_order(session, call, state, fact.at) or call.deal_id
        if dials(fact):
            await take_callback(session, context, call, state.made_by, fact.at)
        if has_consequences(state, call):
            await consider(session, context, call, state, fact.at)
        if fact.kind is FactKind.ENDED and call.talk_seconds and call.direction != Direction.INTERNAL:
            talks.append(TalkOver(call.contact_id, call.client_number, call.deal_id, fact.at))
    await _show(session, call, fact, known.values(), changed, context.people)
    await _say_call_changed(session, call, known.values(), fact, context, rows)


def _as_row(state: CallState, context: CallContext) -> dict[str, Any]:
    """A new row for Core, with the defaults that the model would fill in."""
    said = columns_of(state, _client_number(state, context))
    return {
        "pbx": state.pbx,
        "linkedid": state.linkedid,
        "reason": {},
        "client_name_folded": folded_name(said["client_name"]),
        **said,
    }


def _write(call: Call, state: CallState, context: CallContext) -> None:
    """Set the columns that differ (mostly two or three). Deal, owner and reason stay."""
    for name, value in columns_of(state, _client_number(state, context)).items():
        if getattr(call, name) != value and (value is not None or name != "recording"):
            setattr(call, name, value)
            if name == "client_name":
                call.client_name_folded = folded_name(value)


def _client_number(state: CallState, context: CallContext) -> str | None:
    """The client's number in normal form; None for internal calls and withheld or missing numbers."""
    if state.direction is Direction.INTERNAL or (state.withheld and state.direction is Direction.INBOUND):
        return None
    return (normalise(state.client_heard, _region(state, context)) or "")[:LONGEST_NUMBER] or None


def _region(state: CallState, context: CallContext) -> str:
    return line_of(state, context.lines).region or context.settings.region_of(state.pbx)


def _refresh_legs(known: dict[str, _KnownLeg], state: CallState, context: CallContext) -> list[_KnownLeg]:
    """Update the legs; return those that changed."""
    changed = []
    for leg in state.legs:
        channel_id = leg.channel_id[:_CHANNEL_ID]
        row = known.get(channel_id)
        if row is None:
            user = context.people.user_of(leg.extension)
            row = known[channel_id] = _KnownLeg(leg, user.id if user else None, is_new=True)
            if leg.result is not LegResult.DIALLED:
                changed.append(row)
        elif row.leg != leg:
            row.leg, row.is_changed = leg, True
            changed.append(row)
    return changed


async def _show(
    session: AsyncSession,
    call: Call,
    fact: CallFact,
    legs: Collection[_KnownLeg],
    changed: Collection[_KnownLeg],
    people: Directory,
) -> None:
    """Refresh the docks of the users concerned: those whose leg changed, and those who talked.

    Only changed legs count: when a call rang at ten phones, nine already know that a colleague answered. An internal call has
    no card, but shows in the state of the phones.
    """
    users = {
        known.user_id
        for known in legs
        if known in changed or known.leg.extension == fact.party or known.leg.answered_at
    }
    if fact.kind is FactKind.JOINED and call.direction != Direction.INTERNAL:
        joined = {known.user_id for known in legs if known.leg.extension == fact.party}
        do_owe_wrap_up(session, call, people.with_cards(joined), fact.at)
    say_dock_changed(session, fact.at, *users, call_id=call.id, rings=fact.kind is FactKind.RINGING)


def _absorb(call: Call, survivor: Call | None) -> None:
    """Mark ``call`` as part of ``survivor``; its row remains but is no longer shown by itself."""
    if survivor is not None and survivor.id != call.id:
        call.merged_into_id = survivor.id
    call.ringing, call.talking = [], []


async def _say_call_changed(
    session: AsyncSession, call: Call, legs: Iterable[_KnownLeg], fact: CallFact, context: CallContext, rows: _Rows
) -> None:
    """Notify those who see the call: people of its legs, the owners of the call and its deal, and their managers."""
    deal_owner = await rows.deal_owner(session, call)
    heard = audience_of_call(call.responsible_id, [leg.user_id for leg in legs], deal_owner, context.people)
    emit(session, "call", call.id, fact.at, users=heard.users, roles=heard.roles)
