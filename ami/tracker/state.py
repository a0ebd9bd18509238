"""Makes the frozen state of a call that goes into a fact."""

from ami.tracker.call import TrackedCall
from ami.tracker.outcome_rules import missed_reason
from pbxcrm.calls.facts import CallState, Outcome


def state_of(call: TrackedCall) -> CallState:
    """Everything known of the call now."""
    legs = [shown for leg in call.legs.values() if (shown := leg.shown()) is not None]
    outside = [shown for leg in call.legs.values() if (shown := leg.shown_outside()) is not None]
    missed = call.outcome is Outcome.MISSED and call.ended_at is not None
    return CallState(
        pbx=call.pbx,
        linkedid=call.name,
        direction=call.direction,
        outcome=call.outcome,
        missed_reason=missed_reason(call, call.ended_at) if missed and call.ended_at else None,
        client_heard=None if call.withheld else call.client_heard,
        client_name=call.client_name,
        withheld=call.withheld,
        trunk=call.trunk,
        did=call.did,
        dialled=call.dialled,
        queue=call.queue or call.queue_hint,
        made_by=call.made_by,
        rang=tuple(call.rang),
        answered_by=call.answered_by,
        talked=call.talked_in_order(),
        transfers=tuple(call.transfers),
        legs=tuple(legs),
        outside=tuple(outside),
        ringing=tuple(dict.fromkeys(leg.extension for leg in call.legs.values() if leg.extension and leg.is_ringing)),
        talking=tuple(call.talking),
        started_at=call.started_at,
        answered_at=call.answered_at,
        ended_at=call.ended_at,
        click_to_call=call.click_to_call,
        channel_ids=tuple(call.channel_ids),
        recording=call.recording,
        closed_hours=call.closed_hours,
    )
