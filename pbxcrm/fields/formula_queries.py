"""What the formulas of a row read, and why one gives nothing."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calendars.queries import load_calendars
from pbxcrm.calendars.working_time import WorkingTime
from pbxcrm.fields.formula_rules import compute, values_in
from pbxcrm.fields.hooks import own_values
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import Checking, Stored
from pbxcrm.formulas.functions import Value
from pbxcrm.formulas.problems import FormulaError, FormulaProblem
from pbxcrm.people.directory import load_directory


async def values_for_formulas(
    session: AsyncSession, entity: FieldEntity, row: Any, *, computed: bool = True
) -> dict[str, Value]:
    """The values of a row by key: its own and those of its custom fields; without ``computed`` only of those that people fill in."""
    definitions = (await load_fields(session)).of(entity, typed=not computed)
    return {**own_values(entity).read(row), **values_in(definitions, row.custom)}


async def names_for_formulas(session: AsyncSession, entity: FieldEntity, besides: str = "") -> dict[str, str]:
    """What formulas of an entity may read: the names by key. ``besides``: the key of a field that is left out."""
    custom = {each.key: each.name for each in (await load_fields(session)).of(entity) if each.key != besides}
    return {**own_values(entity).names, **custom}


async def hours_for_formulas(session: AsyncSession, entity: FieldEntity, row: Any) -> WorkingTime:
    """The working hours by which the dates of a row are counted."""
    calendars = await load_calendars(session, await load_directory(session))
    return calendars.of_user(own_values(entity).owner(row))


async def problems_of(session: AsyncSession, entity: FieldEntity, row: Any) -> Mapping[int, FormulaProblem]:
    """Why formulas of the row give nothing, by id of the field. One whose sources are still empty has no problem."""
    computed = (await load_fields(session)).computed(entity)
    empty = [each for each in computed if str(each.id) not in row.custom]
    if not empty:
        return {}
    known = await values_for_formulas(session, entity, row)
    hours = await hours_for_formulas(session, entity, row)
    checking = Checking("", await load_directory(session))
    found: dict[int, FormulaProblem] = {}
    for definition in empty:
        try:
            compute(definition, known, hours, checking)
        except FormulaError as error:
            if error.problem.code not in EMPTY:
                found[definition.id or 0] = error.problem
    return found


async def tried_on_latest(
    session: AsyncSession, definition: FieldDefinition
) -> tuple[str, Stored, FormulaProblem | None] | None:
    """What a formula that is being typed gives for the newest row: its name, the value, and why there is none. None without rows."""
    entity = FieldEntity(definition.entity)
    model: Any = own_values(entity).model
    row = (await session.exec(select(model).order_by(col(model.id).desc()).limit(1))).first()
    if row is None:
        return None
    known = await values_for_formulas(session, entity, row)
    hours = await hours_for_formulas(session, entity, row)
    name = str(getattr(row, "title", "") or getattr(row, "name", ""))
    try:
        return name, compute(definition, known, hours, Checking("", await load_directory(session))), None
    except FormulaError as error:
        return name, None, error.problem


EMPTY = frozenset({"empty_field", "empty"})
