"""The outcome of a call and why it was missed, decided once the call is over (rule 5)."""

from datetime import datetime, timedelta

from ami.tracker.call import TrackedCall
from ami.tracker.legs import LegRecord
from pbxcrm.calls.facts import Direction, LegResult, MissedReason, Outcome

#: The PBX ends the phones within milliseconds after the caller hangs up; a leg that ended earlier had another reason.
_SAME_MOMENT = timedelta(seconds=1)
#: Hang-up causes (Q.850) when the caller hangs up: none, or 127 "interworking".
_CALLER_GAVE_UP = frozenset({None, 0, 127})
#: Causes by which the PBX says that it could not reach the phone: no route, absent subscriber, out of order.
_UNREACHABLE = frozenset({3, 20, 27})
_NORMAL_CLEARING = 16
_NOBODY_SERVES = frozenset({"JOINEMPTY", "LEAVEEMPTY", "JOINUNAVAIL", "LEAVEUNAVAIL", "FULL"})


def outcome(call: TrackedCall) -> Outcome:
    """The outcome of a call that is over, as far as its own events tell."""
    if call.answered_at is not None:
        return Outcome.ANSWERED
    if call.direction is Direction.OUTBOUND:
        return _outbound_outcome(call)
    if call.direction is Direction.INBOUND and call.left_voicemail:
        return Outcome.VOICEMAIL
    return Outcome.MISSED


def _outbound_outcome(call: TrackedCall) -> Outcome:
    """The outcome of an outbound call without a talk: the last outside line that was tried decides."""
    lines = [leg for leg in call.legs.values() if leg.extension is None]
    if not lines:
        own_phone_was_taken = any(leg.picked_up for leg in call.legs.values())
        return Outcome.NOT_DIALLED if call.click_to_call and not own_phone_was_taken else Outcome.FAILED
    result = lines[-1].result
    if result is LegResult.BUSY:
        return Outcome.BUSY
    return Outcome.FAILED if result is LegResult.FAILED else Outcome.NO_ANSWER


def missed_reason(call: TrackedCall, over_at: datetime) -> MissedReason:
    """Why nobody talked to the caller, from what the phones and the caller did last."""
    if call.closed_hours:
        return MissedReason.CLOSED_HOURS
    phones = [leg for leg in call.legs.values() if leg.extension is not None]
    lines = [leg for leg in call.legs.values() if leg.extension is None]
    waiting_in_queue = _waits_in_queue(call, over_at)
    if any(_rang_until(leg, over_at, call) for leg in phones + lines):
        return MissedReason.ABANDONED_IN_QUEUE if waiting_in_queue else MissedReason.ABANDONED_RINGING
    if call.queue_status in _NOBODY_SERVES:
        return MissedReason.NO_AGENTS
    if call.queue is not None:
        return _queue_reason(call, phones, over_at, waiting=waiting_in_queue)
    if phones or lines:
        return _phones_reason(phones or lines)
    return _nobody_dialled_reason(call)


def _waits_in_queue(call: TrackedCall, over_at: datetime) -> bool:
    """Whether the caller was still in a queue when the call ended; a caller who hangs up leaves it at the same moment."""
    if call.queue is None or call.hung_up_after_queue:
        return False
    return call.left_queue_at is None or over_at - call.left_queue_at < _SAME_MOMENT


def _rang_until(leg: LegRecord, over_at: datetime, call: TrackedCall) -> bool:
    """Whether the caller gave up while this leg was being called."""
    if leg.is_waiting:
        return True
    if leg.ended_at is not None and over_at - leg.ended_at >= _SAME_MOMENT:
        return False
    was_asked_to_confirm = leg.picked_up and leg.status is None and leg.answered_at is None
    return leg.result is LegResult.CANCELLED or (was_asked_to_confirm and hung_up_by_caller(call))


def _queue_reason(call: TrackedCall, phones: list[LegRecord], over_at: datetime, *, waiting: bool) -> MissedReason:
    """The reason when no phone rang at the end and the caller had been in a queue."""
    if not waiting or call.queue_status == "TIMEOUT":
        return MissedReason.TIMEOUT
    ended = [leg.ended_at for leg in phones if leg.ended_at is not None]
    rang_out_just_now = bool(ended) and over_at - max(ended) < _SAME_MOMENT
    if call.caller_hung_up or (hung_up_by_caller(call) and not rang_out_just_now):
        return MissedReason.ABANDONED_IN_QUEUE
    return MissedReason.TIMEOUT if phones else MissedReason.NO_AGENTS


def _phones_reason(phones: list[LegRecord]) -> MissedReason:
    """The reason when phones were dialled, none answered, and the caller was still there afterwards."""
    results = {leg.result for leg in phones} - {LegResult.FORWARDED}
    if results and results <= {LegResult.BUSY, LegResult.FAILED}:
        return MissedReason.BUSY if LegResult.BUSY in results else MissedReason.UNREACHABLE
    return MissedReason.TIMEOUT


def _nobody_dialled_reason(call: TrackedCall) -> MissedReason:
    """The reason when no phone was ever called: the caller was in a menu, or there was no phone to call."""
    if call.dial_status in {"CHANUNAVAIL", "CONGESTION"}:
        return MissedReason.UNREACHABLE
    if call.was_picked_up_by_pbx:
        # If the PBX reports who hangs up and the caller did not, the dialplan ended the call: a queue without agents gives no
        # clearer sign. If it does not report that, most of these callers gave up in a menu.
        return MissedReason.NO_AGENTS if call.was_let_go else MissedReason.ABANDONED_IN_IVR
    if call.caller_cause in _UNREACHABLE:
        return MissedReason.UNREACHABLE
    if hung_up_by_caller(call):
        return MissedReason.ABANDONED_RINGING
    # The dialplan ended the call at once without dialling a phone: a queue without agents gives no clearer sign.
    return MissedReason.NO_AGENTS if call.caller_cause == _NORMAL_CLEARING else MissedReason.UNREACHABLE


def hung_up_by_caller(call: TrackedCall) -> bool:
    """Whether the caller ended the call; from ``HangupRequest`` if the PBX sends it, else from the cause."""
    return call.caller_hung_up or call.caller_cause in _CALLER_GAVE_UP
