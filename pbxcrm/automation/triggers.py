"""What a rule may listen to. Pure: a trigger says which acts it hears and whether it hears this one.

An act is an entry of the audit log, or ``CALL_OVER``, which ``reactions`` tells of. Filters that need no row are asked here, before an
event is stored at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from pbxcrm.automation.params import PIPELINE, Param, ParamKind
from pbxcrm.shared.reasons import N_

#: Acts that are no entries of the audit log, and their words.
CALL_OVER, DATE_CAME, DAY_CAME, SILENT, OVERDUE = "call.over", "time.date", "time.day", "time.silence", "task.overdue"
BIRTHDAY, HOLIDAY, RHYTHM = "time.birthday", "time.holiday", "time.rhythm"
HOOK_DEAL, HOOK_CLIENT = "hook.deal", "hook.client"
OWN_ACTS: Mapping[str, str] = {
    HOOK_DEAL: N_("A webhook told of the deal"),
    HOOK_CLIENT: N_("A webhook told of the client"),
    CALL_OVER: N_("A call was over"),
    DATE_CAME: N_("A date came near or passed"),
    DAY_CAME: N_("The time of the day came"),
    SILENT: N_("Nothing happened for long"),
    OVERDUE: N_("A task became overdue"),
    BIRTHDAY: N_("A client has a birthday"),
    HOLIDAY: N_("The day of the year came"),
    RHYTHM: N_("A client usually orders again by now"),
}
#: What may change when a task is due.
TASK_ACTS = (
    "task.created",
    "task.edited",
    "task.planned",
    "task.snoozed",
    "task.reopened",
    "task.restored",
    "task.returned",
)
OF_ITS_DAY = "day"  # key in the data of an event, a timer and a job of a rule of a day
LATE_DAY = "late_day"  # … of an event that comes more than a day after its day
GREETINGS = frozenset({BIRTHDAY, HOLIDAY})
FOR_RULE = "for_rule"  # key in the data of an event that only one rule hears
DEAL, CLIENT = "deal", "contact"
#: What happened, as conditions and goals ask it (``event.kind``): by the act, its code.
EVENT_KINDS: Mapping[str, str] = {
    "answered": N_("the client answered a message"),
    "request": N_("a request came"),
    "call": N_("a call was over"),
    "moved": N_("the deal was moved"),
}
KIND_OF_ACT: Mapping[str, str] = {
    "deal.answered": "answered",
    "deal.request": "request",
    "call.over": "call",
    "deal.moved": "moved",
}
#: Of whom a request is.
WRITERS: Mapping[str, str] = {
    "new": N_("somebody new"),
    "known": N_("a client who is known"),
    "bought": N_("a client who has bought"),
}
#: Words of codes, in English.
DIRECTIONS: Mapping[str, str] = {"inbound": N_("Incoming"), "outbound": N_("Outgoing")}
OUTCOMES: Mapping[str, str] = {
    "answered": N_("answered"),
    "missed": N_("missed"),
    "voicemail": N_("voicemail"),
    "no_answer": N_("no answer"),
    "busy": N_("busy"),
    "failed": N_("could not be reached"),
    "not_dialled": N_("own phone not picked up"),
}
NOT_REACHED = frozenset({"no_answer", "busy", "failed"})
DAYS: Mapping[str, str] = {"every": N_("every day"), "working": N_("working days")}
#: What may be changed on a deal besides its fields.
OTHER_FIELDS: Mapping[str, str] = {"responsible": N_("Responsible"), "tag": N_("Tag"), "contact": N_("Client")}
#: Headings under which pages offer triggers.
STAGES, DEALS, CALLS, CLIENTS, TASKS = N_("Stages"), N_("Deals"), N_("Calls"), N_("Clients"), N_("Tasks")
TIME, OUTSIDE = N_("Time"), N_("Other programs")
LONGEST_TALK = 24 * 60 * 60  # seconds

Settings = Mapping[str, Any]
Data = Mapping[str, Any]


class TriggerTest(StrEnum):
    """What a trigger asks beside the columns of the deal; it is read only for triggers that ask it."""

    FIRST_STAGE = "first_stage"
    FAILED_CALLS = "failed_calls"
    ORDERS = "orders"


@dataclass(frozen=True, slots=True)
class MeantDeal:
    """The deal as it is when the act is handled; all None: it is gone, or the rule works on clients.

    ``first_stage_id``: where it began. ``failed_calls``: how many of our calls in a row, up to this one, did not reach the client.
    ``order``: which of the client's won deals it is, in the order in which they were won; 0 if it is not won or nobody's.
    """

    pipeline_id: int | None = None
    stage_id: int | None = None
    amount: Decimal | None = None
    first_stage_id: int | None = None
    failed_calls: int = 0
    order: int = 0


@dataclass(frozen=True, slots=True)
class Trigger:
    """A kind of ``when``. ``acts``: what it hears. ``params``: its settings. ``subject``: what a rule with it works on.

    ``hears``: whether an act with this data counts. ``means``: whether it counts on this deal, and ``asks``: what that asks beside the
    deal. ``group``: under which heading a page offers it. ``arms``: after which acts its timer is set anew, and ``arms_on``: whether one
    with this data says so.
    """

    kind: str
    title: str
    group: str
    acts: tuple[str, ...]
    params: tuple[Param, ...] = ()
    subject: str = DEAL
    hears: Callable[[Settings, str, Data], bool] = lambda _settings, _act, _data: True
    means: Callable[[Settings, str, MeantDeal], bool] = lambda _settings, _act, _deal: True
    asks: TriggerTest | None = None
    arms: tuple[str, ...] = ()
    arms_on: Callable[[Settings, str, Data], bool] = lambda _settings, _act, _data: True


def _entered(settings: Settings, act: str, data: Data) -> bool:
    return act != "deal.moved" or settings.get("stage_id") in {None, data.get("to_stage")}


def _began(settings: Settings, act: str, deal: MeantDeal) -> bool:
    """Of a new deal the stage is read when the event is handled: its gate may have put it elsewhere."""
    return act != "deal.created" or settings.get("stage_id") in {None, deal.first_stage_id}


def _stands(settings: Settings, _act: str, deal: MeantDeal) -> bool:
    return settings.get("stage_id") in {None, deal.stage_id}


def _left(settings: Settings, _act: str, data: Data) -> bool:
    return settings.get("stage_id") in {None, data.get("from_stage")}


def changed_fields(act: str, data: Data) -> frozenset[str]:
    """The names of what an act changed, as ``fields`` of a trigger and conditions call them."""
    if act == "deal.assigned":
        return frozenset({"responsible"})
    if act == "deal.tagged":
        return frozenset({"tag"})
    known = {"contact_id": "contact"}
    return frozenset(
        known.get(name, name.replace("fields.", "field.", 1) if name.startswith("fields.") else name)
        for name in data.get("changed", {})
    )


def _changed(settings: Settings, act: str, data: Data) -> bool:
    return not changed_fields(act, data).isdisjoint(settings.get("fields", ()))


def _call(settings: Settings, _act: str, data: Data) -> bool:
    return (
        settings.get("direction") in {None, data.get("direction")}
        and settings.get("outcome") in {None, data.get("outcome")}
        and data.get("talk_seconds", 0) >= (settings.get("talk_seconds") or 0)
    )


def _hooked(settings: Settings, _act: str, data: Data) -> bool:
    return settings.get("hook_id") == data.get("hook_id")


def _requested(settings: Settings, _act: str, data: Data) -> bool:
    return settings.get("form_id") in {None, data.get("form_id")}


def _task_done(_settings: Settings, _act: str, data: Data) -> bool:
    return data.get("status") == "done" and data.get("deal_id") is not None


def _reached(settings: Settings, act: str, data: Data) -> bool:
    if act == "deal.created":
        return True
    change = data.get("changed", {}).get("amount")
    wanted = Decimal(settings["amount"])
    return change is not None and _decimal(change["before"]) < wanted <= _decimal(change["after"])


def _is_large(settings: Settings, act: str, deal: MeantDeal) -> bool:
    """Of a new deal the amount is read when the event is handled."""
    return act != "deal.created" or (deal.amount or 0) >= Decimal(settings["amount"])


def _decimal(text: str | None) -> Decimal:
    return Decimal(text or 0)


def _failed_call(_settings: Settings, _act: str, data: Data) -> bool:
    return _is_failed(data.get("direction"), data.get("outcome"))


def _is_failed(direction: str | None, outcome: str | None) -> bool:
    return direction == "outbound" and outcome in NOT_REACHED


def failed_in_a_row(before: int, direction: str, outcome: str | None) -> int:
    """How many of our calls in a row did not reach the client, ``before`` and after this one."""
    return 0 if outcome == "answered" else before + _is_failed(direction, outcome)


def _nth_time(settings: Settings, _act: str, deal: MeantDeal) -> bool:
    return deal.failed_calls == int(settings["attempt"])


def _nth_order(settings: Settings, _act: str, deal: MeantDeal) -> bool:
    return deal.order == int(settings["order"])


def _missed_call(_settings: Settings, _act: str, data: Data) -> bool:
    return data.get("direction") == "inbound" and data.get("outcome") in {"missed", "voicemail"}


def _escalated(_settings: Settings, _act: str, data: Data) -> bool:
    return data.get("escalation") is True


def _dated(settings: Settings, act: str, data: Data) -> bool:
    return act == "deal.created" or settings["field"] in changed_fields(act, data)


_DAY_TIME = Param("time", N_("Time of the day"), ParamKind.TIME, default="10:00")
_STAGE = Param("stage_id", N_("Stage"), ParamKind.STAGE)
_CALL_PARAMS = (
    Param("direction", N_("Direction"), ParamKind.CHOICE, choices=DIRECTIONS),
    Param("outcome", N_("How it ended"), ParamKind.CHOICE, choices=OUTCOMES),
    Param("talk_seconds", N_("Talked at least, seconds"), ParamKind.NUMBER, least=1, most=LONGEST_TALK),
)
_FIELDS = Param(
    "fields",
    N_("Fields"),
    ParamKind.FIELDS,
    required=True,
    choices=OTHER_FIELDS,
)

_HOOK = Param("hook_id", N_("Webhook"), ParamKind.HOOK, required=True)
TRIGGERS: Mapping[str, Trigger] = {
    each.kind: each
    for each in (
        Trigger(
            "stage_entered",
            N_("A deal enters a stage"),
            STAGES,
            ("deal.moved", "deal.created"),
            (_STAGE, PIPELINE),
            hears=_entered,
            means=_began,
            asks=TriggerTest.FIRST_STAGE,
        ),
        Trigger("stage_left", N_("A deal leaves a stage"), STAGES, ("deal.moved",), (_STAGE, PIPELINE), hears=_left),
        Trigger(
            "order",
            N_("The nth deal of a client is won"),
            STAGES,
            ("deal.moved",),
            (Param("order", N_("Which one"), ParamKind.NUMBER, required=True, least=1, most=1000, default=1), PIPELINE),
            means=_nth_order,
            asks=TriggerTest.ORDERS,
        ),
        Trigger("deal_created", N_("A deal is made"), DEALS, ("deal.created",), (PIPELINE,)),
        Trigger(
            "field_changed",
            N_("A field of a deal is changed"),
            DEALS,
            ("deal.edited", "deal.assigned", "deal.tagged"),
            (_FIELDS, PIPELINE),
            hears=_changed,
        ),
        Trigger(
            "sum_reached",
            N_("A deal reaches an amount"),
            DEALS,
            ("deal.edited", "deal.created"),
            (Param("amount", N_("Amount"), ParamKind.AMOUNT, required=True), PIPELINE),
            hears=_reached,
            means=_is_large,
        ),
        Trigger("call", N_("A call is over"), CALLS, (CALL_OVER,), (*_CALL_PARAMS, PIPELINE), hears=_call),
        Trigger("missed_call", N_("A call is missed"), CALLS, (CALL_OVER,), (PIPELINE,), hears=_missed_call),
        Trigger(
            "not_reached",
            N_("The client is not reached for the nth time in a row"),
            CALLS,
            (CALL_OVER,),
            (Param("attempt", N_("Which time"), ParamKind.NUMBER, required=True, least=1, most=20), PIPELINE),
            hears=_failed_call,
            means=_nth_time,
            asks=TriggerTest.FAILED_CALLS,
        ),
        Trigger(
            "request",
            N_("A request comes"),
            CLIENTS,
            ("deal.request",),
            (Param("form_id", N_("Web form"), ParamKind.FORM), PIPELINE),
            hears=_requested,
        ),
        Trigger("client_answered", N_("The client answers a message"), CLIENTS, ("deal.answered",), (PIPELINE,)),
        Trigger("task_done", N_("A task is done"), TASKS, ("task.closed",), (PIPELINE,), hears=_task_done),
        Trigger("task_overdue", N_("A task is overdue"), TASKS, (OVERDUE,), (PIPELINE,), arms=TASK_ACTS),
        Trigger(
            "escalated", N_("A lamp reaches the manager"), DEALS, ("deal.lamp_lit",), (PIPELINE,), hears=_escalated
        ),
        Trigger(
            "date",
            N_("A date comes near, or has passed"),
            TIME,
            (DATE_CAME,),
            (
                Param("field", N_("Date"), ParamKind.DATE_FIELD, required=True),
                Param(
                    "days",
                    N_("Days after it"),
                    ParamKind.NUMBER,
                    least=-365,
                    most=365,
                    default=0,
                    hint=N_("Before it: with a minus."),
                ),
                Param(
                    "time", N_("Time of the day"), ParamKind.TIME, hint=N_("Empty: at its own time, of a day at 09:00.")
                ),
                PIPELINE,
            ),
            arms=("deal.created", "deal.edited"),
            arms_on=_dated,
        ),
        Trigger(
            "daily",
            N_("Once a day, for each open deal whose condition holds"),
            TIME,
            (DAY_CAME,),
            (
                Param("time", N_("Time of the day"), ParamKind.TIME, required=True),
                Param("days", N_("On which days"), ParamKind.CHOICE, choices=DAYS, default="every"),
                _STAGE,
                PIPELINE,
            ),
            means=_stands,
        ),
        Trigger(
            "silence",
            N_("Nothing happened on an open deal for so long"),
            TIME,
            (SILENT,),
            (
                Param("days", N_("Days"), ParamKind.NUMBER, required=True, least=1, most=365),
                _STAGE,
                PIPELINE,
            ),
            means=_stands,
            arms=("deal.created", "deal.moved"),
        ),
        Trigger("birthday", N_("A client has a birthday"), CLIENTS, (BIRTHDAY,), (_DAY_TIME,), subject=CLIENT),
        Trigger(
            "holiday",
            N_("Once a year on a day, for each client who has bought"),
            TIME,
            (HOLIDAY,),
            (Param("day", N_("Day of the year"), ParamKind.YEAR_DAY, required=True, hint=N_("25.12")), _DAY_TIME),
            subject=CLIENT,
        ),
        Trigger(
            "rhythm",
            N_("A client usually orders again by now"),
            CLIENTS,
            (RHYTHM,),
            (
                Param(
                    "days",
                    N_("Days after it"),
                    ParamKind.NUMBER,
                    least=-60,
                    most=60,
                    default=0,
                    hint=N_(
                        "By the median between won deals, of which there are at least three. Before it: with a minus."
                    ),
                ),
                _DAY_TIME,
            ),
            subject=CLIENT,
        ),
        Trigger("lamp_lit", N_("A lamp lights"), DEALS, ("deal.lamp_lit",), (PIPELINE,)),
        Trigger(
            "webhook",
            N_("A webhook tells of a deal"),
            OUTSIDE,
            (HOOK_DEAL,),
            (_HOOK, PIPELINE),
            hears=_hooked,
        ),
        Trigger(
            "webhook_client",
            N_("A webhook tells of a client"),
            OUTSIDE,
            (HOOK_CLIENT,),
            (_HOOK,),
            subject=CLIENT,
            hears=_hooked,
        ),
        Trigger("contact_created", N_("A client is added"), CLIENTS, ("contact.created",), subject=CLIENT),
    )
}
#: Acts of a deal after which the goals of waiting runs are asked.
GOAL_ACTS = frozenset(
    act for each in TRIGGERS.values() for act in each.acts if each.subject == DEAL and act != "deal.created"
)
