"""Ends calls without their own Hangups: the PBX stops, the stream stops, or a call has no event for a day."""

from datetime import datetime, timedelta

from ami.tracker import outcome_rules
from ami.tracker.call import TrackedCall
from ami.tracker.desk import Desk
from pbxcrm.calls.facts import CallFact, Outcome

#: A call without any event for this long has lost its Hangup.
FORGOTTEN_AFTER = timedelta(hours=24)
_LOOK_EVERY = timedelta(minutes=1)  # not at each tick: with 300 calls that was a twentieth of the listener's time
#: How long after a stop of the PBX its own record can decide.
RECORD_READ_WITHIN = timedelta(seconds=10)
_BEFORE = timedelta(milliseconds=1)


def shutdown(desk: Desk, at: datetime, started_at: datetime | None = None, *, decides: bool = True) -> None:
    """The PBX stops: calls with a talk are answered, all others interrupted, including those whose verdict was held.

    A stop read from the PBX's own record may be long past: calls that began after it, or at ``started_at`` (the next start of
    the PBX) or later, continue. Unless it ``decides``, calls whose verdict was held wait for the PBX's own record, which says
    whether they were hung up before the stop.
    """
    at = at if started_at is None else min(at, started_at - _BEFORE)
    ended = [call for call in desk.board.calls if call.started_at <= at]
    for call in ended:
        if not call.is_over:
            outcome = _at_a_stop(call)
            if outcome is Outcome.INTERRUPTED and call.release_at is not None and not call.channels and not decides:
                call.was_stopped = True
                call.release_at += RECORD_READ_WITHIN
                desk.remind(call, call.release_at)
                continue
            give_up(desk, call, at, outcome)
        for channel_id in list(call.channels):
            desk.board.unplug(channel_id)
        desk.board.forget(call)
        desk.board.touched.pop(call, None)


def _at_a_stop(call: TrackedCall) -> Outcome:
    """The outcome when the PBX stops: the call's own if it was over a moment before, else interrupted."""
    known = outcome_rules.outcome(call)
    # Somebody hung up, or the line said that it is busy: a stop does neither.
    was_over = call.release_at is not None and (call.caller_hung_up or call.was_hung_up or known is Outcome.BUSY)
    return known if was_over else Outcome.INTERRUPTED


def give_up(desk: Desk, call: TrackedCall, at: datetime, outcome: Outcome) -> None:
    """End a call with ``outcome``, unless somebody has talked or left a message. It ends ``at``, or earlier if known."""
    call.ended_at = call.ended_at or at
    known = outcome_rules.outcome(call)
    desk.end(call, known if known in {Outcome.ANSWERED, Outcome.VOICEMAIL} else outcome)


def release_held(desk: Desk) -> None:
    """Give all held verdicts now."""
    for call in list(desk.open_calls()):
        if call.release_at is not None:
            desk.give_verdict(call)


def release_all(desk: Desk) -> list[CallFact]:
    """Give all held verdicts now; return the facts."""
    release_held(desk)
    return desk.take_facts()


def forgotten(desk: Desk, now: datetime) -> list[CallFact]:
    """End the calls without an event for a day as *unknown* (rule 7), a minute later at most; return the facts."""
    if desk.looked_at is not None and abs(now - desk.looked_at) < _LOOK_EVERY:
        return []
    desk.looked_at = now
    for call in [c for c in desk.board.calls if c.quiet_since is not None and now - c.quiet_since > FORGOTTEN_AFTER]:
        for channel_id in list(call.channels):
            desk.board.unplug(channel_id)
        if not call.is_over and call.quiet_since is not None:
            give_up(desk, call, call.quiet_since, Outcome.UNKNOWN)
        desk.board.forget(call)
        desk.board.touched.pop(call, None)
    return desk.take_facts()
