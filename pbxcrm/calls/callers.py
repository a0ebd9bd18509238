"""Numbers and names that calls came with, each pair once: a search reads these few instead of millions of calls."""

from collections.abc import Iterable
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from pbxcrm.calls.models import HeardCaller
from pbxcrm.shared.core_sql import add_new


async def keep_callers(session: AsyncSession, calls: Iterable[dict[str, Any]]) -> None:
    """Store the numbers and names of these rows of calls (columns ``client_number`` and ``client_name_folded``) that are new."""
    pairs = {(row.get("client_number") or "", row.get("client_name_folded") or "") for row in calls}
    # Sorted, so that two listeners that store the same ones wait for each other in one order.
    rows = [{"number": number, "name_folded": name} for number, name in sorted(pairs) if number or name]
    await add_new(session, HeardCaller, rows)
