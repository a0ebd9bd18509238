"""What makes a card come up goes into the database before what makes deals."""

from collections.abc import Iterable, Sequence

from pbxcrm.calls.facts import CallFact, FactKind

RINGING = b"ChannelStateDesc: Ringing\r\n"  # in a message that does not wait
_RINGS = frozenset({FactKind.OPENED, FactKind.UPDATED, FactKind.QUEUED, FactKind.RINGING, FactKind.SILENCED})


def rings_first(facts: Sequence[CallFact], waiting: Iterable[CallFact] = ()) -> tuple[list[CallFact], list[CallFact]]:
    """What makes a card come up, and the rest: a deal of one client must not keep another's telephone waiting.

    The facts of one call keep their order, for each says how the whole call stands; ``waiting`` are earlier ones.
    """
    urgent: list[CallFact] = []
    rest: list[CallFact] = []
    held = {fact.call.linkedid for fact in waiting}  # calls of which something else comes before
    for fact in facts:
        if fact.kind in _RINGS and fact.call.linkedid not in held:
            urgent.append(fact)
        else:
            held.add(fact.call.linkedid)
            rest.append(fact)
    return urgent, rest
