"""Why the product did something by itself: a code with its facts, said in whatever language the reader has.

A reason is stored as ``{"code", "params", "because": [reason…]}`` beside what it explains. ``MESSAGES`` holds the English
sentence of each code; pages pass gettext, the API and the logs take the English.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self


def N_(message: str) -> str:  # noqa: N802 - gettext's own name for "translate this later"
    return message


@dataclass(frozen=True, slots=True)
class Counted:
    """A sentence with a number in it, which each language bends in its own way; ``by`` names the fact that is counted."""

    one: str
    many: str
    by: str


def N_counted(one: str, many: str, by: str) -> Counted:  # noqa: N802 - like N_: it marks both forms for the catalogues
    return Counted(one, many, by)


def english(one: str, many: str, number: int) -> str:
    """``ngettext`` of the source language."""
    return one if number == 1 else many


MESSAGES: dict[str, str | Counted] = {
    # what became of a call
    "call.internal": N_("A call between colleagues: no deal."),
    "call.own_number": N_("{number} is one of our own numbers: no deal."),
    "call.spam": N_("{number} is on the list of numbers that are not clients: no deal."),
    "call.line_off": N_("The rule of line “{line}” makes no deals."),
    "call.new_deal": N_(
        "{number} had no open deal, so this call made one in “{stage}”; {who} answered on {extension}."
    ),
    "call.new_deal_unmapped": N_(
        "{number} had no open deal, so this call made one in “{stage}”; extension {extension} answered, which is nobody's."
    ),
    "call.new_deal_outside": N_(
        "{number} had no open deal, so this call made one in “{stage}”; it was answered outside, at {extension}, which is nobody's mobile."
    ),
    "call.open_deal": N_("The client's open deal."),
    "call.missed_new_deal": N_("Nobody answered {number}, who had no open deal, so this call made one in “{stage}”."),
    "call.missed_open_deal": N_("Nobody answered; the call is noted on the client's open deal."),
    "call.missed_no_deal": N_("Nobody answered; the rule of line “{line}” makes no deals."),
    "call.no_deal": N_("{number} has no open deal; a call from us makes none."),
    "call.short": N_("The caller gave up after {seconds} s, sooner than the {limit} s of line “{line}”: no callback."),
    "call.interrupted": N_("The PBX stopped during the call, so it says nothing about anybody."),
    "call.unknown": N_("The call ended while nobody was listening to the PBX, and its records do not tell how."),
    # why missed
    "missed.abandoned_ringing": N_("The caller hung up while {rang} rang."),
    "missed.abandoned_in_queue": N_("The caller hung up in queue {queue}; {rang} rang."),
    "missed.abandoned_in_ivr": N_("The caller hung up in the menu; no phone rang."),
    "missed.timeout": N_("{rang} rang and nobody answered in time."),
    "missed.busy": N_("Every phone was busy."),
    "missed.no_agents": N_("Nobody was logged in to the queue."),
    "missed.unreachable": N_("No phone could be reached."),
    "missed.closed_hours": N_("The call came outside working hours."),
    "missed.short": N_("The caller hung up at once."),
    "missed.voicemail": N_("The caller was sent to voicemail."),
    "missed.unknown": N_("Nobody answered."),
    # whose it is
    "owner.answered": N_("{who} answered the call on {extension}."),
    "owner.deal": N_("{who} is responsible for the client's open deal."),
    "owner.responsible": N_("{who} is responsible for the client."),
    "owner.last_talked": N_("{who} talked to the client last."),
    "owner.last_rang": N_("{who}'s phone rang last."),
    "owner.line": N_("{who} is the default of line “{line}”."),
    "owner.manager": N_("{who} is the manager."),
    "owner.off_shift": N_("{who} comes first in order, but is off shift."),
    "owner.nobody_on_shift": N_("Nobody in the order is on shift now, so the first of it has it: {who}."),
    "owner.nobody": N_("There is nobody to give it to yet: add people first."),
    "owner.by_hand": N_("{by} gave it to {who}."),
    # episodes
    "episode.recovered": N_("The client called and talked to {who}."),
    "episode.reached": N_("{who} called and reached the client."),
    "episode.dismissed": N_("{who} closed it: {why}"),
    "episode.own": N_("{who} put the number on the list of our own numbers."),
    "episode.spam": N_("{who} put the number on the list of those that are not clients."),
    "episode.wrong_number": N_("{who} called: it is a wrong number."),
    "episode.not_interested": N_("{who} talked to the client, who is not interested: {why}"),
    "episode.said_wrong_number": N_("{who} said that it is a wrong number."),
    "episode.said_not_interested": N_("{who} said that the client is not interested: {why}"),
    "episode.without_call": N_("Without a call: {why}"),
    "episode.no_number": N_("The number is withheld, so nobody can be called back; {who} noted it."),
    "episode.said_reached": N_("{who} said that the client was reached."),
    # attempts
    "attempt.failed": N_("{who} called and did not reach the client; attempt {count}."),
    "attempt.by_hand": N_("{who} said that the client was not reached; attempt {count}."),
    # tasks
    "task.retry_minutes": N_("Call back in {minutes} min: {client}"),
    "task.retry_hour": N_("Call back in an hour: {client}"),
    "task.retry_hours": N_counted(
        "Call back in {hours} hour: {client}",
        "Call back in {hours} hours: {client}",
        "hours",
    ),
    "task.retry_morning": N_("Call back on the next working morning: {client}"),
    "task.lamp_callback": N_("Not called back in time: {client}"),
    "task.escalated": N_("{client} is still not called back by {who}"),
    "task.escalated_nobody": N_("{client} is still not called back, and it is nobody's"),
    # lamps of callbacks
    "lamp.callback": N_counted(
        "The norm of {norm} working minute has passed without a call back.",
        "The norm of {norm} working minutes has passed without a call back.",
        "norm",
    ),
    "lamp.planned": N_counted(
        "The planned attempt was not made within {norm} working minute.",
        "The planned attempt was not made within {norm} working minutes.",
        "norm",
    ),
    "lamp.out_attempt": N_("The client was called; the next attempt has a time."),
    "lamp.out_reassigned": N_("{by} gave the callback to {who}."),
    "escalation.callback": N_counted(
        "{minutes} more working minute passed after the lamp, and {who} has not called back.",
        "{minutes} more working minutes passed after the lamp, and {who} has not called back.",
        "minutes",
    ),
    "escalation.nobody": N_counted(
        "{minutes} more working minute passed after the lamp, and the callback is nobody's.",
        "{minutes} more working minutes passed after the lamp, and the callback is nobody's.",
        "minutes",
    ),
    "escalation.accepted": N_("{who} accepted it: {why}"),
    "task.callback": N_("Call back {client}"),
    "task.callback_count": N_counted(
        "Call back {client}, missed {count} time",
        "Call back {client}, missed {count} times",
        "count",
    ),
    "task.anonymous": N_("Missed a caller with a withheld number on line {line}"),
    "task.unmapped": N_("Who has extension {extension}? It answered {client}"),
    "task.unmapped_why": N_(
        "Extension {extension} answered a client but belongs to no user, so nobody is responsible. Give it to a user under People."
    ),
    "by.command_line": N_("Done on the command line of the server."),
    # what is passed on to whom it belongs
    "passed.deal": N_("The deal is another's, so nothing was decided about it."),
    "passed.client": N_(
        "{who} said that this is not a client. The client is another's, so the number was not put on the list."
    ),
    "passed.callback": N_("The callback is another's and was not called, so it was left open. {who}: {why}"),
    "passed.lamp": N_("The lamp goes out by a call or by the manager, so the callback was left open. {who}: {why}"),
    "task.passed_not_interested": N_("{client} is not interested, says {who}: decide about your deal"),
    "task.passed_wrong_number": N_("The number of {client} is wrong, says {who}: decide about your deal"),
    "task.passed_spam": N_("{client} is not a client, says {who}: decide whether the number goes on the list"),
    "task.passed_close": N_("{who} asks to close the callback of {client} without a call"),
    # what a stage asks for (deals/gates.py)
    "gate.lost_reason": N_("Say why the deal is lost."),
    "gate.next_task": N_(
        "The client was not reached and nothing is planned: set the next task before you close the deal."
    ),
    "gate.field": N_("Fill in “{key}”."),
    "gate.file": N_("Attach a file."),
    "gate.refused": N_(
        "The deal was to move to “{stage}” by itself, but something is missing, so it stayed where it was."
    ),
    "task.norm_changed": N_("The norm of callbacks was changed to {norm} min."),
    "task.gate": N_("Complete the deal: it could not move to “{stage}”"),
    # moves
    "deal.talked": N_("A conversation took place, so it is no longer “{stage}”: {who} talked."),
}


@dataclass(frozen=True, slots=True)
class Reason:
    code: str
    params: Mapping[str, str] = field(default_factory=dict)
    because: tuple["Reason", ...] = ()

    def __post_init__(self) -> None:
        if self.code not in MESSAGES:
            raise KeyError(self.code)

    def stored(self) -> dict[str, Any]:
        found: dict[str, Any] = {"code": self.code, "params": dict(self.params)}
        if self.because:
            found["because"] = [reason.stored() for reason in self.because]
        return found

    @classmethod
    def load(cls, stored: Mapping[str, Any] | None) -> Self | None:
        """The reason that ``stored()`` gave; None for an empty one."""
        if not stored or stored.get("code") not in MESSAGES:
            return None
        return cls(
            stored["code"],
            stored.get("params", {}),
            tuple(r for r in map(cls.load, stored.get("because", ())) if r is not None),
        )


def reason(code: str, *because: Reason | None, **params: object) -> Reason:
    """A reason with its facts as keywords and the reasons behind it."""
    return Reason(
        code,
        {key: "" if value is None else str(value) for key, value in params.items()},
        tuple(r for r in because if r is not None),
    )


def sentences(
    stored: Mapping[str, Any] | Reason | None,
    _: Callable[[str], str] = N_,
    ngettext: Callable[[str, str, int], str] = english,
) -> list[str]:
    """The reason and those behind it, one sentence each, in the language of ``_`` and ``ngettext``; unknown facts are left blank."""
    found = stored if isinstance(stored, Reason) else Reason.load(stored)
    if found is None:
        return []
    message = MESSAGES[found.code]
    if isinstance(message, Counted):
        told = found.params.get(message.by, "")
        sentence = ngettext(message.one, message.many, int(told) if told.isdecimal() else 0)
    else:
        sentence = _(message)
    said = [sentence.format_map(_Blank(found.params))]
    for behind in found.because:
        said += sentences(behind, _, ngettext)
    return said


def text(
    stored: Mapping[str, Any] | Reason | None,
    _: Callable[[str], str] = N_,
    ngettext: Callable[[str, str, int], str] = english,
) -> str:
    return " ".join(sentences(stored, _, ngettext))


class _Blank(dict[str, str]):
    def __missing__(self, key: str) -> str:
        return ""
