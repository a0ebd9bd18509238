"""Which fields a stage may require, and which of them a deal lacks: its own and its custom ones."""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.deals.fields import FIELDS, is_filled
from pbxcrm.deals.models import Deal
from pbxcrm.fields.models import FieldEntity
from pbxcrm.fields.queries import load_fields
from pbxcrm.fields.rules import stored_in

#: The keys of a deal's own fields that a stage may require.
REQUIRABLE = (*(each.key for each in FIELDS if not each.required), "contact_id")


async def requirable(session: AsyncSession) -> tuple[str, ...]:
    """The keys of all fields that a stage may require. Archived ones may stay where they stand."""
    return (*REQUIRABLE, *(await load_fields(session)).by_key(FieldEntity.DEAL, archived=True, typed=True))


async def empty_fields(session: AsyncSession, deal: Deal, keys: Sequence[str]) -> tuple[frozenset[str], dict[str, str]]:
    """Those of the required fields that are empty, and the names of the custom ones. One that was archived is not asked for."""
    if not keys:
        return frozenset(), {}
    custom = (await load_fields(session)).by_key(FieldEntity.DEAL, typed=True)
    empty = {
        key
        for key in keys
        if (stored_in(deal.custom, custom[key]) is None if key in custom else not is_filled(getattr(deal, key, "x")))
    }
    return frozenset(empty), {key: definition.name for key, definition in custom.items()}
