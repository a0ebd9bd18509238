"""``{"kind": "field", "field", "value"}``: a field of the deal, its own (``amount``) or a custom one (``field.KEY``).

In the value of a text ``{= …}`` is a formula; that of another field is one if it begins with ``=``, or is one ``{= …}`` as a whole.
"""

from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.rule_formulas import IS_FORMULA, moment_by, names_for, text_by, value_by
from pbxcrm.automation.steps.step import KnownThings, Repeats, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.automation.triggers import DEAL
from pbxcrm.deals.actions import do_edit_deal
from pbxcrm.deals.fields import BY_KEY, DealField, FieldKind, Value
from pbxcrm.fields.formula_rules import COMPUTED, entered_by, other_kind
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet, load_fields
from pbxcrm.fields.rules import Checking, as_entered, check_value, is_text, stored_in
from pbxcrm.fields.terms import name_of_term
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.formulas.texts import BEGIN, check_text, end_of_formula
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_, Reason, reason

LONGEST_TOLD = 80  # letters of a text that the log repeats
_DATES = {ValueKind.DATE, ValueKind.MOMENT}
#: They point to rows that somebody must see; a rule is nobody.
_NOT_SET = {ValueKind.LINK, ValueKind.FILE}


class _FieldStep(Step):
    """A new value; an empty one empties the field."""

    kind = "field"
    title = N_("Set a field")
    repeats = Repeats.TOGETHER
    params = (
        Param("field", N_("Field"), ParamKind.FIELD, required=True),
        Param(
            "value",
            N_("Value"),
            ParamKind.VALUE,
            hint=N_(
                "Empty: the field is emptied. By a formula: = amount * 0.9, = dateadd(now(), '365d'), in texts {= client_name}"
            ),
        ),
    )

    def check(self, settings: dict[str, Any], at: str, known: KnownThings) -> dict[str, Any]:
        name, value, around = settings["field"], settings["value"], known.around
        own, custom = _field(around.fields, name)
        if own is None and custom is None:
            raise Invalid(f"{at}.field", "automation.field", "There is no such field, or rules cannot set it.")
        if _has_formulas(own, custom, value):
            if problems := check_text(value, names_for(around, DEAL)):
                raise FormulaError(problems[0]).at_field(f"{at}.value")
            return settings
        formula = _formula_of(own, custom, value)
        if formula is not None:
            if custom is not None and custom.kind not in COMPUTED:
                raise Invalid(f"{at}.value", "formulas.kind", "A field of this kind cannot be computed.")
            if problems := check_formula(formula, names_for(around, DEAL)):
                raise FormulaError(problems[0]).at_field(f"{at}.value")
            return settings
        try:
            if own is not None:
                own.check(_typed(own, value))
            elif custom is not None:
                check_value(custom, value, None, Checking(around.region, around.people))
        except Invalid as error:
            raise Invalid(f"{at}.value", error.code, error.message, **error.params) from error
        return settings

    async def do(self, context: StepContext, settings: Settings) -> StepTaken:
        own, custom = _field(context.around.fields, settings["field"])
        if own is None and custom is None:
            raise Invalid("field", "automation.field", "There is no such field, or rules cannot set it.")
        name = own.name if own is not None else custom.name if custom is not None else ""
        value = await _computed(context, own, custom, settings["value"])
        changed = await do_edit_deal(
            context.session,
            context.of_deal,
            context.now,
            actor=None,
            why=context.why,
            people=context.around.people,
            values={own.key: _typed(own, value)} if own is not None else {},
            custom={custom.key: value} if custom is not None else {},
            region=context.around.region,
        )
        said = _said(context, value)
        if not changed:
            return StepTaken(reason("automation.same", field=name, value=said))
        return StepTaken(reason("automation.set", field=name, value=said), undo={"changed": changed})

    async def would(self, context: StepContext, settings: Settings) -> Reason:
        own, custom = _field(context.around.fields, settings["field"])
        name = own.name if own is not None else custom.name if custom is not None else settings["field"]
        value = await _computed(context, own, custom, settings["value"])
        return reason("automation.set", field=name, value=_said(context, value))

    async def undo(self, undoing: TakingBack, kept: Settings) -> Reason | None:
        deal = undoing.deal
        assert deal is not None
        for place, change in kept.get("changed", {}).items():
            own, custom = _field(await load_fields(undoing.session), place.replace("fields.", "field.", 1))
            if own is not None:
                if own.check(_typed(own, change["after"])) != getattr(deal, own.key):
                    return reason("automation.kept_changed")
                values: dict[str, Value] = {own.key: _typed(own, change["before"])}
                await do_edit_deal(
                    undoing.session, deal, undoing.now, actor=undoing.viewer, people=undoing.people, values=values
                )
            elif custom is not None:
                if stored_in(deal.custom, custom) != change["after"]:
                    return reason("automation.kept_changed")
                await do_edit_deal(
                    undoing.session,
                    deal,
                    undoing.now,
                    actor=undoing.viewer,
                    people=undoing.people,
                    custom={custom.key: as_entered(custom, change["before"])},
                )
        return None


def _field(fields: FieldSet, name: Any) -> tuple[DealField | None, FieldDefinition | None]:
    if not isinstance(name, str):
        return None, None
    if name in BY_KEY:
        return BY_KEY[name], None
    return None, settable_fields(fields).get(name)


def _has_formulas(own: DealField | None, custom: FieldDefinition | None, value: Any) -> bool:
    """Whether it is a text with formulas in it."""
    return isinstance(value, str) and BEGIN in value and _takes_text(own, custom)


def _formula_of(own: DealField | None, custom: FieldDefinition | None, value: Any) -> str | None:
    """The formula by which a field that is no text gets its value; None for a value as it was typed."""
    if not isinstance(value, str) or _takes_text(own, custom):
        return None
    typed = value.strip()
    if typed.startswith(BEGIN) and typed.endswith("}"):
        try:
            return typed[len(BEGIN) : -1] if end_of_formula(typed, 0) == len(typed) - 1 else None
        except FormulaError:
            return None
    return typed[len(IS_FORMULA) :] if typed.startswith(IS_FORMULA) else None


def _takes_text(own: DealField | None, custom: FieldDefinition | None) -> bool:
    return own.kind is FieldKind.TEXT if own is not None else custom is not None and is_text(custom)


async def _computed(context: StepContext, own: DealField | None, custom: FieldDefinition | None, value: Any) -> Any:
    """The value to set: what its formulas give now, else the value as it is."""
    if _has_formulas(own, custom, value):
        return await text_by(context, value, "value")
    formula = _formula_of(own, custom, value)
    if formula is None:
        return value
    working = context.around.calendars.of_user(context.of_deal.responsible_id)
    is_date = custom is not None and custom.kind == ValueKind.DATE
    if is_date or (own.kind is FieldKind.MOMENT if own is not None else custom is not None and custom.kind in _DATES):
        moment = await moment_by(context, f"{IS_FORMULA}{formula}", working, "value")
        return f"{moment.astimezone(working.timezone):%Y-%m-%d}" if is_date else moment
    found = await value_by(context, formula, working, "value")
    try:
        if custom is not None:
            return entered_by(custom, found, working)
        if found is not None and not isinstance(found, Decimal):
            raise other_kind()
    except FormulaError as error:
        raise error.at_field("value") from None
    return found.quantize(Decimal("0.01"), rounding=ROUND_HALF_UP) if found is not None else None


def _said(context: StepContext, value: Any) -> Any:
    """The value as the log tells it; a moment in the time of the office."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) and len(value) > LONGEST_TOLD:
        return f"{value[:LONGEST_TOLD]}…"
    if not isinstance(value, datetime):
        return value
    return f"{value.astimezone(context.around.calendars.default.timezone):%Y-%m-%d %H:%M}"


def settable_fields(fields: FieldSet) -> dict[str, FieldDefinition]:
    """The custom fields of deals that the step can set, by their names in rules."""
    return {name_of_term(each): each for each in fields.of(FieldEntity.DEAL, typed=True) if each.kind not in _NOT_SET}


def _typed(own: DealField, value: Any) -> Value:
    """A value from JSON as the field takes it. Raises Invalid."""
    if value is None or isinstance(value, Decimal | datetime):
        return value
    if isinstance(value, bool | list) or (isinstance(value, int) and own.kind is not FieldKind.AMOUNT):
        raise Invalid(own.key, "automation.value", "Write the value as it is typed into the field.")
    return str(value)


FIELD = _FieldStep()
