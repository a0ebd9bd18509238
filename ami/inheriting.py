"""Calls that another listener left open: the database knows them, this one's journal says nothing of them.

A standby on another machine writes a journal of its own. A call that went on when it took over it meets in the snapshot of its
first login; one that was over by then nobody would ever end.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from ami.snapshot import Snapshot
from pbxcrm.calls.facts import CallFact, CallState, FactKind, Leg, LegResult, Outcome


class Inherited:
    """Those of the open calls that the tracker has not told of."""

    def __init__(self, calls: Iterable[CallState]) -> None:
        self._calls = {call.linkedid: call for call in calls}

    def hear(self, facts: Sequence[CallFact]) -> list[CallFact]:
        """Leave to the tracker what it tells of. The endings of those that live on in a call of another name, with that call's."""
        if not self._calls:
            return []
        for fact in facts:
            self._calls.pop(fact.call.linkedid, None)
        return [
            self._end(call, fact.at)
            for fact in facts
            if fact.kind is FactKind.ENDED
            for call in list(self._calls.values())
            if not set(fact.call.channel_ids).isdisjoint(call.channel_ids)
        ]

    def end_missing(self, snapshot: Snapshot, at: datetime) -> list[CallFact]:
        """The endings of those of which no channel is there any more, as a tracker would tell them."""
        there = {channel.get("Uniqueid", "") for channel in snapshot.channels}
        gone = [call for call in self._calls.values() if not there & {call.linkedid, *call.channel_ids}]
        return [self._end(call, at) for call in gone]

    def _end(self, call: CallState, at: datetime) -> CallFact:
        del self._calls[call.linkedid]
        over = replace(
            call,
            outcome=Outcome.UNKNOWN if call.answered_at is None else Outcome.ANSWERED,
            legs=tuple(_hung_up(leg, at) for leg in call.legs),
            ringing=(),
            talking=(),
            ended_at=at,
        )
        return CallFact(FactKind.ENDED, "", 1, at, over)


def _hung_up(leg: Leg, at: datetime) -> Leg:
    if leg.ended_at is not None:
        return leg
    result = leg.result
    if leg.answered_at is not None:
        result = LegResult.TALKED
    elif result in {LegResult.DIALLED, LegResult.RINGING}:
        result = LegResult.CANCELLED
    return replace(leg, ended_at=at, result=result)
