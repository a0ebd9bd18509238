"""Checks entered parameters by their declarations (``params``); each error at its place (``then.0.due``)."""

from collections.abc import Callable, Iterable, Mapping
from copy import copy
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.automation.hook_queries import load_hooks
from pbxcrm.automation.hook_rules import no_hook
from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.queries import load_around
from pbxcrm.automation.steps.step import KnownThings, stage_in
from pbxcrm.calendars.deadline_parser import LONGEST as LONGEST_DUE
from pbxcrm.calendars.deadline_parser import read_deadline
from pbxcrm.deals.fields import BY_KEY, FIELDS, FieldKind
from pbxcrm.deals.rules import check_amount, is_closing
from pbxcrm.deals.tag_actions import MOST_TAGS, check_tag
from pbxcrm.distribution.hooks import names_of_forms
from pbxcrm.fields.models import FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet
from pbxcrm.fields.rules import read_decimal
from pbxcrm.fields.terms import name_of_term
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.messages.queries import names_of_templates
from pbxcrm.messages.webhook_queries import names_of_webhooks
from pbxcrm.money.models import Product
from pbxcrm.money.quantity_rules import check_inputs
from pbxcrm.money.queries import formula_names, load_templates, product_typed
from pbxcrm.money.rules import LARGEST_PRICE, check_discount, read_discount
from pbxcrm.people.whom import named
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED, longest
from pbxcrm.tasks.checklist_rules import check_items, item

LONGEST_TYPED = longest(Product.name)
_SOME_DAY = datetime(2026, 11, 27, 10, tzinfo=UTC)  # a deadline is tried at a time when people work


async def load_known(session: AsyncSession, region: str, steps: Iterable[Any] = ()) -> KnownThings:
    """What parameters may name now. ``steps``: those of the rule as entered; products are looked up only for them."""
    return KnownThings(
        await load_around(session, region),
        await names_of_forms(session),
        await _products(session, steps),
        {each.id or 0: each for each in await load_templates(session)},
        await formula_names(session),
        await names_of_templates(session),
        {hook.id or 0: hook.name for hook in (await load_hooks(session)).values()},
        await names_of_webhooks(session),
    )


async def _products(session: AsyncSession, steps: Iterable[Any]) -> dict[int | str, int]:
    named = [step["product_id"] for step in steps if isinstance(step, Mapping) and "product_id" in step]
    by_id = await load_by_id(session, Product, [each for each in named if _is_id(each)])
    found: dict[int | str, Product] = {product.id or 0: product for product in by_id.values()}
    for typed in {each for each in named if isinstance(each, str) and len(each) <= LONGEST_TYPED}:
        product = await product_typed(session, typed.strip())
        if product is not None:
            found[typed] = product
    return {each: product.id or 0 for each, product in found.items() if product.retired_at is None}


def check_params(params: tuple[Param, ...], entered: Mapping[str, Any], at: str, known: KnownThings) -> dict[str, Any]:
    """The parameters as they are stored. Raises Invalid at their place below ``at``, also for one that is not declared."""
    names = {each.name for each in params}
    unknown = next((str(name) for name in entered if name != "kind" and name not in names), None)
    if unknown is not None:
        name = unknown[:LONGEST_REPEATED]
        raise Invalid(f"{at}.{name}", "automation.member", "There is nothing called “{name}” here.", name=name)
    found: dict[str, Any] = {}
    for param in params:
        value = entered.get(param.name)
        if value == "" and param.kind not in _TYPED:
            value = None  # a control of a page that nothing was chosen in
        if value is None and param.kind is not ParamKind.VALUE and not param.required:
            if param.default is not None:
                found[param.name] = list(param.default) if isinstance(param.default, tuple) else copy(param.default)
            continue
        found[param.name] = _CHECKS[param.kind](param, value, f"{at}.{param.name}", known)
    return found


_TYPED = {ParamKind.LINE, ParamKind.TEXT, ParamKind.VALUE}


def _stage(param: Param, value: Any, at: str, known: KnownThings) -> int:
    stage = stage_in(known.around.funnel, value)
    if stage is None or (param.kind is ParamKind.OPEN_STAGE and is_closing(stage)):
        raise Invalid(at, "deals.no_stage", "There is no such stage any more.")
    return stage.id or 0


def _pipeline(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    if not _is_whole(value) or value not in known.around.funnel.pipelines:
        raise Invalid(at, "automation.no_pipeline", "There is no such pipeline any more.")
    return int(value)


def _form(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    if not _is_whole(value) or value not in known.forms:
        raise Invalid(at, "automation.no_form", "There is no such form any more.")
    return int(value)


def _message(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    if not _is_whole(value) or value not in known.messages:
        raise Invalid(at, "messages.no_template", "There is no such template any more.")
    return int(value)


def _hook(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    if not _is_whole(value) or value not in known.hooks:
        raise no_hook(at)
    return int(value)


def _webhook(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    if not _is_whole(value) or value not in known.webhooks:
        raise Invalid(at, "automation.no_webhook", "There is no such webhook, or it is switched off.")
    return int(value)


def _fields(param: Param, value: Any, at: str, known: KnownThings) -> list[str]:
    names = {*param.choices, *BY_KEY, *(name_of_term(each) for each in known.around.fields.of(FieldEntity.DEAL))}
    if not isinstance(value, list) or (param.required and not value):
        raise Invalid(at, "automation.fields", "Name fields of deals.")
    unknown = next((each for each in value if not isinstance(each, str) or each not in names), None)
    if unknown is not None:
        name = str(unknown)[:LONGEST_REPEATED]
        raise Invalid(at, "automation.no_field", "A deal has no field “{name}”.", name=name)
    return list(dict.fromkeys(value))


def _number(param: Param, value: Any, at: str, _known: KnownThings) -> int:
    if not _is_whole(value) or not param.least <= value <= param.most:
        raise Invalid(
            at,
            "automation.number",
            "Write a whole number from {least} to {most}.",
            least=param.least,
            most=param.most,
        )
    return int(value)


def _text(param: Param, value: Any, at: str, _known: KnownThings) -> str:
    text = value.strip() if isinstance(value, str) else "" if value is None else None
    if text is None or (param.required and not text) or len(text) > param.most or "\0" in text:
        raise Invalid(at, "automation.text", "Write a text of up to {most} characters.", most=param.most)
    return text


def _choice(param: Param, value: Any, at: str, _known: KnownThings) -> str:
    if not isinstance(value, str) or value not in param.choices:
        raise Invalid(at, "conditions.word", "Choose one of: {words}", words=", ".join(param.choices))
    return value


def _whom(param: Param, value: Any, at: str, known: KnownThings) -> str:
    if isinstance(value, str):
        user = named(value, known.around.people)
        if value in param.choices or (user is not None and user.is_active):
            return value
    raise Invalid(at, "automation.whom", "Choose the responsible person, their manager, or somebody.")


def _due(_param: Param, value: Any, at: str, known: KnownThings) -> str:
    text = value.strip() if isinstance(value, str) else ""
    if text.startswith("="):  # what the formula may read depends on the rule
        return text
    if len(text) > LONGEST_DUE or read_deadline(text, _SOME_DAY, known.around.calendars.default) is None:
        raise Invalid(at, "automation.due", "Write until when: 2h, tomorrow 10:00, 3 working days.")
    return text


def _tags(_param: Param, value: Any, at: str, _known: KnownThings) -> list[str]:
    if not isinstance(value, list) or len(value) > MOST_TAGS or not all(isinstance(each, str) for each in value):
        raise Invalid(at, "automation.tags", "Write the names of tags as a list.")
    try:
        return [check_tag(each) for each in value]
    except Invalid as error:
        raise Invalid(at, error.code, error.message, **error.params) from error


def _checklist(_param: Param, value: Any, at: str, _known: KnownThings) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not all(isinstance(each, dict | str) for each in value):
        raise Invalid(at, "automation.checklist", "Write the items of the checklist as a list.")
    said = [{"text": each} if isinstance(each, str) else each for each in value]
    items = [item(str(each.get("text", "")), required=bool(each.get("required"))) for each in said]
    return [dict(each) for each in check_items(items, at)]


def _time(_param: Param, value: Any, at: str, _known: KnownThings) -> str:
    try:
        return f"{time.fromisoformat(str(value).strip()):%H:%M}"
    except ValueError as error:
        raise Invalid(at, "automation.time", "Write a time of the day: 09:30.") from error


def _year_day(_param: Param, value: Any, at: str, _known: KnownThings) -> str:
    text = value.strip() if isinstance(value, str) else ""
    try:
        day, _, month = text.rstrip(".").partition(".")
        return f"{date(2000, int(month), int(day)):%d.%m}"
    except ValueError as error:
        raise Invalid(at, "automation.year_day", "Write a day of the year: 25.12.") from error


def _date_field(_param: Param, value: Any, at: str, known: KnownThings) -> str:
    if not isinstance(value, str) or value not in date_fields(known.around.fields):
        raise Invalid(at, "automation.date_field", "Choose a field that holds a date.")
    return value


def date_fields(fields: FieldSet) -> dict[str, str]:
    """The fields of a deal that hold a date or a moment: their titles by name."""
    own = {field.key: field.name for field in FIELDS if field.kind is FieldKind.MOMENT}
    kinds = {ValueKind.DATE, ValueKind.MOMENT}
    return own | {name_of_term(each): each.name for each in fields.of(FieldEntity.DEAL) if each.kind in kinds}


def _amount(_param: Param, value: Any, at: str, _known: KnownThings) -> str:
    try:
        found = check_amount(str(value) if isinstance(value, str | int | float | Decimal) else "?", at)
    except Invalid as error:
        raise Invalid(at, error.code, error.message, **error.params) from error
    if not found:
        raise Invalid(at, "automation.amount", "Write an amount of more than nothing.")
    return str(found)


def _value(_param: Param, value: Any, at: str, _known: KnownThings) -> Any:
    if value is not None and not isinstance(value, str | int | bool | list):
        raise Invalid(at, "automation.value", "Write the value as it is typed into the field.")
    return value


def _name(_param: Param, value: Any, at: str, _known: KnownThings) -> str:
    if not isinstance(value, str):
        raise Invalid(at, "automation.field", "There is no such field, or rules cannot set it.")
    return value  # the step knows which it can set


def _product(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    found = known.products.get(value) if isinstance(value, str) or _is_whole(value) else None
    if found is None:
        raise Invalid(at, "automation.no_product", "There is no such product, or it is offered no more.")
    return found


def _line_template(_param: Param, value: Any, at: str, known: KnownThings) -> int:
    if not _is_whole(value) or value not in known.templates:
        raise Invalid(at, "automation.no_template_of_lines", "There is no such template of lines any more.")
    return int(value)


def _formula(param: Param, value: Any, at: str, known: KnownThings) -> str:
    text = _text(param, str(value) if _is_whole(value) else value, at, known)
    problems = check_formula(text, known.line_names) if read_decimal(text) is None else []
    if problems:
        raise FormulaError(problems[0]).at_field(at)
    return text


def _inputs(_param: Param, value: Any, at: str, known: KnownThings) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(each, str | int) for each in value.values()):
        raise Invalid(at, "automation.inputs", "Write what the template asks as name: value.")
    found = check_inputs({str(name): str(each) for name, each in value.items()}, at)
    for each in found.values():
        problems = check_formula(each[1:], {*known.line_names, *found}) if each.startswith("=") else []
        if problems:
            raise FormulaError(problems[0]).at_field(at)
    return found


def _discount(_param: Param, value: Any, at: str, _known: KnownThings) -> str:
    text = str(value).strip() if isinstance(value, str | int) else ""
    read = read_discount(text)
    if read is None or not any(read):
        raise Invalid(at, "automation.discount", "Write a discount: 5 %, or an amount.")
    check_discount(*read, LARGEST_PRICE, at)
    return text


def _is_id(value: Any) -> bool:
    return _is_whole(value) and 0 < value < 2**63


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


_CHECKS: Mapping[ParamKind, Callable[[Param, Any, str, KnownThings], Any]] = {
    ParamKind.STAGE: _stage,
    ParamKind.OPEN_STAGE: _stage,
    ParamKind.PIPELINE: _pipeline,
    ParamKind.FORM: _form,
    ParamKind.TEMPLATE: _message,
    ParamKind.HOOK: _hook,
    ParamKind.WEBHOOK: _webhook,
    ParamKind.FIELDS: _fields,
    ParamKind.FIELD: _name,
    ParamKind.VALUE: _value,
    ParamKind.NUMBER: _number,
    ParamKind.MINUTES: _number,
    ParamKind.DAYS: _number,
    ParamKind.LINE: _text,
    ParamKind.TEXT: _text,
    ParamKind.CHOICE: _choice,
    ParamKind.WHOM: _whom,
    ParamKind.DUE: _due,
    ParamKind.TAGS: _tags,
    ParamKind.CHECKLIST: _checklist,
    ParamKind.TIME: _time,
    ParamKind.DATE_FIELD: _date_field,
    ParamKind.AMOUNT: _amount,
    ParamKind.PRODUCT: _product,
    ParamKind.LINE_TEMPLATE: _line_template,
    ParamKind.FORMULA: _formula,
    ParamKind.INPUTS: _inputs,
    ParamKind.DISCOUNT: _discount,
    ParamKind.YEAR_DAY: _year_day,
}
