"""The columns that a person chooses for a list of deals, clients or companies."""

from collections.abc import Sequence

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.access import Viewer
from pbxcrm.fields.models import FieldEntity, ListColumns
from pbxcrm.shared.core_sql import add_new
from pbxcrm.shared.errors import Invalid

MOST_COLUMNS = 30


async def chosen_columns(session: AsyncSession, viewer: Viewer, entity: FieldEntity) -> list[str] | None:
    """The names of the columns that the viewer has chosen; None where the list is as it comes."""
    found = await session.get(ListColumns, (viewer.user_id, entity.value))
    return found.columns if found is not None else None


async def choose_columns(session: AsyncSession, viewer: Viewer, entity: FieldEntity, names: Sequence[str]) -> None:
    """Show these columns from now on; none: those of the beginning. Raises Invalid at ``column``."""
    if len(names) > MOST_COLUMNS:
        raise Invalid("column", "columns.many", "A list has at most {most} columns.", most=MOST_COLUMNS)
    await add_new(session, ListColumns, [{"user_id": viewer.user_id, "entity": entity.value, "columns": []}])
    found = await session.get(ListColumns, (viewer.user_id, entity.value))
    if found is not None and names:
        found.columns = list(names)
    elif found is not None:
        await session.delete(found)
