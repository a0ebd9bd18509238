"""Formulas in what rules write: in texts, as deadlines and as values. They read what all texts may read, and what a webhook sent."""

from collections.abc import Collection, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from pbxcrm.automation.hook_rules import HookValue
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.step import Around, StepContext
from pbxcrm.automation.triggers import DEAL
from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.contacts.models import Contact
from pbxcrm.deals.formula_texts import text_names, text_values
from pbxcrm.fields.rules import read_decimal
from pbxcrm.formulas.evaluating import evaluate
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.formulas.texts import BEGIN, check_text, filled
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.texts import one_line
from pbxcrm.tasks.checklist_rules import LONGEST_ITEM, Item

HOOK = "hook_"  # before what a webhook sent
IS_FORMULA = "="  # how a deadline by a formula begins


def names_for(known: Around, subject: str) -> frozenset[str]:
    """What formulas of a rule that works on ``subject`` may read."""
    return frozenset(text_names(known.fields, of_deal=subject == DEAL)) | {f"{HOOK}{key}" for key in known.hook_values}


def check_formulas(param: Param, value: Any, at: str, names: Collection[str]) -> None:
    """Raise Invalid at ``at`` for a formula that is wrong in a parameter that may have one."""
    problems: list[FormulaProblem] = []
    if param.kind is ParamKind.DUE and isinstance(value, str) and value.startswith(IS_FORMULA):
        problems = check_formula(value[1:], names)
    elif param.has_formulas and param.kind is ParamKind.CHECKLIST:
        problems = [each for item in value or () for each in check_text(item["text"], names)]
    elif param.has_formulas and isinstance(value, str):
        problems = check_text(value, names)
    if problems:
        raise FormulaError(problems[0]).at_field(at)


async def text_by(context: StepContext, text: str, at: str) -> str:
    """A text of a step with what its formulas give now. Raises Invalid at ``at``."""
    if BEGIN not in text:
        return text
    owner_id = context.deal.responsible_id if context.deal is not None else None
    around = FormulaTime(context.now, context.around.calendars.of_user(owner_id))
    try:
        return filled(text, await _values(context), around)
    except FormulaError as error:
        raise error.at_field(at) from None


async def checklist_by(context: StepContext, items: Iterable[Item], at: str) -> list[Item]:
    """A checklist of a step with what its formulas give now; an item of which nothing is left is left out. Raises Invalid at ``at``."""
    found = [{**each, "text": one_line(await text_by(context, each["text"], at))[:LONGEST_ITEM]} for each in items]
    return [each for each in found if each["text"]]


async def value_by(context: StepContext, formula: str, working: WorkingTime, at: str) -> Value:
    """What a formula gives now. ``working``: the hours by which its dates are counted. Raises Invalid at ``at``."""
    try:
        return evaluate(formula, await _values(context), FormulaTime(context.now, working))
    except FormulaError as error:
        raise error.at_field(at) from None


async def moment_by(context: StepContext, due: str, working: WorkingTime, at: str) -> datetime:
    """When something is due, in words or by a formula that gives a date or a moment. ``working``: of whoever must do it. Raises Invalid."""
    if not due.startswith(IS_FORMULA):
        return read_deadline(due, context.now, working) or context.now
    found = await value_by(context, due[1:], working, at)
    if isinstance(found, datetime):
        return found
    if not isinstance(found, date):
        raise Invalid(at, "automation.no_moment", "The formula gives no date.")
    return read_deadline(found.isoformat(), context.now, working) or context.now


async def _values(context: StepContext) -> Mapping[str, Value]:
    around, deal = context.around, context.deal
    contact = await context.session.get(Contact, context.contact_id) if context.contact_id is not None else None
    stage = around.funnel.stages.get(deal.stage_id) if deal is not None else None
    found = text_values(
        deal,
        contact,
        around.fields,
        stage=stage.name if stage is not None else "",
        responsible=around.people.name(deal.responsible_id) if deal is not None else "",
    )
    return found | dict.fromkeys(f"{HOOK}{key}" for key in around.hook_values) | _hooked(context)


def _hooked(context: StepContext) -> dict[str, Value]:
    """What the webhook sent that the rule heard."""
    kinds, sent = context.around.hook_values, context.heard.get("hook", {})
    return {
        f"{HOOK}{key}": read_decimal(text) if kinds.get(key) == HookValue.NUMBER else text for key, text in sent.items()
    }
