"""What the business stores as codes, in plain words: outcomes of calls, parts of legs, kinds of tasks, changes."""

import re
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pbxcrm.audit.models import AuditEntry
from pbxcrm.calls.facts import Direction, LegResult, MissedReason, Outcome, TransferKind
from pbxcrm.calls.models import Call, Line
from pbxcrm.calls.rules import NO_NUMBER
from pbxcrm.deals.fields import BY_KEY, DealField, FieldKind
from pbxcrm.deals.fields import FIELDS as DEAL_FIELDS
from pbxcrm.deals.lost import LOST_NOT_A_CLIENT, LOST_WRONG_NUMBER
from pbxcrm.deals.models import Deal, Pipeline, Stage
from pbxcrm.deals.rules import owes_next_task as owes_next_task  # noqa: PLC0414 - for templates
from pbxcrm.flags.models import Flag
from pbxcrm.forms.rules import LABELS
from pbxcrm.notes.mention_rules import MentionPiece, pieces
from pbxcrm.people.directory import Directory
from pbxcrm.people.models import User
from pbxcrm.shared import reasons
from pbxcrm.shared.text_match import has_letters as has_letters  # noqa: PLC0414 - for templates
from pbxcrm.tasks.models import Repeat, Task, TaskAct, TaskKind, TaskStatus
from pbxcrm.tasks.rules import Progress, progress_of
from pbxcrm.tasks.work_rules import EndingWork, in_words
from web import reason_params
from web.formats import WORKING_DAY, day_time, money, working_days, working_span
from web.i18n import N_, ngettext, pgettext
from web.i18n import gettext as _

FORM_LABELS = frozenset(LABELS.values())
_NUMBER = re.compile(r"\+?\d[\d ()-]{5,}\d")

DIRECTIONS: dict[str, str] = {
    Direction.INBOUND.value: N_("Incoming"),
    Direction.OUTBOUND.value: N_("Outgoing"),
    Direction.INTERNAL.value: N_("Internal"),
}
OUTCOMES: dict[str, str] = {
    Outcome.OPEN.value: N_("going on"),
    Outcome.ANSWERED.value: N_("answered"),
    Outcome.MISSED.value: N_("missed"),
    Outcome.VOICEMAIL.value: N_("voicemail"),
    Outcome.NO_ANSWER.value: N_("no answer"),
    Outcome.BUSY.value: N_("busy"),
    Outcome.FAILED.value: N_("could not be reached"),
    Outcome.NOT_DIALLED.value: N_("own phone not picked up"),
    Outcome.INTERRUPTED.value: N_("cut off by the PBX"),
    Outcome.UNKNOWN.value: N_("not known"),
}
MISSED: dict[str, str] = {
    MissedReason.ABANDONED_RINGING.value: N_("hung up while it rang"),
    MissedReason.ABANDONED_IN_QUEUE.value: N_("hung up in the queue"),
    MissedReason.ABANDONED_IN_IVR.value: N_("hung up in the menu"),
    MissedReason.TIMEOUT.value: N_("nobody answered in time"),
    MissedReason.BUSY.value: N_("everybody was busy"),
    MissedReason.NO_AGENTS.value: N_("nobody in the queue"),
    MissedReason.UNREACHABLE.value: N_("no phone could be reached"),
    MissedReason.CLOSED_HOURS.value: N_("outside working hours"),
    MissedReason.SHORT.value: N_("hung up at once"),
}
LEGS: dict[str, str] = {
    LegResult.DIALLED.value: N_("being called"),
    LegResult.RINGING.value: N_("ringing"),
    LegResult.TALKING.value: N_("talking"),
    LegResult.TALKED.value: N_("talked"),
    LegResult.ELSEWHERE.value: N_("a colleague answered"),
    LegResult.CANCELLED.value: N_("the caller gave up"),
    LegResult.NO_ANSWER.value: N_("did not answer"),
    LegResult.BUSY.value: N_("busy"),
    LegResult.FORWARDED.value: N_("forwarded"),
    LegResult.FAILED.value: N_("could not be reached"),
}
TRANSFERS: dict[str, str] = {
    TransferKind.BLIND.value: N_("{source} transferred to {target} without asking"),
    TransferKind.ATTENDED.value: N_("{source} asked {target} and transferred"),
}
TASKS: dict[str, str] = {
    TaskKind.CALLBACK.value: N_("callback"),
    TaskKind.LAMP.value: N_("lamp"),
    TaskKind.CONTROL.value: N_("to look into"),
    TaskKind.TODO.value: N_("to do"),
    TaskKind.ASSIGNMENT.value: N_("assignment"),
}
#: Why a client is not interested, offered as buttons; anything else may be typed.
WHY_NOT = (N_("Bought elsewhere"), N_("Too expensive"), N_("No longer needed"), N_("Only asked"))
#: Why a deal is lost, likewise.
WHY_LOST = (
    N_("Too expensive"),
    N_("Bought elsewhere"),
    N_("Not needed any more"),
    N_("We do not have it"),
    N_("Too slow for them"),
    N_("Never reached"),
)
#: Examples that a deadline field offers; a test parses each of them in each language.
DEADLINES = (N_("in 2 h"), N_("in 3 days"), N_("tomorrow morning"), N_("tomorrow 15:00"), N_("next week"))
DEAL_NAMES = {key: field.name for key, field in BY_KEY.items()}
DEAL_KINDS = {key: field.kind for key, field in BY_KEY.items()}
LOST = frozenset({LOST_WRONG_NUMBER, LOST_NOT_A_CLIENT})
BAD = frozenset({Outcome.MISSED.value, Outcome.VOICEMAIL.value, Outcome.FAILED.value, Outcome.INTERRUPTED.value})


ACTS: dict[str, str] = {
    TaskAct.SAID.value: N_("wrote"),
    TaskAct.GIVEN.value: N_("gave it"),
    TaskAct.ACCEPTED.value: N_("accepted it"),
    TaskAct.DONE.value: N_("did it"),
    TaskAct.CHECKED.value: N_("found it done well"),
    TaskAct.RETURNED.value: N_("returned it"),
    TaskAct.SNOOZED.value: N_("put it off"),
}
PROGRESS: dict[str, str] = {
    Progress.GIVEN.value: N_("not accepted yet"),
    Progress.ACCEPTED.value: N_("assignment accepted"),
    Progress.DONE.value: N_("to be checked"),
    Progress.CHECKED.value: N_("assignment checked"),
    Progress.RETURNED.value: N_("assignment returned"),
    Progress.CANCELLED.value: N_("assignment cancelled"),
}
REPEATS: dict[str, str] = {
    Repeat.NEVER.value: N_("once"),
    Repeat.DAILY.value: N_("each day"),
    Repeat.WORKDAYS.value: N_("each working day"),
    Repeat.WEEKLY.value: N_("each week"),
    Repeat.MONTHLY.value: N_("each month"),
}


def task_act(act: str) -> str:
    """What somebody did with a task, in the words of its thread."""
    return _(ACTS.get(act, act))


def progress(task: Task) -> str:
    """How far an assignment is."""
    return _(PROGRESS[progress_of(task)])


def repeat(value: str) -> str:
    """How often a task repeats, in words."""
    return _(REPEATS.get(value, value))


def repeats() -> list[tuple[str, str]]:
    """The choices of a select."""
    return [(value, _(word)) for value, word in REPEATS.items()]


def deadlines() -> list[str]:
    """Examples of deadlines in the reader's language."""
    return [_(said) for said in DEADLINES]


def direction(call: Call) -> str:
    """Inbound, outbound or internal, in words."""
    return _(DIRECTIONS.get(call.direction, call.direction))


def outcome(call: Call) -> str:
    """``missed, hung up in the queue``; ``answered``."""
    word = _(OUTCOMES.get(call.outcome, call.outcome))
    if call.outcome == Outcome.MISSED and call.missed_reason in MISSED:
        return f"{word}, {_(MISSED[call.missed_reason])}"
    return word


def direction_filter(value: str) -> str:
    """The name of a direction in a filter: in the plural if the language has one."""
    names = {
        Direction.INBOUND.value: pgettext("filter of calls", "Incoming"),
        Direction.OUTBOUND.value: pgettext("filter of calls", "Outgoing"),
        Direction.INTERNAL.value: pgettext("filter of calls", "Internal"),
    }
    return names.get(value, value)


def outcome_filter(value: str) -> str:
    """The name of an outcome in a filter, also in the plural."""
    names = {
        Outcome.ANSWERED.value: pgettext("filter of calls", "Answered"),
        Outcome.MISSED.value: pgettext("filter of calls", "Missed"),
        Outcome.NO_ANSWER.value: pgettext("filter of calls", "No answer"),
        Outcome.VOICEMAIL.value: pgettext("filter of calls", "Voicemail"),
    }
    return names.get(value) or _(OUTCOMES.get(value, value))


def tone(call: Call) -> str:
    """The colour of an outcome: green for a conversation, red for a missed call, none if nobody is at fault."""
    if call.outcome == Outcome.ANSWERED or call.talking:
        return "green"
    return "red" if call.outcome in BAD and call.direction == Direction.INBOUND else ""


def sign(call: Call) -> str:
    """The icon of a call. *Missed* counts before the direction, because people look for missed calls."""
    if call.outcome == Outcome.VOICEMAIL:
        return "voicemail"
    if call.direction == Direction.INBOUND:
        return "phone-missed" if call.outcome == Outcome.MISSED else "phone-in"
    return "phone-out" if call.direction == Direction.OUTBOUND else "phone"


def leg(result: str) -> str:
    """The result of one leg (one telephone), in words."""
    return _(LEGS.get(result, result))


def transfer(stored: Mapping[str, str]) -> str:
    """One entry of ``Call.transfers``, in words."""
    message = TRANSFERS.get(stored.get("kind", ""), TRANSFERS["blind"])
    return _(message).format(source=stored.get("from", ""), target=stored.get("to", ""))


def because(stored: Mapping[str, Any] | None) -> list[str]:
    """The sentences of a stored reason, for the ``why`` macro. The shipped stages are named in the reader's language."""
    found = reasons.Reason.load(stored)
    return reasons.sentences(_spoken(found), _, ngettext) if found is not None else []


def _spoken(reason: reasons.Reason) -> reasons.Reason:
    return reasons.Reason(reason.code, reason_params.said(reason.params), tuple(map(_spoken, reason.because)))


def numbers_together(text: str) -> str:
    """``text`` with no-break spaces inside telephone numbers, so that no number is split between two lines."""
    return _NUMBER.sub(lambda found: found[0].replace(" ", "\N{NO-BREAK SPACE}"), text)


def deal_title(deal: Deal) -> str:
    """The title that somebody typed, or the caller's name; a translated word if neither is known."""
    return title_of_deal(deal.title)


def title_of_deal(title: str) -> str:
    """``deal_title`` of a title alone."""
    return _("Number withheld") if title == NO_NUMBER else numbers_together(title)


def task_title(task: Task) -> str:
    """The title: translated if the product wrote it, else as it was typed."""
    return title_of_task(task.title, task.title_code)


def title_of_task(title: str, code: Mapping[str, Any] | None) -> str:
    """``task_title`` of its two columns."""
    return numbers_together(" ".join(because(code)) or title)


def ended_by(works: Sequence[EndingWork]) -> str:
    """Which work ends the task of a lamp."""
    return in_words(works, lambda way: " ".join(because(way.stored())), _)


def plan_ends(task: Task, days: int) -> datetime:
    """Until when a next task counts as work at most, if that is for so many days."""
    return task.created_at + timedelta(days=days)


def counts_less(task: Task, days: int) -> bool:
    """Whether somebody has set the next task for later than it counts as work."""
    return task.created_by_id is not None and (task.first_due_at or task.due_at) > plan_ends(task, days)


def watched_again(at: datetime, days: int) -> str:
    """From when the clocks of a deal run again, although its next task is due later."""
    said = ngettext(
        "The deal is watched again from {time}: a next task counts for at most %(num)d day here. To wait longer, pause the deal.",
        "The deal is watched again from {time}: a next task counts for at most %(num)d days here. To wait longer, pause the deal.",
        days,
    )
    return (said % {"num": days}).format(time=day_time(at))


def flag_reason(flag: Flag) -> str:
    """Why it is flagged: translated if the product raised it itself, else as it was typed."""
    return " ".join(because(flag.reason_code)) or flag.reason


def form_label(label: str) -> str:
    """The label of an answer: translated if it is a shipped one, else as it was typed."""
    return _(label) if label in FORM_LABELS else label


def lost_reason(deal: Deal) -> str:
    """Why the deal is lost: translated if the product wrote it, else as it was typed."""
    return why_lost(deal.lost_reason)


def why_lost(reason: str) -> str:
    """``lost_reason`` of a reason alone."""
    return _(reason) if reason in LOST else reason


def task_result(task: Task) -> str:
    """The result of the task: translated if the product wrote it, else as it was typed."""
    return " ".join(because(task.result_code)) or task.result


def stage_choices(
    pipelines: Sequence[tuple[Pipeline, list[Stage]]], kinds: Container[str], unwatched: Container[int] = ()
) -> list[tuple[str, str]]:
    """Options of a select: the stages of these kinds, with their pipeline where there are several. ``unwatched``: ids of stages of
    which it is said that nothing watches them.
    """
    return [
        (
            str(stage.id),
            said_unwatched(
                _(stage.name) if len(pipelines) == 1 else f"{_(pipeline.name)}: {_(stage.name)}", stage.id in unwatched
            ),
        )
        for pipeline, own in pipelines
        for stage in own
        if stage.kind in kinds
    ]


def said_unwatched(name: str, is_unwatched: bool) -> str:
    """The name of a stage as an option, and that deals are forgotten there where no checkpoint watches it."""
    return _("{stage} (no checkpoint watches it)").format(stage=name) if is_unwatched else name


def task_kind(task: Task) -> str:
    """The kind of a task in the reader's language."""
    return kind_of_task(task.kind)


def kind_of_task(kind: str) -> str:
    """A ``TaskKind`` in the reader's language; an unknown value is returned unchanged."""
    return _(TASKS.get(kind, kind))


def is_open(task: Task) -> bool:
    """Whether the task is still to be done."""
    return task.status == TaskStatus.OPEN


def deal_changes(entry: AuditEntry) -> list[tuple[str, str, str]]:
    """Name, old value and new value of each changed field of a deal. The values of a client and of custom fields are left out."""
    changed: dict[str, Any] = entry.data.get("changed", {})
    told = [
        (
            _(field.name),
            _value(field, changed[field.key]["before"]),
            _value(field, changed[field.key]["after"]),
        )
        for field in DEAL_FIELDS
        if field.key in changed
    ]
    return [*told, (_("Client"), "", "")] if "contact_id" in changed else told


def deal_fact(key: str, stored: Any, currency: str, people: Directory) -> str:
    """A stored value of a fact of a deal, of the audit log, as text; a dash where there is none."""
    if stored is None or stored == "":
        return "—"
    if key not in BY_KEY:
        return people.name(int(stored)) or "—"
    if BY_KEY[key].kind is FieldKind.AMOUNT:
        return money(Decimal(stored), currency)
    return _value(BY_KEY[key], str(stored))


def _value(field: DealField, stored: str | None) -> str:
    """A value of the audit log: moments in the reader's time zone."""
    if stored and field.kind is FieldKind.MOMENT:
        return day_time(datetime.fromisoformat(stored))
    return stored or "—"


def stage(found: Stage | None) -> str:
    """The name of a stage: translated if it is a shipped one, else as the administrator wrote it."""
    return _(found.name) if found is not None else "—"


def norm(minutes: int) -> str:
    """A norm in working time. Days of nine hours, as the shipped stages count them, also say their hours: elsewhere a day has eight."""
    return working_days(minutes) if minutes % WORKING_DAY == 0 else working_span(minutes)


def line_preview(line: Line, *, stage_name: str, owner_name: str) -> list[str]:
    """What the rules of a line do, as sentences. ``stage_name`` and ``owner_name`` are put in as they are."""
    globs = (
        (N_("PBX {name}"), line.pbx),
        (N_("trunk {name}"), line.trunk),
        (N_("number {name}"), line.did),
        (N_("queue {name}"), line.queue),
    )
    asked = [_(word).format(name=glob) for word, glob in globs if glob not in {"*", ""}]
    which = _("Calls by {what}:").format(what=", ".join(asked)) if asked else _("All calls that fit no line above:")
    said = [which]
    if line.makes_deals:
        said.append(
            _("answered, a new client becomes a deal in “{stage}” of whoever answered.").format(stage=stage_name)
        )
        said.append(_("A missed call becomes a deal in “Didn't reach”."))
        if not line.anonymous_makes_deals:
            said.append(_("A withheld number makes no deal."))
    else:
        said.append(_("no deals are made."))
    if line.makes_callbacks:
        who = _("; when nobody else is known, {who} has it").format(who=owner_name) if owner_name else ""
        said.append(_("A missed call asks to be called back{who}.").format(who=who))
    else:
        said.append(_("Nobody is asked to call back."))
    if line.short_seconds:
        said.append(_("A caller who hangs up within {n} s is not called back.").format(n=line.short_seconds))
    return said


WAY_KINDS = {"mobile": N_("mobile"), "work": N_("work"), "home": N_("home"), "other": N_("other")}


def way_kind(kind: str) -> str:
    """A kind of numbers and addresses in words."""
    return _(WAY_KINDS[kind])


def counted_rows(what: str, count: int) -> str:
    """So many rows of the table ``what``, in words."""
    counted = {
        "deals": ngettext("%(num)d deal", "%(num)d deals", count),
        "contacts": ngettext("%(num)d client", "%(num)d clients", count),
        "tasks": ngettext("%(num)d task", "%(num)d tasks", count),
        "calls": ngettext("%(num)d call", "%(num)d calls", count),
        "notes": ngettext("%(num)d note", "%(num)d notes", count),
        "episodes": ngettext("%(num)d callback", "%(num)d callbacks", count),
    }
    return counted.get(what, ngettext("%(num)d other entry", "%(num)d other entries", count)) % {"num": count}


def mention_pieces(text: str, people: Iterable[User]) -> list[MentionPiece]:
    """A text in parts, of which some name a person (``notes.mention_rules``)."""
    return pieces(text, people)
