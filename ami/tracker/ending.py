"""Calls that do not end by their own Hangups: the PBX stops, the stream stops, or nothing is heard of them for a day."""

from datetime import datetime, timedelta

from ami.tracker import verdict
from ami.tracker.call import Call
from ami.tracker.desk import Desk
from pbxcrm.calls.facts import CallFact, Outcome

#: A call that nothing was heard of for this long has lost its Hangup.
FORGOTTEN_AFTER = timedelta(hours=24)
_BEFORE = timedelta(milliseconds=1)


def shutdown(desk: Desk, at: datetime, started_at: datetime | None = None) -> None:
    """The PBX stops: who talked, talked; everybody else was interrupted, also those whose verdict was being held.

    A stop that the PBX's own record tells of may be of long ago: what began after it, or when the PBX had ``started_at`` again,
    goes on.
    """
    at = at if started_at is None else min(at, started_at - _BEFORE)
    ended = [call for call in desk.board.calls if call.started_at <= at]
    for call in ended:
        if not call.is_over:
            gave_up = call.release_at is not None and call.caller_hung_up  # themselves, a moment before
            give_up(desk, call, at, verdict.outcome(call) if gave_up else Outcome.INTERRUPTED)
        for channel_id in list(call.channels):
            desk.board.unplug(channel_id)
        desk.board.forget(call)
        desk.board.touched.pop(call, None)


def give_up(desk: Desk, call: Call, at: datetime, outcome: Outcome) -> None:
    """End a call now: with ``outcome`` unless somebody has talked or left a message."""
    call.ended_at = call.ended_at or at
    known = verdict.outcome(call)
    desk.end(call, known if known in {Outcome.ANSWERED, Outcome.VOICEMAIL} else outcome)


def release_all(desk: Desk) -> list[CallFact]:
    """Give the verdicts that are being held."""
    for call in list(desk.open_calls()):
        if call.release_at is not None:
            desk.end(call, verdict.outcome(call))
    return desk.take_facts()


def forgotten(desk: Desk, now: datetime) -> list[CallFact]:
    """End the calls nothing was heard of for a day; how they ended, nobody can say (rule 7)."""
    for call in [c for c in desk.board.calls if c.quiet_since is not None and now - c.quiet_since > FORGOTTEN_AFTER]:
        for channel_id in list(call.channels):
            desk.board.unplug(channel_id)
        if not call.is_over and call.quiet_since is not None:
            give_up(desk, call, call.quiet_since, Outcome.UNKNOWN)
        desk.board.forget(call)
        desk.board.touched.pop(call, None)
    return desk.take_facts()
