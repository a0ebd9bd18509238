"""What the product stored of calls."""

from typing import Any

from sqlmodel import col, select

from pbxcrm.calls.call_json import as_object
from pbxcrm.calls.models import Call, CallEvent
from pbxcrm.shared.db import Database


async def stored_calls(database: Database) -> list[Call]:
    """The calls sorted by start, without those that were merged into another."""
    async with database.read() as session:
        rows = (await session.exec(select(Call).where(col(Call.merged_into_id).is_(None)))).all()
    return sorted(rows, key=lambda call: (call.started_at, call.id or 0))


async def told_twice(database: Database) -> list[str]:
    """Calls that were opened or ended more than once."""
    async with database.read() as session:
        events = (await session.exec(select(CallEvent))).all()
    seen: dict[tuple[int, str], int] = {}
    for event in events:
        seen[event.call_id, event.kind] = seen.get((event.call_id, event.kind), 0) + 1
    return [
        f"call {call_id} was {kind} {count} times"
        for (call_id, kind), count in sorted(seen.items())
        if kind in {"opened", "ended"} and count > 1
    ]


def comparable(row: Call) -> dict[str, Any]:
    """The data of a call that is compared: the object of the API, and its channels."""
    return as_object(row, row.client_number) | {"channels": sorted(row.channel_ids)}
