"""What a rule may listen to. Pure: a trigger says which acts it hears and whether it hears this one.

An act is an entry of the audit log, or ``CALL_OVER``, which ``reactions`` tells of. Filters that need no row are asked here, before an
event is stored at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pbxcrm.automation.params import PIPELINE, Param, ParamKind
from pbxcrm.shared.reasons import N_

CALL_OVER = "call.over"
DEAL, CLIENT = "deal", "contact"
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
#: Headings under which pages offer triggers.
STAGES, DEALS, CALLS, CLIENTS, TASKS = N_("Stages"), N_("Deals"), N_("Calls"), N_("Clients"), N_("Tasks")
LONGEST_TALK = 24 * 60 * 60  # seconds

Settings = Mapping[str, Any]
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A kind of ``when``. ``acts``: what it hears. ``params``: its settings. ``subject``: what a rule with it works on.

    ``hears``: whether an act with this data counts. ``group``: under which heading a page offers it.
    """

    kind: str
    title: str
    group: str
    acts: tuple[str, ...]
    params: tuple[Param, ...] = ()
    subject: str = DEAL
    hears: Callable[[Settings, str, Data], bool] = lambda _settings, _act, _data: True


def _entered(settings: Settings, act: str, data: Data) -> bool:
    """Of a new deal the stage is read when the event is handled: its gate may have put it elsewhere."""
    return act != "deal.moved" or settings.get("stage_id") in {None, data.get("to_stage")}


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


def _requested(settings: Settings, _act: str, data: Data) -> bool:
    return settings.get("form_id") in {None, data.get("form_id")}


def _task_done(_settings: Settings, _act: str, data: Data) -> bool:
    return data.get("status") == "done" and data.get("deal_id") is not None


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
    choices={"responsible": N_("Responsible"), "tag": N_("Tag"), "contact": N_("Client")},
)

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
        ),
        Trigger("stage_left", N_("A deal leaves a stage"), STAGES, ("deal.moved",), (_STAGE, PIPELINE), hears=_left),
        Trigger("deal_created", N_("A deal is made"), DEALS, ("deal.created",), (PIPELINE,)),
        Trigger(
            "field_changed",
            N_("A field of a deal is changed"),
            DEALS,
            ("deal.edited", "deal.assigned", "deal.tagged"),
            (_FIELDS, PIPELINE),
            hears=_changed,
        ),
        Trigger("call", N_("A call is over"), CALLS, (CALL_OVER,), (*_CALL_PARAMS, PIPELINE), hears=_call),
        Trigger(
            "request",
            N_("A request comes"),
            CLIENTS,
            ("deal.request",),
            (Param("form_id", N_("Web form"), ParamKind.FORM), PIPELINE),
            hears=_requested,
        ),
        Trigger("task_done", N_("A task is done"), TASKS, ("task.closed",), (PIPELINE,), hears=_task_done),
        Trigger("lamp_lit", N_("A lamp lights"), DEALS, ("deal.lamp_lit",), (PIPELINE,)),
        Trigger("contact_created", N_("A client is added"), CLIENTS, ("contact.created",), subject=CLIENT),
    )
}
#: Acts of a deal after which the goals of waiting runs are asked.
GOAL_ACTS = frozenset(
    act for each in TRIGGERS.values() for act in each.acts if each.subject == DEAL and act != "deal.created"
)
