"""Calls that another listener left open: the database knows them, but our journal holds little or nothing of them.

A standby on another machine writes its own journal. It sees a call that is in progress at the takeover only in the snapshot of its
first login, without the earlier history; without this module nobody would end a call that was over by then.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from pbxcrm.calls.facts import CallFact, CallState, Direction, FactKind, Handover, Leg, LegResult, Outcome

Thing = TypeVar("Thing")

_LAST = {FactKind.ENDED, FactKind.ABSORBED}
_ONCE = {FactKind.OPENED, *_LAST}


class Inherited:
    """The open calls of a handover, until they are over."""

    def __init__(self, handover: Handover, counted: Mapping[tuple[str, str, str], int] | None = None) -> None:
        self._unheard = {call.linkedid: call for call in handover.open_calls}
        self._heard: dict[str, CallState] = {}  # our tracker knows them, perhaps without their history
        self._told = dict(handover.told)
        self._counted = dict(counted or {})  # how many facts of them our tracker made before this term

    def hear(self, facts: list[CallFact], *, of_this_term: bool = True, whole: bool = False) -> list[CallFact]:
        """The tracker's facts with the earlier history added, and endings of open calls that share a channel with an ended one.

        ``whole``: the tracker knows the calls from their beginning, so what it decides about them is not mixed with earlier guesses.
        """
        if not self._unheard and not self._heard:
            return facts
        met = {fact.call.linkedid for fact in facts} & self._unheard.keys() if of_this_term else set()
        told = [self._with_history(self._counted_on(fact, of_this_term), whole=whole) for fact in facts]
        told += [self._as_it_is(self._heard[name], facts[-1].at) for name in met if name in self._heard]
        return told + [
            self._end(call, fact.at)
            for fact in facts
            if fact.kind is FactKind.ENDED
            for call in list(self._unheard.values())
            if not set(fact.call.channel_ids).isdisjoint(call.channel_ids)
        ]

    def hear_whole(self, facts: list[CallFact]) -> list[CallFact]:
        """Like ``hear`` for facts from CEL, which covers calls from their beginning, so ordinals are not shifted.

        Calls known from another listener also get an ``updated`` fact, because some of its facts may have had other keys.
        """
        met = {fact.call.linkedid: fact.at for fact in facts if fact.call.linkedid in self._unheard}
        told = self.hear(facts, of_this_term=False, whole=True)
        return told + [self._as_it_is(self._heard[name], at) for name, at in met.items() if name in self._heard]

    def end_missing(self, there: Collection[str], at: datetime, seen_at: datetime | None = None) -> list[CallFact]:
        """The endings of calls the tracker has not heard of and of which no channel is ``there`` (Linkedids, Uniqueids).

        ``seen_at``: when a snapshot showed what is there; later calls go on. The database may have told of them although they
        began after the snapshot, if it was away when the snapshot was taken.
        """
        there = set(there)
        gone = [
            call
            for call in self._unheard.values()
            if there.isdisjoint((call.linkedid, *call.channel_ids)) and (seen_at is None or call.started_at <= seen_at)
        ]
        return [self._end(call, at) for call in gone]

    def _counted_on(self, fact: CallFact, of_this_term: bool) -> CallFact:
        """Continue the ordinals of the other listener, so that a new ring does not get the key of an earlier one."""
        name = (fact.call.linkedid, fact.kind.value, fact.party)
        if not of_this_term:
            self._counted[name] = fact.ordinal
            return fact
        missing = self._told.get(name, 0) - self._counted.get(name, 0)
        return replace(fact, ordinal=fact.ordinal + missing) if missing > 0 and fact.kind not in _ONCE else fact

    def _as_it_is(self, call: CallState, at: datetime) -> CallFact:
        """An ``updated`` fact with the present state, for changes nobody saw between two terms (a phone may have stopped)."""
        name = (call.linkedid, FactKind.UPDATED.value, "")
        self._told[name] = self._told.get(name, 0) + 1
        return CallFact(FactKind.UPDATED, "", self._told[name], at, call)

    def _with_history(self, fact: CallFact, *, whole: bool) -> CallFact:
        name = fact.call.linkedid
        before = self._unheard.pop(name, None) or self._heard.pop(name, None)
        if before is None:
            return fact
        call = _continued(before, fact.call, fact.at)
        if whole or _is_known_from_its_beginning(before, fact.call):
            call = _decided_by(fact.call, call)
        if fact.kind not in _LAST:
            self._heard[name] = call
        return replace(fact, call=call)

    def _end(self, call: CallState, at: datetime) -> CallFact:
        del self._unheard[call.linkedid]
        over = replace(
            call,
            outcome=Outcome.UNKNOWN if call.answered_at is None else Outcome.ANSWERED,
            legs=tuple(_hung_up(leg, at) for leg in call.legs),
            outside=tuple(_hung_up(leg, at) for leg in call.outside),
            ringing=(),
            talking=(),
            ended_at=at,
        )
        return CallFact(FactKind.ENDED, "", 1, at, over)


def _continued(before: CallState, now: CallState, at: datetime) -> CallState:
    """The call as it is ``now`` plus its history ``before``; unchanged if the tracker knows it from its beginning."""
    answered_at = _earlier(before.answered_at, now.answered_at)
    was_answered = answered_at is not None and now.outcome is not Outcome.OPEN
    knows_who_talked = set(before.talked) <= set(now.talked)
    return replace(
        now,
        direction=before.direction if now.direction is Direction.INTERNAL else now.direction,
        outcome=Outcome.ANSWERED if was_answered else now.outcome,
        missed_reason=None if was_answered else now.missed_reason,
        client_heard=now.client_heard or before.client_heard,
        client_name=now.client_name or before.client_name,
        withheld=now.withheld or before.withheld,
        trunk=now.trunk or before.trunk,
        did=now.did or before.did,
        dialled=now.dialled or before.dialled,
        queue=now.queue or before.queue,
        made_by=now.made_by or before.made_by,
        rang=_all(before.rang, now.rang),
        answered_by=now.answered_by if knows_who_talked else before.answered_by or now.answered_by,
        talked=_all(before.talked, now.talked),
        transfers=_all(before.transfers, now.transfers),
        legs=_legs(before.legs, now.legs, at),
        outside=_legs(before.outside, now.outside, at),
        started_at=min(before.started_at, now.started_at),
        answered_at=answered_at,
        click_to_call=now.click_to_call or before.click_to_call,
        channel_ids=_all(before.channel_ids, now.channel_ids),
        recording=now.recording or before.recording,
    )


def _is_known_from_its_beginning(before: CallState, now: CallState) -> bool:
    """Whether the tracker heard the first channel begin: a snapshot shows only whole seconds of its age."""
    return now.started_at == before.started_at and set(before.channel_ids) <= set(now.channel_ids)


def _decided_by(now: CallState, call: CallState) -> CallState:
    """The call with the direction that the tracker has decided; among phones there is no client, though one was guessed."""
    call = replace(call, direction=now.direction, click_to_call=now.click_to_call)
    if now.direction is not Direction.INTERNAL:
        return call
    return replace(call, client_heard=now.client_heard, client_name=now.client_name, withheld=now.withheld)


def _all(before: Sequence[Thing], now: Sequence[Thing]) -> tuple[Thing, ...]:
    if set(before) <= set(now):
        return tuple(now)  # in its own order
    return (*before, *(one for one in now if one not in before))


def _earlier(before: datetime | None, now: datetime | None) -> datetime | None:
    return min(before, now) if before is not None and now is not None else before or now


def _legs(before: Iterable[Leg], now: Iterable[Leg], at: datetime) -> tuple[Leg, ...]:
    """The present legs, preceded by those that had ended before the tracker first saw the call."""
    known = {leg.channel_id: leg for leg in before}
    legs = [_leg(known.pop(leg.channel_id, leg), leg) for leg in now]
    return (*(_hung_up(leg, at) for leg in known.values()), *legs)


def _leg(before: Leg, now: Leg) -> Leg:
    answered_at = _earlier(before.answered_at, now.answered_at)
    return replace(
        now,
        dialled_at=min(before.dialled_at, now.dialled_at),
        dialled_name=now.dialled_name or before.dialled_name,
        ringing_at=_earlier(before.ringing_at, now.ringing_at),
        answered_at=answered_at,
        result=LegResult.TALKED if answered_at is not None and now.ended_at is not None else now.result,
    )


def _hung_up(leg: Leg, at: datetime) -> Leg:
    if leg.ended_at is not None:
        return leg
    result = leg.result
    if leg.answered_at is not None:
        result = LegResult.TALKED
    elif result in {LegResult.DIALLED, LegResult.RINGING}:
        result = LegResult.CANCELLED
    return replace(leg, ended_at=at, result=result)
