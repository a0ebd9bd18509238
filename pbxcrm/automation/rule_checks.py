"""Checks a rule as entered: everything it names is there, each error at its place (``when.stage_id``, ``if.all.1.value``, ``then.0.due``)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.facts import rule_terms
from pbxcrm.automation.models import AutomationRule, Mode, RuleState
from pbxcrm.automation.param_checks import check_params, load_known
from pbxcrm.automation.rule_formulas import check_formulas, names_for
from pbxcrm.automation.steps.kinds import LATER, STEPS, STOP, WAIT, WAITS
from pbxcrm.automation.steps.step import KnownThings
from pbxcrm.automation.triggers import DEAL, TRIGGERS, Trigger
from pbxcrm.automation.waits import check_wait
from pbxcrm.fields.conditions import Condition, Test, parse
from pbxcrm.fields.rules import Checking
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import check_line

MOST_STEPS = 30
MOST_PER_HOUR = 1000
LONGEST_RULE = 50_000  # characters of its JSON


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


def draft_of(rule: AutomationRule) -> RuleDraft:
    """A stored rule as if it were entered again."""
    return RuleDraft(
        name=rule.name,
        owner_id=rule.owner_id,
        when=rule.when,
        steps=rule.steps,
        conditions=rule.conditions,
        goal=rule.goal,
        state=rule.state,
        mode=rule.mode,
        most_per_hour=rule.most_per_hour,
        paused_until=rule.paused_until,
    )


async def check_draft(session: AsyncSession, draft: RuleDraft, region: str) -> dict[str, Any]:
    """The columns of ``AutomationRule`` that the draft gives. Raises Invalid at the wrong place."""
    known = await load_known(session, region, draft.steps)
    around = known.around
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
    trigger, when = check_when(known, draft.when)
    terms = rule_terms(around.fields, Checking("", around.people), trigger.subject, around.hook_values)
    parse(draft.conditions, terms)
    goal = parse(draft.goal, terms, "goal")
    if draft.goal and (trigger.subject != DEAL or not _asks(goal)):
        raise Invalid("goal", "automation.goal", "A goal is a condition over the deal or a call.")
    steps = [check_step(known, step, f"then.{place}", trigger.subject) for place, step in _steps(draft.steps)]
    kinds = {step["kind"] for step in steps}
    if WAIT in kinds and kinds <= {WAIT, STOP}:
        raise Invalid("then", "automation.does_nothing", "This rule does nothing: add a step that does something.")
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


async def draft_faults(session: AsyncSession, draft: RuleDraft, region: str) -> list[Invalid]:
    """Everything that is wrong with the draft, each at its place, as far as one fault does not hide another; empty if nothing is."""
    known = await load_known(session, region, draft.steps)
    found: list[Invalid] = []

    with _kept_in(found):
        check_when(known, draft.when)
    trigger = TRIGGERS.get(str(draft.when.get("kind")))
    if trigger is not None:
        checking = Checking("", known.around.people)
        terms = rule_terms(known.around.fields, checking, trigger.subject, known.around.hook_values)
        with _kept_in(found):
            parse(draft.conditions, terms)
        with _kept_in(found):
            parse(draft.goal, terms, "goal")
        for place, step in enumerate(draft.steps):
            with _kept_in(found):
                check_step(known, step, f"then.{place}", trigger.subject)
    if not found:
        with _kept_in(found):
            await check_draft(session, draft, region)
    return found


@contextmanager
def _kept_in(found: list[Invalid]) -> Iterator[None]:
    """What is wrong goes into the list, and the next check follows."""
    try:
        yield
    except Invalid as error:
        found.append(error)


def _check_json(place: str, entered: Any) -> None:
    text = json.dumps(entered)
    if len(text) > LONGEST_RULE or "\\u0000" in text:
        raise Invalid(place, "automation.long", "This is too much for a rule.")


def _asks(condition: Condition) -> bool:
    if isinstance(condition, Test):
        return True
    return any(map(_asks, condition.parts))


def check_when(known: KnownThings, when: Mapping[str, Any]) -> tuple[Trigger, dict[str, Any]]:
    """The trigger, and its settings as they are stored. Raises Invalid at the wrong one (``when.stage_id``)."""
    kind = when.get("kind")
    if not isinstance(kind, str) or kind not in TRIGGERS:
        words = ", ".join(TRIGGERS)
        raise Invalid("when.kind", "automation.when", "A rule can listen to: {words}", words=words)
    return TRIGGERS[kind], {"kind": kind, **check_params(TRIGGERS[kind].params, when, "when", known)}


def _steps(entered: list[Any]) -> Iterable[tuple[int, Any]]:
    if not entered or len(entered) > MOST_STEPS:
        raise Invalid("then", "automation.steps", "A rule has at least one step and at most {most}.", most=MOST_STEPS)
    return enumerate(entered)


def check_step(known: KnownThings, step: Any, at: str, subject: str) -> dict[str, Any]:
    """A step as it is stored. Raises Invalid at the wrong place below ``at`` (``then.1.due``)."""
    kind = step.get("kind") if isinstance(step, Mapping) else None
    if not isinstance(kind, str):
        kind = None
    if kind in LATER:
        raise Invalid(
            f"{at}.kind", "automation.later", "Steps of the kind “{kind}” come with a later version.", kind=kind
        )
    if kind == STOP:
        return {"kind": kind, **check_params((), step, at, known)}
    if kind == WAIT:
        waits = check_params(WAITS, step, at, known)
        check_wait(waits, at)
        return {"kind": kind, **waits}
    if kind is None or kind not in STEPS:
        words = ", ".join((*STEPS, WAIT, STOP))
        raise Invalid(f"{at}.kind", "automation.step", "A step is one of: {words}", words=words)
    if STEPS[kind].needs_deal and subject != DEAL:
        raise Invalid(f"{at}.kind", "automation.no_deal", "A rule on clients has no deal: it writes tasks and notes.")
    found = check_params(STEPS[kind].params, step, at, known)
    for param in STEPS[kind].params:
        check_formulas(param, found.get(param.name), f"{at}.{param.name}", names_for(known.around, subject))
    settings = STEPS[kind].check(found, at, known)
    return {"kind": kind, **settings}
