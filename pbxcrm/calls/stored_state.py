"""Converts the state of a call to columns of its rows, and back for a listener that takes over."""

from datetime import datetime
from typing import Any

from pbxcrm.calls.facts import CallState, Direction, Leg, LegResult, Outcome, Transfer, TransferKind
from pbxcrm.calls.models import Call, CallLeg
from pbxcrm.calls.rules import clean_caller_name, clean_path
from pbxcrm.shared.lengths import longest

# Read once, because they are needed for every fact.
_CLIENT_HEARD, _RECORDING = longest(Call.client_heard), longest(Call.recording)
_TRUNK, _DID, _DIALLED, _QUEUE = (longest(column) for column in (Call.trunk, Call.did, Call.dialled, Call.queue))
_MADE_BY, _ANSWERED_BY = longest(Call.made_by), longest(Call.answered_by)


def columns_of(state: CallState, client_number: str | None) -> dict[str, Any]:
    """The columns of a call for its state from the PBX; ``client_number`` is in normal form."""
    return {
        "client_number": client_number,
        "direction": state.direction.value,
        "outcome": state.outcome.value,
        "missed_reason": state.missed_reason.value if state.missed_reason else None,
        "client_heard": _cut(state.client_heard, _CLIENT_HEARD),
        "client_name": clean_caller_name(state.client_name),
        "withheld": state.withheld,
        "trunk": _cut(state.trunk, _TRUNK),
        "did": _cut(state.did, _DID),
        "dialled": _cut(state.dialled, _DIALLED),
        "queue": _cut(state.queue, _QUEUE),
        "made_by": _cut(state.made_by, _MADE_BY),
        "answered_by": _cut(state.answered_by, _ANSWERED_BY),
        "rang": list(state.rang),
        "talked": list(state.talked),
        "ringing": list(state.ringing),
        "talking": list(state.talking),
        "transfers": [{"from": t.source, "to": t.target, "kind": t.kind.value} for t in state.transfers],
        "started_at": state.started_at,
        "answered_at": state.answered_at,
        "ended_at": state.ended_at,
        "wait_seconds": state.wait_seconds,
        "talk_seconds": state.talk_seconds,
        "click_to_call": state.click_to_call,
        "channel_ids": list(state.channel_ids),
        "outside": [_line_as_json(leg) for leg in state.outside] or None,
        "recording": _cut(clean_path(state.recording), _RECORDING),
    }


def stored_state_of(call: Call, legs: list[CallLeg]) -> CallState:
    """The call state from its rows, for a call in progress: ``missed_reason`` is None, because only the end sets it."""
    return CallState(
        pbx=call.pbx,
        linkedid=call.linkedid,
        direction=Direction(call.direction),
        outcome=Outcome(call.outcome),
        missed_reason=None,
        client_heard=call.client_heard,
        client_name=call.client_name,
        withheld=call.withheld,
        trunk=call.trunk,
        did=call.did,
        dialled=call.dialled,
        queue=call.queue,
        made_by=call.made_by,
        rang=tuple(call.rang),
        answered_by=call.answered_by,
        talked=tuple(call.talked),
        transfers=tuple(Transfer(t["from"], t["to"], TransferKind(t["kind"])) for t in call.transfers),
        legs=tuple(_leg_of(leg) for leg in legs),
        ringing=tuple(call.ringing),
        talking=tuple(call.talking),
        started_at=call.started_at,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        click_to_call=call.click_to_call,
        channel_ids=tuple(call.channel_ids),
        recording=call.recording,
        outside=tuple(_line_of(line) for line in call.outside or ()),
    )


def columns_of_leg(leg: Leg) -> dict[str, Any]:
    """The columns of a leg that a later fact may change."""
    return {
        "dialled_at": leg.dialled_at,
        "ringing_at": leg.ringing_at,
        "answered_at": leg.answered_at,
        "ended_at": leg.ended_at,
        "result": leg.result.value,
        "cause": leg.cause,
    }


def _leg_of(leg: CallLeg) -> Leg:
    return Leg(
        channel_id=leg.channel_id,
        extension=leg.extension,
        dialled_at=leg.dialled_at,
        ringing_at=leg.ringing_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at,
        result=LegResult(leg.result),
        cause=leg.cause,
    )


#: A key of the lines in ``Call.outside``: see ``Leg.dialled_name``. Absent if empty.
DIALLED_NAME = "dialled_name"
_TIMES = ("dialled_at", "ringing_at", "answered_at", "ended_at")


def _line_as_json(leg: Leg) -> dict[str, Any]:
    """An outside line that was dialled, for the column ``outside``. A colleague's mobile is one of them."""
    times = {name: at.isoformat() for name in _TIMES if (at := getattr(leg, name)) is not None}
    named = {DIALLED_NAME: leg.dialled_name} if leg.dialled_name else {}
    return {
        "channel_id": leg.channel_id,
        "extension": leg.extension,
        "result": leg.result.value,
        "cause": leg.cause,
        **named,
        **times,
    }


def _line_of(line: dict[str, Any]) -> Leg:
    times: dict[str, Any] = {name: datetime.fromisoformat(line[name]) if name in line else None for name in _TIMES}
    result, name = LegResult(line["result"]), line.get(DIALLED_NAME, "")
    return Leg(line["channel_id"], line["extension"], **times, result=result, cause=line["cause"], dialled_name=name)


def _cut(value: str | None, length: int) -> str | None:
    return value[:length] if value is not None else None
