"""The words for a card that left the dock, for screen readers: answered by whom, missed, or given up by the caller."""

from pbxcrm.calls.facts import Direction, MissedReason, Outcome
from pbxcrm.calls.models import Call
from pbxcrm.people.directory import Directory
from web.i18n import N_
from web.i18n import gettext as _

_GIVEN_UP = frozenset({
    MissedReason.ABANDONED_RINGING, MissedReason.ABANDONED_IN_QUEUE, MissedReason.ABANDONED_IN_IVR, MissedReason.SHORT
})  # fmt: skip
_ENDED: dict[str, str] = {
    Outcome.MISSED: N_("Missed: {name}"),
    Outcome.VOICEMAIL: N_("Sent to voicemail: {name}"),
    Outcome.NO_ANSWER: N_("Nobody answered: {name}"),
    Outcome.BUSY: N_("Busy: {name}"),
    Outcome.FAILED: N_("Not connected: {name}"),
    Outcome.NOT_DIALLED: N_("Not connected: {name}"),
}


def stopped(call: Call, people: Directory, user_id: int) -> str:
    """A sentence about a call whose card left the dock of this person. ``{name}`` in it stands for the client."""
    by = next(iter(call.talking), None) or call.answered_by
    if call.direction == Direction.INBOUND and (by is not None or call.outcome == Outcome.ANSWERED):
        who = people.user_of(by)
        if who is not None and who.id == user_id:
            return _("The call is over: {name}")
        if who is None and by is None:
            return _("Answered elsewhere: {name}")
        return _("Answered by {who}: {name}").format(who=who.name if who is not None else by, name="{name}")
    if call.outcome == Outcome.OPEN:
        return _("No longer ringing here, the call goes on: {name}")
    if call.outcome == Outcome.MISSED and call.missed_reason in _GIVEN_UP:
        return _("The caller gave up: {name}")
    return _(_ENDED.get(call.outcome, N_("No longer ringing: {name}")))
