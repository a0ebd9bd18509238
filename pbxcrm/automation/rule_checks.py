"""Checks a rule as entered: everything it names is there, each error at its place (``when.stage_id``, ``if.all.1.value``, ``then.0.due``)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.facts import rule_terms
from pbxcrm.automation.models import AutomationRule, Mode, RuleState
from pbxcrm.automation.queries import load_around
from pbxcrm.automation.steps.kinds import LATER, STEPS, STOP, WAIT
from pbxcrm.automation.steps.move_step import stage_in
from pbxcrm.automation.steps.step import Around
from pbxcrm.automation.triggers import DEAL, DIRECTIONS, LONGEST_TALK, OUTCOMES, TRIGGERS, Trigger
from pbxcrm.deals.fields import BY_KEY
from pbxcrm.distribution.hooks import names_of_forms
from pbxcrm.fields.conditions import Condition, Test, parse
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import Checking
from pbxcrm.fields.terms import name_of_term
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, check_line

MOST_STEPS = 30
MOST_PER_HOUR = 1000
LONGEST_WAIT = 366 * 24 * 60  # working minutes
LONGEST_RULE = 50_000  # characters of its JSON
_FIELDS_OF_DEAL = frozenset({"responsible", "tag", "contact", *BY_KEY})


@dataclass(frozen=True, slots=True)
class RuleDraft:
    """A rule as entered. ``when``, ``conditions``, ``steps`` and ``goal`` are JSON."""

    name: str
    owner_id: int
    when: Mapping[str, Any]
    steps: list[Any]
    conditions: Mapping[str, Any] = field(default_factory=dict)
    goal: Mapping[str, Any] = field(default_factory=dict)
    state: str = RuleState.OFF.value
    mode: str = Mode.ONCE.value
    most_per_hour: int = 20
    paused_until: datetime | None = None


async def check_draft(session: AsyncSession, draft: RuleDraft, region: str) -> dict[str, Any]:
    """The columns of ``Rule`` that the draft gives. Raises Invalid at the wrong place."""
    around = await load_around(session, region)
    for place, each in (("when", draft.when), ("if", draft.conditions), ("then", draft.steps), ("goal", draft.goal)):
        _check_json(place, each)
    name = check_line(
        draft.name, AutomationRule.name, "name", "automation.name", "Write a name of up to {most} characters."
    )
    if around.people.active(draft.owner_id) is None:
        raise Invalid("owner", "automation.owner", "Choose somebody who answers for the rule.")
    if draft.state not in set(RuleState) or draft.mode not in set(Mode):
        raise Invalid("state", "automation.state", "Choose how the rule works.")
    if not 1 <= draft.most_per_hour <= MOST_PER_HOUR:
        raise Invalid("most_per_hour", "automation.rate", "Write a number from 1 to {most}.", most=MOST_PER_HOUR)
    trigger = _trigger(draft.when)
    when = await _check_when(session, trigger, draft.when, around)
    terms = rule_terms(around.fields, Checking("", around.people), trigger.subject)
    parse(draft.conditions, terms)
    goal = parse(draft.goal, terms, "goal")
    if draft.goal and (trigger.subject != DEAL or not _asks(goal)):
        raise Invalid("goal", "automation.goal", "A goal is a condition over the deal or a call.")
    steps = [await _check_step(session, step, f"then.{place}", trigger, around) for place, step in _steps(draft.steps)]
    stage = around.funnel.stages.get(when.get("stage_id"))
    return {
        "name": name,
        "owner_id": draft.owner_id,
        "state": draft.state,
        "mode": draft.mode,
        "when": when,
        "conditions": dict(draft.conditions),
        "steps": steps,
        "goal": dict(draft.goal),
        "most_per_hour": draft.most_per_hour,
        "paused_until": draft.paused_until,
        "pipeline_id": stage.pipeline_id if stage is not None else when.get("pipeline_id"),
        "stage_id": when.get("stage_id"),
    }


def _check_json(place: str, entered: Any) -> None:
    text = json.dumps(entered)
    if len(text) > LONGEST_RULE or "\\u0000" in text:
        raise Invalid(place, "automation.long", "This is too much for a rule.")


def _asks(condition: Condition) -> bool:
    if isinstance(condition, Test):
        return True
    return any(map(_asks, condition.parts))


def _trigger(when: Mapping[str, Any]) -> Trigger:
    kind = when.get("kind")
    if not isinstance(kind, str) or kind not in TRIGGERS:
        words = ", ".join(TRIGGERS)
        raise Invalid("when.kind", "automation.when", "A rule can listen to: {words}", words=words)
    _check_members(when, TRIGGERS[kind].takes, "when")
    return TRIGGERS[kind]


def _check_members(entered: Mapping[str, Any], takes: tuple[str, ...], at: str) -> None:
    unknown = next((str(name) for name in entered if name != "kind" and name not in takes), None)
    if unknown is not None:
        name = unknown[:LONGEST_REPEATED]
        raise Invalid(f"{at}.{name}", "automation.member", "There is nothing called “{name}” here.", name=name)


async def _check_when(
    session: AsyncSession, trigger: Trigger, when: Mapping[str, Any], around: Around
) -> dict[str, Any]:
    found = {"kind": trigger.kind, **{name: value for name, value in when.items() if value is not None}}
    if "stage_id" in found and stage_in(around.funnel, found["stage_id"]) is None:
        raise Invalid("when.stage_id", "deals.no_stage", "There is no such stage any more.")
    if "pipeline_id" in found and not _is_of(found["pipeline_id"], around.funnel.pipelines):
        raise Invalid("when.pipeline_id", "automation.no_pipeline", "There is no such pipeline any more.")
    if "form_id" in found and not _is_of(found["form_id"], await names_of_forms(session)):
        raise Invalid("when.form_id", "automation.no_form", "There is no such form any more.")
    if "fields" in trigger.takes:
        found["fields"] = _check_fields(found.get("fields"), around.fields)
    for name, known in (("direction", DIRECTIONS), ("outcome", OUTCOMES)):
        if name in found and found[name] not in known:
            raise Invalid(f"when.{name}", "conditions.word", "Choose one of: {words}", words=", ".join(known))
    if "talk_seconds" in found and not _is_whole(found["talk_seconds"], 1, LONGEST_TALK):
        raise Invalid("when.talk_seconds", "automation.seconds", "Write a number from 1 to {most}.", most=LONGEST_TALK)
    return found


def _check_fields(entered: Any, fields: FieldSet) -> list[str]:
    known = _FIELDS_OF_DEAL | {name_of_term(each) for each in fields.of(FieldEntity.DEAL)}
    if not isinstance(entered, list) or not entered:
        raise Invalid("when.fields", "automation.fields", "Name the fields that the rule listens to.")
    unknown = next((each for each in entered if not isinstance(each, str) or each not in known), None)
    if unknown is not None:
        name = str(unknown)[:LONGEST_REPEATED]
        raise Invalid("when.fields", "conditions.field", "There is no field “{name}” to filter by.", name=name)
    return list(dict.fromkeys(entered))


def _is_whole(value: Any, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_of(value: Any, known: Mapping[Any, object]) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value in known


def _steps(entered: list[Any]) -> list[tuple[int, Any]]:
    if not entered or len(entered) > MOST_STEPS:
        raise Invalid("then", "automation.steps", "A rule has at least one step and at most {most}.", most=MOST_STEPS)
    return list(enumerate(entered))


async def _check_step(session: AsyncSession, step: Any, at: str, trigger: Trigger, around: Around) -> dict[str, Any]:
    kind = step.get("kind") if isinstance(step, Mapping) else None
    if not isinstance(kind, str):
        kind = None
    if kind in LATER:
        raise Invalid(
            f"{at}.kind", "automation.later", "Steps of the kind “{kind}” come with a later version.", kind=kind
        )
    if kind == STOP:
        _check_members(step, (), at)
        return {"kind": STOP}
    if kind == WAIT:
        _check_members(step, ("minutes",), at)
        if not _is_whole(step.get("minutes"), 1, LONGEST_WAIT):
            raise Invalid(
                f"{at}.minutes", "automation.minutes", "Write working minutes from 1 to {most}.", most=LONGEST_WAIT
            )
        return {"kind": WAIT, "minutes": step["minutes"]}
    if kind is None or kind not in STEPS:
        words = ", ".join((*STEPS, WAIT, STOP))
        raise Invalid(f"{at}.kind", "automation.step", "A step is one of: {words}", words=words)
    if STEPS[kind].needs_deal and trigger.subject != DEAL:
        raise Invalid(f"{at}.kind", "automation.no_deal", "A rule on clients has no deal: it writes tasks and notes.")
    _check_members(step, STEPS[kind].takes, at)
    return {"kind": kind, **await STEPS[kind].check(session, step, at, around)}
