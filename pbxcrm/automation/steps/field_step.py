"""``{"kind": "field", "field", "value"}``: a field of the deal, its own (``amount``) or a custom one (``field.KEY``); a date also by a formula."""

from datetime import datetime
from decimal import Decimal
from typing import Any

from pbxcrm.automation.params import Param, ParamKind
from pbxcrm.automation.rule_formulas import IS_FORMULA, moment_by, names_for
from pbxcrm.automation.steps.step import KnownThings, Settings, Step, StepContext, StepTaken, TakingBack
from pbxcrm.automation.triggers import DEAL
from pbxcrm.deals.actions import do_edit_deal
from pbxcrm.deals.fields import BY_KEY, DealField, FieldKind, Value
from pbxcrm.fields.models import FieldDefinition, FieldEntity, ValueKind
from pbxcrm.fields.queries import FieldSet, load_fields
from pbxcrm.fields.rules import Checking, as_entered, check_value, stored_in
from pbxcrm.fields.terms import name_of_term
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.formulas.rules import check as check_formula
from pbxcrm.shared.errors import Invalid
from pbxcrm.shared.reasons import N_, Reason, reason

_DATES = {ValueKind.DATE, ValueKind.MOMENT}
#: They point to rows that somebody must see; a rule is nobody.
_NOT_SET = {ValueKind.LINK, ValueKind.FILE}


class _FieldStep(Step):
    """A new value; an empty one empties the field."""

    kind = "field"
    title = N_("Set a field")
    params = (
        Param("field", N_("Field"), ParamKind.FIELD, required=True),
        Param(
            "value",
            N_("Value"),
            ParamKind.VALUE,
            hint=N_("Empty: the field is emptied. A date also by a formula: = dateadd(now(), '365d')"),
        ),
    )

    def check(self, settings: dict[str, Any], at: str, known: KnownThings) -> dict[str, Any]:
        name, value, around = settings["field"], settings["value"], known.around
        own, custom = _field(around.fields, name)
        if own is None and custom is None:
            raise Invalid(f"{at}.field", "automation.field", "There is no such field, or rules cannot set it.")
        if _is_formula(own, custom, value):
            problems = check_formula(value[1:], names_for(around, DEAL))
            if problems:
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


def _is_formula(own: DealField | None, custom: FieldDefinition | None, value: Any) -> bool:
    """Dates may be computed when the step is taken; for the others there are fields by formulas."""
    is_date = own.kind is FieldKind.MOMENT if own is not None else custom is not None and custom.kind in _DATES
    return is_date and isinstance(value, str) and value.startswith(IS_FORMULA)


async def _computed(context: StepContext, own: DealField | None, custom: FieldDefinition | None, value: Any) -> Any:
    """The value to set: what its formula gives now, else the value as it is."""
    if not _is_formula(own, custom, value):
        return value
    working = context.around.calendars.of_user(context.of_deal.responsible_id)
    found = await moment_by(context, value, working, "value")
    if custom is not None and custom.kind == ValueKind.DATE:
        return f"{found.astimezone(working.timezone):%Y-%m-%d}"
    return found


def _said(context: StepContext, value: Any) -> Any:
    """The value as the log tells it; a moment in the time of the office."""
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
