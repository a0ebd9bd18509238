"""Finds the call that left a voicemail: the PBX names the mailbox, but not the call."""

from datetime import datetime

from ami.messages import Message
from ami.tracker.call import TrackedCall
from ami.tracker.desk import Desk
from pbxcrm.calls.facts import Direction


def message_waiting(desk: Desk, message: Message, _at: datetime) -> None:
    """``MessageWaiting{Mailbox: 101@default, New, Old}``: if the mailbox has more new messages, mark the call that left one."""
    mailbox = message.get("Mailbox", "")
    new_text = message.get("New", "")
    new = int(new_text) if new_text.isdecimal() and len(new_text) <= 6 else 0
    before = desk.mailboxes.get(mailbox, 0)
    desk.mailboxes[mailbox] = new
    if new <= before:
        return  # somebody listened to a message
    call = _caller_of(desk, mailbox.partition("@")[0])
    if call is not None:
        call.left_voicemail = True
        desk.board.touched[call] = None


def _caller_of(desk: Desk, owner: str) -> TrackedCall | None:
    """The inbound call that the PBX itself answered, that reached nobody, and that was for the mailbox's owner.

    If no call was for the owner (a mailbox for the whole office), it is the only call that may be leaving a message.
    """
    listening = [call for call in desk.open_calls() if _may_talk_to_a_machine(call)]
    wanted = [call for call in listening if _wanted(call, owner)]
    candidates = wanted or (listening if len(listening) == 1 else [])
    call = max(candidates, key=lambda call: call.started_at, default=None)
    return call if call is not None and call.direction is Direction.INBOUND else None


def _wanted(call: TrackedCall, owner: str) -> bool:
    return owner in {call.did, call.dialled} or any(leg.extension == owner for leg in call.legs.values())


def _may_talk_to_a_machine(call: TrackedCall) -> bool:
    waits_in_queue = call.queue is not None and call.left_queue_at is None
    return (
        call.direction is not Direction.OUTBOUND
        and call.answered_at is None
        and not call.left_voicemail
        and not waits_in_queue
        and (call.was_picked_up_by_pbx or (call.first is not None and call.first.up))
        and not any(leg.is_waiting for leg in call.legs.values())
    )
