"""Setting the values of a row: the one door for forms, API, gates, import and automation.

The context of the row checks access, records the changes and tells of them.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from sqlalchemy import delete, insert
from sqlmodel import col
from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.formula_queries import hours_for_formulas, values_for_formulas
from pbxcrm.fields.formula_rules import compute, value_of
from pbxcrm.fields.hooks import names_of
from pbxcrm.fields.models import FieldDefinition, FieldEntity
from pbxcrm.fields.queries import load_fields, target_of
from pbxcrm.fields.rules import (
    Checking,
    Entered,
    Stored,
    check_value,
    is_text,
    place_of,
    stored_in,
    text_key,
    with_value,
)
from pbxcrm.fields.terms import words_kind
from pbxcrm.fields.unique_queries import row_with_value
from pbxcrm.formulas.problems import FormulaError
from pbxcrm.people.directory import load_directory
from pbxcrm.shared.core_sql import one_of
from pbxcrm.shared.db import lock
from pbxcrm.shared.errors import Conflict, Invalid
from pbxcrm.shared.lengths import LONGEST_REPEATED
from pbxcrm.shared.reasons import N_
from pbxcrm.shared.search_keys import words_of
from pbxcrm.shared.search_words import SearchWord


class HasValues(Protocol):
    """A row with custom fields; it has its id already."""

    id: int | None
    custom: dict[str, Any]


class ValueTaken(Conflict):
    """A unique value stands in another row. ``field`` is the place in the form, ``row_id`` the other row."""

    def __init__(self, definition: FieldDefinition, row_id: int) -> None:
        super().__init__(
            "fields.taken", N_("“{name}” must be unique, and this value is taken already."), name=definition.name
        )
        self.field = place_of(definition.key)
        self.row_id = row_id


class ChangedMeanwhile(Conflict):
    """Somebody else has changed the field since the viewer saw it. ``field`` is the place in the form."""

    def __init__(self, definition: FieldDefinition) -> None:
        super().__init__(
            "fields.changed",
            N_(
                "Somebody else has changed “{name}” meanwhile. Look at what is there now, and save again if yours counts."
            ),
            name=definition.name,
        )
        self.field = place_of(definition.key)


async def do_set_values(
    session: AsyncSession,
    viewer: Viewer | None,
    entity: FieldEntity,
    row: HasValues,
    entered: Mapping[str, Entered],
    *,
    region: str,
    seen: Mapping[str, Stored] | None = None,
) -> dict[str, Any]:
    """Set the entered values by key; empty ones are taken away. Fields that are not given stay as they are. ``seen``: the values that
    the viewer saw, by key; ChangedMeanwhile where somebody has changed one since.

    Returns ``{"fields.KEY": {"before", "after"}}`` of the changes, for the audit log. Raises Invalid at the field, also for a field
    that is not there or was archived meanwhile, and ValueTaken. ``viewer`` None: the product itself, which points to no rows.
    """
    fields = await load_fields(session)
    if not entered and not fields.computed(entity):
        return {}
    known = fields.by_key(entity, archived=True)
    checking = Checking(region, await load_directory(session))
    changed: dict[str, Any] = {}
    for key, each in entered.items():
        definition = _known(known, key)
        was = stored_in(row.custom, definition)
        value = check_value(definition, each, was, checking)
        if value == was:
            continue
        if definition.formula and definition.archived_at is None:
            raise Invalid(
                place_of(key),
                "fields.reckoned",
                "“{name}” is computed by a formula. Change what it is computed from.",
                name=definition.name,
            )
        if seen is not None and key in seen and seen[key] != was:
            raise ChangedMeanwhile(definition)
        if definition.archived_at is not None:
            raise Invalid(
                place_of(key),
                "fields.archived",
                "“{name}” was archived meanwhile. Keep what you typed elsewhere, and leave it empty.",
                name=definition.name,
            )
        await _check_target(session, viewer, definition, was, value)
        if definition.is_unique and value is not None:
            await _check_free(session, definition, row, value)
        await _put(session, definition, row, value)
        changed[place_of(key)] = {"before": was, "after": value}
    return changed | await do_compute_values(session, entity, row)


async def do_compute_values(session: AsyncSession, entity: FieldEntity, row: HasValues) -> dict[str, Any]:
    """Compute the fields with formulas again, in their order, from the values that the row has now. One that cannot be computed is empty.

    Returns the changes as ``do_set_values`` does.
    """
    computed = (await load_fields(session)).computed(entity)
    if not computed:
        return {}
    known = await values_for_formulas(session, entity, row, computed=False)
    hours = await hours_for_formulas(session, entity, row)
    checking = Checking("", await load_directory(session))
    changed: dict[str, Any] = {}
    for definition in computed:
        try:
            value = compute(definition, known, hours, checking)
        except FormulaError:
            value = None
        known[definition.key] = value_of(definition, value)
        was = stored_in(row.custom, definition)
        if value != was:
            await _put(session, definition, row, value)
            changed[place_of(definition.key)] = {"before": was, "after": value}
    return changed


async def do_adopt_values(
    session: AsyncSession, entity: FieldEntity, row: HasValues, other: Mapping[str, Any]
) -> dict[str, Stored]:
    """Give a row the values of ``other`` (the ``custom`` of a row that is merged into it) in fields where it has none.

    Returns the adopted values by field id, for ``do_return_values``.
    """
    adopted: dict[str, Stored] = {}
    for definition in (await load_fields(session)).of(entity, archived=True, typed=True):
        value = stored_in(other, definition)
        if value is not None and stored_in(row.custom, definition) is None:
            adopted[str(definition.id)] = value
            await _put(session, definition, row, value)
    await do_compute_values(session, entity, row)
    return adopted


async def do_return_values(
    session: AsyncSession, entity: FieldEntity, row: HasValues, adopted: Mapping[str, Stored]
) -> None:
    """Undo of ``do_adopt_values``: take the adopted values away that the row still has."""
    for definition in (await load_fields(session)).of(entity, archived=True):
        value = adopted.get(str(definition.id))
        if value is not None and stored_in(row.custom, definition) == value:
            await _put(session, definition, row, None)
    await do_compute_values(session, entity, row)


async def do_forget_values(session: AsyncSession, entity: FieldEntity, rows: Sequence[HasValues]) -> None:
    """Take all values of rows of a client who is erased, and their words in the search index."""
    kinds = [words_kind(each.id) for each in (await load_fields(session)).of(entity, archived=True)]
    ids = [row.id or 0 for row in rows]
    of_them = (one_of(session, col(SearchWord.kind), kinds), one_of(session, col(SearchWord.row_id), ids))
    await session.exec(delete(SearchWord).where(*of_them).execution_options(synchronize_session=False))
    for row in rows:
        row.custom = {}


async def names_of_changed(
    session: AsyncSession, entity: FieldEntity, row: HasValues, adopted: Mapping[str, Stored]
) -> list[str]:
    """The names of adopted fields whose value somebody has changed since."""
    known = (await load_fields(session)).of(entity, archived=True)
    return [
        each.name for each in known if str(each.id) in adopted and stored_in(row.custom, each) != adopted[str(each.id)]
    ]


async def _put(session: AsyncSession, definition: FieldDefinition, row: HasValues, value: Stored) -> None:
    row.custom = with_value(row.custom, definition, value)
    if is_text(definition):
        await _keep_words(session, definition, row, value)


def _known(known: Mapping[str, FieldDefinition], key: str) -> FieldDefinition:
    if key not in known:
        raise Invalid(
            place_of(key[:LONGEST_REPEATED]), "fields.unknown", "There is no field “{key}”.", key=key[:LONGEST_REPEATED]
        )
    return known[key]


async def _check_target(
    session: AsyncSession, viewer: Viewer | None, definition: FieldDefinition, was: Stored, value: Stored
) -> None:
    """Raise Invalid when the field points to a row that is not there, or that the viewer may not see."""
    target = target_of(definition)
    if not target or value is None:
        return
    new = set(_ids(value)) - set(_ids(was))
    if viewer is None or new - set(await names_of(target)(session, viewer, new)):
        raise Invalid(place_of(definition.key), "fields.row", "There is no such thing any more. Choose again.")


def _ids(value: Stored) -> Iterable[int]:
    return value if isinstance(value, list) else [value] if isinstance(value, int) else []


async def _check_free(session: AsyncSession, definition: FieldDefinition, row: HasValues, value: Stored) -> None:
    """The lock makes a second writer of the same value wait, and then find the first."""
    compared = text_key(value) if isinstance(value, str) else value
    await lock(session, f"field:{definition.id}:{compared}")
    await session.flush()
    other = await row_with_value(session, definition, value, row.id)
    if other is not None:
        raise ValueTaken(definition, other)


async def _keep_words(session: AsyncSession, definition: FieldDefinition, row: HasValues, value: Stored) -> None:
    kind = words_kind(definition.id)
    await session.exec(delete(SearchWord).where(col(SearchWord.kind) == kind, col(SearchWord.row_id) == row.id))
    words = [{"word": word, "kind": kind, "row_id": row.id} for word in words_of(str(value or ""))]
    if words:
        await session.exec(insert(SearchWord).values(words))
