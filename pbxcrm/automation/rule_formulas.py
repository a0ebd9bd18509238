"""Formulas in what rules write: in texts, and as deadlines. One vocabulary: the fields of the deal, its client, the responsible person."""

from collections.abc import Collection, Mapping
from datetime import date, datetime
from typing import Any

from pbxcrm.automation.hook_rules import HookValue
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.steps.step import Around, StepContext
from pbxcrm.automation.triggers import CLIENT as CLIENT_SUBJECT
from pbxcrm.automation.triggers import DEAL
from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.contacts.models import Contact
from pbxcrm.fields.formula_rules import values_in
from pbxcrm.fields.hooks import own_values
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import read_decimal
from pbxcrm.formulas.evaluating import evaluate
from pbxcrm.formulas.functions import FormulaTime, Value
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.formulas.texts import BEGIN, check_text, filled
from pbxcrm.shared.errors import Invalid

CLIENT = "client_"  # before the names of the client's fields
HOOK = "hook_"  # before what a webhook sent
NAMES = ("stage", "responsible")  # besides fields
IS_FORMULA = "="  # how a deadline by a formula begins


def names_for(known: Around, subject: str) -> frozenset[str]:
    """What formulas of a rule that works on ``subject`` may read."""
    fields = known.fields
    of_client = {*own_values(FieldEntity.CONTACT).names, *(each.key for each in fields.of(FieldEntity.CONTACT))}
    found = {f"{CLIENT}{key}" for key in of_client} | {f"{HOOK}{key}" for key in known.hook_values}
    if subject == DEAL:
        found |= {*NAMES, *own_values(FieldEntity.DEAL).names, *(each.key for each in fields.of(FieldEntity.DEAL))}
    return frozenset(found)


def check_formulas(param: Param, value: Any, at: str, names: Collection[str]) -> None:
    """Raise Invalid at ``at`` for a formula that is wrong in a parameter that may have one."""
    if param.kind is ParamKind.DUE and isinstance(value, str) and value.startswith(IS_FORMULA):
        problems = check_formula(value[1:], names)
    elif param.has_formulas and isinstance(value, str) and BEGIN in value:
        problems = check_text(value, names)
    else:
        return
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


async def moment_by(context: StepContext, due: str, working: WorkingTime, at: str) -> datetime:
    """When something is due, in words or by a formula that gives a date or a moment. ``working``: of whoever must do it. Raises Invalid."""
    if not due.startswith(IS_FORMULA):
        return read_deadline(due, context.now, working) or context.now
    try:
        found = evaluate(due[1:], await _values(context), FormulaTime(context.now, working))
    except FormulaError as error:
        raise error.at_field(at) from None
    if isinstance(found, datetime):
        return found
    if not isinstance(found, date):
        raise Invalid(at, "automation.no_moment", "The formula gives no date.")
    return read_deadline(found.isoformat(), context.now, working) or context.now


async def _values(context: StepContext) -> Mapping[str, Value]:
    fields, deal = context.around.fields, context.deal
    contact = await context.session.get(Contact, context.contact_id) if context.contact_id is not None else None
    found: dict[str, Value] = dict.fromkeys(names_for(context.around, DEAL if deal is not None else CLIENT_SUBJECT))
    found |= _hooked(context)
    if contact is not None:
        of_client = _of(FieldEntity.CONTACT, contact, fields)
        found |= {f"{CLIENT}{key}": value for key, value in of_client.items()}
    if deal is not None:
        stage = context.around.funnel.stages.get(deal.stage_id)
        found["stage"] = stage.name if stage is not None else None
        found["responsible"] = context.around.people.name(deal.responsible_id) or None
        found |= _of(FieldEntity.DEAL, deal, fields)
    return found


def _hooked(context: StepContext) -> dict[str, Value]:
    """What the webhook sent that the rule heard."""
    kinds, sent = context.around.hook_values, context.heard.get("hook", {})
    return {
        f"{HOOK}{key}": read_decimal(text) if kinds.get(key) == HookValue.NUMBER else text for key, text in sent.items()
    }


def _of(entity: FieldEntity, row: Any, fields: FieldSet) -> dict[str, Value]:
    return {**own_values(entity).read(row), **values_in(fields.of(entity), row.custom)}
