"""Templates of lines: saving them, and applying one to a deal with the values that it asks for."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Permission, Viewer, check
from pbxcrm.audit.actions import record
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.deals.models import Deal
from pbxcrm.deals.queries import access_deal
from pbxcrm.formulas.functions import FormulaTime
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.rules import Circle, in_order
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.money.line_actions import add_lines
from pbxcrm.money.line_drafts import LineDraft
from pbxcrm.money.line_rules import DealLines
from pbxcrm.money.models import DealLine, LineTemplate, Product
from pbxcrm.money.quantity_rules import LONGEST_INPUT, MOST_INPUTS, named_values, quantity_over
from pbxcrm.money.queries import (
    access_product,
    access_template,
    formula_fields,
    formula_names,
    formula_time,
)
from pbxcrm.money.rules import PricedLine, check_price, check_rate, price_of
from pbxcrm.shared.core_sql import load_by_id
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import check_line, check_optional_text
from pbxcrm.shared.locking import lock_row
from pbxcrm.shared.texts import one_line

MOST_TEMPLATE_LINES = 50


@dataclass(frozen=True, slots=True)
class AskedValue:
    """A value that a template asks for: the ``key`` stands in formulas, ``value`` is offered at first."""

    key: str
    name: str
    unit: str = ""
    value: str = ""


@dataclass(frozen=True, slots=True)
class TemplateLine:
    """A line of a template: a product, or a free text with its price. ``formula``: the quantity."""

    formula: str
    product_id: int | None = None
    name: str = ""
    unit: str = ""
    price: Decimal | None = None
    vat_rate: Decimal | None = None


@dataclass(frozen=True, slots=True)
class TemplateDraft:
    """A template as it was entered. ``values``: named formulas over the inputs, as (key, formula), which may use each other."""

    name: str
    inputs: Sequence[AskedValue] = ()
    values: Sequence[tuple[str, str]] = ()
    lines: Sequence[TemplateLine] = ()


@dataclass(frozen=True, slots=True)
class TriedLine:
    """A line that a template would give."""

    name: str
    unit: str
    quantity: Decimal
    price: Decimal


async def save_template(
    session: AsyncSession,
    viewer: Viewer,
    template_id: int | None,
    draft: TemplateDraft,
    now: datetime,
    *,
    version: int | None = None,
) -> LineTemplate:
    """Add a template (``template_id`` None) or change one. Deals that it was applied to stay as they are.

    Raises Invalid at ``name``, ``inputs.N``, ``values.N`` or ``lines.N.FIELD``, NotFound, Conflict, NotAllowed.
    """
    check(viewer, Permission.SETTINGS_EDIT)
    if template_id is None:
        template = LineTemplate(name="")
    else:
        await access_template(session, template_id)
        template = await lock_row(session, LineTemplate, template_id)
        if version is not None and template.version != version:
            raise Conflict(
                "line_templates.stale", "Somebody else has changed this template meanwhile. Look at it again."
            )
    name = check_line(
        draft.name, LineTemplate.name, "name", "line_templates.name", "Write a name of up to {most} characters."
    )
    with session.no_autoflush:
        same = (await session.exec(select(LineTemplate.id).where(LineTemplate.name == name))).first()
    if same is not None and same != template.id:
        raise Invalid("name", "line_templates.name_taken", "There is a template of this name already.")
    template.name = name
    template.inputs, template.values, template.lines = await _checked(session, draft)
    if template_id is None:
        session.add(template)
    else:
        template.version += 1
    await session.flush()
    said = "line_template.changed" if template_id is not None else "line_template.created"
    record(session, now, said, "line_template", template.id, actor=viewer, name=name)
    return template


async def archive_template(
    session: AsyncSession, viewer: Viewer, template_id: int, now: datetime, *, is_archived: bool = True
) -> LineTemplate:
    """Offer it no more, or again. Raises NotFound, NotAllowed."""
    check(viewer, Permission.SETTINGS_EDIT)
    await access_template(session, template_id)
    template = await lock_row(session, LineTemplate, template_id)
    if (template.archived_at is not None) != is_archived:
        template.archived_at = now if is_archived else None
        template.version += 1
        said = "line_template.archived" if is_archived else "line_template.restored"
        record(session, now, said, "line_template", template.id, actor=viewer, name=template.name)
    return template


async def apply_template(
    session: AsyncSession, viewer: Viewer, deal_id: int, template_id: int, inputs: Mapping[str, str], now: datetime
) -> DealLines:
    """Add the lines of a template to a deal, with ``inputs`` by key. Lines whose quantity is nothing are left out.

    The formulas stay on the lines with the inputs, so a changed field of the deal computes them again. Raises Invalid at
    ``inputs.KEY`` or ``template_id``, NotFound, NotAllowed.
    """
    check(viewer, Permission.DEALS_EDIT)
    deal = await access_deal(session, viewer, deal_id)
    template = await access_template(session, template_id, field="template_id")
    drafts = await drafts_of_template(session, deal, template, inputs, now)
    return await add_lines(session, viewer, deal_id, drafts, now)


async def drafts_of_template(
    session: AsyncSession, deal: Deal, template: LineTemplate, inputs: Mapping[str, str], now: datetime
) -> list[LineDraft]:
    """The lines that a template gives to a deal, with ``inputs`` by key; those whose quantity is nothing are left out. Raises Invalid."""
    if template.archived_at is not None:
        raise Invalid("template_id", "line_templates.archived", "This template is offered no more.")
    given = {each["key"]: one_line(str(inputs.get(each["key"], each["value"]))) for each in template.inputs}
    for each in template.inputs:
        if not given[each["key"]]:
            raise Invalid(f"inputs.{each['key']}", "line_templates.input", "Fill in “{name}”.", name=each["name"])
    fields = await formula_fields(session, deal)
    around = await formula_time(session, deal, now)
    inputs_of_lines = given | {each["key"]: f"={each['formula']}" for each in template.values}
    try:
        known = named_values(inputs_of_lines, fields, around)
        quantities = [quantity_over(line["formula"], known, around) for line in template.lines]
    except FormulaError as error:
        raise error.at_field(_blamed(template)) from None
    products = await load_by_id(session, Product, [line["product_id"] for line in template.lines])
    drafts: list[LineDraft] = []
    for line, quantity in zip(template.lines, quantities, strict=True):
        if not quantity:
            continue
        product = products.get(line["product_id"])
        if product is not None and product.retired_at is not None:
            raise Invalid(
                "template_id",
                "line_templates.retired",
                "“{name}” is offered no more. An administrator changes the template.",
                name=product.name,
            )
        drafts.append(
            LineDraft(
                product_id=line["product_id"],
                name=line["name"],
                unit=line["unit"],
                formula=line["formula"],
                inputs=inputs_of_lines,
                price=_decimal(line["price"]),
                vat_rate=_decimal(line["vat_rate"]),
            )
        )
    return drafts


async def try_template(
    session: AsyncSession, draft: TemplateDraft, hours: WorkingTime, now: datetime
) -> tuple[list[TriedLine], Decimal]:
    """What a template that is being written gives with its usual values on a deal whose fields are empty: its lines, and their sum.

    Raises Invalid as ``save_template`` does, and at ``inputs`` where the usual values do not suffice.
    """
    inputs, values, lines = await _checked(session, draft)
    typed = {each["key"]: each["value"] for each in inputs} | {each["key"]: f"={each['formula']}" for each in values}
    around = FormulaTime(now, hours)
    found: list[TriedLine] = []
    try:
        known = named_values(typed, dict.fromkeys(await formula_names(session)), around)
        for line in lines:
            product = await access_product(session, line["product_id"]) if line["product_id"] else None
            quantity = quantity_over(line["formula"], known, around)
            name, unit = (product.name, product.unit) if product else (line["name"], line["unit"])
            price = product.price if product else _decimal(line["price"]) or Decimal(0)
            found.append(TriedLine(name, unit, quantity, price))
    except FormulaError as error:
        raise error.at_field("inputs") from None
    cost = price_of([PricedLine(line.quantity, line.price) for line in found])
    return found, cost.total


async def _checked(
    session: AsyncSession, draft: TemplateDraft
) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[dict[str, Any]]]:
    """Inputs, values and lines as they are stored."""
    names = await formula_names(session)
    inputs = _check_inputs(draft.inputs, names)
    known = [*names, *(each["key"] for each in inputs)]
    values = _check_values(draft.values, known)
    known += [each["key"] for each in values]
    if not draft.lines:
        raise Invalid("lines", "line_templates.empty", "Add at least one line.")
    if len(draft.lines) > MOST_TEMPLATE_LINES:
        raise Invalid("lines", "money.too_many", "A template can have at most {most} lines.", most=MOST_TEMPLATE_LINES)
    lines = [await _check_template_line(session, line, known, f"lines.{n}.") for n, line in enumerate(draft.lines)]
    return inputs, values, lines


def _blamed(template: LineTemplate) -> str:
    """The field of the form where a formula's problem is told."""
    return f"inputs.{template.inputs[0]['key']}" if template.inputs else "template_id"


def _decimal(stored: str | None) -> Decimal | None:
    return None if stored is None else Decimal(stored)


def _check_key(key: str, place: str, taken: Sequence[str]) -> str:
    key = key.strip()
    if not key.isidentifier() or key.startswith("_") or len(key) > LONGEST_INPUT:
        raise Invalid(
            place, "line_templates.key", "Write a name for formulas: letters, digits and _, for example width."
        )
    if key in taken:
        raise Invalid(place, "line_templates.key_taken", "“{key}” is the name of something else already.", key=key)
    return key


def _check_inputs(inputs: Sequence[AskedValue], fields: Sequence[str]) -> list[dict[str, Any]]:
    if len(inputs) > MOST_INPUTS:
        raise Invalid("inputs", "money.inputs", "At most {most} values can be given.", most=MOST_INPUTS)
    found: list[dict[str, Any]] = []
    for number, each in enumerate(inputs):
        key = _check_key(each.key, f"inputs.{number}", [*fields, *(one["key"] for one in found)])
        texts = [one_line(text) for text in (each.name or key, each.unit, each.value)]
        if any(len(text) > LONGEST_INPUT for text in texts):
            raise Invalid(f"inputs.{number}", "form.too_long", "Write at most {most} characters.", most=LONGEST_INPUT)
        found.append({"key": key, "name": texts[0], "unit": texts[1], "value": texts[2]})
    return found


def _check_values(values: Sequence[tuple[str, str]], known: Sequence[str]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if len(values) > MOST_INPUTS:
        raise Invalid("values", "money.inputs", "At most {most} values can be given.", most=MOST_INPUTS)
    for number, (key, formula) in enumerate(values):
        named = _check_key(key, f"values.{number}", [*known, *(one["key"] for one in found)])
        found.append({"key": named, "formula": formula.strip()})
    names = [*known, *(one["key"] for one in found)]
    for number, one in enumerate(found):
        _check_formula(one["formula"], names, f"values.{number}")
    try:
        in_order({one["key"]: one["formula"] for one in found})
    except Circle as circle:
        places = [number for number, one in enumerate(found) if one["key"] in circle.names]
        raise Invalid(
            f"values.{places[0]}",
            "line_templates.circle",
            "These formulas need each other: {names}.",
            names=str(circle),
        ) from None
    return found


def _check_formula(formula: str, names: Sequence[str], place: str) -> None:
    problems = check_formula(formula, names)
    if problems:
        raise FormulaError(problems[0]).at_field(place)


async def _check_template_line(
    session: AsyncSession, line: TemplateLine, known: Sequence[str], place: str
) -> dict[str, Any]:
    _check_formula(line.formula, known, f"{place}formula")
    found: dict[str, Any] = {
        "product_id": None,
        "name": "",
        "unit": "",
        "price": None,
        "vat_rate": None,
        "formula": line.formula.strip(),
    }
    if line.product_id is not None:
        product = await access_product(session, line.product_id, field=f"{place}product_id")
        return found | {"product_id": product.id}
    rate = check_rate(line.vat_rate, f"{place}vat_rate")
    return found | {
        "name": check_line(
            line.name, DealLine.name, f"{place}name", "money.name", "Write a name of up to {most} characters."
        ),
        "unit": one_line(check_optional_text(line.unit, DealLine.unit, f"{place}unit")),
        "price": str(check_price(line.price, f"{place}price")),
        "vat_rate": None if rate is None else str(rate),
    }
