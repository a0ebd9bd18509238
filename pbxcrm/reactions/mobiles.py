"""Colleagues' mobiles: an outside number that is mapped to a person counts as that person's phone."""

from dataclasses import replace

from pbxcrm.calls.facts import CallFact, CallState, Direction, Leg, LegResult, Outcome
from pbxcrm.people.directory import Directory
from pbxcrm.shared.numbers import normalise

_NOBODY_TALKED = {Outcome.NO_ANSWER, Outcome.BUSY, Outcome.FAILED, Outcome.NOT_DIALLED}


def with_colleagues(fact: CallFact, people: Directory, region: str) -> CallFact:
    """The fact with legs to colleagues' mobiles changed into legs of their first extension."""
    state = fact.call
    if not state.outside or not people.by_mobile:
        return fact
    mapped = {leg.channel_id: ext for leg in state.outside if (ext := people.extension_of_mobile(_number(leg, region)))}
    if not mapped:
        return fact
    if state.direction is Direction.OUTBOUND:
        state = _as_we_called(state, mapped, region)
    colleagues = [
        replace(leg, extension=mapped[leg.channel_id], dialled_name="")
        for leg in state.outside
        if leg.channel_id in mapped
    ]
    for leg in colleagues:
        state = _with(state, leg)
    return replace(fact, call=state)


def _number(leg: Leg, region: str) -> str | None:
    return normalise(leg.extension, region)


def _as_we_called(state: CallState, mapped: dict[str, str], region: str) -> CallState:
    """Correct an outbound call: a colleague's mobile is not the client."""
    clients = [leg for leg in state.outside if leg.channel_id not in mapped]
    if not clients and state.made_by is not None:  # from a desk phone to a colleague's mobile: internal
        outcome = Outcome.MISSED if state.outcome in _NOBODY_TALKED else state.outcome
        return replace(state, direction=Direction.INTERNAL, outcome=outcome, client_heard=None)
    client = normalise(state.client_heard, region)
    if (
        clients
        and client not in {_number(leg, region) for leg in clients}
        and _is_mapped(state, mapped, client, region)
    ):
        state = replace(state, client_heard=clients[0].extension)  # the colleague's mobile was called first
    if state.made_by is None and clients:
        state = replace(state, made_by=next(iter(mapped.values())))
    return state


def _is_mapped(state: CallState, mapped: dict[str, str], number: str | None, region: str) -> bool:
    return any(leg.channel_id in mapped and _number(leg, region) == number for leg in state.outside)


def _with(state: CallState, leg: Leg) -> CallState:
    """Add the leg of a mobile: it rang, perhaps somebody talked."""
    name = leg.extension
    rang = state.rang if leg.ringing_at is None and leg.answered_at is None else _also(state.rang, name)
    others = (
        one for one in state.legs if one.channel_id != leg.channel_id
    )  # after a takeover it may already be among them
    state = replace(state, legs=(*others, leg), rang=rang)
    if leg.result is LegResult.RINGING:
        state = replace(state, ringing=_also(state.ringing, name))
    if leg.answered_at is None:
        return state
    really = {one.extension for one in state.legs if one.answered_at is not None}
    talked = _also(tuple(one for one in state.talked if one in really), name)
    if state.made_by in talked:
        talked = (state.made_by, *(one for one in talked if one != state.made_by))
    talking = _also(state.talking, name) if leg.result is LegResult.TALKING else state.talking
    return replace(state, talked=talked, talking=talking, answered_by=_answered_by(state, talked))


def _answered_by(state: CallState, talked: tuple[str, ...]) -> str | None:
    if state.direction is Direction.OUTBOUND:
        return None
    if state.answered_by in talked:
        return state.answered_by
    return next((one for one in talked if one != state.made_by), None)


def _also(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return names if name in names else (*names, name)
