"""Puts facts that raise a card before facts that make deals."""

from collections.abc import Iterable, Sequence

from pbxcrm.calls.facts import CallFact, FactKind

RINGING = b"ChannelStateDesc: Ringing\r\n"  # marks a message that is applied without delay
_RINGS = frozenset({FactKind.OPENED, FactKind.UPDATED, FactKind.QUEUED, FactKind.RINGING, FactKind.SILENCED})


def rings_first(facts: Sequence[CallFact], waiting: Iterable[CallFact] = ()) -> tuple[list[CallFact], list[CallFact]]:
    """Split ``facts`` into those that raise a card and the rest: a deal of one client must not delay another's card.

    The facts of one call keep their order, because each holds the whole state; ``waiting`` are earlier facts.
    """
    urgent: list[CallFact] = []
    rest: list[CallFact] = []
    held = {fact.call.linkedid for fact in waiting}  # calls with an earlier fact among the rest
    for fact in facts:
        if fact.kind in _RINGS and fact.call.linkedid not in held:
            urgent.append(fact)
        else:
            held.add(fact.call.linkedid)
            rest.append(fact)
    return urgent, rest
