"""What a rule may listen to. Pure: a trigger says which acts it hears and whether it hears this one.

An act is an entry of the audit log, or ``CALL_OVER``, which ``reactions`` tells of. Filters that need no row are asked here, before an
event is stored at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

CALL_OVER = "call.over"
DEAL, CLIENT = "deal", "contact"
DIRECTIONS = ("inbound", "outbound")
OUTCOMES = ("answered", "missed", "voicemail", "no_answer", "busy", "failed", "not_dialled")
LONGEST_TALK = 24 * 60 * 60  # seconds

Settings = Mapping[str, Any]
Data = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A kind of ``when``. ``acts``: what it hears. ``takes``: its settings. ``subject``: what a rule with it works on.

    ``hears``: whether an act with this data counts.
    """

    kind: str
    acts: tuple[str, ...]
    takes: tuple[str, ...] = ()
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


TRIGGERS: Mapping[str, Trigger] = {
    each.kind: each
    for each in (
        Trigger(
            "stage_entered",
            ("deal.moved", "deal.created"),
            ("stage_id", "pipeline_id"),
            hears=_entered,
        ),
        Trigger("stage_left", ("deal.moved",), ("stage_id", "pipeline_id"), hears=_left),
        Trigger("deal_created", ("deal.created",), ("pipeline_id",)),
        Trigger(
            "field_changed",
            ("deal.edited", "deal.assigned", "deal.tagged"),
            ("fields", "pipeline_id"),
            hears=_changed,
        ),
        Trigger(
            "call",
            (CALL_OVER,),
            ("direction", "outcome", "talk_seconds", "pipeline_id"),
            hears=_call,
        ),
        Trigger(
            "request",
            ("deal.request",),
            ("form_id", "pipeline_id"),
            hears=_requested,
        ),
        Trigger("task_done", ("task.closed",), ("pipeline_id",), hears=_task_done),
        Trigger("lamp_lit", ("deal.lamp_lit",), ("pipeline_id",)),
        Trigger("contact_created", ("contact.created",), subject=CLIENT),
    )
}
#: Acts of a deal after which the goals of waiting runs are asked.
GOAL_ACTS = frozenset(
    act for each in TRIGGERS.values() for act in each.acts if each.subject == DEAL and act != "deal.created"
)
